"""How long the drop-in takes beside torch's gradcheck, on the same functions of 100 and 1,000 inputs.

`python tests/benchmarks/dropin_time.py [--repeat N]` prints the fastest of N calls, after imports and a first call.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import multigrad

SIZES = (100, 1000)


class Softplus(torch.autograd.Function):
    """Σ log(1 + eˣ), one value."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return torch.nn.functional.softplus(x, threshold=1e9).sum()

    @staticmethod
    def backward(ctx: Any, cotangent: Any) -> Any:
        return cotangent * torch.sigmoid(ctx.saved_tensors[0])


class Silu(torch.autograd.Function):
    """x / (1 + e⁻ˣ), as many values as inputs."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, cotangent: Any) -> Any:
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return cotangent * s * (1 + x * (1 - s))


class RMSNorm(torch.autograd.Function):
    """x / √(mean x² + ε) in rows of 10."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        inverse = torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6)
        ctx.save_for_backward(x, inverse)
        return x * inverse

    @staticmethod
    def backward(ctx: Any, cotangent: Any) -> Any:
        x, inverse = ctx.saved_tensors
        return inverse * cotangent - x * inverse**3 * (x * cotangent).mean(-1, keepdim=True)


class Squares(torch.autograd.Function):
    """‖A x‖², with a fixed A of 20 rows."""

    A: Any

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        product = Squares.A @ x
        ctx.save_for_backward(product)
        return (product * product).sum()

    @staticmethod
    def backward(ctx: Any, cotangent: Any) -> Any:
        return 2 * cotangent * (Squares.A.T @ ctx.saved_tensors[0])


def cases(n: int) -> list[tuple[str, Callable[..., Any], Callable[..., Any], tuple[int, ...]]]:
    A = np.random.default_rng(0).normal(size=(20, n))
    Squares.A = torch.tensor(A)
    return [
        ("softplus, summed", Softplus.apply, lambda xp, x: xp.sum(xp.log1p(xp.exp(x))), (n,)),
        ("silu", Silu.apply, lambda xp, x: x / (1 + xp.exp(-x)), (n,)),
        (
            "rms_norm",
            RMSNorm.apply,
            lambda xp, x: x / xp.sqrt(xp.mean(x * x, axis=-1, keepdims=True) + 1e-6),
            (n // 10, 10),
        ),
        ("least squares", Squares.apply, lambda x: np.sum((A @ x) ** 2), (n,)),
    ]


def fastest(call: Callable[[], Any], repeat: int) -> float:
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    torch.set_num_threads(1)
    print(f"{'function':18} {'inputs':>7} {'multigrad':>11} {'first call':>11} {'gradcheck':>11} {'quotient':>9}")
    for n in SIZES:
        for name, function, reference, shape in cases(n):
            x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
            started = time.perf_counter()
            multigrad.gradcheck(function, (x,), reference)
            first = time.perf_counter() - started
            ours = fastest(lambda f=function, x=x, r=reference: multigrad.gradcheck(f, (x,), r), repeat)
            theirs = fastest(lambda f=function, x=x: torch.autograd.gradcheck(f, (x,)), repeat)
            print(f"{name:18} {n:7} {ours:9.3f} s {first:9.3f} s {theirs:9.3f} s {ours / theirs:9.2f}", flush=True)


if __name__ == "__main__":
    main()
