"""The reference of a drop-in, in whatever form it is given, as an operation at given inputs."""

from __future__ import annotations

import inspect
import itertools
import string
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..backend.candidate import Candidate, Given, function_name
from ..data.errors import BadInput, one_line
from ..data.standard import numpy_standard
from ..ops.find import load_operations
from ..ops.operation import Operation
from ..ops.signature import Signature

FORMS = (
    "a function of arrays, f(xp, *inputs) or f(*inputs), in the framework's own functions or with np., an operation, "
    "its name or file.py::name"
)
"""What a reference may be, in words."""


def as_operation(reference: Any, candidate: Candidate) -> Operation:
    """Return a reference as an operation that differentiates the inputs that are wanted.

    A function that takes no array namespace is one of the framework's own arrays if the framework takes it, which is
    tried; all others run on arrays of NumPy and of multigrad's own.

    Args:
        reference: one of :data:`FORMS`. A function returns values, or values and a pullback.
        candidate: what it is a reference for, at the inputs that it is to be evaluated at.

    Raises:
        BadInput: it is none, takes other inputs, or raises.
    """
    inputs = candidate.inputs
    if isinstance(reference, str):
        found = load_operations([reference])
        if len(found) != 1:
            names = ", ".join(op.name for op in found)
            raise BadInput(
                f"{reference} holds {len(found)} operations ({names}); wanted one: {reference}::{found[0].name}"
            )
        (reference,) = found
    if not isinstance(reference, Operation):
        if not callable(reference):
            raise BadInput(f"the reference is {type(reference).__name__}; wanted {FORMS}")
        arguments, with_namespace = _arguments(reference, len(inputs))
        if with_namespace or not candidate.takes(reference):
            return _of_function(reference, inputs, arguments, with_namespace)
        reference = replace(candidate.traced(reference), name=function_name(reference))
    op: Operation = reference
    try:
        op.check_inputs([given.array for given in inputs])
    except BadInput as error:
        raise BadInput(f"the reference {op.name}: {error}") from error
    for name, given in zip(op.inputs, inputs, strict=True):
        if given.wanted and name not in op.gradients:
            raise BadInput(f"the gradient by {name} is wanted, and the reference {op.name} has none")
    return op


def _of_function(
    function: Callable[..., Any], inputs: Sequence[Given], names: tuple[str, ...], with_namespace: bool
) -> Operation:
    name = function_name(function)

    def evaluated(xp: Any, *arrays: Any) -> Any:
        return function(xp, *arrays) if with_namespace else function(*arrays)

    evaluated.__name__, evaluated.__doc__ = name, function.__doc__
    if with_namespace and inspect.isfunction(function):
        evaluated = function  # its source shows what a wrong function may compute instead
    shapes = _shapes(name, evaluated, function, inputs)
    symbols = _symbols(inputs)
    sides = [tuple(symbols.get(n, str(n)) for n in given.array.shape) for given in inputs]
    outputs = [tuple(symbols.get(n, str(n)) for n in shape) for shape in shapes]
    text = "->".join(",".join(f"({','.join(dims)})" for dims in side) for side in (sides, outputs))
    return Operation(
        name=name,
        function=evaluated,
        signature=Signature(text, tuple(sides), tuple(outputs)),
        inputs=names,
        differentiable=tuple(given.wanted for given in inputs),
        parameters={},
        sizes={"given": {symbol: n for n, symbol in symbols.items()}},
    )


def _arguments(function: Callable[..., Any], count: int) -> tuple[tuple[str, ...], bool]:
    """Return names for the inputs of a function, and whether it takes an array namespace before them.

    Raises:
        BadInput: it takes another number of them.
    """
    made_up = tuple(f"x{i}" for i in range(count)) if count > 1 else ("x",)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return made_up, False
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = sum(p.default is p.empty for p in places)
    with_namespace = bool(places) and (places[0].name == "xp" or needed == count + 1)
    names = [p.name for p in places][with_namespace:]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        names += made_up[len(names) :]
    if len(names) < count or needed - with_namespace > count:
        raise BadInput(
            f"the reference {function_name(function)} takes {', '.join(names) or 'no inputs'}, and "
            f"{count} input{'s are' if count > 1 else ' is'} given; wanted {FORMS}"
        )
    return tuple(names[:count]), with_namespace


def _shapes(
    name: str, evaluated: Callable[..., Any], function: Callable[..., Any], inputs: Sequence[Given]
) -> list[tuple[int, ...]]:
    """Evaluate in NumPy and return the shapes of the values.

    Raises:
        BadInput: it raises there, or returns no arrays.
    """
    xp = numpy_standard()
    try:
        with np.errstate(all="ignore"):
            result = evaluated(xp, *(given.array.copy() for given in inputs))
    except Exception as error:
        raise BadInput(
            f"the reference {name} raised {one_line(error)}{_line(error, function)}; it runs on arrays of NumPy and of "
            "multigrad's own: write it with xp. or np. alone, or in the functions of the framework alone"
        ) from error
    if isinstance(result, tuple | list) and len(result) == 2 and callable(result[1]):
        result = result[0]
    values = result if isinstance(result, tuple | list) else (result,)
    for value in values:
        if isinstance(value, dict | str) or value is None or np.asarray(value).dtype.kind not in "fiub":
            kind = "complex numbers" if np.iscomplexobj(value) else type(value).__name__
            raise BadInput(f"the reference {name} returned {kind}; wanted a real array or a tuple of them")
    return [np.shape(value) for value in values]


def _line(error: BaseException, function: Callable[..., Any]) -> str:
    """Return the line of a function's own file in which it raised, in brackets."""
    path = getattr(getattr(function, "__code__", None), "co_filename", None)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f" (line {lines[-1]})" if lines else ""


def _symbols(inputs: Sequence[Given]) -> dict[int, str]:
    """Name the lengths that the inputs have; 1 is a number."""
    lengths = dict.fromkeys(n for given in inputs for n in given.array.shape if n != 1)
    return dict(zip(lengths, _letters(), strict=False))


def _letters() -> Iterator[str]:
    yield from "nmkpqrst"
    yield from (f"{a}{i}" for i in itertools.count(1) for a in string.ascii_lowercase)
