"""The harness is tested for lying: fakes whose true cost is known. tests/benchmarks/lying.py prints more of it."""

from __future__ import annotations

import fake_backends
import pytest
from fast_protocol import FAST
from multigrad.bench import Protocol, measure

ONE = {"dtype": "float64", "threads": 1, "mode": "eager", "variant": "forward"}
CALL_S = fake_backends.CALL_S


def timed(square, name, **changes):
    protocol = Protocol(**{**vars(FAST), "rounds": 1, "twins": 0, "turns": 6, **changes})
    run = measure(square, backend=f"fake_backends:{name}", protocol=protocol, **ONE)
    (row,) = run.summary.to_dict("records")
    return row


@pytest.mark.long  # what it measures, a busy machine takes longer for
def test_a_slow_first_call_is_told_apart_and_not_averaged_in(square):
    row = timed(square, "SLOW_FIRST")
    assert row["first_call_s"] == pytest.approx(fake_backends.FIRST_CALL_S, rel=0.2)
    assert row["min_s"] == pytest.approx(CALL_S, rel=0.05)


@pytest.mark.long  # what it measures, a busy machine takes longer for
def test_periodic_noise_does_not_move_the_fastest_nor_a_first_quartile_far(square):
    row = timed(square, "PERIODIC", process_blocks=20, block_s=1e-4)
    # Single calls: six of seven take their time, every seventh twice as long.
    assert row["calls"] == 1
    assert row["q1_s"] == pytest.approx(CALL_S, rel=0.1)
    assert row["min_s"] == pytest.approx(CALL_S, rel=0.05)


def test_a_drift_is_flagged(square):
    row = timed(square, "DRIFT", process_blocks=20, process_s=0.1, process_limit_s=0.5)
    assert {"spread-within", "spread-turns", "not-warm"} & set(row["flags"].split())


@pytest.mark.long  # what it measures, a busy machine takes longer for
@pytest.mark.parametrize("percent", [3, 5, 10, 20])
def test_a_known_slowdown_is_measured(square, percent):
    before, after = (timed(square, name) for name in ("STEADY", f"LONGER_{percent}"))
    assert after["min_s"] / before["min_s"] == pytest.approx(1 + percent / 100, abs=0.015)
