"""What an implementation computes in the place of its reference is named, from its numbers alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from multigrad import operation
from multigrad.diagnosis.alternatives import either
from multigrad.diagnosis.diagnose import Evidence, diagnose

SIZE = {"m": 3, "n": 150}
rng = np.random.default_rng(0)
X, W, Y_BAR = rng.standard_normal((3, 150)), rng.standard_normal(150), rng.standard_normal((3, 150))


@operation("(m,n),(n)->(m,n)")
def norm(xp, x, w):
    """Rows less their mean, over their standard deviation, times w."""
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    r = 1 / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + 1e-5)

    def pullback(y_bar):
        x_hat, y_hat = centred * r, w * y_bar
        mean, dot = (xp.mean(a, axis=-1, keepdims=True) for a in (y_hat, x_hat * y_hat))
        return r * (y_hat - mean - x_hat * dot), xp.sum(x_hat * y_bar, axis=0)

    return centred * r * w, pullback


def said(output: str, computed: np.ndarray) -> str:
    true = dict(zip(norm.outputs, norm.analytic(np, {})(X, W, Y_BAR), strict=True))
    bound = 4e-16 * (np.abs(true[output]) + np.max(np.abs(true[output])))
    return diagnose(Evidence.of(norm, SIZE, [X, W, Y_BAR], output, computed, true, bound, foreign=True))


def normalised(x: np.ndarray, *, axis: int = 1, epsilon: float = 1e-5, ddof: int = 0, beyond: Any = ()) -> np.ndarray:
    centred = x - x.mean(axis, keepdims=True)
    squares = np.sum(centred**2, axis, keepdims=True)
    if len(beyond):
        squares = squares + np.sum((beyond - x.mean(axis, keepdims=True)) ** 2, axis, keepdims=True)
    return np.asarray(centred / np.sqrt(squares / (x.shape[axis] - ddof) + epsilon) * W)


VALUES: dict[str, tuple[Callable[[], np.ndarray], str]] = {
    "wrong axis": (lambda: normalised(X, axis=0), "with `axis=0` in place of `axis=-1` throughout"),
    "another epsilon": (lambda: normalised(X, epsilon=1e-6), r"with `1e-06` in place of `1e-05` \(line \d+\)"),
    "no epsilon": (lambda: normalised(X, epsilon=0), r"without the term `1e-05` \(line"),
    "sample variance": (lambda: normalised(X, ddof=1), r"with `xp.mean\(.*\) \* \(150 / 149\)` in place of `xp.mean"),
    "zeros beyond the row": (
        lambda: normalised(X, beyond=np.zeros((3, 42))),
        r"with the last block \(of 64\) not masked: zeros beyond n = 150 count",
    ),
}


@pytest.mark.parametrize("kind", VALUES)
def test_what_an_implementation_computes_instead_is_named(kind: str) -> None:
    compute, words = VALUES[kind]
    assert re.match(f"value is what the reference gives {words}", said("value", compute()))


def test_a_row_that_reads_on_into_the_next_is_named() -> None:
    following = np.vstack([X[1:, :42], np.zeros((1, 42))])
    mu = (X.sum(1, keepdims=True) + following.sum(1, keepdims=True)) / 150
    squares = np.sum((X - mu) ** 2, 1, keepdims=True) + np.sum((following - mu) ** 2, 1, keepdims=True)
    sentence = said("value", (X - mu) / np.sqrt(squares / 150 + 1e-5) * W)
    assert "the last block (of 64) not masked: entries of the next row beyond n = 150 count" in sentence


def test_a_change_of_the_backward_pass_is_named() -> None:
    _, x_bar, _ = norm.analytic(np, {})(X, W, Y_BAR)
    r = 1 / np.sqrt(X.var(1, keepdims=True) + 1e-5)
    wrong = x_bar + r * np.mean(W * Y_BAR, axis=1, keepdims=True)
    assert "is what the reference gives without the term `mean` (line" in said("x_bar", wrong)


def test_a_last_block_that_is_left_out_is_named() -> None:
    _, _, w_bar = norm.analytic(np, {})(X, W, Y_BAR)
    w_bar[128:] = 0
    words = "is zero in entries 128 to 149 of 150, and right elsewhere: the last, partial block (of 32, 64 or 128)"
    assert words in said("w_bar", w_bar)


def test_a_last_block_with_something_else_in_it_is_named() -> None:
    value = norm.analytic(np, {})(X, W, Y_BAR)[0]
    value[:, 144:] += 1
    words = "is wrong in columns 144 to 149 of 150, and right elsewhere: the last, partial block (of 8 or 16)"
    assert words in said("value", value)


def test_a_formula_of_ours_is_not_held_against_its_own_changes() -> None:
    assert [*Evidence("∂f/∂x", X, X, X).otherwise()] == []


def test_a_factor_is_named_where_the_cotangent_is_a_matrix_of_one_entry() -> None:
    true = np.array([[3.0]])
    evidence = Evidence("value", 2 * true, true, 1e-15 * true, cotangents=[np.array([[5.0]])])
    assert diagnose(evidence) == "value is 2 × the true value: a factor 2 is too much"


@pytest.mark.parametrize(("power", "words"), [(1, "n / (n − 1) = 1.2"), (0.5, "√(n / (n − 1)) = 1.09545")])
def test_a_variance_that_divides_by_one_less_is_named(power: float, words: str) -> None:
    true = rng.standard_normal((3, 6))
    found = true * (5 / 6) ** power
    said = diagnose(Evidence("value", found, true, 1e-14 * np.abs(true), sizes={"m": 3, "n": 6}))
    assert f"a factor {words} is missing" in said


def test_numbers_of_which_one_is_meant() -> None:
    assert (either([8]), either([8, 16]), either([8, 16, 32])) == ("8", "8 or 16", "8, 16 or 32")
