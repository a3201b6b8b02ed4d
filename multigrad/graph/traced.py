"""A function of a framework as an operation: its graph, traced for each shape, evaluated in any array namespace.

What is particular to a framework is a :class:`Tracer`. Tracing is done in 64 bits with real inputs of float64, so that
no constant of the function is rounded to float32. The graph knows no dtype: it computes in that of its inputs.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np

from ..backend.candidate import function_name
from ..backend.traced import Description
from ..data.errors import BadInput, one_line
from ..ops.declared import LARGEST_BYTES
from ..ops.operation import DTYPES as ALL_DTYPES
from ..ops.operation import Inputs, Operation, operation
from ..ops.signature import Signature, Size, default_sizes
from .arguments import (
    DTYPES,
    Found,
    Leaf,
    check_alike,
    check_count,
    examples_of,
    keywords,
    named,
    shown,
    signature_of,
)
from .calls import Graph, Kind
from .evaluation import Table, evaluate
from .simplified import simplified


class Tracer(ABC):
    """What is particular to a framework: how arguments fall into arrays, and how a function's graph is had."""

    framework: ClassVar[str]
    """Its name, as a sentence has it."""
    table: ClassVar[Table]
    """What its calls are in the array API."""

    @abstractmethod
    def flattened(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, list[Found]]:
        """Return the structure of arguments and what they hold, in order."""

    @abstractmethod
    def kind(self, where: str, value: Any) -> Kind | None:
        """Return what a leaf holds; None where it is no array.

        Raises:
            BadInput: it is complex, or an array of something else than numbers.
        """

    @abstractmethod
    def numbers(self, value: Any) -> np.ndarray | None:
        """Return the entries of an array; None where it has a shape alone."""

    @abstractmethod
    def graph(
        self, traced: Traced, shapes: Sequence[tuple[int, ...]], parameters: Mapping[str, Any]
    ) -> tuple[Graph, Mapping[str, str]]:
        """Trace a function.

        Returns:
            The graph, and by name each call that the table lacks, with its first place.

        Raises:
            BadInput: the function cannot be traced.
        """

    def parameters(self, function: Callable[..., Any]) -> list[inspect.Parameter]:
        """Return the parameters of a function, those that it has for a person."""
        return shown(function)


class Traced:
    """A function of arrays in order, traced once for each shape."""

    def __init__(
        self, tracer: Tracer, name: str, function: Callable[..., Any], structure: Any, leaves: Sequence[Leaf]
    ) -> None:
        self.tracer, self.name, self.function = tracer, name, function
        self.structure, self.leaves = structure, leaves
        self.graphs: dict[Any, Graph] = {}

    @property
    def inputs(self) -> list[Leaf]:
        """The leaves that are arrays."""
        return [leaf for leaf in self.leaves if leaf.kind is not None]

    def __call__(self, xp: Any, *arrays: Any, **parameters: Any) -> Any:
        """Return the values, or the value where it is one.

        Raises:
            BadInput: the function cannot be traced, or calls what the table lacks.
        """
        graph = self.graph([tuple(a.shape) for a in arrays], parameters)
        values = evaluate(graph, self.tracer.table, xp, arrays)
        return values[0] if len(values) == 1 else values

    def graph(self, shapes: Sequence[tuple[int, ...]], parameters: Mapping[str, Any]) -> Graph:
        """Return the graph for these shapes.

        Raises:
            BadInput: the function cannot be traced, or calls what the table lacks.
        """
        key = (*shapes, *sorted((name, repr(value)) for name, value in parameters.items()))
        if key not in self.graphs:
            graph, missing = self.tracer.graph(self, shapes, parameters)
            if missing:
                raise BadInput(self._missing(missing))
            wrong = [kind for kind in graph.output_kinds if kind != "real"]
            if wrong or not graph.outputs:
                found = "nothing" if not graph.outputs else "integers" if "whole" in wrong else "conditions"
                raise BadInput(f"{self.name} returns {found}; wanted real numbers, of which there is a derivative")
            self.graphs[key] = simplified(graph, self.tracer.table)
        return self.graphs[key]

    def filled(self, arrays: Iterable[Any]) -> list[Any]:
        """Return the leaves with arrays in the place of those that are inputs."""
        rest = iter(arrays)
        return [leaf.value if leaf.kind is None else next(rest) for leaf in self.leaves]

    def untraceable(
        self, shapes: Sequence[tuple[int, ...]], error: BaseException, libraries: Sequence[str]
    ) -> BadInput:
        """Return what to raise where tracing raised something of which no more is known."""
        text = f"{self.name} cannot be traced at shapes {', '.join(map(str, shapes))}"
        return BadInput(f"{text}{raised_in(error, libraries)}: {one_line(error)}")

    def _missing(self, places: Mapping[str, str]) -> str:
        (first, place), *others = places.items()
        where = bracketed(place)
        are = "is" if len(others) == 1 else "are"
        more = f"; {len(others)} more {are} missing: {', '.join(n for n, _ in others)}" if others else ""
        return f"{self.name} calls {first}{where}, which has no array API form yet{more}; write it with other functions"


