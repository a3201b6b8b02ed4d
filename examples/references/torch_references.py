"""Ten functions from the literature in plain PyTorch, as they stand beside a kernel. Each becomes an operation.

::

    multigrad check examples/references/torch_references.py --backend numpy,torch,jax
    multigrad bench examples/references/torch_references.py --backend torch,jax
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its usual name

import multigrad


def rms_norm_reference(x: Tensor, w: Tensor) -> Tensor:
    """Root mean square normalisation, y = w ⊙ x / √(mean(x²) + ε).

    Source: Zhang and Sennrich, Root mean square layer normalization (NeurIPS 2019), equation 4.
    """
    return w * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def swiglu_reference(x: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """The gated feed-forward layer, y = (silu(x G) ⊙ x U) D.

    Source: Shazeer, GLU variants improve transformer (2020), equation 6.
    """
    return (F.silu(x @ gate) * (x @ up)) @ down


def rotary_reference(x: Tensor) -> Tensor:
    """Rotary position embedding: the pair (x_i, x_{i+d/2}) at position p turned by the angle p·10000^(−2i/d).

    Source: Su et al., RoFormer (2021), section 3.2.2, with the pairs in halves.
    """
    length, width = x.shape[-2], x.shape[-1]
    frequency = 10000.0 ** (-torch.arange(0, width, 2, dtype=x.dtype) / width)
    angle = torch.arange(length, dtype=x.dtype)[:, None] * frequency
    first, second = x.chunk(2, dim=-1)
    return torch.cat(
        [first * angle.cos() - second * angle.sin(), second * angle.cos() + first * angle.sin()],
        dim=-1,
    )


def grouped_query_reference(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention in which several heads of queries share one head of keys and values.

    q is (heads, n, d), k and v are (groups, n, d). Source: Ainslie et al., GQA (2023), section 2.2.
    """
    heads, length, width = q.shape
    shared = heads // k.shape[0]
    k, v = k.repeat_interleave(shared, dim=0), v.repeat_interleave(shared, dim=0)
    scores = q @ k.transpose(-1, -2) / width**0.5
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    return scores.masked_fill(future, float("-inf")).softmax(-1) @ v


def selective_scan_reference(u: Tensor, step: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor) -> Tensor:
    """The recurrence of Mamba: h_t = exp(Δ_t A) h_{t−1} + Δ_t B_t u_t, y_t = C_t h_t + D u_t with Δ = softplus(step).

    u and step are (time, channels), A is (channels, state), B and C are (time, state), D is (channels).
    Source: Gu and Dao, Mamba (2023), algorithm 2, with the zero-order hold of A and the Euler step of B.
    """
    delta = F.softplus(step)
    h = torch.zeros_like(A)
    outputs = []
    for t in range(u.shape[0]):
        h = torch.exp(delta[t][:, None] * -A.exp()) * h + (delta[t] * u[t])[:, None] * B[t]
        outputs.append(h @ C[t] + D * u[t])
    return torch.stack(outputs)


