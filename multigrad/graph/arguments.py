"""The arguments of a traced function: the arrays in them by name, and a signature that fits examples."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..data.errors import BadInput
from ..ops.signature import Signature
from .calls import Kind

DTYPES: Mapping[Kind, str] = {"real": "float64", "whole": "int64", "truth": "bool"}
"""What inputs are traced in."""

Shapes = Sequence[tuple[int, ...]]
Path = Sequence[int | str]
"""Where a leaf stands: the number of its argument and the keys below it; or, without a number, a name."""


@dataclass(frozen=True)
class Found:
    """One thing that a framework found in the arguments of a function."""

    path: Path
    value: Any = field(repr=False)
    held: bool = False
    """Whether an array of real numbers is drawn as it stands in the example, and not differentiated."""


@dataclass(frozen=True)
class Leaf:
    """One leaf of the arguments of a function."""

    name: str
    """The name of its argument and the path to it, as ``params.layers.0.weight``."""
    value: Any = field(repr=False)
    """What the example has there; None where there is no example."""
    kind: Kind | None
    """What an array holds; None for a constant: text, a Python integer or condition, a function."""
    held: bool
    """Whether it is drawn as it stands in the example, and not differentiated."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the example."""
        return tuple(np.shape(self.value)) if not hasattr(self.value, "shape") else tuple(self.value.shape)


def shown(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a function; none where it shows none."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def keywords(parameters: Iterable[inspect.Parameter]) -> list[inspect.Parameter]:
    """Return the keyword-only parameters that have a plain default."""
    return [p for p in parameters if p.kind is p.KEYWORD_ONLY and isinstance(p.default, int | float | str | tuple)]


def argument_name(parameters: Sequence[inspect.Parameter], i: int) -> str:
    """Return the name of a function's i-th argument."""
    positional = [a for a in parameters if a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD)]
    if i < len(positional):
        return positional[i].name
    several = next((a.name for a in parameters if a.kind is a.VAR_POSITIONAL), "x")
    return f"{several}{i - len(positional)}"


def named(parameters: Sequence[inspect.Parameter], paths: Iterable[Path]) -> list[str]:
    """Return a name for each path, each another."""
    names: list[str] = []
    for first, *rest in paths:
        start = argument_name(parameters, first) if isinstance(first, int) else first
        path = ".".join([start, *(re.sub(r"\W+", "_", str(key)) for key in rest)])
        tried = itertools.chain([path], (f"{path}_{i}" for i in itertools.count(2)))
        names.append(next(name for name in tried if name not in names))
    return names


def examples_of(example: Any) -> list[tuple[Any, ...]]:
    """Return the examples that were given, each a tuple of arguments."""
    if example is None:
        return []
    several = isinstance(example, list) and all(isinstance(one, tuple) for one in example)
    examples = example if several else [example]
    return [one if isinstance(one, tuple) else (one,) for one in examples]


def check_alike(name: str, trees: Sequence[tuple[Any, Sequence[Leaf]]]) -> None:
    """Compare the arguments of several examples.

    Raises:
        BadInput: they differ in more than the lengths of arrays.
    """

    def alike(tree: Any, leaves: Sequence[Leaf]) -> Any:
        return str(tree), [(leaf.kind, len(leaf.shape)) for leaf in leaves]

    if any(alike(*tree) != alike(*trees[0]) for tree in trees):
        raise BadInput(f"{name}: the examples differ in more than sizes; wanted the same arrays in each")


def check_count(name: str, inputs: Sequence[Leaf], signature: Signature) -> None:
    """Compare the number of arrays with a signature's.

    Raises:
        BadInput: it is another.
    """
    names = [leaf.name for leaf in inputs]
    if len(signature.inputs) != len(names):
        raise BadInput(
            f"{name}: the signature {signature.text} has {len(signature.inputs)} inputs, "
            f"the function has {len(names)} ({', '.join(names)})"
        )


LETTERS = "mnkpqrstuvwabcdefghijloxyz"
"""The names of dimensions, in order."""


def signature_of(inputs: Sequence[Shapes], outputs: Sequence[Shapes]) -> tuple[Signature, list[dict[str, int]]]:
    """Name the dimensions: what is of one size in every example has one letter, and what is always 1 is 1.

    Args:
        inputs: for each example the shapes of its arrays.
        outputs: for each example the shapes of the values.

    Returns:
        The signature, and the size of each example.
    """
    letters: dict[tuple[int, ...], str] = {}

    def text_of(shapes: Sequence[Shapes]) -> str:
        texts = []
        for shape in zip(*shapes, strict=True):
            columns = list(zip(*shape, strict=True))
            for column in columns:
                used = len(letters)
                letter = LETTERS[used] if used < len(LETTERS) else f"d{used}"
                if set(column) != {1}:
                    letters.setdefault(column, letter)
            texts.append(f"({','.join(letters.get(column, '1') for column in columns)})")
        return ",".join(texts)

    text = text_of(inputs)
    symbols = dict(letters)
    sizes = [{letter: column[i] for column, letter in symbols.items()} for i in range(len(inputs))]
    return Signature.parse(f"{text}->{text_of(outputs)}"), sizes
