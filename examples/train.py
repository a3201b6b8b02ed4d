"""Train with a hand-derived gradient: the same gradient descent in NumPy, PyTorch and JAX.

    python examples/train.py                 # numbers drawn in the shapes of the digits
    python examples/digits.py                # the handwritten digits themselves, into digits.npz
    python examples/train.py digits.npz

One ReLU layer is fitted by `relu_regression`: X are images in rows, Y their labels, one-hot; W is what is learned.
NumPy calls the pullback; torch and JAX call it by their own autodiff, in the function that they were handed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from multigrad import Unavailable, operations, to_jax, to_torch

OPERATION = operations()["relu_regression"]
Steps = Iterator[tuple[float, np.ndarray]]
"""Loss and W, step by step: the W that the loss belongs to."""


def numpy_path(X: np.ndarray, W: np.ndarray, Y: np.ndarray, rate: float, steps: int) -> Steps:
    """Call the pullback."""
    for _ in range(steps):
        loss, pullback = OPERATION(np, X, W, Y)
        yield float(loss), W
        _, W_bar, _ = pullback(1.0)
        W = W - rate * W_bar


def torch_path(X: np.ndarray, W: np.ndarray, Y: np.ndarray, rate: float, steps: int) -> Steps:
    """Let autograd call it, and torch's own optimiser take the step."""
    f = to_torch(OPERATION)
    import torch

    inputs, targets = torch.tensor(X), torch.tensor(Y)
    weights = torch.nn.Parameter(torch.tensor(W))
    optimiser = torch.optim.SGD([weights], lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = f(inputs, weights, targets)
        yield float(loss), weights.detach().numpy().copy()
        loss.backward()
        optimiser.step()


def jax_path(X: np.ndarray, W: np.ndarray, Y: np.ndarray, rate: float, steps: int) -> Steps:
    """Let jax.grad call it, in a compiled step."""
    f = to_jax(OPERATION)
    import jax

    jax.config.update("jax_enable_x64", True)
    step = jax.jit(jax.value_and_grad(f, argnums=1))
    for _ in range(steps):
        loss, W_bar = step(X, W, Y)
        yield float(loss), np.asarray(W)
        W = W - rate * W_bar


PATHS: dict[str, Callable[..., Steps]] = {"numpy": numpy_path, "torch": torch_path, "jax": jax_path}


def right_answers(X: np.ndarray, W: np.ndarray, Y: np.ndarray) -> float:
    """Return the share of rows whose largest output is that of the label."""
    return float(np.mean(np.argmax(X @ W, axis=1) == np.argmax(Y, axis=1)))


def main() -> int:
    """Train everywhere and print the paths side by side."""
    parser = argparse.ArgumentParser(description="Gradient descent with a hand-derived gradient.")
    parser.add_argument("file", nargs="?", type=Path, help="an .npz file with X, W and Y; default: drawn numbers")
    parser.add_argument("--steps", type=int, default=100, help="default: %(default)s")
    parser.add_argument("--out", type=Path, help="write every path to this .npz file")
    arguments = parser.parse_args()
    if arguments.file is None:
        X, W, Y = OPERATION.make_inputs(OPERATION.size("digits"), seed=0)
    elif arguments.file.is_file():
        with np.load(arguments.file) as arrays:
            X, W, Y = (arrays[name] for name in OPERATION.inputs)
    else:
        print(f"train.py: no file {arguments.file}; python examples/digits.py writes one", file=sys.stderr)
        return 3
    # No step with less than 1 / L leads uphill, L = 2 ‖X‖² being the most by which the gradient can change.
    rate = 0.5 / float(np.linalg.norm(X, 2)) ** 2
    losses, weights = {}, {}
    for name, path in PATHS.items():
        try:
            steps = list(path(X, W, Y, rate, arguments.steps))
        except Unavailable as reason:
            print(f"{name}: {reason}")
            continue
        losses[name], weights[name] = (np.asarray(part) for part in zip(*steps, strict=True))
    print("step  " + "".join(f"{name:>22}" for name in losses))
    for i in sorted({0, 1, 10, 100, arguments.steps - 1} & set(range(arguments.steps))):
        print(f"{i:4}  " + "".join(f"{losses[name][i]:22.12f}" for name in losses))
    apart = max(float(np.max(np.abs(weights[name] - weights["numpy"]))) for name in weights)
    print(f"the weights are nowhere further apart than {apart:.1e}")
    before, after = right_answers(X, W, Y), right_answers(X, weights["numpy"][-1], Y)
    print(f"{after:.1%} of the rows find their label; it was {before:.1%}")
    if arguments.out is not None:
        np.savez(arguments.out, X=X, Y=Y, rate=rate, **{f"{name}_W": W for name, W in weights.items()}, **losses)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
