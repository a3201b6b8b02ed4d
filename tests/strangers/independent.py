"""Check the pairs of this folder without multigrad: central differences in float64, extrapolated once.

    python tests/strangers/independent.py [NAME ...]

Every right pullback must agree with the differences at random inputs. At small integers, where kinks and ties lie, it
must be a convex combination of the gradients around. Every wrong one must break one of these rules, or raise, return
what is not an array of the input's shape, or write into what it was given.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
STEP = 2e-4  # of a central difference; extrapolated, what is left of the series is 1e-15
TOLERANCE = 1e-7  # of a gradient's largest entry, or of 1
NEAR = 1e-6  # how far the points around an integer one lie
NEIGHBOURS = 200  # how many there are
SLACK = 1e-3  # of a slope there


@dataclass(frozen=True)
class Candidate:
    """An operation as its file describes it."""

    function: Callable[..., Any]  # (xp, *inputs, **parameters) -> value, pullback
    signature: str  # "(m,n),(n)->(m)"
    options: dict[str, Any]  # what else the decorator was given

    @property
    def shapes(self) -> tuple[list[list[str]], list[list[str]]]:
        """The letters of the inputs' and of the outputs' dimensions."""
        sides = self.signature.split("->")
        inputs, outputs = ([[d for d in g.split(",") if d] for g in re.findall(r"\((.*?)\)", s)] for s in sides)
        return inputs, outputs

    @property
    def arguments(self) -> list[str]:
        code = self.function.__code__
        return list(code.co_varnames[1 : code.co_argcount])


class Draw:
    """Random numbers in the place of multigrad's: normal ones, or small integers."""

    def __init__(self, seed: int, integers: bool = False):
        self.random = np.random.default_rng(seed)
        self.integers = integers
        self.reach = 1 + seed % 4  # in every other seed beyond clips and supports

    def __call__(self, *shape: int) -> np.ndarray:
        if self.integers:
            return self.random.integers(-self.reach, self.reach + 1, shape).astype(np.float64)
        return self.reach * self.random.standard_normal(shape)

    def labels(self, count: int, *shape: int) -> np.ndarray:
        return self.random.integers(0, count, shape)


