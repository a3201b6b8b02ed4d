"""Kronecker products, powers and the exponential: against NumPy's, SciPy's and the closed forms."""

from __future__ import annotations

import math
from fractions import Fraction

import array_api_compat.numpy as xp
import numpy as np
import pytest
import scipy.linalg

from multigrad.catalogue.kronecker import (
    _first,
    _second,
    _third,
    kronecker_map,
    kronecker_product,
    kronecker_trace,
    matrix_exponential,
    matrix_power,
)
from multigrad.data.errors import BadInput

T = np.matrix_transpose


def integers(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).integers(-3, 4, shape).astype(np.float64)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 3, 2), (3, 2, 1, 1), (1, 4, 4, 1)])
def test_kronecker_product_is_numpys_and_its_gradients_are_inner_products_with_blocks(
    shape: tuple[int, int, int, int],
) -> None:
    m, n, p, q = shape
    A, B = integers(m, n), integers(p, q)
    Y, pullback = kronecker_product(xp, A, B)
    np.testing.assert_array_equal(Y, np.kron(A, B))
    Y_bar = integers(m * p, n * q)
    A_bar, B_bar = pullback(Y_bar)
    for i, j in np.ndindex(m, n):
        assert A_bar[i, j] == np.sum(Y_bar * np.kron(_unit(m, n, i, j), B))
    for k, j in np.ndindex(p, q):
        assert B_bar[k, j] == np.sum(Y_bar * np.kron(A, _unit(p, q, k, j)))


def _unit(m: int, n: int, i: int, j: int) -> np.ndarray:
    E = np.zeros((m, n))
    E[i, j] = 1.0
    return E


