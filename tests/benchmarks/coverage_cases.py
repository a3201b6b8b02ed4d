"""What a public function is called with: example inputs, drawn in a domain, and what is no input beside them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Real:
    """An input of real numbers."""

    shape: tuple[int, ...]
    moved: Callable[[np.ndarray], np.ndarray] = field(default=lambda a: a, repr=False)
    """Moves standard normal numbers into the domain of the function."""
    given: tuple[float, ...] = ()
    """The very numbers, where they matter."""

    def drawn(self, rng: np.random.Generator) -> np.ndarray:
        if self.given:
            return np.reshape(np.asarray(self.given), self.shape)
        return np.asarray(self.moved(rng.standard_normal(self.shape)), dtype=np.float64)


@dataclass(frozen=True)
class Case:
    """One call of a function."""

    arguments: tuple[Any, ...]
    """A :class:`Real` is an input; anything else, also an array of integers or conditions, is passed as it is."""
    options: Mapping[str, Any]
    after: Callable[[Any], Any] | None = None
    """What is judged of the result, where the result itself is free, as the sign of an eigenvector is."""

    def __str__(self) -> str:
        given = [_shown(a) for a in self.arguments] + [f"{k}={_shown(v)}" for k, v in self.options.items()]
        return ", ".join(given)

    def inputs(self) -> list[Real]:
        return [leaf for leaf in _leaves([*self.arguments, self.options]) if isinstance(leaf, Real)]

    def arrays(self, name: str) -> list[np.ndarray]:
        """Draw the inputs; the same for every run."""
        rng = np.random.default_rng(zlib.crc32(f"{name}({self})".encode()))
        return [real.drawn(rng) for real in self.inputs()]

    def call(self, function: Callable[..., Any], arrays: list[Any], constant: Callable[[np.ndarray], Any]) -> Any:
        """Call a function with arrays in the place of the inputs."""
        rest = iter(arrays)

        def filled(tree: Any) -> Any:
            if isinstance(tree, Real):
                return next(rest)
            if isinstance(tree, np.ndarray):
                return constant(tree)
            if isinstance(tree, dict):
                return {k: filled(v) for k, v in tree.items()}
            return type(tree)(filled(v) for v in tree) if type(tree) in (list, tuple) else tree

        result = function(*filled(self.arguments), **filled(dict(self.options)))
        return result if self.after is None else self.after(result)


def call(*arguments: Any, after: Callable[[Any], Any] | None = None, **options: Any) -> Case:
    return Case(arguments, options, after)


def real(*shape: int) -> Real:
    return Real(shape)


def positive(*shape: int) -> Real:
    return Real(shape, lambda a: abs(a) + 0.2)


def between(*shape: int) -> Real:
    """Numbers in (0, 1)."""
    return Real(shape, lambda a: (abs(a) + 0.1) / (abs(a) + 1))


def above(*shape: int, low: float = 1.0) -> Real:
    return Real(shape, lambda a: low + 0.1 + abs(a))


def far(*shape: int, scale: float = 30.0) -> Real:
    """Numbers of large and of small size."""
    return Real(shape, lambda a: scale * a**3)


def definite(*shape: int) -> Real:
    """A symmetric positive definite matrix, or several."""
    return Real(shape, lambda a: a @ np.swapaxes(a, -1, -2) / 2 + 3 * np.eye(a.shape[-1]))


def at(*values: Any) -> Real:
    """These very numbers: where a function has a tie, a removable singularity, a limit."""
    array = np.asarray(values, dtype=np.float64)
    return Real(array.shape, given=tuple(array.ravel().tolist()))


def whole(*values: Any) -> np.ndarray:
    """Integers or conditions."""
    return np.asarray(values)


def grouped(groups: Mapping[str, str]) -> dict[str, str]:
    """Return the reason of each name, from names separated by blanks for each reason."""
    names = [name for text in groups.values() for name in text.split()]
    if len(names) != len(set(names)):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"{', '.join(twice)} has two reasons")
    return {name: reason for reason, text in groups.items() for name in text.split()}


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if type(tree) in (list, tuple):
        for branch in tree:
            yield from _leaves(branch)
    else:
        yield tree


def _shown(value: Any) -> str:
    if isinstance(value, Real):
        if value.given:
            return f"[{', '.join(f'{x:g}' for x in value.given)}]"
        return "×".join(map(str, value.shape)) or "number"
    if isinstance(value, np.ndarray):
        return f"{value.dtype.kind}{list(value.shape)}"
    if type(value) in (list, tuple):
        return f"({', '.join(map(_shown, value))})"
    return getattr(value, "__name__", None) or repr(value)
