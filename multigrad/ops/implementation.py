"""An implementation: somebody's own way to compute an operation and its gradient on one backend."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
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

    def takes_cotangents(self, count: int) -> bool:
        """Tell whether a function that returns its gradients takes so many positional arguments, cotangents included.

        One that does not is the loss alone, whose cotangent is 1.
        """
        try:
            found = inspect.signature(self.function)
        except (TypeError, ValueError):  # written in C: it shows no signature
            return True
        arguments = found.parameters.values()
        several = any(a.kind is a.VAR_POSITIONAL for a in arguments)
        return several or sum(a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD) for a in arguments) >= count

    @property
    def address(self) -> str:
        """How another process finds it with all that was said of it: ``torch=path.py::name,accumulate=float32``."""
        return f"{self.backend}={self.origin}{''.join(f',{option}' for option in self._options())}"

    def _options(self) -> Sequence[str]:
        said: Mapping[str, str | None] = {
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


_JOINT = re.compile(r"\+(?=[A-Za-z_][\w.:]*=)")
_OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "name": str,
    "gradients": lambda text: {"true": True, "false": False}[text],
    "accumulate": str,
    "deterministic": lambda text: {"true": True, "false": False}[text],
}
"""What an address may say of an implementation."""


def joined(reference: str, *addresses: str) -> str:
    """Return the reference of an operation with the addresses of implementations that do not stand in its file."""
    return "+".join((reference, *addresses))


def parts_of(reference: str) -> tuple[str, list[str]]:
    """Return the reference of an operation itself, and the addresses of the implementations that it is given."""
    base, *addresses = _JOINT.split(reference)
    return base, addresses


def files_in(reference: str) -> list[str]:
    """Return the files whose code a reference names: the operation's own, and those of implementations."""
    base, addresses = parts_of(reference)
    own = base.partition("::")[0]
    return [*([own] if is_file(own) else []), *(Address.parse(text).path for text in addresses)]


def with_files(reference: str, seen: Callable[[str], str]) -> str:
    """Return a reference whose files stand elsewhere.

    Args:
        reference: of an operation.
        seen: what takes the place of a file.
    """
    base, addresses = parts_of(reference)
    path, mark, name = base.partition("::")
    moved = []
    for text in addresses:
        backend, _, rest = text.partition("=")
        file, colons, function = rest.partition("::")
        moved.append(f"{backend}={seen(file)}{colons}{function}")
    return joined(f"{seen(path)}{mark}{name}" if mark or is_file(path) else base, *moved)


def is_file(path: str) -> bool:
    """Tell whether a person who writes this means a file of operations, not one of the catalogue."""
    return path.endswith(".py") or "/" in path


@dataclass(frozen=True)
class Address:
    """How an implementation is found, and what is said of it: ``torch=kernels.py::fused,accumulate=float32``."""

    backend: str
    path: str
    function: str
    options: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address.

        Raises:
            BadInput: it is none.
        """
        wanted = "wanted BACKEND=FILE.py::FUNCTION, such as torch=kernels.py::fused,accumulate=float32"
        backend, mark, rest = text.partition("=")
        origin, *said = rest.split(",")
        path, colons, function = origin.rpartition("::")
        if not (backend and mark and path and colons and function.isidentifier()):
            raise BadInput(f"no implementation in {text!r}; {wanted}")
        options = {}
        for one in said:
            name, _, value = one.partition("=")
            try:
                options[name] = _OPTIONS[name](value)
            except KeyError:
                raise BadInput(f"{one!r} is nothing that can be said of an implementation; {wanted}") from None
        return cls(backend, str(Path(path).resolve()), function, options)

    @property
    def name(self) -> str:
        """What tables call the implementation."""
        return str(self.options.get("name") or self.function)

    def implementation(self, operation: str, function: Callable[..., Any]) -> Implementation:
        """Return the implementation of an operation that this is the address of.

        Raises:
            BadInput: its name is not free.
        """
        said = {"gradients": False, "accumulate": None, "deterministic": True, **self.options, "name": self.name}
        return named_implementation(operation, self.backend, function, origin=f"{self.path}::{self.function}", **said)


ADDED: list[tuple[Any, Implementation]] = []
"""Every operation that was given an implementation in this process, with it, in order: a file may give one to an
operation that is not its own."""


def _origin(function: Any) -> str:
    name = getattr(function, "__qualname__", "")
    try:
        path = Path(inspect.getfile(inspect.unwrap(function))).resolve()
    except (OSError, TypeError):
        return ""
    return f"{path}::{name}" if path.is_file() and name.isidentifier() else ""
