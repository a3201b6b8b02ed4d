"""A factorisation gives the same answers whether a namespace keeps the factors or not."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np

from multigrad.backend import namespace
from multigrad.extra.elimination import eliminated
from multigrad.extra.hooks import Hooks

A = np.array([[[0.0, 2.0], [3.0, 1.0]], [[1.0, 2.0], [2.0, 4.0]]])


def test_a_singular_item_costs_only_itself() -> None:
    system = eliminated(xp, A)
    np.testing.assert_allclose(system.log_abs_det(), [np.log(6), -np.inf])
    B = np.ones((2, 2, 1))
    for transposed in (False, True):
        X = system.solve(B, transposed=transposed, regular=np.array([True, False]))
        np.testing.assert_allclose((A[0].T if transposed else A[0]) @ X[0], B[0])


def test_a_namespace_that_keeps_the_factors_is_asked_for_them() -> None:
    own = namespace(np, Hooks(eliminated=lambda matrices: ("theirs", matrices.shape)))
    assert eliminated(own, A) == ("theirs", A.shape)
