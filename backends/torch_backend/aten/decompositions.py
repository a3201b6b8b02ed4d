"""Which of torch's decompositions a trace goes through, so that the table of facts has what is left."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch._decomp import core_aten_decompositions, get_decompositions

from .table import DECOMPOSED, KEPT

Decomposition = Callable[..., Any]


@functools.cache
def decompositions() -> Mapping[Any, Decomposition]:
    """Return torch's core decompositions, those of :data:`DECOMPOSED` and our own, without those of :data:`KEPT`.

    Some of them write in place, whatever the function does: a graph that they made is traced once more, with
    ``torch.func.functionalize`` alone, to be functional.
    """
    chosen = [getattr(torch.ops.aten, name) for name in DECOMPOSED]
    table = dict(core_aten_decompositions()) | get_decompositions(chosen) | OWN
    kept = {overload for name in KEPT for overload in _overloads(name)}
    return {overload: function for overload, function in table.items() if overload not in kept}


def _overloads(name: str) -> list[Any]:
    packet = getattr(torch.ops.aten, name)
    return [getattr(packet, overload) for overload in packet.overloads()]


def _rrelu(
    x: Any, noise: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, _: Any = None
) -> Any:
    """The mean slope, of a module that is not trained; a slope that is drawn stays a call that draws."""
    return NotImplemented if training else torch.nn.functional.leaky_relu(x, (lower + upper) / 2)


def _rrelu_and_noise(x: Any, noise: Any, *rest: Any) -> Any:
    result = _rrelu(x, noise, *rest)
    return NotImplemented if result is NotImplemented else (result, noise)


OWN: dict[Any, Decomposition] = {
    torch.ops.aten.rrelu_with_noise.default: _rrelu,
    torch.ops.aten.rrelu_with_noise_functional.default: _rrelu_and_noise,
}
"""Decompositions that torch has not."""
