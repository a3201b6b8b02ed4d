"""A scheduler that is there already: its address, for the backends that can use one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..data.errors import BadInput
from ..process import child
from ..process.entry import entry_point
from .limits import Unavailable
from .registry import backend, backends

VARIABLE = "MULTIGRAD_SCHEDULER"
"""The environment variable with the address, such as ``tcp://host:8786``; worker processes inherit it."""


@entry_point(lambda: None)
def use_scheduler(address: str, names: Sequence[str] | None = None) -> None:
    """Let backends that can use a scheduler use the one at an address, once each has opened on it in a fresh process.

    Args:
        address: such as ``tcp://host:8786``.
        names: of the backends that are asked for; None is every one there is.

    Raises:
        BadInput: none of them uses a scheduler, or one cannot use this one.
    """
    chosen = list(backends().values()) if names is None else [backend(name) for name in names]
    users = [one for one in chosen if one.scheduler]
    if not users:
        able = ", ".join(one.name for one in backends().values() if one.scheduler)
        raise BadInput(f"--scheduler is for {able}; found {', '.join(one.name for one in chosen)}")
    for one in users:
        environment = {**one.environment("cpu", None, "strict"), VARIABLE: address}
        for message in child.run(f"{__name__}:opened", {"backend": one.name}, environment=environment, timeout_s=60.0):
            reason = message.reason if isinstance(message, child.Death) else message["reason"]
            if reason:
                raise BadInput(f"{one.name}: {reason}")
    os.environ[VARIABLE] = address


def opened(arguments: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Open a backend and say what stands in the way; the worker's side."""
    reason = ""
    try:
        backend(arguments["backend"]).open("cpu")
    except (Unavailable, BadInput) as error:
        reason = str(error)
    yield {"reason": reason}