def load(path: Path) -> Candidate:
    """Run the file with a stand-in for multigrad, whose decorator only takes down what it is given."""
    candidates = []

    def operation(signature: str, **options: Any) -> Callable[[Any], Any]:
        def take_down(function: Any) -> Any:
            candidates.append(Candidate(function, signature, options))
            return function

        return take_down

    stand_in = types.ModuleType("multigrad")
    stand_in.operation = operation  # type: ignore[attr-defined]
    before = sys.modules.get("multigrad")
    sys.modules["multigrad"] = stand_in
    try:
        spec = importlib.util.spec_from_file_location(f"stranger_{path.parent.name}_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    finally:
        del sys.modules["multigrad"]
        if before is not None:
            sys.modules["multigrad"] = before
    (candidate,) = candidates
    return candidate


def sizes(candidate: Candidate) -> Iterator[dict[str, int]]:
    """The small ones of its own, or a square and two oblong ones, an only entry and dimensions of 1 among them."""
    inputs, outputs = candidate.shapes
    own = candidate.options.get("sizes")
    if own is not None:
        yield from [size for size in own.values() if max(size.values()) <= 12] or [next(iter(own.values()))]
        return
    letters = list(dict.fromkeys(d for shape in [*inputs, *outputs] for d in shape))
    for lengths in ([4, 3, 5, 2], [3, 3, 3, 3], [1, 4, 3, 2], [3, 1, 2, 4]):
        yield dict(zip(letters, lengths * 3, strict=False))


def inputs_of(candidate: Candidate, size: dict[str, int], draw: Draw) -> list[np.ndarray]:
    shapes = candidate.shapes[0]
    generator = candidate.options.get("inputs")
    if generator is None:
        return [draw(*(size[d] for d in shape)) for shape in shapes]
    letters = list(dict.fromkeys(d for shape in [*shapes, *candidate.shapes[1]] for d in shape))
    code = generator.__code__
    wanted = code.co_varnames[1 : code.co_argcount]
    arrays = generator(draw, **{d: size[d] for d in wanted if d in letters})
    arrays = list(arrays) if isinstance(arrays, tuple) else [arrays]
    return [a if a.dtype.kind in "iub" else np.asarray(a, dtype=np.float64) for a in arrays]


def parameters_of(candidate: Candidate, size: dict[str, int]) -> dict[str, int]:
    code = candidate.function.__code__
    keywords = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    return {name: size[name] for name in keywords if name in size}


def weighted(candidate: Candidate, inputs: list[np.ndarray], size: dict[str, int], seed: int) -> tuple[Any, ...]:
    """The sum of all outputs with random weights as a function of the inputs, the weights, and what lies in wait."""
    parameters = parameters_of(candidate, size)

    def value(arrays: list[np.ndarray]) -> float:
        out, _ = candidate.function(np, *[a.copy() for a in arrays], **parameters)
        return float(sum(np.sum(w * o) for w, o in zip(weights, as_tuple(out), strict=True)))

    out, _ = candidate.function(np, *[a.copy() for a in inputs], **parameters)
    random = np.random.default_rng(1000 + seed)
    weights = [random.standard_normal(np.shape(o)) for o in as_tuple(out)]
    return value, weights, parameters


def as_tuple(out: Any) -> tuple[Any, ...]:
    return tuple(out) if isinstance(out, tuple | list) else (out,)


def pulled_back(
    candidate: Candidate, inputs: list[np.ndarray], weights: list[Any], parameters: dict[str, int]
) -> tuple[list[np.ndarray], str]:
    """The gradients, and what is wrong with them whatever their numbers are."""
    arrays = [a.copy() for a in inputs]
    cotangents = [np.array(w) for w in weights]
    try:
        _, pullback = candidate.function(np, *arrays, **parameters)
        gradients = pullback(*cotangents)
    except Exception as exception:  # noqa: BLE001 - whatever it raises is what is wrong
        return [], f"raises {type(exception).__name__}: {exception}"
    gradients = list(gradients) if isinstance(gradients, tuple) else [gradients]
    wanted = differentiable(candidate, inputs)
    if len(gradients) != len(wanted):
        return [], f"{len(gradients)} gradients for {len(wanted)} inputs"
    for i, g in zip(wanted, gradients, strict=True):
        if g is None or np.shape(g) != inputs[i].shape:
            return [], f"gradient of {candidate.arguments[i]}: {'None' if g is None else f'shape {np.shape(g)}'}"
        if not np.all(np.isfinite(g)):
            return [], f"gradient of {candidate.arguments[i]}: not finite"
    if any(not np.array_equal(a, b) for a, b in zip(arrays, inputs, strict=True)):
        return [], "writes into an input"
    if any(not np.array_equal(a, b) for a, b in zip(cotangents, weights, strict=True)):
        return [], "writes into the cotangent"
    return [np.asarray(g) for g in gradients], ""


def differentiable(candidate: Candidate, inputs: list[np.ndarray]) -> list[int]:
    without = candidate.options.get("nondifferentiable", [])
    return [i for i in range(len(inputs)) if candidate.arguments[i] not in without]


def in_single_precision(candidate: Candidate, size: dict[str, int]) -> str:
    """What is not float32 although all inputs are."""
    inputs = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in inputs_of(candidate, size, Draw(0))]
    out, pullback = candidate.function(np, *inputs, **parameters_of(candidate, size))
    gradients = pullback(*(np.ones(np.shape(o), np.float32)[()] for o in as_tuple(out)))
    dtypes = {np.asarray(a).dtype for a in (*as_tuple(out), *as_tuple(gradients))}
    return "" if dtypes == {np.dtype(np.float32)} else f"dtypes {dtypes}"


