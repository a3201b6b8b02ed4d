"""A jaxpr as a graph of calls that the table has in the array API, or the names of those that it lacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import numpy
from jax.extend import core, source_info_util

from multigrad.data.errors import BadInput
from multigrad.graph.calls import Call, Constant, Graph, Kind, Operand

from .primitives import JAXS_LINALG, JAXS_OWN, TABLE, of_jaxs_own

CALLED = ("jaxpr", "call_jaxpr", "fun_jaxpr")
"""The parameters that hold what a primitive calls: that of jit, of remat; the primal of custom_jvp and custom_vjp."""

CALLS = (
    *("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"),
    *("custom_jvp_call", "custom_jvp_call_jaxpr", "custom_vjp_call", "custom_vjp_call_jaxpr"),
)
"""Primitives that call a function; the derivatives that it brings are left aside."""

HERE = "cpu"
"""The platform whose branch is taken where a function has one for each."""


class Converter:
    """Converts a jaxpr, and notes every primitive that the table lacks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.missing: dict[str, str] = {}
        """By primitive the first place of each."""

    def graph(self, closed: Any) -> Graph:
        jaxpr = closed.jaxpr if hasattr(closed, "jaxpr") else closed
        constants = dict(zip(jaxpr.constvars, getattr(closed, "consts", ()), strict=True))
        operands: dict[Any, Operand] = {var: Constant(_plain(value)) for var, value in constants.items()}
        numbers: dict[Any, int] = {}

        def number(var: Any) -> int:
            return numbers.setdefault(var, len(numbers))

        def operand(atom: Any) -> Operand:
            if isinstance(atom, core.Literal):
                return Constant(_plain(atom.val))
            return operands[atom] if atom in operands else number(atom)

        inputs = tuple(number(var) for var in jaxpr.invars)
        calls = []
        for eqn in _needed(jaxpr):
            place = _place(eqn)
            if eqn.primitive.name == "platform_index":
                operands[eqn.outvars[0]] = Constant(_platform(eqn.params["platforms"]))
                continue
            if eqn.effects:
                raise BadInput(f"{self.name} has a side effect, {eqn.primitive.name} ({place}); take it out")
            kinds = tuple(self._kind(var.aval, place) for var in eqn.outvars)
            name, options = self._call(eqn, kinds, place)
            if name not in TABLE:
                self.missing.setdefault(name, place)
            given = tuple(operand(atom) for atom in _operands(eqn))
            calls.append(Call(name, given, tuple(number(var) for var in eqn.outvars), kinds, options, place))
        return Graph(
            inputs,
            tuple(self._kind(var.aval, "") for var in jaxpr.invars),
            tuple(calls),
            tuple(operand(atom) for atom in jaxpr.outvars),
            tuple(self._kind(var.aval, "") for var in jaxpr.outvars),
            tuple(tuple(var.aval.shape) for var in jaxpr.outvars),
        )

    def _kind(self, aval: Any, place: str) -> Kind:
        where = f" ({place})" if place else ""
        dtype = getattr(aval, "dtype", None)
        if dtype is None or numpy.issubdtype(dtype, jax.dtypes.extended):
            raise BadInput(f"{self.name} draws random numbers{where}; draw them before and pass them as an input")
        if numpy.issubdtype(dtype, np.complexfloating):
            raise BadInput(f"{self.name} computes with complex numbers{where}; write real and imaginary part apart")
        if numpy.issubdtype(dtype, np.floating):
            return "real"
        return "truth" if dtype == np.bool_ else "whole"

    def _call(self, eqn: Any, kinds: tuple[Kind, ...], place: str) -> tuple[str, dict[str, Any]]:
        name, params = eqn.primitive.name, eqn.params
        if name in CALLS:
            called = next(params[key] for key in CALLED if key in params)
            own = _own_function(called)
            return (of_jaxs_own(own), {}) if own else ("call", {"graph": self.graph(called)})
        if name == "custom_linear_solve":
            return "linear_solve", {"matvec": self.graph(params["jaxprs"].matvec)}
        if name in ("scan", "while", "cond"):
            return self._control(name, params, eqn)
        if name == "convert_element_type":
            return self._converted(eqn.invars[0].aval, kinds[0], place), {}
        if name in ("eq", "ne") and eqn.invars[0] is eqn.invars[1]:
            return "is_nan" if name == "ne" else "is_no_nan", {}
        of_whole = {self._kind(atom.aval, place) for atom in eqn.invars} | set(kinds)
        other = f"integer_{name}"
        if other in TABLE and "real" not in of_whole and "whole" in of_whole:
            return other, params
        return name, params

    def _converted(self, aval: Any, kind: Kind, place: str) -> str:
        if self._kind(aval, place) == kind:
            return "to_same"
        return {"real": "to_real", "whole": "to_integer", "truth": "to_condition"}[kind]

    def _control(self, name: str, params: Any, eqn: Any) -> tuple[str, dict[str, Any]]:
        if name == "scan":
            return "scan", {
                "body": self.graph(params["jaxpr"]),
                "constants": params["num_consts"],
                "carried": params["num_carry"],
                "length": params["length"],
                "reverse": params["reverse"],
            }
        if name == "while":
            return "loop", {
                "condition": self.graph(params["cond_jaxpr"]),
                "body": self.graph(params["body_jaxpr"]),
                "condition_constants": params["cond_nconsts"],
                "body_constants": params["body_nconsts"],
            }
        truth = eqn.invars[0].aval.dtype == np.bool_
        return "choice", {"branches": tuple(map(self.graph, params["branches"])), "truth": truth}


