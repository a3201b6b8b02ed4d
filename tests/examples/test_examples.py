"""Each example passes in every dtype that it is for, and each mistake is named."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import multigrad

EXAMPLES = Path(__file__).parents[2] / "examples"
DTYPES = ("float64", "float32", "bfloat16", "float16")


def needs(*modules: str) -> pytest.MarkDecorator:
    """Skip where a framework is not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


TRITON, PALLAS = needs("torch", "triton"), needs("jax")


def rows_of(name: str, backend: str, variant: Sequence[str], **more: Any) -> pd.DataFrame:
    """Check an example on one backend, uncompiled, and return the rows of its implementations that were judged."""
    path = str(EXAMPLES / f"{name}.py")
    matrix = multigrad.check(path, backend=backend, device="cpu", mode="eager", variant=variant, **more)
    return matrix[matrix["variant"].isin(variant) & (matrix["verdict"] != "UNAVAILABLE")]


@pytest.mark.parametrize(
    ("name", "backend", "variant", "dtypes"),
    [
        pytest.param("triton_layer_norm", "torch", "fused", DTYPES, marks=TRITON),
        pytest.param("pallas_softmax", "jax", "fused", DTYPES, marks=PALLAS),
        pytest.param("scipy_objective", "numpy", "objective", ("float64", "float32")),
        pytest.param("sklearn_loss", "numpy", "loss_gradient", ("float64", "float32")),
    ],
)
def test_each_example_passes_in_every_dtype(name: str, backend: str, variant: str, dtypes: tuple[str, ...]) -> None:
    rows = rows_of(name, backend, [variant], dtype=dtypes)
    assert set(rows["verdict"]) <= {"PASS", "NOTE"}, rows.to_string()
    assert set(rows["dtype"]) == set(dtypes)
    assert len(rows) >= 8 * len(dtypes)


SAID = {
    "wrong_axis": ("value", "is what the reference gives with `axis=0` in place of `axis=-1` throughout"),
    "padding_counted": ("value", "with the last block (of 64) not masked: zeros beyond n = 150 count"),
    "half_sums": ("w_bar", "has errors as of sums in bfloat16 (relative "),
    "last_block_lost": (
        "w_bar",
        "is zero in entries 128 to 149 of 150, and right elsewhere: the last, partial block",
    ),
}


@pytest.fixture(scope="module")
def mistaken() -> pd.DataFrame:
    """Every mistake in float64 and bfloat16, at the sizes that show them."""
    given = [f"torch={EXAMPLES}/broken/triton_mistakes.py::{mistake},accumulate=float32" for mistake in SAID]
    chosen = {"dtype": ["float64", "bfloat16"], "size": ["wide", "tall"], "regime": "gaussian"}
    return rows_of("triton_layer_norm", "torch", [*SAID], implementation=given, **chosen)


@TRITON
@pytest.mark.parametrize("mistake", SAID)
def test_each_mistake_of_a_kernel_is_named(mistake: str, mistaken: pd.DataFrame) -> None:
    output, words = SAID[mistake]
    failed = mistaken[(mistaken["variant"] == mistake) & (mistaken["verdict"] == "FAIL")]
    named = failed[failed["reason"].str.contains(words, regex=False)]
    assert output in set(named["output"]), failed["reason"].to_string()


@TRITON
def test_sums_in_halves_are_wrong_in_halves_alone(mistaken: pd.DataFrame) -> None:
    rows = mistaken[mistaken["variant"] == "half_sums"]
    assert set(rows[rows["verdict"] == "FAIL"]["dtype"]) == {"bfloat16"}
    assert set(rows["dtype"]) == {"float64", "bfloat16"}


def test_the_objective_is_minimised() -> None:
    done = subprocess.run([sys.executable, EXAMPLES / "scipy_objective.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "at a, b = [2. 1. 1. 4.]" in done.stdout