def at_random(candidate: Candidate, size: dict[str, int], seed: int) -> str:
    """What is wrong at random inputs, beside extrapolated central differences."""
    inputs = inputs_of(candidate, size, Draw(seed))
    value, weights, parameters = weighted(candidate, inputs, size, seed)
    gradients, reason = pulled_back(candidate, inputs, weights, parameters)
    if reason:
        return reason
    for i, g in zip(differentiable(candidate, inputs), gradients, strict=True):
        truth = np.zeros_like(inputs[i])
        for at in np.ndindex(*inputs[i].shape):
            quotients = []
            for h in (STEP, STEP / 2):
                sides = []
                for sign in (1, -1):
                    moved = [a.copy() for a in inputs]
                    moved[i][at] += sign * h
                    sides.append(value(moved))
                quotients.append((sides[0] - sides[1]) / (2 * h))
            truth[at] = (4 * quotients[1] - quotients[0]) / 3
        error = float(np.max(np.abs(g - truth), initial=0))
        if error > TOLERANCE * max(1.0, float(np.max(np.abs(truth), initial=0))):
            return f"gradient of {candidate.arguments[i]} is off by {error:.2g}"
    return ""


def at_integers(candidate: Candidate, right: Candidate, size: dict[str, int], seed: int) -> str:
    """What is wrong at small integers: the gradient must lie in the hull of those at points all around.

    The right pullback, which has agreed with the differences, gives the gradients there. Directions test the hull:
    along each the slope must lie between the least and the greatest of the points around.
    """
    inputs = inputs_of(candidate, size, Draw(seed, integers=True))
    value, weights, parameters = weighted(candidate, inputs, size, seed)
    if not np.isfinite(value(inputs)):
        return ""
    gradients, reason = pulled_back(candidate, inputs, weights, parameters)
    if reason:
        return reason
    random = np.random.default_rng(seed)
    moving = differentiable(candidate, inputs)
    directions = [[random.integers(-1, 2, inputs[i].shape) for i in moving] for _ in range(24)]
    slopes = along(directions, gradients)
    around = []
    for _ in range(NEIGHBOURS):
        moved = [a.copy() for a in inputs]
        for i in moving:
            moved[i] += NEAR * random.standard_normal(inputs[i].shape)
        around.append(along(directions, pulled_back(right, moved, weights, parameters)[0]))
    least, greatest = np.min(around, axis=0), np.max(around, axis=0)
    slack = SLACK * np.maximum(1, np.maximum(np.abs(least), np.abs(greatest)))
    outside = (slopes < least - slack) | (slopes > greatest + slack)
    if np.any(outside):
        at = int(np.argmax(outside))
        return f"slope {slopes[at]:.6g}, not between {least[at]:.6g} and {greatest[at]:.6g}"
    return ""


def along(directions: list[list[np.ndarray]], gradients: list[np.ndarray]) -> np.ndarray:
    """The slope in each direction."""
    return np.array([sum(np.sum(d * g) for d, g in zip(ds, gradients, strict=True)) for ds in directions])


def mistake(path: Path, right: Path) -> str:
    """Where the file's gradient is wrong first, or an empty text."""
    candidate, reference = load(path), load(right)
    for size in sizes(candidate):
        reason = in_single_precision(reference, size)
        if reason:
            return f"float32: {reason}"
        for seed in range(4):
            reason = at_random(candidate, size, seed)
            if reason:
                return f"random {size}: {reason}"
    for size in sizes(candidate):
        for seed in range(2):
            reason = at_integers(candidate, reference, size, seed)
            if reason:
                return f"integers {size}: {reason}"
    return ""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(names: list[str]) -> int:
    failures = 0
    for right in sorted((FOLDER / "right").glob("*.py")):
        if names and right.stem not in names:
            continue
        with np.errstate(all="ignore"):
            found, expected = mistake(right, right), mistake(FOLDER / "wrong" / right.name, right)
        good = not found and bool(expected)
        failures += not good
        say(f"{'ok ' if good else 'BAD'} {right.stem:24} {found or 'right':10} | {expected or 'not seen to be wrong'}")
    say(f"{failures} bad pairs")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
