"""Drawn matrices have the property that they are drawn for, in every regime."""

from __future__ import annotations

import numpy as np
import pytest

from multigrad.catalogue import drawn_matrices as drawn
from multigrad.ops.draw import REGIMES, Draw

SIZES = [(4, 4), (6, 3), (1, 1)]


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(("m", "n"), SIZES)
def test_matrices_are_regular_definite_or_separated_in_every_regime(regime: str, m: int, n: int) -> None:
    draw = Draw(0, regime)
    values = np.linalg.svd(drawn.regular(draw, 3, m, n), compute_uv=False)
    assert (values[:, :1] <= 5.001 * values).all()
    assert (np.linalg.eigvalsh(drawn.positive_definite(draw, 3, n)) > 0).all()
    A = drawn.dominant(draw, 3, n)
    assert (np.linalg.eigvalsh(A / 2 + np.matrix_transpose(A) / 2) > 0).all()
    for apart in (
        np.linalg.svd(drawn.separated(draw, 3, m, n), compute_uv=False)[:, ::-1],
        np.linalg.eigvalsh(drawn.separated_symmetric(draw, 3, n)),
    ):
        assert (np.diff(apart) >= 0.1 / n * np.max(np.abs(apart), axis=1, keepdims=True)).all()


def test_matrices_near_one_have_determinants_that_are_numbers() -> None:
    A = drawn.regular(Draw(0), 1, 300, 300, near_one=True)
    assert 0.4 < np.linalg.norm(A[0], 2) < 3
