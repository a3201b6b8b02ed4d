"""Operations by name, by file or as such: the catalogue, files of operations, and files that were received."""

from __future__ import annotations

import difflib
import functools
import importlib
import os
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..data.errors import BadInput
from .derived import NABLA, gradient_operation
from .elsewhere import described, described_function
from .files import function_of, imported, named, of_module, regular, try_to_draw
from .implementation import Address, files_in, is_file, joined, parts_of, with_files
from .operation import Operation
from .pushforward import SUFFIX, pushforward_of

Operations = Operation | str | Iterable[Operation | str] | None
"""Operations given as such, by catalogue name or by file."""


@functools.cache
def operations() -> Mapping[str, Operation]:
    """Return the catalogue: every operation in ``multigrad/catalogue/``, by name."""
    # The one place that lists the folder: no room imports it.
    catalogue = importlib.import_module("..catalogue", __package__)
    names = sorted(module.name for module in pkgutil.iter_modules(catalogue.__path__))
    modules = [importlib.import_module(f"{catalogue.__name__}.{name}") for name in names]
    return {op.name: op for module in modules for op in of_module(module)}


def load_operations(references: Iterable[str] = ()) -> list[Operation]:
    """Find operations by catalogue name, by file (``my_gradient.py``) or by file and name (``my_gradient.py::f``).

    A file is imported here, in this process. No reference at all means the whole catalogue.

    Raises:
        BadInput: nothing of that name (with the nearest one), a file that is not there, holds none, or fails on import.
    """
    references = list(references)
    if not references:
        return list(operations().values())
    found = [op for reference in references for op in _find(reference, imported, function_of)]
    return list({id(op): op for op in found}.values())


def given_operations(ops: Operations) -> list[Operation]:
    """Return operations given as such, by name or by file, each once; None is the whole catalogue.

    A file is imported by another process, which describes its operations (:mod:`multigrad.ops.elsewhere`): they can be
    planned with here, and computed in worker processes.

    Raises:
        BadInput: none at all, one that is not found, or two of one name.
    """
    if ops is None:
        return load_operations()
    given = [ops] if isinstance(ops, Operation | str) else list(ops)
    # What can be computed in this process alone takes the others with it.
    here = any(isinstance(one, Operation) and not one.reference for one in given)
    find = functools.partial(_find, of_file=imported, of_function=function_of)
    if not here:
        find = functools.partial(_find, of_file=described, of_function=described_function)
    by_name: dict[str, Operation] = {}
    for one in given:
        if isinstance(one, Operation) and one.draw is not None and not one.catalogued:
            try_to_draw(one)
        for op in [one] if isinstance(one, Operation) else find(one):
            first = by_name.setdefault(op.name, op)
            if first is not op and (not op.reference or op.reference != first.reference):
                raise BadInput(
                    f"two operations are named {op.name}: {_origin(first)} and {_origin(op)}; results go by name, so "
                    "rename one of them or take one at a time"
                )
    if not by_name:
        raise BadInput("no operation was given; None is the whole catalogue")
    return list(by_name.values())


def implemented(ops: Operations, addresses: Sequence[str]) -> Operations:
    """Return an operation with further implementations.

    Args:
        ops: one operation, by name, by file or as such.
        addresses: as ``torch=kernels.py::fused``.

    Raises:
        BadInput: there are several operations or none, or an address is none.
    """
    given = [] if ops is None else [ops] if isinstance(ops, Operation | str) else list(ops)
    for text in addresses:
        Address.parse(text)
    if len(given) != 1:
        found = "several operations" if given else "the whole catalogue"
        raise BadInput(f"an implementation computes one operation, and {found} would have {addresses[0]}; name one")
    (one,) = given
    reference = one.reference if isinstance(one, Operation) else one
    if not reference:
        raise BadInput("an operation of no file has its implementations from @OPERATION.implementation(…)")
    return joined(reference, *addresses)


def _origin(op: Operation) -> str:
    if op.catalogued:
        return "the catalogue's"
    return f"that of {op.reference.partition('::')[0]}" if op.reference else "one that lies in no file"


def _find(
    reference: str,
    of_file: Callable[[Path], Sequence[Operation]],
    of_function: Callable[[str, str, int], Callable[..., Any]],
) -> Sequence[Operation]:
    if reference.startswith(NABLA):
        return [gradient_operation(op) for op in _find(reference.removeprefix(NABLA), of_file, of_function)]
    base, addresses = parts_of(reference)
    if base.endswith(SUFFIX):
        plain = _find(joined(base.removesuffix(SUFFIX), *addresses), of_file, of_function)
        return [pushforward_of(op) for op in plain]
    found = _found(base, of_file)
    if not addresses:
        return found
    if len(found) != 1:
        names = ", ".join(op.name for op in found)
        raise BadInput(f"an implementation computes one operation; {base} has {names}: write {base}::{found[0].name}")
    for text in addresses:
        address = Address.parse(text)
        path, mtime_ns = regular(Path(address.path))
        found = [_with_implementation(found[0], text, path, mtime_ns, of_function)]
    return found


@functools.cache
def _with_implementation(
    op: Operation, text: str, path: str, mtime_ns: int, of_function: Callable[[str, str, int], Callable[..., Any]]
) -> Operation:
    """Return an operation that has the implementation of an address too."""
    address = Address.parse(text)
    function = of_function(path, address.function, mtime_ns)
    key = address.backend, address.name
    if key in op.implementations:  # the file says so itself
        return op
    made = address.implementation(op.name, function)
    return replace(op, implementations={**op.implementations, key: made}, reference=joined(op.reference, made.address))


def _found(reference: str, of_file: Callable[[Path], Sequence[Operation]]) -> Sequence[Operation]:
    path, _, name = reference.partition("::")
    if is_file(path):
        return [_catalogues_own(op) for op in named(of_file(Path(path)), path, name)]
    if reference in operations():
        return [operations()[reference]]
    near = difflib.get_close_matches(reference, operations(), n=1, cutoff=0.0)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise BadInput(f"no operation named {reference!r}{hint} `multigrad list` shows them; a file must end in .py")


@functools.cache
def _catalogues_own(op: Operation) -> Operation:
    """Return an operation of the catalogue that a file gave an implementation to, where it is known by name only."""
    known = operations().get(op.name)
    if known is None or known is op or not op.catalogued:
        return op
    return replace(known, implementations=op.implementations, reference=op.reference)


def files_of(ops: Operations) -> list[Path]:
    """Return the files that operations given as such, by name or by file lie in, without a look into them."""
    given: Iterable[Operation | str] = [] if ops is None else [ops] if isinstance(ops, Operation | str) else ops
    references = [one.reference if isinstance(one, Operation) else one for one in given]
    return [Path(file) for reference in references for file in files_in(reference)]


def allowed(reference: str, files: Sequence[Path], origin: str, how: str) -> str:
    """Return a reference that stands in a file that was received, if a person gave the code that it names too.

    Args:
        reference: a catalogue name, or ``path.py::name``.
        files: what the person gave.
        origin: the file that was received.
        how: what to do, with ``FILE`` for the file.

    Raises:
        BadInput: it names a file that was not given: reading results runs no code that they bring or point at.
    """
    name = parts_of(reference)[0].partition("::")[2]

    def given(path: str) -> str:
        for file in files:
            if os.path.realpath(file) == os.path.realpath(path):
                return str(file.resolve())
        way = how.replace("FILE", path)
        raise BadInput(f"{origin} names {name or 'operations'} of {path}, which is code; to let it run: {way}")

    return with_files(reference, given)