@pytest.mark.parametrize("shape", [(2, 3, 3, 2), (2, 4, 4, 2), (3, 2, 2, 4), (2, 2, 2, 2)])
def test_kronecker_map_is_the_product_with_the_matrix_it_does_not_form(shape: tuple[int, int, int, int]) -> None:
    m, n, p, q = shape
    A, B, X, Y_bar = integers(m, n), integers(p, q), integers(3, q, n), integers(3, p, m)
    Y, pullback = kronecker_map(xp, A, B, X)
    A_bar, B_bar, X_bar = pullback(Y_bar)
    C, C_bar = np.kron(A, B), np.zeros((m * p, n * q))
    for x, y, y_bar, x_bar in zip(X, Y, Y_bar, X_bar, strict=True):
        np.testing.assert_array_equal(y.ravel(order="F"), C @ x.ravel(order="F"))
        np.testing.assert_array_equal(x_bar.ravel(order="F"), C.T @ y_bar.ravel(order="F"))
        C_bar += np.outer(y_bar.ravel(order="F"), x.ravel(order="F"))
    for found, wanted in zip((A_bar, B_bar), kronecker_product(xp, A, B)[1](C_bar), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_kronecker_trace_is_equation_105() -> None:
    A, X, f_bar = integers(2, 3, 3), integers(2, 2, 2), np.array([2.0, -3.0])
    f, pullback = kronecker_trace(xp, A, X)
    A_bar, X_bar = pullback(f_bar)
    for i in range(2):
        assert f[i] == np.trace(np.kron(A[i], X[i]))
        np.testing.assert_array_equal(X_bar[i], f_bar[i] * np.trace(A[i]) * np.eye(2))
        np.testing.assert_array_equal(A_bar[i], f_bar[i] * np.trace(X[i]) * np.eye(3))


@pytest.mark.parametrize("k", range(18))
def test_matrix_power_is_numpys_and_its_gradient_the_sum_of_the_product_rule(k: int) -> None:
    X, Y_bar = integers(2, 3, 3) % 2, integers(2, 3, 3)
    Y, pullback = matrix_power(xp, X, k=k)
    np.testing.assert_array_equal(Y, np.linalg.matrix_power(X, k))
    power = np.linalg.matrix_power
    wanted = sum((power(T(X), i) @ Y_bar @ power(T(X), k - 1 - i) for i in range(k)), start=np.zeros_like(X))
    np.testing.assert_array_equal(pullback(Y_bar), wanted)


def test_matrix_power_does_not_invert() -> None:
    with pytest.raises(BadInput, match="powers from 0 on, found k = -1"):
        matrix_power(xp, integers(1, 2, 2), k=-1)


class Series:
    """A power series in exact fractions, up to a degree, with the operations that the scheme uses."""

    degree = 40

    def __init__(self, *coefficients: Fraction | int) -> None:
        self.c = [Fraction(c) for c in coefficients][: self.degree + 1]
        self.c += [Fraction(0)] * (self.degree + 1 - len(self.c))

    def __add__(self, other: Series) -> Series:
        return Series(*(a + b for a, b in zip(self.c, other.c, strict=True)))

    def __sub__(self, other: Series) -> Series:
        return self + -1.0 * other

    def __rmul__(self, factor: float) -> Series:
        return Series(*(Fraction(factor) * a for a in self.c))

    def __matmul__(self, other: Series) -> Series:
        return Series(*(sum(self.c[i] * other.c[n - i] for i in range(n + 1)) for n in range(self.degree + 1)))


def taylor() -> Series:
    A = Series(0, 1)
    A2 = A @ A
    V = A2 @ _first(A, A2)
    P, Q, rest = _second(A, A2, V)
    W = P @ Q + rest
    R, S, rest = _third(A, A2, V, W)
    result: Series = R @ S + rest + Series(1)
    return result


def test_the_four_products_make_the_taylor_polynomial_of_degree_15_to_the_last_digits() -> None:
    coefficients = taylor().c
    for degree in range(16):
        assert math.isclose(coefficients[degree] * math.factorial(degree), 1.0, rel_tol=1e-15), degree
    assert 0 < coefficients[16] < Fraction(1, math.factorial(16))
    assert not any(coefficients[17:])


@pytest.mark.parametrize(("norm", "unit_roundoff"), [(0.67, 2.0**-53), (2.34, 2.0**-24)])
def test_up_to_that_norm_it_is_the_exponential_of_a_matrix_a_rounding_away(norm: float, unit_roundoff: float) -> None:
    # With T exact up to degree 15, log T(x) − x begins at degree 16; its coefficients bound ‖ΔA‖/‖A‖ term by term.
    T = Series(*(Fraction(1, math.factorial(n)) for n in range(16)), taylor().c[16])
    slope = Series(*((n + 1) * c for n, c in enumerate(T.c[1:])))
    quotient: list[Fraction] = []
    for n in range(Series.degree):
        quotient.append(slope.c[n] - sum(quotient[i] * T.c[n - i] for i in range(n)))
    distance = [q / (n + 1) for n, q in enumerate(quotient)]
    assert distance[0] == 1
    assert not any(distance[1:15])
    assert sum(abs(float(d)) * norm**n for n, d in enumerate(distance) if n) <= unit_roundoff


@pytest.mark.parametrize("squarings", [0, 1, 3, 6])
@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_matrix_exponential_is_scipys_up_to_the_norm_it_is_meant_for(n: int, squarings: int) -> None:
    rng = np.random.default_rng([n, squarings])
    X = rng.standard_normal((2, n, n))
    X *= 0.67 * 2**squarings / np.max(np.sum(np.abs(X), axis=-2), axis=-1)[:, None, None]
    Y_bar = rng.standard_normal((2, n, n))
    Y, pullback = matrix_exponential(xp, X, squarings=squarings)
    X_bar = pullback(Y_bar)
    for x, y, y_bar, x_bar in zip(X, Y, Y_bar, X_bar, strict=True):
        wanted, adjoint = scipy.linalg.expm_frechet(x.T, y_bar)
        tolerance = 2.0**-53 * 50 * 2**squarings
        assert np.linalg.norm(y - wanted.T) <= tolerance * np.linalg.norm(wanted)
        assert np.linalg.norm(x_bar - adjoint) <= tolerance * np.linalg.norm(y_bar) * np.linalg.norm(wanted)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 0.5, math.pi])
def test_matrix_exponential_of_a_rotation_by_any_angle(angle: float) -> None:
    J = np.array([[0.0, -1.0], [1.0, 0.0]])
    Y, pullback = matrix_exponential(xp, angle * J[None])
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    np.testing.assert_allclose(Y[0], rotation, rtol=0, atol=4e-15)
    # d/dangle of ⟨Ȳ, Y⟩ is ⟨Ȳ, JY⟩ and, through X, ⟨X̄, J⟩.
    Y_bar = integers(2, 2)
    X_bar = pullback(Y_bar[None])[0]
    assert math.isclose(np.sum(X_bar * J), np.sum(Y_bar * (J @ rotation)), rel_tol=1e-13, abs_tol=1e-13)


def test_matrix_exponential_of_a_nilpotent_matrix_has_few_terms() -> None:
    X = np.array([[[0.0, 3.0, 1.0], [0.0, 0.0, 2.0], [0.0, 0.0, 0.0]]])
    Y, _ = matrix_exponential(xp, X)
    np.testing.assert_allclose(Y, np.eye(3) + X + X @ X / 2, rtol=1e-14, atol=1e-15)
