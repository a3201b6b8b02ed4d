"""JAX functions as graphs: a jaxpr for each shape, whose primitives a table has in the array API."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import numpy

from multigrad.data.errors import BadInput
from multigrad.graph.arguments import DTYPES, Found
from multigrad.graph.calls import Graph, Kind
from multigrad.graph.traced import Traced, Tracer, draws_at_random, raised_in

from .jaxpr import Converter
from .primitives import TABLE

LIBRARIES = (str(Path(jax.__file__).parent), str(Path(__file__).parent))

VALUES_ASKED = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
RANDOM = re.compile("random|threefry|rng_")
ASKED = "what it computes, and its shape, must not depend on one"


class JaxTracer(Tracer):
    """Traces functions of JAX arrays and of pytrees of them."""

    framework = "JAX"
    table = TABLE

    def flattened(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, list[Found]]:
        paths, structure = jax.tree_util.tree_flatten_with_path(arguments)
        return structure, [Found((first.idx, *map(_key, rest)), value) for (first, *rest), value in paths]

    def kind(self, where: str, value: Any) -> Kind | None:
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

    def numbers(self, value: Any) -> np.ndarray | None:
        return None if isinstance(value, jax.ShapeDtypeStruct) else np.asarray(value)

    def graph(
        self, traced: Traced, shapes: Sequence[tuple[int, ...]], parameters: Mapping[str, Any]
    ) -> tuple[Graph, Mapping[str, str]]:
        converter = Converter(traced.name)
        graph = converter.graph(_jaxpr(traced, shapes, parameters))
        first, place = next(iter(converter.missing.items()), ("", ""))
        if RANDOM.search(first):
            raise draws_at_random(traced.name, place)
        return graph, converter.missing


def _key(key: Any) -> Any:
    return getattr(key, "name", getattr(key, "key", getattr(key, "idx", key)))


def _jaxpr(traced: Traced, shapes: Sequence[tuple[int, ...]], parameters: Mapping[str, Any]) -> Any:
    kinds = [leaf.kind for leaf in traced.inputs]
    given = [jax.ShapeDtypeStruct(s, DTYPES[kind]) for s, kind in zip(shapes, kinds, strict=True) if kind]

    def of_arrays(*arrays: Any) -> Any:
        arguments = jax.tree_util.tree_unflatten(traced.structure, traced.filled(arrays))
        return jax.tree_util.tree_leaves(traced.function(*arguments, **parameters))

    try:
        with _in_64_bits():
            return jax.make_jaxpr(of_arrays)(*given)
    except BadInput:
        raise
    except VALUES_ASKED as error:
        where = raised_in(error, LIBRARIES)
        advice = "write jnp.where or jax.lax.cond" if "bool" in type(error).__name__.lower() else ASKED
        raise BadInput(f"{traced.name} asks for the value of an input{where}: {advice}") from error
    except Exception as error:
        raise traced.untraceable(shapes, error, LIBRARIES) from error


def _in_64_bits() -> Any:
    here: Any = jax if hasattr(jax, "enable_x64") else jax.experimental
    return here.enable_x64(True)
