"""A recurrence is the same whether a namespace has a scan of its own or not."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np
import pytest

from multigrad.backend import namespace
from multigrad.extra.hooks import Hooks
from multigrad.extra.recurrence import scan

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("reverse", [False, True])
def test_outputs_stand_in_the_order_of_the_inputs(reverse: bool) -> None:
    x = RNG.standard_normal((5, 3))
    carry, ys = scan(xp, lambda c, a: (c + a, c + a), np.zeros(3), x, reverse=reverse)
    wanted = np.cumsum(x[::-1], axis=0)[::-1] if reverse else np.cumsum(x, axis=0)
    np.testing.assert_allclose(ys, wanted, rtol=1e-14)
    np.testing.assert_allclose(carry, x.sum(axis=0), rtol=1e-14)


def test_carry_inputs_and_outputs_may_be_tuples() -> None:
    x, y = RNG.standard_normal((2, 4))
    (total, product), (sums, pairs) = scan(
        xp, lambda c, ab: ((c[0] + ab[0], c[1] * ab[1]), (c[0], ab[0] * ab[1])), (np.zeros(()), np.ones(())), (x, y)
    )
    np.testing.assert_allclose([total, product], [x.sum(), np.prod(y)], rtol=1e-14)
    np.testing.assert_allclose(sums, np.concatenate([[0.0], np.cumsum(x)[:-1]]), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(pairs, x * y)


def test_a_step_without_an_output_returns_the_carry_alone() -> None:
    assert scan(xp, lambda c, a: (c + a, None), np.zeros(()), np.ones(3)) == (3.0, None)


def test_a_namespace_that_has_a_scan_runs_it() -> None:
    own = namespace(np, Hooks(scan=lambda step, carry, xs, *, reverse: ("theirs", reverse)))
    assert scan(own, lambda c, a: (c, a), 0, np.ones(3), reverse=True) == ("theirs", True)
