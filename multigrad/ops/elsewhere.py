"""Operations of a file that another process imports: names, shapes and sizes, without the functions."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.errors import BadInput
from ..process.child import Death, run
from ..process.entry import WORKER
from .declared import portable
from .draw import Draw
from .files import function_of, imported, named, raised, regular, try_to_draw
from .implementation import Implementation, parts_of
from .operation import Operation
from .signature import Signature
from .source import Elsewhere, Source, source_of

if TYPE_CHECKING:
    import numpy as np

TIMEOUT_S = 60.0
"""How long a file may take to be imported."""


def described(path: Path) -> Sequence[Operation]:
    """Let a worker import a file, and return its operations without their functions.

    Raises:
        BadInput: it is not there, holds none, fails on import, or ends, crashes or holds up the process.
    """
    if WORKER in os.environ:
        return imported(path)
    return _described(*regular(path))


@functools.cache
def _described(path: str, mtime_ns: int) -> tuple[Operation, ...]:
    return tuple(_restored(description) for description in ask(f"{__name__}:describe", {"path": path}, path))


def ask(target: str, arguments: Mapping[str, Any], path: str, *, timeout_s: float | None = None) -> Any:
    """Let a worker answer that imports a file.

    Args:
        target: ``module:function``; it yields ``{"answer": …}``, or ``{"refused": …}``, why there is none.
        arguments: a JSON object.
        path: the file.
        timeout_s: how long it may take, in seconds; None is :data:`TIMEOUT_S`.

    Raises:
        BadInput: there is no answer.
    """
    answer: Any = None
    for message in run(target, arguments, timeout_s=timeout_s or TIMEOUT_S):
        if isinstance(message, Death):
            raise BadInput(f"{Path(path).name} cannot be imported: {message.reason}")
        if "refused" in message:
            raise BadInput(message["refused"])
        answer = message["answer"]
    return answer


def describe(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Import a file and describe its operations; the worker's side."""
    import numpy as np  # noqa: F401 - before the file can touch it

    try:
        ops = imported(Path(arguments["path"]))
        for op in ops:
            if op.draw is not None:
                _try_to_draw_of(op, arguments["path"])
        yield {"answer": [_description(op) for op in ops]}
    except BadInput as error:
        yield {"refused": str(error)}


def _try_to_draw_of(op: Operation, path: str) -> None:
    try:
        try_to_draw(op)
    except BadInput as error:
        raise BadInput(f"{Path(path).name}: {error}") from error


def _description(op: Operation) -> dict[str, Any]:
    return {
        "name": op.name,
        "doc": op.function.__doc__,
        "signature": op.signature.text,
        "inputs": op.inputs,
        "differentiable": op.differentiable,
        "parameters": {name: _encoded(value) for name, value in op.parameters.items()},
        "sizes": op.sizes,
        "draws": op.draw is not None,
        "dtypes": op.dtypes,
        "reference": op.reference,
        "implementations": [
            {f.name: getattr(one, f.name) for f in fields(one) if f.name != "function"}
            for one in op.implementations.values()
        ],
        "source": asdict(source_of(op)),
        "namespaced": op.namespaced,
        "pushed": op.pushed is not None,
    }


def _restored(description: Mapping[str, Any]) -> Operation:
    reference, source = description["reference"], Source(**description["source"])
    has_pullback = functools.partial(_has_pullback_elsewhere, reference)
    return Operation(
        name=description["name"],
        function=Elsewhere(description["name"], description["doc"], source, reference, has_pullback),
        signature=Signature.parse(description["signature"]),
        inputs=tuple(description["inputs"]),
        differentiable=tuple(description["differentiable"]),
        parameters={name: _decoded(value) for name, value in description["parameters"].items()},
        sizes={name: {k: _tupled(v) for k, v in size.items()} for name, size in description["sizes"].items()},
        draw=functools.partial(_drawn_elsewhere, reference) if description["draws"] else None,
        dtypes=tuple(description["dtypes"]),
        reference=reference,
        implementations={
            (one["backend"], one["name"]): Implementation(**one, function=_absent)
            for one in description["implementations"]
        },
        namespaced=description["namespaced"],
        pushed=_absent if description["pushed"] else None,
    )


def _absent(*_: Any, **__: Any) -> Any:
    raise BadInput("this implementation is known here by name only; load_operations imports it")


@functools.cache
def described_function(path: str, name: str, mtime_ns: int) -> Callable[..., Any]:
    """Let a worker import a file, and return a stand-in for one of its functions.

    Raises:
        BadInput: as :func:`multigrad.ops.files.function_of`.
    """
    if WORKER in os.environ:
        return function_of(path, name, mtime_ns)
    ask(f"{__name__}:describe_function", {"path": path, "name": name, "mtime_ns": mtime_ns}, path)
    return _absent


def describe_function(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Import a file and look for one of its functions; the worker's side."""
    try:
        function_of(arguments["path"], arguments["name"], arguments["mtime_ns"])
        yield {"answer": True}
    except BadInput as error:
        yield {"refused": str(error)}


@dataclass(frozen=True)
class _Written:
    """A value that JSON cannot hold, as it is written."""

    text: str

    def __repr__(self) -> str:
        return self.text


def _encoded(value: Any) -> dict[str, Any]:
    try:
        return {"value": portable("", value)}
    except BadInput:
        return {"written": repr(value)}


def _decoded(encoded: Mapping[str, Any]) -> Any:
    return _tupled(encoded["value"]) if "value" in encoded else _Written(encoded["written"])


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list) else value


def _has_pullback_elsewhere(reference: str) -> bool:
    return bool(ask(f"{__name__}:tell_pullback", {"reference": reference}, reference.partition("::")[0]))


def tell_pullback(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Run an operation once and tell whether it has a pullback of its own; the worker's side."""
    path, _, name = arguments["reference"].partition("::")
    (op,) = named(imported(Path(path)), path, name)
    yield {"answer": op.has_pullback}


def _drawn_elsewhere(reference: str, draw: Draw, **size: Any) -> list[np.ndarray]:
    """Let a worker draw the inputs of an operation whose generator it has."""
    import numpy as np

    regime = f"{draw.regime}:{draw.dtype}"
    arguments = {"reference": reference, "seed": draw.seed, "regime": regime, "size": size}
    arrays = ask(f"{__name__}:draw_inputs", arguments, parts_of(reference)[0].partition("::")[0])
    return [np.array(a["values"], dtype=a["dtype"]).reshape(a["shape"]) for a in arrays]


def draw_inputs(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Draw the inputs of an operation; the worker's side."""
    import numpy as np

    try:
        path, _, name = parts_of(arguments["reference"])[0].partition("::")
        (op,) = named(imported(Path(path)), path, name)
        assert op.draw is not None
        size = {name: _tupled(value) for name, value in arguments["size"].items()}
        arrays = [np.asarray(a) for a in op.draw(Draw(arguments["seed"], arguments["regime"]), **size)]
    except Exception as error:  # noqa: BLE001 - it is somebody's code
        yield {"refused": str(error) if isinstance(error, BadInput) else f"inputs= {raised(error, '', '')}"}
        return
    yield {"answer": [{"dtype": a.dtype.str, "shape": a.shape, "values": a.ravel().tolist()} for a in arrays]}
