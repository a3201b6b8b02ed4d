"""The training example: NumPy, torch and JAX follow one path, as closely as rounding allows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from multigrad import operations
from multigrad.backend import backends
from multigrad.namespaces import bounds

ROOT = Path(__file__).parent.parent
UNIT = 2.0**-53
STEPS = 12


def run(folder: Path, *command: object) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    words = [sys.executable, *map(str, command)]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["drawn", "digits"])
def paths(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp(request.param)
    given = []
    if request.param == "digits":
        assert "X (1797, 64)" in run(folder, ROOT / "examples" / "digits.py")
        given = ["digits.npz"]
    run(folder, ROOT / "examples" / "train.py", *given, "--steps", STEPS, "--out", "paths.npz")
    with np.load(folder / "paths.npz") as arrays:
        return dict(arrays)


def gradient_bounds(X: np.ndarray, W: np.ndarray, Y: np.ndarray) -> np.ndarray:
    """How far float64 may be from the gradient in W, and from its product with the rate, element by element."""
    function = operations()["relu_regression"].analytic(bounds, {})
    return np.asarray(bounds.analyse(function, X, W, Y, np.asarray(1.0), context="float64")[2].worst)


def step_error(W: np.ndarray, after: np.ndarray, worst: np.ndarray, rate: float) -> float:
    """The most that rounding can be off by in one step, in the Frobenius norm."""
    moved = np.abs(after - W) + rate * worst
    return float(np.linalg.norm(rate * worst + 3 * UNIT * (np.abs(W) + moved)))


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_every_framework_follows_the_path_of_numpy(paths: dict[str, np.ndarray], name: str) -> None:
    assert backends()[name].missing("cpu") is None
    X, Y, rate = paths["X"], paths["Y"], float(paths["rate"])
    here, there = paths["numpy_W"], paths[f"{name}_W"]
    assert len(here) == len(there) == STEPS
    allowed = 0.0
    norms = np.linalg.norm(X, axis=1)[:, None]
    for k in range(STEPS):
        apart = float(np.linalg.norm(here[k] - there[k]))
        assert apart <= allowed, f"step {k}: {apart:.3g} apart, rounding allows {allowed:.3g}"
        # With the same entries behind the kink a step brings two points no further apart: I − ηH lies between 0 and 1.
        assert (np.abs(X @ here[k]) > norms * allowed).all(), f"step {k}: an entry lies on the kink"
        if k + 1 < STEPS:
            for W in (here, there):
                allowed += step_error(W[k], W[k + 1], gradient_bounds(X, W[k], Y), rate)
    assert allowed < 1e-9 * np.linalg.norm(here[-1]), "a bound that would allow anything"


def test_the_descent_descends_and_learns(paths: dict[str, np.ndarray]) -> None:
    losses = paths["numpy"]
    assert (np.diff(losses) < 0).all()
    assert losses[-1] < 0.9 * losses[0]


def test_without_its_file_it_says_so(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / "train.py"), "nothing.npz"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stderr.strip() == "train.py: no file nothing.npz; python examples/digits.py writes one"
