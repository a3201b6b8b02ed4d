"""Flags, from the blocks of processes."""

from __future__ import annotations

import numpy as np
import pytest
from multigrad.bench.analysis.flags import BARRING, FLAGS, Process, barring, flags_of
from multigrad.bench.plan.cells import Cell
from multigrad.bench.plan.protocol import FULL
from multigrad.bench.store.events import CellEvent
from multigrad.bench.store.rows import Block
from multigrad.bench.store.schema import Facts

CELL = Cell("f", "f", "analytic", "eager", "numpy", "numpy", "cpu", "float32", "", (("n", 3),), 1, "strict")


def process(number, per_call, *, waited=0.0):
    """A process whose blocks of eight calls took so long, and waited for a processor for a share of it."""
    shares = np.broadcast_to(waited, len(per_call))
    blocks = [
        Block("latency", 8, 8 * t, None, 8 * t, 0, None, None, share * 8 * t, 0, turn)
        for turn, (t, share) in enumerate(zip(per_call, shares, strict=True))
    ]
    known = {"verdict": "PASS", "reason": "", "ratio": 0.5, "group": "", "calls": {"latency": 8}, "warm": True}
    times = {"load": 0.0, "to_device_s": 0.0, "to_host_s": 0.0}
    return Process(CellEvent(cell=0, round=number, twin=0, blocks=blocks, **known, **times), Facts())


STEADY = [1e-3] * 8


@pytest.mark.parametrize(
    ("processes", "flags"),
    [
        ([process(r, STEADY) for r in range(3)], []),
        ([process(0, STEADY)], ["one-process"]),
        ([process(0, STEADY, waited=0.5), process(1, STEADY, waited=0.5)], ["preempted"]),
        (
            [process(0, [1e-3, *[1.6e-3] * 7], waited=0.5), process(1, [1.6e-3] * 8, waited=0.5)],
            ["preempted", "crowded"],
        ),
        ([process(0, STEADY, waited=0.5), process(1, STEADY, waited=[0.5] * 7 + [0.0])], ["preempted"]),
        ([process(0, STEADY), process(1, [1.2e-3] * 8)], ["spread-between"]),
    ],
)
def test_what_is_doubtful_about_a_time(processes, flags):
    assert flags_of(CELL, processes, FULL) == flags


def test_few_flags_bar_a_word_and_all_have_a_meaning():
    assert FLAGS.keys() >= BARRING
    assert barring("preempted crowded not-warm", "died") == ("crowded", "died")
    assert barring("overhead-bound") == barring("overhead-bound", "") == ()
    assert barring("overhead-bound", "overhead-bound preempted") == ("overhead-bound",)
