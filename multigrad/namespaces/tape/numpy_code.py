"""Functions that are written with NumPy and take no namespace, run on the arrays of any namespace.

NumPy's functions find an array's namespace by the protocols. What makes an array of no argument, such as
``np.zeros(3)``, finds none, and an array of NumPy cannot be filled with entries of another kind. So the function runs
with another ``np`` in sight, whose arrays are those of the namespace, and of the dtype of the inputs where none is
named.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from ..shared.numpy_protocols import NumpyProtocols
from ..shared.textbook import holds_arrays
from .arrays import value_of
from .namespace import over

MAKERS = ("array", "asarray", "zeros", "ones", "empty", "full", "eye", "identity", "arange", "linspace")
"""NumPy's functions that make an array of something else."""

_MADE = {id(getattr(np, name)): name for name in MAKERS}


def run_numpy(function: Callable[..., Any], xp: Any, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    """Call a function of NumPy's arrays with arrays of a namespace.

    Args:
        function: ``f(*inputs, **parameters)``, written with NumPy.
        xp: the namespace of the inputs: NumPy's, one of ours, or a framework's.
        inputs: its arrays.
        parameters: keyword arguments.

    Returns:
        What the function returns, in arrays of the namespace and of the dtype of the inputs: a float64 number that
        NumPy makes, such as ``np.log(2)``, widens nothing.
    """
    first = next(x for x in inputs if xp.isdtype(x.dtype, "real floating"))
    if any(isinstance(x, NumpyProtocols) for x in inputs) or isinstance(first, np.ndarray | np.generic):
        returned = _seeing(function, _Numpy(xp, first))(*inputs, **parameters)
        return _each_value(returned, lambda x: _narrowed(xp, x, first.dtype))
    # A framework's arrays do not answer NumPy's protocols, or not as NumPy's arrays do; those of the tape answer.
    tape = over(xp)
    returned = _seeing(function, _Numpy(tape, first))(*map(tape.wrapped, inputs), **parameters)
    if _has_pullback(returned):
        pullback = returned[1]
        returned = returned[0], lambda *cotangents: value_of(pullback(*map(tape.wrapped, cotangents)))
    return _each_value(returned, lambda x: _narrowed(xp, value_of(x), first.dtype))


def _has_pullback(returned: Any) -> bool:
    return isinstance(returned, tuple | list) and len(returned) == 2 and callable(returned[1])


def _each_value(returned: Any, change: Callable[[Any], Any]) -> Any:
    if _has_pullback(returned):
        return _each_value(returned[0], change), returned[1]
    return type(returned)(map(change, returned)) if isinstance(returned, tuple | list) else change(returned)


def _narrowed(xp: Any, x: Any, dtype: Any) -> Any:
    real = hasattr(x, "dtype") and hasattr(x, "shape") and xp.isdtype(x.dtype, "real floating")
    return xp.astype(x, dtype) if real and x.dtype != dtype else x


class _Numpy:
    """NumPy, but for its makers: theirs are arrays of a namespace, near a given one."""

    def __init__(self, xp: Any, near: Any) -> None:
        self._xp, self._dtype, self._device = xp, near.dtype, getattr(near, "device", None)

    def __getattr__(self, name: str) -> Any:
        return functools.partial(self._made, name) if name in MAKERS else getattr(np, name)

    def _made(self, name: str, *args: Any, dtype: Any = None, **options: Any) -> Any:
        xp = self._xp
        if args and (isinstance(args[0], NumpyProtocols) or holds_arrays(args[0])):
            made = xp.asarray(args[0], copy=True)
            return made if dtype is None else made.astype(dtype)
        if any(isinstance(a, NumpyProtocols) for a in args):
            return xp.broadcast_to(args[-1], args[0] if isinstance(args[0], tuple) else (args[0],))
        known = _known(dtype)
        plain = getattr(np, name)(*args, dtype=known, **options)
        if plain.dtype.kind != "f":
            return plain
        return xp.asarray(plain, dtype=self._dtype if known is None else None, device=self._device)


def _known(dtype: Any) -> Any:
    """Return a dtype as NumPy's; None where none is named, or one that only a namespace has."""
    try:
        return None if dtype is None else np.dtype(dtype)
    except TypeError:
        return None


def _seeing(function: Callable[..., Any], numpy: _Numpy) -> Callable[..., Any]:
    """Return a function that, like those of its module that it calls, sees another NumPy."""
    if not isinstance(function, FunctionType):
        return function
    scope = dict(function.__globals__)
    for name, value in function.__globals__.items():
        if value is np:
            scope[name] = numpy
        elif id(value) in _MADE:
            scope[name] = getattr(numpy, _MADE[id(value)])
        elif isinstance(value, FunctionType) and value.__globals__ is function.__globals__:
            scope[name] = _rebuilt(value, scope)
    return _rebuilt(function, scope)


def _rebuilt(function: FunctionType, scope: dict[str, Any]) -> FunctionType:
    copy = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy
