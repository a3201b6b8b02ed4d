"""The references of the literature are certified, and right on every backend; so is what their frameworks derive."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import pytest

import multigrad

FOLDER = Path(__file__).parents[2] / "examples" / "references"
BACKENDS = [name for name in ("numpy", "torch", "jax") if importlib.util.find_spec(name)]

REFERENCES = {
    "torch": (
        *("rms_norm", "swiglu", "rotary", "grouped_query", "selective_scan", "label_smoothing", "focal_loss"),
        *("triplet_loss", "info_nce", "elbo"),
    ),
    "jax": ("ode", "gaussian_process", "kalman_filter", "ard", "harmonics"),
}
"""The references in each framework."""

HERE = [framework for framework in REFERENCES if framework in BACKENDS]


def file(framework):
    return str(FOLDER / f"{framework}_references.py")


@functools.cache
def checked(framework, backends, dtypes):
    """Check every reference at its smallest sizes, all in one run."""
    how = {"device": "cpu", "mode": "eager", "regime": "gaussian"}
    return multigrad.check(file(framework), backend=backends, dtype=dtypes, **how)


@pytest.mark.parametrize("framework", HERE)
def test_the_references_are_all_that_stand_in_the_file(framework):
    assert tuple(op.name for op in multigrad.load_operations([file(framework)])) == REFERENCES[framework]


EACH = pytest.mark.parametrize(("framework", "name"), [(f, name) for f in HERE for name in REFERENCES[f]])


def certified_and_right(rows, name, backends):
    rows = rows[(rows["operation"] == name) & (rows["verdict"] != "UNAVAILABLE")]
    assert set(rows["verdict"]) <= {"PASS", "NOTE"}, rows[rows["verdict"] != "PASS"].to_string()
    assert {*backends, "exact"} <= set(rows["backend"])
    for backend in {*backends} - {"numpy"}:  # NumPy has no autodiff of its own
        assert {"analytic", "autodiff"} <= set(rows[rows["backend"] == backend]["variant"])


@EACH
def test_each_reference_is_certified_and_right_on_numpy_and_torch(framework, name):
    backends = tuple(b for b in BACKENDS if b != "jax")
    certified_and_right(checked(framework, backends, "float64"), name, backends)


@pytest.mark.long
@EACH
def test_each_reference_is_certified_and_right_on_every_backend(framework, name):
    rows = checked(framework, tuple(BACKENDS), ("float64", "float32"))
    # Ten steps of a filter leave float32 a bound that is too wide to see anything.
    wide = (rows["operation"] == "kalman_filter") & (rows["verdict"] == "INCONCLUSIVE") & (rows["dtype"] == "float32")
    certified_and_right(rows[~wide], name, BACKENDS)
