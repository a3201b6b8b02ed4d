"""The two problems that the project began with: one ReLU layer, and a linear map that is a convolution."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import array_api_compat.numpy as xp
import numpy as np
import pytest

from multigrad.backend import backends
from multigrad.catalogue.linear import linear_map
from multigrad.catalogue.regression import relu_regression
from multigrad.process import child as worker
from tests.multigrad.on_backends import EACH

EXAMPLE = Path(__file__).parents[1] / "data" / "relu_regression_example.npz"
OUTPUTS = ("f", "X_bar", "W_bar", "Y_bar")

PRINTED = {
    "f": 99.9048,
    "W_bar": [
        [18.2980, 2.7573, 2.3914, -0.1974],
        [11.0817, 6.6428, 2.5163, -20.3225],
        [-8.6662, 3.4506, -1.8979, -3.3608],
        [-21.1681, -6.6739, -1.0693, 27.0278],
    ],
    "X_bar": [[1.1002, 0.0860, 5.3377, 0.2788]],
    "Y_bar": [[2.8885, 4.1639, 3.4134, 3.0501]],
}
"""What the example prints, to four decimals; of the larger gradients the first row."""


def example() -> dict[str, np.ndarray]:
    with np.load(EXAMPLE) as arrays:
        return {name: arrays[name] for name in ("X", "W", "Y", *OUTPUTS)}


def on_backend(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Worker: value and gradients of the example on one backend, in each of its modes and variants."""
    session = backends()[arguments["backend"]].open("cpu", threads=1)
    tensors = [*(example()[name] for name in "XWY"), np.array(1.0)]
    arrays = [session.to_device(t, "float32") for t in tensors]
    for mode in session.backend.modes:
        for variant in ("analytic", "autodiff"):
            if variant in session.backend.variants:
                results = session.function(relu_regression, {}, variant, mode)(*arrays)
                numbers = {name: session.to_numpy(r).tolist() for name, r in zip(OUTPUTS, results, strict=True)}
                yield {"mode": mode, "variant": variant, **numbers}


@pytest.mark.parametrize("backend", EACH)
def test_relu_regression_reproduces_the_printed_example(backend: str) -> None:
    recorded = example()
    answers = list(worker.run("tests.multigrad.test_starting_problems:on_backend", {"backend": backend}))
    assert answers
    for answer in answers:
        assert isinstance(answer, dict), answer
        found = {name: np.asarray(answer[name], dtype=np.float32) for name in OUTPUTS}
        for name, printed in PRINTED.items():
            wanted = np.asarray(printed)
            digits = found[name][: len(wanted)] if wanted.ndim else found[name]
            # Half a unit of the last printed digit, and the rounding of a float32 that lies in the middle.
            np.testing.assert_allclose(digits, wanted, rtol=3e-7, atol=0.5001e-4)
        bits = ", ".join(f"{name} {difference(found[name], recorded[name])}" for name in OUTPUTS)
        print(f"{backend} {answer['mode']} {answer['variant']}, against torch.autograd: {bits}")  # noqa: T201 - a report


def difference(found: np.ndarray, recorded: np.ndarray) -> str:
    """Say how many elements differ in their bits, and by how much at most."""
    differing = int(np.sum(found != recorded))
    if not differing:
        return "equal"
    ulps = np.max(np.abs(found - recorded) / np.spacing(np.abs(recorded)))
    return f"{differing} of {found.size} by up to {ulps:.0f} ulp"


def test_the_recorded_gradients_are_those_of_the_printed_example() -> None:
    recorded = example()
    assert recorded["X"].shape == (10, 4)
    assert recorded["W"].shape == (4, 4)
    assert recorded["Y"].shape == (10, 4)
    assert {a.dtype for a in recorded.values()} == {np.dtype("float32")}
    for name, printed in PRINTED.items():
        wanted = np.asarray(printed)
        digits = recorded[name][: len(wanted)] if wanted.ndim else recorded[name]
        np.testing.assert_allclose(digits, wanted, rtol=3e-7, atol=0.5001e-4)


def test_a_row_that_the_relu_shuts_off_has_no_gradient() -> None:
    X, W, Y = np.array([[1.0], [-1.0], [0.0]]), np.array([[2.0]]), np.array([[5.0], [5.0], [5.0]])
    f, pullback = relu_regression(xp, X, W, Y)
    X_bar, W_bar, Y_bar = pullback(np.array(0.5))
    assert f == 9 + 25 + 25
    np.testing.assert_array_equal(X_bar, [[-6.0], [0.0], [0.0]])
    np.testing.assert_array_equal(W_bar, [[-3.0]])
    np.testing.assert_array_equal(Y_bar, [[3.0], [5.0], [5.0]])


def test_a_linear_map_and_its_transpose_pair_alike() -> None:
    rng = np.random.default_rng(0)
    C, x, y_bar = (rng.integers(-3, 4, s).astype(np.float64) for s in ((4, 16), (16,), (4,)))
    y, pullback = linear_map(xp, C, x)
    C_bar, x_bar = pullback(y_bar)
    assert y @ y_bar == x @ x_bar == np.sum(C * C_bar)
