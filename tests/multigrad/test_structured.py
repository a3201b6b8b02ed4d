"""Structured derivatives: against what one free entry changes, and the equations of the cookbook."""

from __future__ import annotations

from typing import Any

import array_api_compat.numpy as xp
import numpy as np
import pytest

from multigrad.catalogue.structured import STRUCTURES, structured_matrix, structured_product, structured_trace
from multigrad.data.errors import BadInput

T = np.matrix_transpose


def integers(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).integers(-3, 4, shape).astype(np.float64)


def held(X: np.ndarray, structure: str) -> np.ndarray:
    """The matrix that one writes down by hand: entry by entry."""
    M = X.copy()
    for *batch, i, j in np.ndindex(X.shape):
        if j > i and structure != "plain":
            M[(*batch, i, j)] = X[(*batch, j, i)] if structure == "symmetric" else 0.0
    return M


def by_free_entries(function: Any, X: np.ndarray) -> np.ndarray:
    """The derivative of a linear function for each entry: what one more of it changes."""
    gradient = np.zeros_like(X)
    for index in np.ndindex(X.shape):
        moved = X.copy()
        moved[index] += 1.0
        gradient[index] = function(moved) - function(X)
    return gradient


@pytest.mark.parametrize("structure", STRUCTURES)
def test_structured_matrix_turns_the_plain_derivative_into_that_of_the_free_entries(structure: str) -> None:
    X, M_bar = integers(2, 4, 4), integers(2, 4, 4) + 0.5
    M, pullback = structured_matrix(xp, X, structure=structure)
    np.testing.assert_array_equal(M, held(X, structure))
    wanted = by_free_entries(lambda x: np.sum(M_bar * held(x, structure)), X)
    np.testing.assert_array_equal(pullback(M_bar), wanted)


def test_structured_trace_is_equation_139() -> None:
    A, X = integers(1, 4, 4), integers(1, 4, 4)
    f, pullback = structured_trace(xp, A, X, structure="symmetric")
    S = held(X, "symmetric")
    assert f[0] == np.trace(A[0] @ S[0])
    A_bar, X_bar = pullback(np.array([2.0]))
    np.testing.assert_array_equal(A_bar[0], 2 * S[0].T)
    np.testing.assert_array_equal(X_bar[0], 2 * np.tril(A[0] + A[0].T - A[0] * np.eye(4)))


@pytest.mark.parametrize("structure", STRUCTURES)
def test_structured_trace_has_both_derivatives(structure: str) -> None:
    A, X, f_bar = integers(2, 3, 3), integers(2, 3, 3), np.array([2.0, -1.0])
    _, pullback = structured_trace(xp, A, X, structure=structure)
    A_bar, X_bar = pullback(f_bar)

    def f(a: np.ndarray, x: np.ndarray) -> float:
        return float(np.sum(f_bar * np.trace(a @ held(x, structure), axis1=1, axis2=2)))

    np.testing.assert_array_equal(A_bar, by_free_entries(lambda a: f(a, X), A))
    np.testing.assert_array_equal(X_bar, by_free_entries(lambda x: f(A, x), X))


@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_structured_product_has_both_derivatives_with_blocks_or_without(structure: str, n: int) -> None:
    X, B, Y_bar = integers(2, n, n), integers(2, n, 3), integers(2, n, 3) + 0.5
    for block in (1, 2, 128):
        Y, pullback = structured_product(xp, X, B, structure=structure, block=block)
        np.testing.assert_array_equal(Y, held(X, structure) @ B)
        X_bar, B_bar = pullback(Y_bar)
        np.testing.assert_array_equal(B_bar, T(held(X, structure)) @ Y_bar)
        np.testing.assert_array_equal(X_bar, by_free_entries(lambda x: np.sum(Y_bar * (held(x, structure) @ B)), X))


@pytest.mark.parametrize("structure", ["lower", "symmetric"])
def test_what_stands_above_the_diagonal_is_never_read(structure: str) -> None:
    X, B, Y_bar = integers(1, 5, 5), integers(1, 5, 2), integers(1, 5, 2)
    spoiled = np.where(np.tri(5, dtype=bool), X, np.nan)
    Y, pullback = structured_product(xp, spoiled, B, structure=structure, block=2)
    np.testing.assert_array_equal(Y, held(X, structure) @ B)
    for found in pullback(Y_bar):
        assert np.all(np.isfinite(found))


def test_an_unknown_structure_is_named_with_those_that_there_are() -> None:
    with pytest.raises(BadInput, match="no structure 'upper'; there are plain, lower, symmetric"):
        structured_matrix(xp, integers(1, 2, 2), structure="upper")
