"""GradBench's own inputs: the numbers that its generators draw."""

from __future__ import annotations

import numpy as np
import pytest

from multigrad.data.errors import BadInput

from .gradbench_inputs import gradbench_inputs


def test_a_mixture_has_the_numbers_that_gradbench_draws_row_by_row() -> None:
    rng = np.random.default_rng(31337)
    rows = [rng.normal(size=2) for _ in range(1000)]
    wanted = [
        rows,
        rng.normal(size=5),
        *([draw(size=s) for _ in range(5)] for draw, s in ((rng.uniform, 2), (rng.normal, 2), (rng.normal, 1))),
    ]
    for found, numbers in zip(gradbench_inputs("gmm", d=2, k=5), wanted, strict=True):
        np.testing.assert_array_equal(found, np.asarray(numbers))


def test_a_sweep_goes_on_with_one_generator() -> None:
    rng = np.random.RandomState(31337)
    for n in (2500, 5000):
        np.testing.assert_array_equal(gradbench_inputs("lse", n=n)[0], rng.rand(n))


def test_the_sizes_of_a_sweep_come_with_the_least_work_first() -> None:
    rng = np.random.RandomState(31337)
    rng.rand(1000 * 8 + 1000 * 16)  # k = 10, n = 1000
    x, c = gradbench_inputs("kmeans", k=10, n=10000, d=8)
    np.testing.assert_array_equal(x, rng.rand(10000, 8))
    np.testing.assert_array_equal(c, x[-10:])


@pytest.mark.parametrize(("problem", "size"), [("gmn", {}), ("lse", {"n": 7})])
def test_what_gradbench_does_not_run_is_told(problem: str, size: dict[str, int]) -> None:
    with pytest.raises(BadInput, match="GradBench"):
        gradbench_inputs(problem, **size)
