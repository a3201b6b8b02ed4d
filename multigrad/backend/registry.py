"""Which backends there are: they are found, in the folder ``backends/`` and among entry points, and never listed."""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..data.errors import BadInput, one_line
from ..ops.selection import Precision
from .device import device_kind
from .limits import Unavailable
from .session import Backend, Session


@functools.cache
def backends() -> Mapping[str, Backend]:
    """Return every backend: the files of ``backends/``, then other people's entry points ``multigrad.backends``.

    An entry point names a :class:`Backend` instance. One that fails to load is left as a backend whose every device
    is unavailable with that reason.
    """
    package = importlib.import_module("multigrad.backends")
    by_name: dict[str, Backend] = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__) if m.name.endswith("_backend")):
        backend = importlib.import_module(f"multigrad.backends.{module}").BACKEND
        by_name[backend.name] = backend
    for entry in importlib.metadata.entry_points(group="multigrad.backends"):
        try:
            backend = entry.load()
            if not isinstance(backend, Backend):
                raise TypeError(f"wanted a multigrad.Backend, found {type(backend).__name__}")  # noqa: TRY301
        except (Exception, SystemExit) as error:
            backend = _Broken(entry.name, one_line(error))
        by_name.setdefault(backend.name, backend)
    order = {"numpy": 0}  # the one every other is compared with goes first
    return dict(sorted(by_name.items(), key=lambda item: (order.get(item[0], 1), item[0])))


class _Broken(Backend):
    module = "multigrad"
    distributions = ()
    install = ""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name  # type: ignore[misc]  # known only now
        self.reason = reason

    def missing(self, device: str) -> str | None:
        return f"entry point failed to load: {self.reason}"

    def open(self, device: str = "cpu", *, threads: int | None = None, precision: Precision = "strict") -> Session:
        raise Unavailable(self.missing(device) or "")


def backend(name: str) -> Backend:
    """Return a backend by name, or by ``module:ATTRIBUTE`` where it stands in no folder and no entry point.

    Raises:
        BadInput: there is none of that name; the message has the nearest.
    """
    if ":" in name:
        return _imported(name)
    by_name = backends()
    if name not in by_name:
        near = difflib.get_close_matches(name, by_name, n=1, cutoff=0.0)
        raise BadInput(f"no backend named {name!r}; did you mean {near[0]!r}? There are {', '.join(by_name)}")
    return by_name[name]


def backends_folder() -> Path:
    """Return the folder in which multigrad's own backends are written."""
    return Path(importlib.import_module("multigrad.backends").__path__[0])


def known_devices(names: Iterable[str], chosen: Iterable[Backend] = ()) -> tuple[str, ...]:
    """Return every kind of device that a backend knows, of the backends there are and of those that were chosen.

    Args:
        names: of devices and meshes that somebody asked for.
        chosen: backends, which may stand in no folder and no entry point.

    Raises:
        BadInput: no backend knows one of the names.
    """
    kinds = tuple(dict.fromkeys(kind for one in (*backends().values(), *chosen) for kind in one.devices))
    for name in names:
        if device_kind(name) not in kinds:
            raise BadInput(f"no device named {name!r}; there are {', '.join(kinds)}")
    return kinds


def _imported(name: str) -> Backend:
    module, _, attribute = name.partition(":")
    try:
        imported = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:
        reason = str(error) if isinstance(error, ImportError | AttributeError) else one_line(error)
        raise BadInput(f"backend {name!r} is not to be had: {reason}; wanted module:ATTRIBUTE") from error
    if not isinstance(imported, Backend):
        raise BadInput(f"{name!r} is {type(imported).__name__}; wanted an instance of a subclass of Backend")
    return imported
