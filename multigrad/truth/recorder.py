"""One evaluation in `dual` that notes every decision of forward part and pullback, or counts what it takes."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

import numpy as np

from .. import namespaces
from ..namespaces import dual, exact
from ..namespaces.dual import DualArray
from ..namespaces.exact import ExactArray
from ..namespaces.shared import linear_algebra
from ..namespaces.shared.operators import COMPARISONS
from ..ops.operation import Operation
from ..ops.source import source_file
from ..proof.ties import replaced, tie_rules
from .sites import CHOICES, EXTREMA, ORDERS, ROUNDINGS, SINGULAR, Guard, Site

BITS = 200
"""Precision of the evaluations that aim."""


CALL = 64
"""What a call takes, in balls."""


Coordinate = tuple[int, int]
"""An input's number and the place of an entry in it, counted flat."""


_FOLDER = namespaces.__path__[0]


_INSIDE = {name for name in linear_algebra.LINALG if not name.endswith("_norm")}
"""Algorithms whose own comparisons (pivots) are no branches of the formula."""


def record(
    op: Operation,
    parameters: Mapping[str, Any],
    inputs: Sequence[np.ndarray],
    cotangents: Sequence[np.ndarray],
    coordinates: Sequence[Coordinate],
    most: int | None = None,
) -> list[Guard]:
    """Evaluate forward part and pullback once; return what they decide that depends on the inputs, the first so many.

    Where the evaluation ends with an error, what came before is returned. An operation never asks for a value, so at
    other inputs of the same shapes the same guards come in the same order.
    """
    recorder = _Recorder(source_file(op), most)
    _run(op, parameters, inputs, cotangents, coordinates, recorder.functions())
    return recorder.guards


def work(
    op: Operation,
    parameters: Mapping[str, Any],
    inputs: Sequence[np.ndarray],
    cotangents: Sequence[np.ndarray],
    coordinates: Sequence[Coordinate],
) -> int:
    """Count what one evaluation of forward part and pullback takes: its calls, and the balls that they return."""
    total = 0

    def weighed(function: Callable[..., Any]) -> Callable[..., Any]:
        def apply(*arguments: Any, **options: Any) -> Any:
            nonlocal total
            result = function(*arguments, **options)
            total += CALL + (result.size * (1 + len(coordinates)) if isinstance(result, DualArray) else 0)
            return result

        return apply

    rules = {**dual.FUNCTIONS, **_Recorder("", None).functions()}
    _run(op, parameters, inputs, cotangents, coordinates, {name: weighed(rule) for name, rule in rules.items()})
    return total


def _run(
    op: Operation,
    parameters: Mapping[str, Any],
    inputs: Sequence[np.ndarray],
    cotangents: Sequence[np.ndarray],
    coordinates: Sequence[Coordinate],
    functions: Mapping[str, Callable[..., Any]],
) -> None:
    """Evaluate forward part and pullback in `dual` with other functions, as far as they go."""
    with exact.precision(BITS):
        arrays = []
        for number, array in enumerate(inputs):
            value = exact.variable(array)
            if isinstance(value, ExactArray):
                tangent = np.zeros((len(coordinates), array.size))
                for i, (which, place) in enumerate(coordinates):
                    if which == number:
                        tangent[i, place] = 1
                value = DualArray(value, exact.lift(tangent.reshape(len(coordinates), *array.shape)))
            arrays.append(value)
        with replaced(dual.FUNCTIONS, functions):
            try:
                _, pullback = op(dual, *arrays, **parameters)
                pullback(*(DualArray(exact.lift(c)) for c in cotangents))
            except Exception:  # noqa: BLE001 - what cannot be evaluated decides nothing more
                pass


class _Enough(Exception):
    """What was wanted has been recorded."""