def bracketed(place: str) -> str:
    """Return a place as a sentence has it behind what is there."""
    return f" ({place})" if place else ""


def draws_at_random(name: str, place: str, advice: str = "") -> BadInput:
    """Return what to raise where a function draws random numbers.

    Args:
        name: the function's.
        place: where it does.
        advice: what else can be done than to draw them before.
    """
    return BadInput(
        f"{name} draws random numbers{bracketed(place)}; draw them before and pass them as an input{advice}"
    )


OURS = str(Path(__file__).parent.parent)


def is_persons(file: str, libraries: Sequence[str]) -> bool:
    """Tell whether a person wrote a file, who is not of a library.

    Args:
        file: its path.
        libraries: the folders of the framework and of its backend here.
    """
    return not file.startswith((*libraries, OURS, "<")) and "site-packages" not in file


def raised_in(error: BaseException, libraries: Sequence[str]) -> str:
    """Return the place in a person's code from which an exception came, in brackets; nothing if there is none.

    Args:
        error: the exception.
        libraries: as for :func:`is_persons`.
    """
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if is_persons(file, libraries):
            place = f"{Path(file).name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return bracketed(place)


# The operation


def traced_operation(
    tracer: Tracer,
    function: Callable[..., Any],
    signature: str | None = None,
    **described: Unpack[Description],
) -> Operation:
    """Return a function as an operation that no other process finds.

    Args:
        tracer: of the framework whose arrays it takes.
        function: takes arrays, or pytrees of them.
        signature: the shapes in gufunc notation.
        described: see :class:`multigrad.backend.traced.Description`.

    Raises:
        BadInput: it cannot be traced, calls what the table lacks, or is described as what it is not.
    """
    for unknown in described.keys() - Description.__annotations__:
        raise TypeError(f"got an unexpected keyword argument {unknown!r}")
    if not callable(function):
        raise BadInput(f"wanted a function of {tracer.framework}; found {type(function).__name__}")
    without = described.get("nondifferentiable", ())
    without = {without} if isinstance(without, str) else set(without)
    name = described.get("name") or _name_of(function)
    examples = examples_of(described.get("example"))
    parsed = None if signature is None else Signature.parse(signature)
    if examples:
        trees = [_flattened(tracer, name, function, arguments) for arguments in examples]
    elif parsed is not None:
        trees = [_of_signature(tracer, function, parsed, without)]
    else:
        raise BadInput(f"{name}: wanted a signature, or example=(…), arguments that it takes")
    check_alike(name, trees)
    traced = Traced(tracer, name, function, *trees[0])
    if not traced.inputs:
        raise BadInput(f"{name}: the example has no array; wanted arguments that it takes, in a tuple")
    if parsed is not None:
        check_count(name, traced.inputs, parsed)
    shapes = [[leaf.shape for leaf in leaves if leaf.kind is not None] for _, leaves in trees]
    if parsed is None:
        parsed, found = signature_of(shapes, [traced.graph(each, {}).shapes for each in shapes])
    else:
        found = [parsed.bind([leaf.name for leaf in traced.inputs], each) for each in shapes] if examples else []
    sizes, inputs = described.get("sizes"), described.get("inputs")
    if sizes is None and found:
        sizes = _sizes(traced, parsed, found)
    if inputs is None and any(leaf.held for leaf in traced.inputs):
        inputs = _drawn_beside(traced, parsed)
    return _made(traced, parsed, without, sizes=sizes, inputs=inputs, dtypes=described.get("dtypes", ALL_DTYPES))


