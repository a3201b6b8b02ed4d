"""A JAX function as an operation: its jaxpr, traced for each shape, whose primitives a table has in the array API.

Tracing is done in 64 bits with real inputs of float64, so that no constant of the function is rounded to float32. The
graph knows no dtype: it computes in that of its inputs.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import numpy

from multigrad.data.errors import BadInput, one_line
from multigrad.graph.calls import Graph, Kind
from multigrad.graph.evaluation import evaluate
from multigrad.ops.operation import DTYPES as DTYPES_OF_OPERATIONS
from multigrad.ops.operation import Inputs, Operation, operation
from multigrad.ops.signature import Signature, Size, default_sizes

from .jaxpr import Converter
from .primitives import TABLE

RANDOM = re.compile("random|threefry|rng_")


@dataclass(frozen=True)
class Leaf:
    """One leaf of the arguments of a function."""

    name: str
    """The name of its argument and the path to it, as ``params.layers.0.weight``."""
    value: Any = field(repr=False)
    """What the example has there."""
    kind: Kind | None
    """What an array holds; None for a constant: text, a Python integer or condition, a function."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the example."""
        return tuple(np.shape(self.value)) if not hasattr(self.value, "shape") else tuple(self.value.shape)


class Traced:
    """A JAX function of arrays in order, traced once for each shape."""

    def __init__(self, name: str, function: Callable[..., Any], tree: Any, leaves: Sequence[Leaf]) -> None:
        self.name, self.function, self.tree, self.leaves = name, function, tree, leaves
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
        values = evaluate(graph, TABLE, xp, arrays)
        return values[0] if len(values) == 1 else values

    def graph(self, shapes: Sequence[tuple[int, ...]], parameters: Mapping[str, Any]) -> Graph:
        """Return the graph for these shapes.

        Raises:
            BadInput: the function cannot be traced, or calls what the table lacks.
        """
        key = (*shapes, *sorted((name, repr(value)) for name, value in parameters.items()))
        if key not in self.graphs:
            converter = Converter(self.name)
            graph = converter.graph(self._jaxpr(shapes, parameters))
            if converter.missing:
                raise BadInput(_missing(self.name, converter.missing))
            wrong = [kind for kind in graph.output_kinds if kind != "real"]
            if wrong or not graph.outputs:
                held = "nothing" if not graph.outputs else "integers" if "whole" in wrong else "conditions"
                raise BadInput(f"{self.name} returns {held}; wanted real numbers, of which there is a derivative")
            self.graphs[key] = graph
        return self.graphs[key]

    def _jaxpr(self, shapes: Sequence[tuple[int, ...]], parameters: Mapping[str, Any]) -> Any:
        kinds = [leaf.kind for leaf in self.inputs]
        given = [jax.ShapeDtypeStruct(s, DTYPES[kind]) for s, kind in zip(shapes, kinds, strict=True) if kind]

        def of_arrays(*arrays: Any) -> Any:
            rest = iter(arrays)
            leaves = [leaf.value if leaf.kind is None else next(rest) for leaf in self.leaves]
            values = self.function(*jax.tree_util.tree_unflatten(self.tree, leaves), **parameters)
            return jax.tree_util.tree_leaves(values)

        try:
            with _in_64_bits():
                return jax.make_jaxpr(of_arrays)(*given)
        except BadInput:
            raise
        except VALUES_ASKED as error:
            where = _where(error)
            advice = "write jnp.where or jax.lax.cond" if "bool" in type(error).__name__.lower() else ASKED
            raise BadInput(f"{self.name} asks for the value of an input{where}: {advice}") from error
        except Exception as error:
            text = f"{self.name} cannot be traced at shapes {', '.join(map(str, shapes))}"
            raise BadInput(f"{text}{_where(error)}: {one_line(error)}") from error


DTYPES: Mapping[Kind, str] = {"real": "float64", "whole": "int64", "truth": "bool"}
"""What inputs are traced in."""

VALUES_ASKED = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
ASKED = "what it computes, and its shape, must not depend on one"


def _in_64_bits() -> Any:
    here: Any = jax if hasattr(jax, "enable_x64") else jax.experimental
    return here.enable_x64(True)


def _where(error: BaseException) -> str:
    """Return the place in a person's code from which an exception came, in brackets."""
    library, own = str(Path(jax.__file__).parent), str(Path(__file__).parent)
    place, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith((library, own, "<")) and "site-packages" not in file:
            place = f" ({Path(file).name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place


def _missing(name: str, places: Mapping[str, str]) -> str:
    (first, place), *others = places.items()
    where = f" ({place})" if place else ""
    if RANDOM.search(first):
        return f"{name} draws random numbers{where}; draw them before and pass them as an input"
    more = f"; {len(others)} more are missing: {', '.join(n for n, _ in others)}" if others else ""
    return f"{name} calls {first}{where}, which has no array API form yet{more}; write it with other functions"


