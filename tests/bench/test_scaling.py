from __future__ import annotations

import numpy as np
import pytest
from multigrad.bench.analysis import scaling
from test_compare import run_of, summary_row

N = np.array([8, 16, 32, 64, 128, 256, 512, 1024])


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0, 2.81, 3.0])
@pytest.mark.parametrize("constant", [0.0, 1e-6, 1e-4])
def test_a_constant_and_a_power_are_found_again(exponent, constant):
    found = scaling.fit(N, constant + 1e-8 * N**exponent)
    if constant < 1e-8 * N[-1] ** exponent:
        assert found.exponent == pytest.approx(exponent, rel=0.03)
    assert np.allclose(found(N), constant + 1e-8 * N**exponent, rtol=0.03)


def test_one_bad_point_does_not_turn_the_exponent():
    values = 2e-6 + 1e-9 * N**2.0
    values[4] *= 3
    assert scaling.fit(N, values).exponent == pytest.approx(2, abs=0.05)


def test_the_interval_of_the_exponent_covers_it_and_the_overhead_ends_where_it_ends():
    rows = [summary_row("f", sizes=f"m={n} k=3", median_s=2e-6 + 1e-9 * n**2, peak_bytes=8.0 * n**2 + 2**17) for n in N]
    (row,) = scaling.scaling(run_of(rows, 4), resamples=60).to_dict("records")
    assert row["exponent_low"] <= 2 <= row["exponent_high"]
    assert row["exponent_high"] - row["exponent_low"] < 0.3
    assert row["overhead_until_n"] == pytest.approx((2e-6 / 1e-9) ** 0.5, rel=0.2)
    assert (row["swept"], row["points"]) == ("m", len(N))
    assert row["memory_exponent"] == pytest.approx(2, abs=0.1)


def test_two_sizes_are_no_sweep():
    rows = [summary_row("f", sizes=f"m={n}") for n in (3, 4)]
    assert scaling.scaling(run_of(rows, 4)).empty


def test_several_dimensions_are_swept_by_their_geometric_mean():
    assert scaling.sweep(["m=2 k=8 p=(1,1)", "m=4 k=16 p=(1,1)"]) == (["m", "k"], [4.0, 8.0])
