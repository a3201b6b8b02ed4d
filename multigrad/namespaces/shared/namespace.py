"""What makes a module an array namespace: its functions from a table, guarded, its ``linalg``, its dtypes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from .numpy_protocols import numpys_own
from .operators import Operators
from .unsupported import guarded

Table = Mapping[str, Callable[..., Any]]


def functions_of(*modules: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return the public functions that modules define, by name."""
    return {
        name: function
        for module in modules
        for name, function in vars(module).items()
        if isinstance(function, functools.partial | FunctionType)
        and (isinstance(function, functools.partial) or function.__module__ == module.__name__)
        and not name.startswith("_")
    }


def bound(functions: Table, first: Any) -> dict[str, Callable[..., Any]]:
    """Give every function of a table its first argument, such as the namespace that it computes in."""
    return {name: functools.partial(function, first) for name, function in functions.items()}


def guarded_table(functions: Table, prefix: str, knower: str) -> dict[str, Callable[..., Any]]:
    """Guard every function of a table; ``prefix`` is how a person writes its place, ``xp`` or ``xp.linalg``."""
    return {name: guarded(function, f"{prefix}.{name}", knower) for name, function in functions.items()}


def attributes(namespace: Any, functions: Table, constants: Mapping[str, Any], knower: str) -> Callable[[str], Any]:
    """Make a namespace's ``__getattr__``: its functions, each guarded, its constants, and what NumPy has besides.

    A function that is exchanged in the table is exchanged in the namespace.
    """
    guards: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {}

    def attribute(name: str) -> Any:
        function = functions.get(name)
        if function is not None:
            pair = guards.get(name)
            if pair is None or pair[0] is not function:
                pair = guards[name] = function, guarded(function, f"xp.{name}", knower)
            return pair[1]
        if name in constants:
            return constants[name]
        if name.startswith("__"):  # what the import system asks of every module
            raise AttributeError(name)
        return numpys_own(namespace, name, knower)

    return attribute


class Linalg:
    """The standard's ``linalg`` of one of our namespaces."""

    def __init__(self, namespace: Any, functions: Table, knower: str) -> None:
        self._namespace, self._knower = namespace, knower
        self._functions = guarded_table(functions, "xp.linalg", knower)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._functions:
            return self._functions[name]
        return numpys_own(self._namespace, name, self._knower, "xp.linalg")


def namespace_info(floating: Any, integral: Any) -> Any:
    """What ``__array_namespace_info__`` of a namespace of ours returns, given its default dtypes."""
    defaults = {"real floating": floating, "integral": integral, "indexing": integral}
    return SimpleNamespace(
        capabilities=lambda: {"boolean indexing": False, "data-dependent shapes": False, "max dimensions": 64},
        default_device=lambda: "cpu",
        devices=lambda: ["cpu"],
        default_dtypes=lambda **_: {**defaults, "complex floating": np.dtype("complex128")},
    )


def _dtype_of(x: Any) -> Any:
    return getattr(x, "dtype", x)


ABOUT_DTYPES: dict[str, Callable[..., Any]] = {
    "broadcast_shapes": np.broadcast_shapes,
    "can_cast": lambda from_, to, /: np.can_cast(_dtype_of(from_), to),
    "finfo": lambda x, /: np.finfo(_dtype_of(x)),
    "iinfo": lambda x, /: np.iinfo(_dtype_of(x)),
    "isdtype": lambda dtype, kind: np.isdtype(dtype, kind),
    "result_type": lambda *items: np.result_type(*(i.dtype if isinstance(i, Operators) else i for i in items)),
}
"""What NumPy says of shapes and dtypes; an exact array counts as float64."""
