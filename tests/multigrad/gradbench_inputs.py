"""The numbers that GradBench computes with, drawn as its own generators draw them.

Source: GradBench (github.com/gradbench/gradbench), ``python/gradbench/gradbench/evals``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from multigrad.data.errors import BadInput

SEED = 31337


def gradbench_inputs(problem: str, **size: int) -> list[np.ndarray]:
    """Return the inputs of a problem of GradBench, the same numbers that it has.

    A mixture is drawn anew for each size. The other problems go through their sizes, the least work first, with one
    generator, so that what a size gets depends on those before it.

    Args:
        problem: ``gmm``, ``kmeans``, ``llsq``, ``lse``, ``det`` or ``ode``.
        size: of GradBench's sizes: d, k (and n) of a mixture; k, n, d; n (and m); n; n, the order; n, s.

    Raises:
        BadInput: GradBench has no such problem or size.
    """
    if problem == "gmm":
        return _mixture(np.random.default_rng(SEED), **{"n": 1000, **size})
    if problem not in SWEEPS:
        raise BadInput(f"GradBench has no problem {problem!r} here; there are gmm, {', '.join(SWEEPS)}")
    rng = np.random.RandomState(SEED)
    for found, inputs in SWEEPS[problem](rng.random_sample):
        if size.items() <= found.items():
            return inputs
    raise BadInput(f"GradBench does not run {problem} at {', '.join(f'{k}={v}' for k, v in size.items())}")


def _mixture(rng: Any, d: int, k: int, n: int) -> list[np.ndarray]:
    x, alpha, mu = rng.normal(size=(n, d)), rng.normal(size=k), rng.uniform(size=(k, d))
    return [x, alpha, mu, rng.normal(size=(k, d)), rng.normal(size=(k, d * (d - 1) // 2))]


Sweep = Callable[[Callable[[tuple[int, ...]], Any]], Iterator[tuple[dict[str, int], list[Any]]]]
"""Takes what draws an array from [0, 1); yields sizes and inputs, in GradBench's order."""


def _kmeans(random: Callable[[tuple[int, ...]], Any]) -> Iterator[tuple[dict[str, int], list[Any]]]:
    for k, n, d in sorted(itertools.product((10, 100, 1000), (1000, 10000), (8, 16)), key=_work):
        points = random((n, d))
        yield {"k": k, "n": n, "d": d}, [points, points[-k:]]


def _llsq(random: Callable[[tuple[int, ...]], Any]) -> Iterator[tuple[dict[str, int], list[Any]]]:
    for n in (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8196, 16392):
        yield {"m": 128, "n": n}, [random((128,)), _signs(n)]


def _signs(n: int) -> Any:
    return np.sign(2.0 * np.arange(n) - (n - 1))


def _lse(random: Callable[[tuple[int, ...]], Any]) -> Iterator[tuple[dict[str, int], list[Any]]]:
    for n in (2500 * 2**i for i in range(10)):
        yield {"n": n}, [random((n,))]


def _det(random: Callable[[tuple[int, ...]], Any]) -> Iterator[tuple[dict[str, int], list[Any]]]:
    for n in range(5, 12):
        yield {"n": n}, [random((1, n, n))]


def _ode(random: Callable[[tuple[int, ...]], Any]) -> Iterator[tuple[dict[str, int], list[Any]]]:
    for n, s in sorted(itertools.product((1000, 10000, 100000), (1, 10, 100)), key=_work):
        yield {"n": n, "s": s}, [random((n,))]


def _work(size: tuple[int, ...]) -> int:
    return math.prod(size)


SWEEPS: Mapping[str, Sweep] = {"kmeans": _kmeans, "llsq": _llsq, "lse": _lse, "det": _det, "ode": _ode}
"""The problems that GradBench draws one after the other."""
