"""What a decorator was given, made sure of: names, parameters and sizes."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterable, Mapping
from enum import Enum
from numbers import Integral, Number, Real
from typing import Any, Protocol

from ..data.errors import BadInput
from .signature import Signature, Size

LARGEST_BYTES = 2**40
"""Inputs of more bytes, in float64, are a mistake in a size."""


def function_name(function: Any) -> str:
    """Return the name of a function that can be an operation.

    Raises:
        BadInput: it is something else that can be called, or has no name of its own.
    """
    if not inspect.isfunction(function):
        raise BadInput(f"an operation is a function written with def; found {type(function).__name__} {function!r:.60}")
    name = str(function.__name__)
    if not name.isidentifier():
        raise BadInput(f"an operation is a function with a name of its own, written with def; found {name!r}")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise BadInput(f"{name} is a coroutine or a generator; wanted a function that returns value and pullback")
    if inspect.isasyncgenfunction(function):
        raise BadInput(f"{name} is an asynchronous generator; wanted a function that returns value and pullback")
    return name


def parameters_of(name: str, arguments: Iterable[inspect.Parameter]) -> dict[str, Any]:
    """Return the keyword-only parameters of a function with their defaults.

    Raises:
        BadInput: one has no default, or one that is no plain value.
    """
    parameters = {a.name: a.default for a in arguments if a.kind is a.KEYWORD_ONLY}
    for parameter, default in parameters.items():
        if default is inspect.Parameter.empty:
            raise BadInput(f"{name}: parameter {parameter} has no default; every parameter needs one")
        if not _is_plain(default):
            raise BadInput(
                f"{name}: parameter {parameter} is {type(default).__name__}; wanted a plain value: a number, "
                "a text, None, or a tuple of them"
            )
    return parameters


def names_of(what: str, given: Any) -> tuple[str, ...]:
    """Return one name, or several, as a tuple.

    Raises:
        BadInput: something in it is no name.
    """
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else (given,)
    for name in names:
        if not isinstance(name, str):
            raise BadInput(f"{what} has {name!r:.60}, which is {type(name).__name__}; wanted names")
    return names


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list | set | frozenset | range):
        return all(map(_is_plain, value))
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    return value is None or isinstance(value, str | bytes | slice | Number | Enum)


def sizes_of(
    name: str, signature: Signature, given: Any, parameters: Mapping[str, Any], *, drawn: bool
) -> dict[str, dict[str, Any]]:
    """Return named sizes whose numbers are Python's.

    Raises:
        BadInput: there is none, or one does not fit the signature or is no size.
    """
    if not isinstance(given, Mapping) or not given:
        found = "empty" if isinstance(given, Mapping) else type(given).__name__
        raise BadInput(f"{name}: sizes is {found}; wanted named sizes such as {{'tiny': {{'n': 3}}}}, or none at all")
    sizes: dict[str, dict[str, Any]] = {}
    for size_name, size in given.items():
        if not isinstance(size_name, str) or not isinstance(size, Mapping):
            raise BadInput(f"{name}: sizes has {size_name!r:.40}: {size!r:.40}; wanted a name and a dictionary")
        stray = [k for k in size if k not in signature.symbols and k not in parameters]
        missing = [s for s in signature.symbols if s not in size]
        if (stray or missing) and not drawn:
            word, key = ("gives", stray[0]) if stray else ("lacks", missing[0])
            raise BadInput(
                f"{name}: size {size_name!r} {word} {key!r}; the signature has {', '.join(signature.symbols)}"
            )
        sizes[size_name] = {
            key: _dimension(f"{name}: size {size_name!r}: {key}", value)
            if key in signature.symbols and key not in parameters
            else portable(f"{name}: size {size_name!r}: {key}", value)
            for key, value in size.items()
        }
    return sizes


def check_room(where: str, signature: Signature, size: Size) -> None:
    """Make sure that the inputs of a size are no mistake.

    Raises:
        BadInput: they have more than :data:`LARGEST_BYTES`.
    """
    wanted = 8 * signature.entries(size)
    if wanted > LARGEST_BYTES:
        most = f"{LARGEST_BYTES / 2**40:g} TiB at most"
        raise BadInput(f"{where} has inputs of {wanted / 2**40:.3g} TiB in float64; wanted {most}")


class Differentiated(Protocol):
    """What is asked of an operation that is given a pushforward."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def inputs(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def gradients(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def parameters(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def namespaced(self) -> bool: ...  # noqa: D102
    @property
    def pushed(self) -> Any: ...  # noqa: D102


def check_pushforward(op: Differentiated, function: Any) -> None:
    """Make sure that a function can be the pushforward of an operation.

    Raises:
        BadInput: it takes other arguments than the inputs, their tangents and the parameters, or there is one already.
    """
    if op.pushed is not None and op.pushed is not function:
        raise BadInput(f"{op.name} has a pushforward already; an operation has one")
    if not inspect.isfunction(function):
        raise BadInput(f"{op.name}: a pushforward is a function written with def; found {type(function).__name__}")
    arguments = inspect.signature(function).parameters.values()
    arrays = [a.name for a in arguments if a.kind in (a.POSITIONAL_OR_KEYWORD, a.POSITIONAL_ONLY)]
    options = [a.name for a in arguments if a.kind is a.KEYWORD_ONLY]
    wanted = [*(["xp"] if op.namespaced else []), *op.inputs, *(f"{name}_dot" for name in op.gradients)]
    if arrays[op.namespaced :] != wanted[op.namespaced :] or {*options} != {*op.parameters}:
        found = ", ".join([*arrays, *(["*", *options] if options else [])])
        raise BadInput(
            f"{op.name}: its pushforward takes ({found}); wanted "
            f"({', '.join([*wanted, *(['*', *op.parameters] if op.parameters else [])])})"
        )


def _dimension(where: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if isinstance(value, bool) or number < 1:
        raise BadInput(f"{where} is {value!r:.60}; wanted a whole number of 1 or more (--regime empty has arrays of 0)")
    return number


def portable(where: str, value: Any) -> Any:
    """Return a value as one that JSON holds, in lists and tuples too.

    Raises:
        BadInput: it is none; the message says where it stands.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, tuple | list):
        return (list if type(value) is list else tuple)(portable(where, v) for v in value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise BadInput(f"{where} is {type(value).__name__}; wanted a number, a text, None, or a tuple of them")
