"""Which of torch's decompositions a trace goes through, so that the table of facts has what is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._decomp import core_aten_decompositions, get_decompositions

from .primitives import DECOMPOSED, KEPT


def decompositions() -> dict[Any, Callable[..., Any]]:
    """Return torch's core decompositions and those of :data:`DECOMPOSED`, without those of :data:`KEPT`.

    Some of them write in place, whatever the function does: a graph that they made is traced once more, with
    ``torch.func.functionalize`` alone, to be functional.
    """
    table = dict(core_aten_decompositions()) | get_decompositions([getattr(torch.ops.aten, n) for n in DECOMPOSED])
    kept = {overload for name in KEPT for overload in _overloads(name)}
    return {overload: function for overload, function in table.items() if overload not in kept}


def _overloads(name: str) -> list[Any]:
    packet = getattr(torch.ops.aten, name)
    return [getattr(packet, overload) for overload in packet.overloads()]
