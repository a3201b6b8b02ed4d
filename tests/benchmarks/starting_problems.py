"""What the starting problems cost beside their own matrix products, and beside the framework's autodiff.

    python tests/benchmarks/starting_problems.py [--backend torch] [--mode eager] [--problem conv2d/large] [--rounds 40]

One process for each backend and mode. In it, blocks of (floor, analytic, autodiff, native) follow each other in a new
random order every round, and a ratio is taken within a round: what disturbs the machine disturbs them alike. The floor
is the matrix products alone, on operands that lie ready. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from multigrad.backend import Unavailable, backends
from multigrad.ops.find import operations
from multigrad.process import child as worker

PROBLEMS = (
    "relu_regression/large",
    "linear_map/large",
    "conv2d/small",
    "conv2d/medium",
    "conv2d/large",
    "conv_transpose2d/small",
    "conv_transpose2d/medium",
    "conv_transpose2d/large",
)
VARIANTS = ("analytic", "autodiff", "native")
BLOCK_S = 0.02
"""A block repeats a call until it has taken about this long."""


def relu_floor(xp: Any, X: Any, W: Any, Y: Any, _: Any) -> tuple[Any, ...]:
    """XW, SWᵀ, XᵀS."""
    T = xp.matrix_transpose
    return X @ W, Y @ T(W), T(X) @ Y


def linear_floor(_: Any, C: Any, x: Any, y_bar: Any) -> tuple[Any, ...]:
    """C is read twice and its gradient is written once."""
    return C @ x, y_bar @ C, y_bar[:, None] * x[None, :]


def convolution_floor(xp: Any, X: Any, K: Any, Y: Any) -> tuple[Any, ...]:
    """The three products of unrolled images: as many operations as the convolution and its two gradients."""
    T = xp.matrix_transpose
    return K @ X, T(K) @ Y, Y @ T(X)


def floor(name: str, inputs: list[np.ndarray], cotangent: np.ndarray) -> tuple[Callable[..., Any], list[np.ndarray]]:
    """Return the matrix products alone, and the operands they work on."""
    if name == "relu_regression":
        return relu_floor, [*inputs, cotangent]
    if name == "linear_map":
        return linear_floor, [*inputs, cotangent]
    image, kernel = inputs
    if name == "conv_transpose2d":
        image, cotangent = cotangent, image
    K = kernel.reshape(kernel.shape[0], -1)
    Y = cotangent.transpose(1, 0, 2, 3).reshape(K.shape[0], -1)
    return convolution_floor, [np.random.default_rng(0).standard_normal((K.shape[1], Y.shape[1])), K, Y]


def measure(arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Worker: the seconds per call of each variant in each round, problem by problem."""
    mode = arguments["mode"]
    session = backends()[arguments["backend"]].open("cpu", threads=arguments["threads"])
    for problem in arguments["problems"]:
        calls = prepared(session, mode, problem)
        rng = np.random.default_rng(0)
        repeats = {name: max(1, round(BLOCK_S / seconds(session, call, 1))) for name, call in calls.items()}
        samples: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(arguments["rounds"]):
            for name in rng.permutation(list(calls)):
                samples[name].append(seconds(session, calls[name], repeats[name]))
        yield {"problem": problem, "samples": samples}


def prepared(session: Any, mode: str, problem: str) -> dict[str, Callable[[], Any]]:
    """Every variant of a problem as a call without arguments, warm."""
    name, size_name = problem.split("/")
    op = operations()[name]
    size = op.size(size_name)
    _, parameters = op.split(size)
    inputs = op.make_inputs(size, 0)
    arrays = [session.to_device(a, "float32") for a in inputs]
    shapes = [v.shape for v in session.function(op, parameters, "forward", "eager")(*arrays)]
    (cotangent,) = op.make_cotangents(shapes, 0)
    arrays.append(session.to_device(cotangent, "float32"))
    products, operands = floor(name, inputs, cotangent)
    ready = [session.to_device(a, "float32") for a in operands]

    def products_alone(*arrays: Any) -> Any:
        return products(session.xp, *arrays)

    alone = session.compile(products_alone) if mode == "compiled" else products_alone
    calls: dict[str, Callable[[], Any]] = {"floor": lambda: alone(*ready)}
    for variant in VARIANTS:
        if variant in session.backend.variants:
            try:
                function = session.function(op, parameters, variant, mode)
            except Unavailable:
                continue
            calls[variant] = lambda function=function: function(*arrays)
    for call in calls.values():
        session.wait(call())
    return calls


def seconds(session: Any, call: Callable[[], Any], repeats: int) -> float:
    """Seconds per call; results are dropped one by one, as a program would."""
    start = time.perf_counter()
    for _ in range(repeats):
        session.wait(call())
    return (time.perf_counter() - start) / repeats


def ratio(a: list[float], b: list[float]) -> str:
    """Median of the rounds' ratios a / b with a 95 % bootstrap interval over the rounds."""
    ratios = np.asarray(a) / np.asarray(b)
    draws = np.median(np.random.default_rng(0).choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{np.median(ratios):6.3f} [{low:.3f}, {high:.3f}]"


def main() -> None:
    """Measure and print one line per backend, mode and problem."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", action="append", choices=list(backends()))
    parser.add_argument("--mode", action="append", choices=["eager", "compiled"])
    parser.add_argument("--problem", action="append", choices=PROBLEMS)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    pairs = [("analytic", "floor"), ("analytic", "autodiff"), ("analytic", "native")]
    print(f"{'':46s}{'floor':>9s} " + "".join(f"{f'{a} / {b}':>24s} " for a, b in pairs))
    for name, backend in backends().items():
        if (options.backend and name not in options.backend) or backend.missing("cpu") or name == "strict":
            continue
        for mode in [m for m in backend.modes if not options.mode or m in options.mode]:
            arguments = {
                "backend": name,
                "mode": mode,
                "problems": options.problem or PROBLEMS,
                "rounds": options.rounds,
                "threads": options.threads,
            }
            for answer in worker.run("tests.benchmarks.starting_problems:measure", arguments):
                if isinstance(answer, worker.Death):
                    print(f"{name} {mode}: {answer.reason}")
                    continue
                samples = answer["samples"]
                line = "".join(
                    f"{ratio(samples[a], samples[b]) if a in samples and b in samples else '-':>24s} " for a, b in pairs
                )
                head = f"{name:6s} {mode:9s} {answer['problem']}"
                print(f"{head:46s}{np.median(samples['floor']) * 1e3:6.2f} ms {line}", flush=True)


if __name__ == "__main__":
    main()
