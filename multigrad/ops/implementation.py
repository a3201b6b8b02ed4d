"""An implementation: somebody's own way to compute an operation and its gradient on one backend."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..data.errors import BadInput

FORMS = ("forward", "analytic", "autodiff", "native")
"""The ways to compute an operation that have these names everywhere; an implementation has another."""

HALVES = ("bfloat16", "float16")
"""The dtypes in which a kernel may store what it computes in a wider one."""

ACCUMULATORS = ("float32",)
"""What such a kernel computes in."""


@dataclass(frozen=True)
class Implementation:
    """One way to compute an operation on one backend. Its name is the variant in every table."""

    name: str
    backend: str
    function: Callable[..., Any] = field(repr=False)
    """``f(*inputs, **parameters) -> values``, differentiated by the backend's autodiff; or, with ``gradients``,
    ``f(*inputs, *cotangents, **parameters) -> values, gradients``, or for one scalar value ``f(*inputs)`` that returns
    the value and its gradients."""
    gradients: bool = False
    """Whether the function returns its gradients itself."""
    accumulate: str | None = None
    """What it computes in where it is given halves: stored in bfloat16 or float16, rounded once at the end. None: in
    the dtype itself."""
    deterministic: bool = True
    """Whether the same inputs give the same bits; if not, they may differ from call to call within the bound."""
    origin: str = ""
    """How another process finds the function, ``path.py::name``; empty if it cannot be found again."""

    @property
    def address(self) -> str:
        """How another process finds it with all that was said of it: ``torch=path.py::name,accumulate=float32``."""
        return f"{self.backend}={self.origin}{''.join(f',{option}' for option in self._options())}"

    def _options(self) -> Sequence[str]:
        said = {
            "name": None if self.name == self.origin.rpartition("::")[2] else self.name,
            "gradients": "true" if self.gradients else None,
            "accumulate": self.accumulate,
            "deterministic": None if self.deterministic else "false",
        }
        return [f"{name}={value}" for name, value in said.items() if value is not None]


def named_implementation(
    operation: str,
    backend: str,
    function: Callable[..., Any],
    *,
    name: str | None,
    gradients: bool,
    accumulate: str | None,
    deterministic: bool,
    origin: str | None = None,
) -> Implementation:
    """Make an implementation of a function.

    Raises:
        BadInput: it cannot be called, or has no name of its own, or the name of a form that every operation has.
    """
    if not callable(function):
        raise BadInput(f"{operation}: an implementation is a function; found {type(function).__name__}")
    chosen = str(name or getattr(function, "__name__", type(function).__name__))
    if not re.fullmatch(r"\w[\w.-]*", chosen):
        raise BadInput(f"{operation}: an implementation needs a name; found {chosen!r}; write name=…")
    if chosen in FORMS:
        raise BadInput(f"{operation}: {chosen!r} is a form that every operation has; choose another name")
    if accumulate is not None and accumulate not in ACCUMULATORS:
        raise BadInput(f"{operation}: accumulate is {accumulate!r}; wanted {' or '.join(ACCUMULATORS)}, or nothing")
    found = _origin(function) if origin is None else origin
    return Implementation(chosen, backend, function, gradients, accumulate, deterministic, found)


def _origin(function: Any) -> str:
    name = getattr(function, "__qualname__", "")
    try:
        path = Path(inspect.getfile(inspect.unwrap(function))).resolve()
    except (OSError, TypeError):
        return ""
    return f"{path}::{name}" if path.is_file() and name.isidentifier() else ""