class _Recorder:
    """Notes every decision of an evaluation in `dual`, or the first so many."""

    def __init__(self, file: str, most: int | None) -> None:
        self.file, self.most = file, most
        self.guards: list[Guard] = []
        self.busy = False

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return `dual`'s functions that decide something; at a tie they go on with a derivative."""
        rules = {
            **dual.FUNCTIONS,
            **tie_rules(second=False),
            **{name: _through(exact.FUNCTIONS[name]) for name in ROUNDINGS},
            **{name: _of_values(exact.FUNCTIONS[name]) for name in COMPARISONS},
        }
        names = (*COMPARISONS, *CHOICES, *EXTREMA, *ORDERS, *ROUNDINGS, *SINGULAR)
        return {name: self._watched(name, rules[name]) for name in names if name in rules}

    def _watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def apply(*arguments: Any, **options: Any) -> Any:
            if self.busy:
                return function(*arguments, **options)
            self.busy = True
            try:
                site = self._site(name)
                gap = None if site is None else _gap(name, arguments, options)
                result = function(*arguments, **options)
                if site is not None and isinstance(gap, DualArray) and gap.tangent is not None:
                    self.guards.append(_guard(site, gap, result))
                    if len(self.guards) == self.most:
                        raise _Enough
                return result
            finally:
                self.busy = False

        return apply

    def _site(self, name: str) -> Site | None:
        """Find the line of the operation's file, or else the first outside the namespaces."""
        frame: FrameType | None = sys._getframe(2)
        outside: FrameType | None = None
        while frame is not None:
            file = frame.f_code.co_filename
            if file == self.file:
                return _place(frame, name)
            if file.startswith(_FOLDER):
                if frame.f_code.co_name in _INSIDE and file == linear_algebra.__file__:
                    return None
            elif outside is None and file != __file__:
                outside = frame
            frame = frame.f_back
        return None if outside is None else _place(outside, name)


def _place(frame: FrameType, name: str) -> Site:
    positions = list(frame.f_code.co_positions())
    line, last, start, end = positions[frame.f_lasti // 2]
    text = linecache.getline(frame.f_code.co_filename, line or 0)
    # Columns count bytes.
    part = text.encode()[start:end].decode(errors="replace") if line == last and start is not None else ""
    part = (part or text).strip()
    return Site(line or 0, part if len(part) <= 48 else f"{part[:47]}…", name)


def _through(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a rounding hand on the slope, so that what is decided by whole numbers can be aimed at."""
    return lambda x, /: DualArray(function(x.value), x.tangent) if isinstance(x, DualArray) else function(x)


def _of_values(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x1, x2, /: function(*(x.value if isinstance(x, DualArray) else x for x in (x1, x2)))


def _gap(name: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
    x, f = arguments[0], dual.FUNCTIONS
    if name in COMPARISONS or name in ("maximum", "minimum"):
        return f["subtract"](x, arguments[1]) if any(isinstance(a, DualArray) for a in arguments) else None
    if name in ("divide", "true_divide"):
        return arguments[1]
    if not isinstance(x, DualArray):
        return None
    if name == "pow":
        return None if isinstance(arguments[1], int) and arguments[1] >= 0 else x
    if name == "log1p":
        return x + 1
    if name in ("acos", "asin", "atanh"):
        return 1 - x * x
    if name in EXTREMA:
        best = tie_rules(second=False)[name.removeprefix("arg")](x, axis=options.get("axis"), keepdims=True)
        return x - best
    if name in ORDERS:
        axis = options.get("axis", -1)
        order = exact.FUNCTIONS["argsort"](x.value, axis=axis)
        lanes = f["moveaxis"](f["take_along_axis"](x, order, axis=axis), axis, -1)
        return lanes[..., 1:] - lanes[..., :-1]
    if name in ROUNDINGS:
        half = 0.5 if name == "round" else 0
        nearest = np.rint(exact.midpoints(x.value) - half)
        return x - nearest - half
    return x


def _guard(site: Site, gap: DualArray, result: Any) -> Guard:
    middle = exact.midpoints(gap.value)
    zero = np.asarray(np.frompyfunc(lambda v: v.is_exact() and v == 0, 1, 1)(gap.value.elements), dtype=bool)
    assert gap.tangent is not None
    slopes = exact.midpoints(gap.tangent)
    taken = set()
    if branches := site.branches:
        yes = np.asarray(result, dtype=bool) if site.name in COMPARISONS else middle > 0
        no = ~yes if site.name in COMPARISONS else middle < 0
        taken = {b for b, way in zip(branches, (yes, no), strict=True) if way.any()}
    ties = int(zero.sum())
    if site.name in EXTREMA:
        ties -= np.size(result)
    return Guard(site, middle, zero, np.broadcast_to(slopes, (len(slopes), *middle.shape)), frozenset(taken), ties)
