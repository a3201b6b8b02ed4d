"""A factor that is missing or too much, and what it may be."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np


def number(x: float) -> str:
    """Write a factor: an integer as such, one near 1 with nine digits."""
    nearest = round(x)
    if nearest and abs(x - nearest) < 1e-9 * abs(x):
        return str(nearest).replace("-", "−")
    text = f"{x:.9g}" if abs(x - 1) < 1e-2 else f"{x:.6g}"
    return text.replace("-", "−")


def why_factor(factor: float, cotangents: Sequence[np.ndarray], sizes: Mapping[str, int], roundoff: float) -> str:
    """Say what a factor comes from: the sign, a cotangent that is a number, a size, a constant of mathematics.

    Args:
        factor: the quotient of what was computed and the truth.
        cotangents: what the outputs were weighted with.
        sizes: dimensions, by name.
        roundoff: the unit roundoff of the dtype; the quotient is known to a few of it.
    """

    def is_(x: float) -> bool:
        return bool(abs(factor - x) <= max(1e-5, roundoff) * abs(x))

    scalars = [float(c.item()) for c in map(np.asarray, cotangents) if c.size == 1]
    for cotangent in scalars:
        for sign, word in ((1.0, ""), (-1.0, " and a sign is wrong")):
            if is_(sign / cotangent):
                return f": the factor of the cotangent is missing{word}"
            if is_(sign * cotangent):
                return f": the factor of the cotangent is there twice{word}"
    if is_(-1.0):
        return ": the sign is wrong"
    factors: list[tuple[float, str]] = [(float(k), str(k)) for k in (2, 3, 4, 8)]
    factors += [(float(np.prod(list(c), dtype=float)), "·".join(names)) for names, c in _products(sizes)]
    factors += [(np.sqrt(v), f"√{n}") for n, v in sizes.items()] + [
        (np.sqrt(2.0), "√2"),
        (np.pi, "π"),
        (2 * np.pi, "2π"),
    ]
    factors += [(np.log(2.0), "log 2"), (np.log(10.0), "log 10")]
    samples = [(n, v / (v - 1)) for n, v in sizes.items() if v > 1]  # a variance that divides by n − 1
    factors += [(v, f"{n} / ({n} − 1)") for n, v in samples] + [(np.sqrt(v), f"√({n} / ({n} − 1))") for n, v in samples]
    for value, name in factors:
        label = name if name.isdigit() else f"{name} = {value:.6g}"
        for sign, word in ((1.0, ""), (-1.0, " and the sign is wrong")):
            if value != 1 and is_(sign / value):
                return f": a factor {label} is missing{word}"
            if value != 1 and is_(sign * value):
                return f": a factor {label} is too much{word}"
    if abs(factor - 1) < 0.02:
        return f": a relative error of {abs(factor - 1):.3g} throughout"
    return ": a constant factor is wrong"


def _products(sizes: Mapping[str, int]) -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
    for count in (1, 2, 3):
        for names in itertools.combinations(sizes, count):
            yield names, tuple(sizes[n] for n in names)
