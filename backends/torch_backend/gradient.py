"""The gradient of a function of tensors as a function of tensors, which autograd follows: double backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from multigrad.backend.handover import several


def gradient(function: Callable[..., object], wanted: Sequence[bool]) -> Callable[..., tuple[torch.Tensor, ...]]:
    """Return what :meth:`multigrad.Backend.gradient` asks for: ``torch.autograd.grad`` with ``create_graph``."""
    count = len(wanted)

    def gradients(*arrays: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.enable_grad():
            inputs = [
                a.detach().requires_grad_() if w and not a.requires_grad else a
                for a, w in zip(arrays[:count], wanted, strict=True)
            ]
            values = several(function(*inputs))
            leaves = [a for a, w in zip(inputs, wanted, strict=True) if w]
            pairs = [(v, c) for v, c in zip(values, arrays[count:], strict=True) if v.requires_grad]
            if not pairs:
                return tuple(torch.zeros_like(a) for a in leaves)
            outputs, cotangents = zip(*pairs, strict=True)
            return torch.autograd.grad(
                outputs, leaves, cotangents, create_graph=True, allow_unused=True, materialize_grads=True
            )

    return gradients
