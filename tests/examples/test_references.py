"""The references of the literature are certified, and right on every backend; so is what their frameworks derive."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import multigrad

REFERENCES = Path(__file__).parents[2] / "examples" / "references"
BACKENDS = [name for name in ("numpy", "torch", "jax") if importlib.util.find_spec(name)]
needs_jax = pytest.mark.skipif("jax" not in BACKENDS, reason="jax is not installed")
IN_JAX = ["ode", "gaussian_process", "kalman_filter", "ard", "harmonics"]


@needs_jax
def test_the_references_in_jax_are_five():
    assert [op.name for op in multigrad.load_operations([str(REFERENCES / "jax_references.py")])] == IN_JAX


@pytest.fixture(scope="module")
def checked_jax():
    """Check the smallest size of each, all in one run."""
    return multigrad.check(
        str(REFERENCES / "jax_references.py"),
        backend=BACKENDS,
        device="cpu",
        mode="eager",
        size="tiny",
        dtype="float32",
        regime="gaussian",
    )


@needs_jax
@pytest.mark.parametrize("name", IN_JAX)
def test_each_reference_in_jax_is_certified_and_right_on_every_backend(checked_jax, name):
    rows = checked_jax[(checked_jax["operation"] == name) & (checked_jax["verdict"] != "UNAVAILABLE")]
    assert set(rows["verdict"]) <= {"PASS", "NOTE"}, rows[rows["verdict"] != "PASS"].to_string()
    assert set(BACKENDS) | {"arb"} <= set(rows["backend"])
    assert {"analytic", "autodiff"} <= set(rows["variant"])
