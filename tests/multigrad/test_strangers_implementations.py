"""Implementations as strangers write them: the right ones raise no alarm, the mistakes of the wrong ones are named."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import pandas as pd
import pytest

import multigrad

FOLDER = Path(__file__).parent / "implementations"
FORMS = ("forward", "analytic", "autodiff", "native")

SAID = {
    "numpy": {
        "huber_mask_lost": "is wrong only where a condition of the formula",
        "ridge_without_the_two": "is 0.5 × the true gradient: a factor 2 is missing",
        "ridge_without_the_penalty": "is what the reference gives without the term `l2 * xp.sum(w * w)`",
        "logistic_sign": "the sign is wrong",
        "logistic_wider": "has dtype float64, wanted float32",
        "log_sum_exp_single": "rounding in float32",
        "bilinear_transposed": "∂f/∂A is the transpose of the true gradient",
        "cross_entropy_last_row": "is wrong in one row only, number 3",
        "weighted_in_place": "inputs changed: weighted_in_place writes into w",
        "weighted_memory_order": "depends on strides: it is right where inputs are contiguous",
        "weighted_at_random": "it changes from call to call",
    },
    "torch": {
        "leaky_inverted": "with `xp.where(x > 0, 0.1 * x, x)` in place of `xp.where(x > 0, x, 0.1 * x)`",
        "linear_transposed": "∂f/∂W is the transpose of the true gradient",
        "mean_square_undivided": "a factor n·m = 12 is too much",
        "mean_square_in_place": "inputs changed: mean_square_in_place writes into x",
        "standardised_unbiased": "a factor √(n / (n − 1)) = 1.22474 is missing",
        "standardised_epsilon": "with `1e-06` in place of `1e-05`",
        "tanh_no_gradient": "is zero everywhere",
        "tanh_in_half": "rounding in float16",
    },
    "jax": {
        "scores_without_root": "a factor √d = 2.23607 is too much",
        "clipped_straight_through": "the mask is missing",
        "gated_swapped": "two results are swapped",
        "moved_on": "is the true gradient shifted by 2 along axis 0",
    },
}
"""By backend, what is said of each wrong implementation in ``implementations/``; all others there are right."""

NOTED = {"turned_view": "is a view of what turned_view was given"}
"""What is no mistake, and is told."""


@functools.cache
def rows_of(backend: str) -> pd.DataFrame:
    (path,) = [path for path in FOLDER.glob(f"{backend}_*.py") if path.stem != "numpy_references"]
    matrix = multigrad.check(str(path), backend=backend, device="cpu", mode="eager", dtype=["float64", "float32"])
    return matrix[~matrix["variant"].isin(FORMS) & (matrix["backend"] == backend)]


def reasons(backend: str, name: str, verdict: str) -> list[str]:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"not installed: {backend}")
    rows = rows_of(backend)
    return list(rows[(rows["variant"] == name) & (rows["verdict"] == verdict)]["reason"])


@pytest.mark.parametrize(("backend", "name"), [(backend, name) for backend, names in SAID.items() for name in names])
def test_the_mistake_of_a_wrong_implementation_is_named(backend: str, name: str) -> None:
    failed = reasons(backend, name, "FAIL")
    assert failed
    assert any(SAID[backend][name] in reason for reason in failed), failed


@pytest.mark.parametrize("backend", SAID)
def test_a_right_implementation_raises_no_alarm(backend: str) -> None:
    assert not reasons(backend, "", "FAIL")
    rows = rows_of(backend)
    right = rows[~rows["variant"].isin(SAID[backend])]
    assert right["variant"].nunique() >= 4
    assert set(right["verdict"]) <= {"PASS", "NOTE"}, right.to_string()


def test_a_view_is_noted() -> None:
    for name, words in NOTED.items():
        assert any(words in reason for reason in reasons("numpy", name, "NOTE"))


def test_there_are_more_than_twenty_wrong_ones() -> None:
    assert sum(map(len, SAID.values())) >= 20


def test_ten_references_in_numpy_are_certified_unchanged() -> None:
    path = FOLDER / "numpy_references.py"
    matrix = multigrad.check(str(path), backend="numpy", dtype=["float64", "float32"])
    certified = matrix[(matrix["backend"] == "exact") & (matrix["verdict"] == "PASS")]
    assert certified["operation"].nunique() == 10
    judged = matrix[matrix["verdict"] != "UNAVAILABLE"]
    assert set(judged["verdict"]) == {"PASS"}, judged[judged["verdict"] != "PASS"].to_string()
    assert set(judged["variant"]) == {"analytic"}
