"""Functions of torch's that ask for values, written so that they do not: what is traced in their place."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Lengths = Tensor | Sequence[int]

REDUCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"none": lambda x: x, "mean": torch.mean, "sum": torch.sum}


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(log v + (x − y)² / v) / 2, without the question whether a variance v is negative."""
    variance = var * torch.ones_like(input) if isinstance(var, float | int) else var
    if variance.shape == input.shape[:-1]:
        variance = variance.unsqueeze(-1)
    variance = torch.clamp(variance, min=eps)
    loss = (torch.log(variance) + (input - target) ** 2 / variance) / 2
    return REDUCTIONS[reduction](loss + math.log(2 * math.pi) / 2 if full else loss)


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Lengths,
    target_lengths: Lengths,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """−log p(labels | frames): the sum over all alignments, by the forward recursion.

    After each step the probabilities of the states are divided by their sum, whose logarithm is kept.

    Source: A. Graves et al., "Connectionist temporal classification", 2006, section 4.1.
    """
    alone = log_probs.ndim == 2
    frames = log_probs.unsqueeze(1) if alone else log_probs
    given, wanted = (torch.as_tensor(n, device=frames.device).reshape(-1) for n in (input_lengths, target_lengths))
    labels = targets.unsqueeze(0) if alone else targets if targets.ndim == 2 else _apart(targets, wanted)
    states, skips = _states(torch.clamp(labels, 0, frames.shape[2] - 1), blank)
    chances = torch.exp(frames).gather(2, states.expand(frames.shape[0], *states.shape))
    place = torch.arange(states.shape[1], device=frames.device)
    held = torch.where(place < 2, chances[0], torch.zeros_like(chances[0]))
    logarithm = torch.zeros_like(frames[0, :, 0])
    for t in range(frames.shape[0]):
        if t:
            before = functional.pad(held, (2, 0))
            arriving = held + before[:, 1:-1] + torch.where(skips, before[:, :-2], torch.zeros_like(held))
            held = torch.where((t < given)[:, None], arriving * chances[t], held)
        total = held.sum(1)
        scale = torch.where(total > 0, total, torch.ones_like(total))
        held, logarithm = held / scale[:, None], logarithm + torch.log(scale)
    last = held.gather(1, 2 * wanted[:, None])[:, 0]
    label = held.gather(1, torch.clamp(2 * wanted - 1, min=0)[:, None])[:, 0]
    total = last + torch.where(wanted > 0, label, torch.zeros_like(label))
    loss = -logarithm - torch.log(torch.where(total > 0, total, torch.ones_like(total)))
    loss = torch.where(total > 0, loss, torch.full_like(loss, 0 if zero_infinity else math.inf))
    if reduction == "mean":
        return torch.mean(loss / torch.clamp(wanted, min=1))
    loss = loss[0] if alone else loss
    return REDUCTIONS[reduction](loss)


def _apart(targets: Tensor, lengths: Tensor) -> Tensor:
    """Return labels that stand one after the other as one row for each example, padded by others."""
    start = torch.cumsum(lengths, 0) - lengths
    places = start[:, None] + torch.arange(targets.shape[0], device=targets.device)
    return targets[torch.clamp(places, max=targets.shape[0] - 1)]


def _states(labels: Tensor, blank: int) -> tuple[Tensor, Tensor]:
    """Return labels with a blank before and after each, and where the blank before one may be skipped."""
    blanks = torch.full_like(labels, blank)
    states = torch.cat([torch.stack([blanks, labels], 2).flatten(1), torch.full_like(labels[:, :1], blank)], 1)
    two_before = functional.pad(states, (2, 0), value=blank)[:, :-2]
    return states, (states != blank) & (states != two_before)


REWRITTEN: Mapping[Any, Callable[..., Any]] = {
    functional.ctc_loss: ctc_loss,
    functional.gaussian_nll_loss: gaussian_nll_loss,
}
"""What is traced in the place of a function of torch's."""