def _needed(jaxpr: Any) -> list[Any]:
    """Return the equations whose results are used."""
    used = {atom for atom in jaxpr.outvars if not isinstance(atom, core.Literal)}
    needed = []
    for eqn in reversed(jaxpr.eqns):
        if eqn.effects or any(var in used for var in eqn.outvars):
            needed.append(eqn)
            used |= {atom for atom in _operands(eqn) if not isinstance(atom, core.Literal)}
    return needed[::-1]


def _operands(eqn: Any) -> Sequence[Any]:
    """Return the operands of an equation; of a system of linear equations without the factors that JAX solves it by."""
    if eqn.primitive.name in ("eq", "ne") and eqn.invars[0] is eqn.invars[1]:
        return list(eqn.invars[:1])
    if eqn.primitive.name != "custom_linear_solve":
        return list(eqn.invars)
    lengths = eqn.params["const_lengths"]
    return [*eqn.invars[: lengths.matvec], *eqn.invars[sum(lengths) :]]


def _plain(value: Any) -> Any:
    """Return a constant as a number of Python's or an array of NumPy's, with every digit that it has."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        array = array.astype(np.float64)  # bfloat16 and the like
    wide = {"b": np.bool_, "i": np.int64, "u": np.int64, "f": np.float64}[array.dtype.kind]
    array = array.astype(wide)
    return array.item() if array.ndim == 0 else array


def _place(eqn: Any) -> str:
    summary = re.match(r"(.+?):(\d+)(?::\d+)?(?: |$)", source_info_util.summarize(eqn.source_info))
    if summary is None or Path(summary[1]).parent == Path(__file__).parent:
        return ""
    return f"{Path(summary[1]).name}, line {summary[2]}"


def _name_in_jax(called: Any) -> str:
    """Return the name of a function of JAX's own; nothing for a person's, whatever its name."""
    name, _, file = str(getattr(_open(called).debug_info, "func_src_info", "")).partition(" at ")
    return name if file.startswith(str(Path(jax.__file__).parent)) else ""


def _open(jaxpr: Any) -> Any:
    return getattr(jaxpr, "jaxpr", jaxpr)


def _own_function(called: Any) -> str:
    """Return the name of the function of JAX's own that this is, if a fact tells what it is as a whole.

    Within vmap a function has its name still, and axes that it had not: what JAX makes of the function for these shapes
    is compared.
    """
    name = _name_in_jax(called)
    if name in JAXS_OWN:
        functions = [getattr(jax.numpy, name)]
    elif name in JAXS_LINALG:
        function = getattr(jax.numpy.linalg, name)
        functions = [function, jax.vmap(function)] if len(_open(called).invars) == 1 else [function]
    else:
        return ""
    avals = [var.aval for var in _open(called).invars]
    given = [jax.ShapeDtypeStruct(a.shape, a.dtype, weak_type=a.weak_type) for a in avals]
    written = str(_open(called))
    return name if any(written == _written(function, name, given) for function in functions) else ""


def _written(function: Callable[..., Any], name: str, given: Sequence[Any]) -> str:
    """Return what JAX makes of a function of its own, written out; nothing if that fails."""
    try:
        traced = jax.make_jaxpr(function)(*given)
    except (TypeError, ValueError, IndexError):
        return ""
    return next((str(_open(called)) for called in _called(traced.jaxpr) if _name_in_jax(called) == name), "")


def _called(jaxpr: Any) -> Iterator[Any]:
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in CALLS:
            called = next(eqn.params[key] for key in CALLED if key in eqn.params)
            yield called
            yield from _called(_open(called))


def _platform(platforms: Sequence[Any]) -> int:
    """Return which branch is this platform's, or anybody's."""
    wanted = [i for i, names in enumerate(platforms) if names is None or HERE in names]
    return wanted[0]