# The arguments of a function


def traced_operation(
    function: Callable[..., Any],
    signature: str | None = None,
    *,
    example: Any = None,
    name: str | None = None,
    nondifferentiable: Iterable[str] = (),
    sizes: Mapping[str, Size] | None = None,
    inputs: Inputs | None = None,
    dtypes: tuple[str, ...] = DTYPES_OF_OPERATIONS,
) -> Operation:
    """Return a function as an operation that no other process finds; see :func:`multigrad.from_jax`."""
    if not callable(function):
        raise BadInput(f"from_jax takes a function; found {type(function).__name__}")
    chosen = name or _name_of(function)
    without = {nondifferentiable} if isinstance(nondifferentiable, str) else set(nondifferentiable)
    examples = _examples(example)
    parsed = None if signature is None else Signature.parse(signature)
    if examples:
        trees = [_flattened(chosen, function, arguments) for arguments in examples]
    elif parsed is not None:
        trees = [_of_signature(chosen, function, parsed, without)]
    else:
        raise BadInput(f"{chosen}: wanted a signature, or example=(…), arguments that it takes")
    tree, leaves = trees[0]
    _check_alike(chosen, trees)
    traced = Traced(chosen, function, tree, leaves)
    if not traced.inputs:
        raise BadInput(f"{chosen}: the example has no array; wanted arguments that it takes, in a tuple")
    if parsed is not None:
        _check_count(traced, parsed)
    shapes = [[leaf.shape for leaf in leaves if leaf.kind is not None] for _, leaves in trees]
    if parsed is None:
        parsed, found = _signature(shapes, [traced.graph(each, {}).shapes for each in shapes])
    else:
        found = [parsed.bind([leaf.name for leaf in traced.inputs], each) for each in shapes] if examples else []
    if sizes is None and found:
        sizes = _sizes(traced, parsed, found)
    if inputs is None and any(leaf.kind != "real" for leaf in traced.inputs):
        inputs = _drawn_beside(traced, parsed)
    return _made(traced, parsed, without, sizes=sizes, inputs=inputs, dtypes=dtypes)


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
    made.__signature__ = inspect.Signature([*arguments, *_parameters(traced.function)])  # type: ignore[attr-defined]
    made.__name__ = made.__qualname__ = traced.name
    made.__doc__ = inspect.getdoc(traced.function) or f"{traced.name}, a function of JAX."
    plain = inspect.unwrap(traced.function)
    if inspect.isfunction(plain):
        made.__wrapped__ = plain  # type: ignore[attr-defined]  # its source is the formula
    fixed = [
        number for number, leaf in zip(numbered, leaves, strict=True) if leaf.kind != "real" or leaf.name in without
    ]
    op = operation(signature.text, nondifferentiable=fixed, sizes=sizes, inputs=inputs, dtypes=dtypes)(made)
    op = replace(op, inputs=tuple(names), reference="")
    object.__setattr__(op, "__doc__", made.__doc__)
    return op


def _check_count(traced: Traced, signature: Signature) -> None:
    names = [leaf.name for leaf in traced.inputs]
    if len(signature.inputs) != len(names):
        raise BadInput(
            f"{traced.name}: the signature {signature.text} has {len(signature.inputs)} inputs, "
            f"the function has {len(names)} ({', '.join(names)})"
        )


