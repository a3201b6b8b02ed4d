"""A jaxpr as a graph of calls that the table has in the array API, or the names of those that it lacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import numpy
from jax.extend import core, source_info_util

from multigrad.data.errors import BadInput
from multigrad.graph.calls import NESTED, Call, Constant, Graph, Kind, Operand
from multigrad.graph.constants import plain, shortest_decimal
from multigrad.graph.traced import bracketed, draws_at_random

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
        """Return the graph of a function, none of whose inputs is known beforehand.

        Raises:
            BadInput: it computes with complex or random numbers, has a side effect, or lets a value decide on a loop.
        """
        return self.converted(closed, [False] * len(_open(closed).invars))[0]

    def converted(self, closed: Any, given: Sequence[bool]) -> tuple[Graph, list[bool]]:
        """Return a graph, and which outputs are known where these inputs are: integers and conditions, no values."""
        jaxpr = _open(closed)
        operands: dict[Any, Operand] = {
            var: Constant(_plain(value))
            for var, value in zip(jaxpr.constvars, getattr(closed, "consts", ()), strict=True)
        }
        numbers: dict[Any, int] = {}
        known = {var for var, is_known in zip(jaxpr.invars, given, strict=True) if is_known}
        spread: dict[Any, Any] = {}

        def operand(atom: Any) -> Operand:
            if isinstance(atom, core.Literal):
                return Constant(_plain(atom.val))
            return operands[atom] if atom in operands else numbers.setdefault(atom, len(numbers))

        def is_known(atom: Any) -> bool:
            return isinstance(atom, core.Literal) or atom in operands or atom in known

        inputs = tuple(numbers.setdefault(var, len(numbers)) for var in jaxpr.invars)
        calls = []
        for eqn in _needed(jaxpr):
            place = _place(eqn)
            if eqn.primitive.name == "platform_index":
                operands[eqn.outvars[0]] = Constant(_platform(eqn.params["platforms"]))
                continue
            if eqn.effects:
                raise BadInput(f"{self.name} has a side effect, {eqn.primitive.name}{bracketed(place)}; take it out")
            kinds = tuple(self._kind(var.aval, place) for var in eqn.outvars)
            needed = _operands(eqn)
            name, options, results = self._call(eqn, kinds, place, [is_known(atom) for atom in needed])
            if name not in TABLE:
                self.missing.setdefault(name, place)
            if name == "broadcast_in_dim" and not needed[0].aval.shape:
                spread[eqn.outvars[0]] = needed[0]
            elif name in TABLE.elementwise or name == "select_n":
                needed = _unspread(needed, spread)
            known |= {var for var, is_one in zip(eqn.outvars, results, strict=True) if is_one}
            written = tuple(numbers.setdefault(var, len(numbers)) for var in eqn.outvars)
            calls.append(Call(name, tuple(map(operand, needed)), written, kinds, options, place))
        graph = Graph(
            inputs,
            tuple(self._kind(var.aval, "") for var in jaxpr.invars),
            tuple(calls),
            tuple(map(operand, jaxpr.outvars)),
            tuple(self._kind(var.aval, "") for var in jaxpr.outvars),
            tuple(tuple(var.aval.shape) for var in jaxpr.outvars),
        )
        return graph, [is_known(atom) for atom in jaxpr.outvars]

    def _kind(self, aval: Any, place: str) -> Kind:
        where = bracketed(place)
        dtype = getattr(aval, "dtype", None)
        if dtype is None or numpy.issubdtype(dtype, jax.dtypes.extended):
            raise draws_at_random(self.name, place)
        if numpy.issubdtype(dtype, np.complexfloating):
            raise BadInput(f"{self.name} computes with complex numbers{where}; write real and imaginary part apart")
        if numpy.issubdtype(dtype, np.floating):
            return "real"
        return "truth" if dtype == np.bool_ else "whole"

    def _call(
        self, eqn: Any, kinds: tuple[Kind, ...], place: str, given: Sequence[bool]
    ) -> tuple[str, Mapping[str, Any], Sequence[bool]]:
        """Return what is called, with which options, and which results are known."""
        name, params = eqn.primitive.name, eqn.params
        plain = [kind != "real" and all(given) for kind in kinds]
        if name in CALLS:
            called = next(params[key] for key in CALLED if key in params)
            if own := _own_function(called):
                return of_jaxs_own(own), {}, plain
            graph, results = self.converted(called, given)
            return NESTED, {"graph": graph}, results
        if name == "custom_linear_solve":
            return "linear_solve", {"matvec": self.graph(params["jaxprs"].matvec)}, plain
        if name == "scan":
            return "scan", *self._scan(params, given)
        if name == "while":
            return "loop", *self._loop(params, place, given)
        if name == "cond":
            branches, known = zip(*(self.converted(b, given[1:]) for b in params["branches"]), strict=True)
            truth = eqn.invars[0].aval.dtype == np.bool_
            return (
                "choice",
                {"branches": branches, "truth": truth},
                [given[0] and all(k) for k in zip(*known, strict=True)],
            )
        return self._named(eqn, kinds, place), params, plain

    def _named(self, eqn: Any, kinds: tuple[Kind, ...], place: str) -> str:
        """Return the key of a primitive in the table: of integers and of conditions some have others."""
        name = str(eqn.primitive.name)
        of = self._kind(eqn.invars[0].aval, place) if eqn.invars else kinds[0]
        if name == "convert_element_type":
            return "to_same" if of == kinds[0] else CONVERSIONS[kinds[0]]
        if _asks_for_nan(eqn):
            return "is_nan" if name == "ne" else "is_no_nan"
        return f"integer_{name}" if f"integer_{name}" in TABLE and of == "whole" == kinds[0] else name

    def _scan(self, params: Any, given: Sequence[bool]) -> tuple[dict[str, Any], list[bool]]:
        constants, carried = params["num_consts"], params["num_carry"]
        body, results = self._repeated(params["jaxpr"], given, constants, carried)
        options = {"constants": constants, "carried": carried, "length": params["length"], "reverse": params["reverse"]}
        return {"body": body} | options, results

    def _repeated(self, closed: Any, given: Sequence[bool], constants: int, carried: int) -> tuple[Graph, list[bool]]:
        """Convert the body of a loop; what goes from step to step is known if it stays so."""
        flags = list(given)
        while True:
            body, results = self.converted(closed, flags)
            carry = [a and b for a, b in zip(flags[constants : constants + carried], results, strict=False)]
            if carry == flags[constants : constants + carried]:
                return body, results
            flags[constants : constants + carried] = carry

    def _loop(self, params: Any, place: str, given: Sequence[bool]) -> tuple[dict[str, Any], list[bool]]:
        first, second = params["cond_nconsts"], params["body_nconsts"]
        carry = given[first + second :]
        body, results = self._repeated(params["body_jaxpr"], given[first:], second, len(carry))
        carry = [a and b for a, b in zip(carry, results, strict=True)]
        condition, (decided,) = self.converted(params["cond_jaxpr"], [*given[:first], *carry])
        if not decided:
            raise BadInput(
                f"{self.name} ends a loop where the value of an input says so{bracketed(place)}; "
                "write one whose count is known, such as jax.lax.fori_loop"
            )
        options = {"condition": condition, "body": body, "condition_constants": first, "body_constants": second}
        return options, carry


CONVERSIONS: Mapping[Kind, str] = {"real": "to_real", "whole": "to_integer", "truth": "to_condition"}
"""What a change of dtype is that changes what an array holds."""


def _asks_for_nan(eqn: Any) -> bool:
    """Tell whether something is compared with itself, which NaN alone is not equal to."""
    return eqn.primitive.name in ("eq", "ne") and eqn.invars[0] is eqn.invars[1]


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
    if _asks_for_nan(eqn):
        return list(eqn.invars[:1])
    if eqn.primitive.name != "custom_linear_solve":
        return list(eqn.invars)
    lengths = eqn.params["const_lengths"]
    return [*eqn.invars[: lengths.matvec], *eqn.invars[sum(lengths) :]]


def _unspread(atoms: Sequence[Any], spread: Mapping[Any, Any]) -> list[Any]:
    """Return operands, numbers for arrays of one number where another operand has the shape of the result."""

    def is_spread(atom: Any) -> bool:
        return not isinstance(atom, core.Literal) and atom in spread

    shape = max((a.aval.shape for a in atoms), key=len)
    if all(is_spread(a) or a.aval.shape != shape for a in atoms):
        return list(atoms)
    return [spread[a] if is_spread(a) else a for a in atoms]


def _plain(value: Any) -> Any:
    """Return a constant as a number of Python's or an array of NumPy's, with every digit that it has.

    A number of float32 or less is the shortest decimal that is rounded to it.
    """
    array = np.asarray(value)
    if array.ndim == 0 and array.itemsize < 8 and array.dtype.kind not in "biu":
        return shortest_decimal(float(array), array.dtype.type)
    if array.dtype.kind not in "biuf":
        array = array.astype(np.float64)  # bfloat16 and the like
    return plain(array)


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