def _made(
    traced: Traced,
    signature: Signature,
    without: set[str],
    *,
    sizes: Mapping[str, Size] | None,
    inputs: Inputs | None,
    dtypes: tuple[str, ...],
) -> Operation:
    leaves = traced.inputs
    names = [leaf.name for leaf in leaves]
    if unknown := sorted(without - set(names)):
        raise BadInput(f"{traced.name}: nondifferentiable names {unknown[0]!r}, which is not among {', '.join(names)}")

    def made(xp: Any, *arrays: Any, **parameters: Any) -> Any:
        return traced(xp, *arrays, **parameters)

    # A path such as params.weight is no name of Python's, so the arguments are numbered until the operation is there.
    numbered = [f"x{i}" for i in range(len(leaves))]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    arguments = [inspect.Parameter(argument, kind) for argument in ("xp", *numbered)]
    options = keywords(traced.tracer.parameters(traced.function))
    made.__signature__ = inspect.Signature([*arguments, *options])  # type: ignore[attr-defined]
    made.__name__ = made.__qualname__ = traced.name
    doc = getattr(traced.function, "__doc__", None)
    made.__doc__ = inspect.cleandoc(doc) if doc else f"{traced.name}, a function of {traced.tracer.framework}."
    plain = inspect.unwrap(traced.function)
    if inspect.isfunction(plain):
        made.__wrapped__ = plain  # type: ignore[attr-defined]  # its source is the formula
    fixed = [number for number, leaf in zip(numbered, leaves, strict=True) if leaf.held or leaf.name in without]
    op = operation(signature.text, nondifferentiable=fixed, sizes=sizes, inputs=inputs, dtypes=dtypes)(made)
    op = replace(op, inputs=tuple(names), reference="")
    object.__setattr__(op, "__doc__", made.__doc__)
    return op


def _name_of(function: Callable[..., Any]) -> str:
    name = function_name(function)
    return name if name.isidentifier() else "function"


def _flattened(
    tracer: Tracer, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[Any, list[Leaf]]:
    """Return the structure of arguments and their leaves, each under its own name."""
    structure, found = tracer.flattened(function, arguments)
    names = named(tracer.parameters(function), [one.path for one in found])
    leaves = []
    for path, one in zip(names, found, strict=True):
        kind = tracer.kind(f"{name}: {path}", one.value)
        leaves.append(Leaf(path, one.value, kind, one.held or kind in ("whole", "truth")))
    return structure, leaves


def _of_signature(
    tracer: Tracer, function: Callable[..., Any], signature: Signature, without: set[str]
) -> tuple[Any, list[Leaf]]:
    """Return the arguments of a function whose shapes a signature has: one array each."""
    structure, found = tracer.flattened(function, (0,) * len(signature.inputs))
    names = named(tracer.parameters(function), [one.path for one in found])
    return structure, [Leaf(n, None, "whole" if n in without else "real", n in without) for n in names]


def _sizes(traced: Traced, signature: Signature, found: Sequence[dict[str, int]]) -> dict[str, dict[str, int]]:
    """Return the sizes of the examples, and others if the function takes them."""
    sizes = {f"example{i + 1}" if i else "example": size for i, size in enumerate(found)}
    made_up = default_sizes(signature) if signature.symbols else {}
    # Labels that fit one size are none of another.
    if made_up and not any(leaf.held for leaf in traced.inputs) and _takes(traced, signature, made_up["tiny"]):
        sizes |= {name: size for name, size in made_up.items() if 8 * signature.entries(size) <= LARGEST_BYTES}
    return dict(sorted(sizes.items(), key=lambda item: signature.entries(item[1])))


def _takes(traced: Traced, signature: Signature, size: Mapping[str, int]) -> bool:
    """Tell whether a function has the values that a signature says at another size than the example's."""

    def shapes(side: Sequence[tuple[str, ...]]) -> list[tuple[int, ...]]:
        return [tuple(int(size.get(s, -1 if not s.isdigit() else s)) for s in shape) for shape in side]

    try:
        found = traced.graph(shapes(signature.inputs), {}).shapes
    except BadInput:
        return False
    wanted = shapes(signature.outputs)
    return len(found) == len(wanted) and all(
        len(f) == len(w) and all(n == -1 or n == m for m, n in zip(f, w, strict=True))
        for f, w in zip(found, wanted, strict=True)
    )


def _values(tracer: Tracer, leaf: Leaf) -> np.ndarray:
    """Return what the example has, in 64 bits."""
    assert leaf.kind is not None
    numbers = None if leaf.value is None else tracer.numbers(leaf.value)
    if numbers is None:
        held = "is held" if leaf.kind == "real" else "holds integers"
        raise BadInput(f"{leaf.name} {held}, and the example has none; wanted their values, or inputs=…")
    return numbers.astype(DTYPES[leaf.kind])


def _drawn_beside(traced: Traced, signature: Signature) -> Inputs:
    """Draw inputs, beside what is held as the example has it."""
    fixed = {i: _values(traced.tracer, leaf) for i, leaf in enumerate(traced.inputs) if leaf.held}

    def draw_inputs(draw: Any, **size: Any) -> list[np.ndarray]:
        shapes = [tuple(int(size.get(s, s)) for s in shape) for shape in signature.inputs]
        return [np.resize(fixed[i], shape) if i in fixed else draw(*shape) for i, shape in enumerate(shapes)]

    return draw_inputs