def _name_of(function: Callable[..., Any]) -> str:
    name = str(getattr(function, "__name__", type(function).__name__))
    return name if name.isidentifier() else "function"


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the keyword-only arguments that have a default."""
    arguments = _arguments(function)
    return [a for a in arguments if a.kind is a.KEYWORD_ONLY and isinstance(a.default, int | float | str | tuple)]


def _arguments(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def _argument_name(arguments: Sequence[inspect.Parameter], i: int) -> str:
    positional = [a for a in arguments if a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD)]
    if i < len(positional):
        return positional[i].name
    several = next((a.name for a in arguments if a.kind is a.VAR_POSITIONAL), "x")
    return f"{several}{i - len(positional)}"


def _examples(example: Any) -> list[tuple[Any, ...]]:
    if example is None:
        return []
    several = isinstance(example, list) and all(isinstance(one, tuple) for one in example)
    examples = example if several else [example]
    return [one if isinstance(one, tuple) else (one,) for one in examples]


def _flattened(name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, list[Leaf]]:
    """Return the structure of arguments and their leaves, each under its own name."""
    paths, tree = jax.tree_util.tree_flatten_with_path(arguments)
    own = _arguments(function)
    leaves: list[Leaf] = []
    for (first, *rest), value in paths:
        keys = [getattr(key, "name", getattr(key, "key", getattr(key, "idx", key))) for key in rest]
        path = ".".join([_argument_name(own, first.idx), *(re.sub(r"\W+", "_", str(key)) for key in keys)])
        taken = {leaf.name for leaf in leaves}
        path = next(p for p in itertools.chain([path], (f"{path}_{i}" for i in itertools.count(2))) if p not in taken)
        leaves.append(Leaf(path, value, _kind(f"{name}: {path}", value)))
    return tree, leaves


def _kind(where: str, value: Any) -> Kind | None:
    if isinstance(value, float | complex) and not isinstance(value, np.generic):
        value = np.asarray(value)
    dtype = getattr(value, "dtype", None)
    if dtype is None or not hasattr(value, "shape"):
        return None
    if numpy.issubdtype(dtype, jax.dtypes.extended):
        raise BadInput(f"{where} is a random key; draw the numbers before and pass them")
    if numpy.issubdtype(dtype, np.complexfloating):
        raise BadInput(f"{where} is complex; write real and imaginary part as two arrays")
    if numpy.issubdtype(dtype, np.floating):
        return "real"
    return "truth" if dtype == np.bool_ else "whole"


def _of_signature(
    name: str, function: Callable[..., Any], signature: Signature, without: set[str]
) -> tuple[Any, list[Leaf]]:
    """Return the arguments of a function whose shapes a signature has: one array each."""
    own = _arguments(function)
    names = [_argument_name(own, i) for i in range(len(signature.inputs))]
    leaves = [Leaf(n, jax.ShapeDtypeStruct((), "float64"), "whole" if n in without else "real") for n in names]
    return jax.tree_util.tree_structure((0,) * len(names)), leaves


def _check_alike(name: str, trees: Sequence[tuple[Any, list[Leaf]]]) -> None:
    def alike(tree: Any, leaves: list[Leaf]) -> Any:
        return str(tree), [(leaf.kind, len(leaf.shape)) for leaf in leaves]

    if any(alike(*tree) != alike(*trees[0]) for tree in trees):
        raise BadInput(f"{name}: the examples differ in more than sizes; wanted the same arrays in each")


LETTERS = "mnkpqrstuvwabcdefghijloxyz"
"""The names of dimensions, in order."""

Shapes = Sequence[tuple[int, ...]]


def _signature(inputs: Sequence[Shapes], outputs: Sequence[Shapes]) -> tuple[Signature, list[dict[str, int]]]:
    """Name the dimensions: what is of one size in every example has one letter, and what is always 1 is 1.

    Args:
        inputs: for each example the shapes of its arrays.
        outputs: for each example the shapes of the values.

    Returns:
        The signature, and the size of each example.
    """
    letters: dict[tuple[int, ...], str] = {}

    def named(shapes: Sequence[Shapes]) -> str:
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

    text = named(inputs)
    symbols = dict(letters)
    sizes = [{letter: column[i] for column, letter in symbols.items()} for i in range(len(inputs))]
    return Signature.parse(f"{text}->{named(outputs)}"), sizes


def _sizes(traced: Traced, signature: Signature, found: Sequence[dict[str, int]]) -> dict[str, dict[str, int]]:
    """Return the sizes of the examples, and others if the function takes them."""
    sizes = {f"example{i + 1}" if i else "example": size for i, size in enumerate(found)}
    made_up = default_sizes(signature) if signature.symbols else {}
    # Labels that fit one size are none of another.
    if made_up and all(leaf.kind == "real" for leaf in traced.inputs) and _takes(traced, signature, made_up["tiny"]):
        sizes |= made_up
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


def _values(leaf: Leaf) -> np.ndarray:
    """Return what the example has, in 64 bits."""
    assert leaf.kind is not None
    if isinstance(leaf.value, jax.ShapeDtypeStruct):
        raise BadInput(f"{leaf.name} holds integers, and the example has none; wanted their values, or inputs=…")
    return np.asarray(leaf.value).astype(DTYPES[leaf.kind])


def _drawn_beside(traced: Traced, signature: Signature) -> Inputs:
    """Draw real inputs, beside the integers and conditions of the example."""
    fixed = {i: _values(leaf) for i, leaf in enumerate(traced.inputs) if leaf.kind != "real"}

    def draw_inputs(draw: Any, **size: Any) -> list[np.ndarray]:
        shapes = [tuple(int(size.get(s, s)) for s in shape) for shape in signature.inputs]
        return [np.resize(fixed[i], shape) if i in fixed else draw(*shape) for i, shape in enumerate(shapes)]

    return draw_inputs