def label_smoothing_reference(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy against 0.9 of the label and 0.1 of the uniform distribution.

    Source: Szegedy et al., Rethinking the Inception architecture (CVPR 2016), section 7.
    """
    logp = logits.log_softmax(-1)
    of_label = -logp.gather(-1, labels[:, None])[:, 0]
    return (0.9 * of_label - 0.1 * logp.mean(-1)).mean()


def focal_loss_reference(logits: Tensor, labels: Tensor) -> Tensor:
    """The focal loss, −mean((1 − p)² log p), p being the probability of the label.

    Source: Lin et al., Focal loss for dense object detection (ICCV 2017), equation 4, γ = 2.
    """
    logp = F.log_softmax(logits, dim=-1)[torch.arange(len(labels)), labels]
    return -((1 - logp.exp()) ** 2 * logp).mean()


def triplet_loss_reference(anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """The triplet loss, mean(max(‖a − p‖² − ‖a − n‖² + 0.2, 0)), of embeddings of unit length.

    Source: Schroff et al., FaceNet (CVPR 2015), equation 2.
    """
    a, p, n = (F.normalize(x, dim=-1) for x in (anchor, positive, negative))
    near, far = (a - p).square().sum(-1), (a - n).square().sum(-1)
    return torch.clamp(near - far + 0.2, min=0).mean()


def info_nce_reference(queries: Tensor, keys: Tensor) -> Tensor:
    """InfoNCE: cross-entropy of cosine similarities over a temperature of 0.1; the i-th key belongs to the i-th query.

    Source: van den Oord et al., Representation learning with contrastive predictive coding (2018), equation 4.
    """
    similarity = F.normalize(queries, dim=-1) @ F.normalize(keys, dim=-1).T / 0.1
    return F.cross_entropy(similarity, torch.arange(len(queries)))


def elbo_reference(x: Tensor, noise: Tensor, encoder: dict[str, Tensor], decoder: dict[str, Tensor]) -> Tensor:
    """The negative evidence lower bound of a variational autoencoder with Gaussian code and Bernoulli pixels.

    −ELBO = Σ softplus(o) − x o + ½ Σ (μ² + σ² − log σ² − 1), o being the decoder's output at z = μ + σ·noise.
    Source: Kingma and Welling, Auto-encoding variational Bayes (ICLR 2014), equation 10 and appendix C.
    """
    hidden = torch.tanh(x @ encoder["weight"] + encoder["bias"])
    mean, log_variance = (hidden @ encoder["code"]).chunk(2, dim=-1)
    z = mean + torch.exp(0.5 * log_variance) * noise
    output = z @ decoder["weight"] + decoder["bias"]
    reconstruction = F.binary_cross_entropy_with_logits(output, x.sigmoid(), reduction="sum")
    divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum()
    return (reconstruction + divergence) / len(x)


def _weights(*shape: int) -> Tensor:
    return torch.ones(shape)


LABELS = torch.tensor([0, 4, 2, 2, 1, 3])

rms_norm = multigrad.from_torch(rms_norm_reference, "(n,d),(d)->(n,d)")
swiglu = multigrad.from_torch(swiglu_reference, "(n,d),(d,h),(d,h),(h,d)->(n,d)")
rotary = multigrad.from_torch(
    rotary_reference,
    "(b,n,d)->(b,n,d)",
    sizes={"tiny": {"b": 2, "n": 3, "d": 4}, "medium": {"b": 8, "n": 256, "d": 64}},
)
grouped_query = multigrad.from_torch(
    grouped_query_reference,
    "(h,n,d),(g,n,d),(g,n,d)->(h,n,d)",
    sizes={"tiny": {"h": 4, "g": 2, "n": 3, "d": 2}, "medium": {"h": 8, "g": 2, "n": 256, "d": 32}},
)
selective_scan = multigrad.from_torch(
    selective_scan_reference,
    "(t,c),(t,c),(c,s),(t,s),(t,s),(c)->(t,c)",
    sizes={"tiny": {"t": 16, "c": 2, "s": 2}, "medium": {"t": 16, "c": 256, "s": 16}},
)
label_smoothing = multigrad.from_torch(label_smoothing_reference, example=(_weights(6, 5), LABELS))
focal_loss = multigrad.from_torch(focal_loss_reference, example=(_weights(6, 5), LABELS))
triplet_loss = multigrad.from_torch(triplet_loss_reference, "(n,d),(n,d),(n,d)->()")
info_nce = multigrad.from_torch(info_nce_reference, "(n,d),(n,d)->()")
elbo = multigrad.from_torch(
    elbo_reference,
    example=(
        _weights(3, 5),
        _weights(3, 2),
        {"weight": _weights(5, 6), "bias": _weights(6), "code": _weights(6, 4)},
        {"weight": _weights(2, 5), "bias": _weights(5)},
    ),
)
