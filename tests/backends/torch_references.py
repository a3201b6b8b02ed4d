"""Plain functions and modules of torch as operations, as a person writes them."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from multigrad import from_torch


def root_mean_square(x, w, *, eps=1e-5):
    """x w / √(mean(x²) + ε)."""
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * w


def swiglu(x, W, V):
    """silu(x W) (x V)."""
    return F.silu(x @ W) * (x @ V)


def rotary(x, angles):
    """Turns pairs of entries by angles."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], dim=-1)


def causal_attention(q, k, v):
    """Attention to what came before, with a mask of the smallest number."""
    scores = q @ k.T / q.shape[-1] ** 0.5
    mask = torch.tril(torch.ones(scores.shape, dtype=torch.bool))
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(-1) @ v


def focal(x, labels):
    """The mean of (1 − p)² (−ln p), p the probability of the label."""
    log_p = -F.cross_entropy(x, labels, reduction="none")
    return ((1 - log_p.exp()) ** 2 * -log_p).mean()


def network(net, x, labels):
    """The loss of a network."""
    return F.cross_entropy(net(x), labels)


def written(x, y):
    """Writes into its own array."""
    z = torch.zeros_like(x)
    z[:, 0] = x[:, 0]
    for i in range(1, x.shape[1]):
        z[:, i] = 0.5 * z[:, i - 1] + x[:, i] * y[:, i]
    return z


torch.manual_seed(0)
LABELS = torch.tensor([0, 4, 2, 2, 1, 3])
NET = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Tanh(), nn.Linear(3, 5))

rms = from_torch(root_mean_square, "(m,n),(n)->(m,n)")
gated = from_torch(swiglu, "(m,k),(k,n),(k,n)->(m,n)")
turned = from_torch(rotary, example=(torch.ones(3, 8), np.ones((3, 4))))
attention = from_torch(causal_attention, "(n,d),(n,d),(n,e)->(n,e)")
focal_loss = from_torch(focal, example=(torch.ones(6, 5), LABELS))
classifier = from_torch(network, example=(NET, torch.ones(6, 4), LABELS))
recurrence = from_torch(written, "(m,4),(m,4)->(m,4)")
convolution = from_torch(nn.Conv1d(2, 3, 3, padding=1), example=(torch.ones(2, 2, 5),))


class Fused(torch.autograd.Function):
    """The same with a backward pass of its own."""

    @staticmethod
    def forward(ctx, x, w):
        r = torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-5)
        ctx.save_for_backward(x, w, r)
        return x * r * w

    @staticmethod
    def backward(ctx, g):
        x, w, r = ctx.saved_tensors
        g_w, y = g * w, x * r
        return r * (g_w - y * (g_w * y).mean(-1, keepdim=True)), (g * y).sum(0)


@rms.implementation("torch")
def fused(x, w, *, eps=1e-5):
    """The same with a backward pass of its own."""
    return Fused.apply(x, w)
