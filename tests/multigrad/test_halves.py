"""A check holds halves against what a backend accumulates in, and passes what is seen to be right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from multigrad.backend.accumulation import Accumulation
from multigrad.backend.roundoff import probe
from multigrad.matrix import backend_side
from multigrad.matrix.frame import check
from multigrad.ops.operation import operation

STEPS = 400
"""Products and quotients, each of which may be off by a rounding: in float16 by a fifth of the result in all."""


def doubled_and_halved(wrong):
    @operation("(n)->(n)", sizes={"tiny": {"n": 5}}, dtypes=("float16",))
    def steps(xp, x):
        """X itself, by way of doubles and halves, none of which is rounded."""

        def back_and_forth(x):
            for _ in range(STEPS // 2):
                x = x * 2 / 2
            return x

        factor = xp.asarray(1 + wrong, dtype=x.dtype) if wrong else 1
        return back_and_forth(x), lambda y_bar: back_and_forth(y_bar) * factor

    return steps


def rows(op, variant="analytic"):
    frame = check(op, backend="numpy", dtype="float16", regime="gaussian", variant=variant)
    return frame[frame["backend"] == "numpy"].set_index("output")


def test_a_number_that_a_narrower_bound_shows_to_be_right_passes():
    row = rows(doubled_and_halved(0)).loc["x_bar"]
    assert row["verdict"] == "PASS"
    assert row["reason"] == "within the bound of an evaluation in float32 that is rounded once"


def test_a_number_that_is_off_by_few_roundings_of_the_largest_passes():
    off = 3 * 2.0**-11
    assert rows(doubled_and_halved(off)).loc["x_bar", "reason"] == "within 4 roundings of its largest number"
    assert rows(doubled_and_halved(2 * off)).loc["x_bar", "verdict"] == "INCONCLUSIVE"


def test_a_number_that_no_bound_shows_to_be_right_or_wrong_has_no_verdict():
    row = rows(doubled_and_halved(0.02)).loc["x_bar"]
    assert row["verdict"] == "INCONCLUSIVE"
    assert "have a bound above 10%" in row["reason"]


@operation("(m,k),(k,n)->(m,n)", sizes={"tiny": {"m": 3, "k": 60, "n": 4}}, dtypes=("float16",))
def product(xp, A, B):
    """AB, whose value is off by a hundredth."""
    T = xp.matrix_transpose
    off = xp.asarray(1.01, dtype=A.dtype)
    return (A @ B) * off, lambda C_bar: (C_bar @ T(B) * off, T(A) @ C_bar * off)


def exactly(A, B, C_bar):
    A, B, C_bar = (x.astype(np.float32) for x in (A, B, C_bar))
    off = np.float32(1.01)
    return (A @ B * off).astype(np.float16), [x.astype(np.float16) for x in (C_bar @ B.T * off, A.T @ C_bar * off)]


def in_float16(A, B, C_bar):
    def multiplied(X, Y):
        total = np.zeros((X.shape[0], Y.shape[1]), dtype=np.float16)
        for x, y in zip(X.T, Y, strict=True):
            total = total + np.outer(x, y)
        return total

    off = np.float16(1.01)
    return multiplied(A, B) * off, [multiplied(C_bar, B.T) * off, multiplied(A.T, C_bar) * off]


@pytest.mark.parametrize(
    ("function", "accumulate", "verdict"),
    [(exactly, "float32", "PASS"), (in_float16, "float32", "FAIL"), (in_float16, None, "PASS")],
)
def test_an_implementation_is_held_against_what_it_says_it_accumulates_in(function, accumulate, verdict):
    op = replace(product, reference="", implementations={})
    op.implementation("numpy", name="mine", gradients=True, accumulate=accumulate)(function)
    frame = rows(op, variant="mine")
    assert frame.loc["value", "verdict"] == verdict, frame.to_dict("records")
    if verdict == "FAIL":
        assert "lower precision" in frame.loc["value", "reason"]


def test_what_a_backend_is_known_to_keep_in_float32_narrows_its_bound(monkeypatch):
    op = replace(product, reference="")  # checked in this process
    known = rows(op).loc["value", "ratio"]

    def nothing_established(session, dtypes):
        return {dtype: replace(found, accumulation=Accumulation()) for dtype, found in probe(session, dtypes).items()}

    monkeypatch.setattr(backend_side, "probe", nothing_established)
    assert known > 3 * rows(op).loc["value", "ratio"]
