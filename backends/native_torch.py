"""How a user of PyTorch would write the catalogue: with the fused functions of the framework.

Each function here is the native form of the operation of its name: it takes the operation's inputs and parameters and
returns its values; PyTorch differentiates it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

Array = torch.Tensor


def relu_regression(X: Array, W: Array, Y: Array) -> Array:
    return F.mse_loss(F.relu(X @ W), Y, reduction="sum")


def linear_map(C: Array, x: Array) -> Array:
    return torch.mv(C, x)


def conv2d(image: Array, kernel: Array, **how: Any) -> Array:
    return F.conv2d(image, kernel, **how)


def conv_transpose2d(image: Array, kernel: Array, **how: Any) -> Array:
    return F.conv_transpose2d(image, kernel, **how)


# Linear algebra


def inverse(X: Array) -> Array:
    return torch.linalg.inv(X)


def trace_inverse(A: Array, X: Array, B: Array) -> Array:
    return torch.einsum("bmn,bnm->b", A, torch.linalg.solve(X, B))


def trace_resolvent(X: Array, A: Array) -> Array:
    return torch.einsum("bnn->b", torch.linalg.inv(X + A))


def solve(A: Array, B: Array) -> Array:
    return torch.linalg.solve(A, B)


def logdet(X: Array) -> Array:
    return torch.linalg.slogdet(X).logabsdet


def logdet_gram(X: Array) -> Array:
    return torch.logdet(X.mT @ X)


def det_quadratic(X: Array, A: Array) -> Array:
    return torch.linalg.det(X.mT @ A @ X)


def cholesky(A: Array, *, block: int = 0) -> Array:
    return torch.linalg.cholesky(A)


def triangular_solve(L: Array, B: Array, *, block: int = 0) -> Array:
    return torch.linalg.solve_triangular(L, B, upper=False)


def qr(A: Array) -> tuple[Array, Array]:
    Q, R = torch.linalg.qr(A)
    signs = torch.sign(torch.linalg.diagonal(R))
    return Q * signs[:, None, :], signs[:, :, None] * R


def pseudo_inverse(A: Array) -> Array:
    return torch.linalg.pinv(A)


def least_squares(A: Array, B: Array) -> Array:
    return torch.linalg.lstsq(A, B).solution


def eigenvalues(A: Array) -> Array:
    return torch.linalg.eigvalsh(A)


def log_trace_exp(A: Array) -> Array:
    return torch.logsumexp(torch.linalg.eigvalsh(A), dim=-1)


def eigenvector_energies(A: Array, x: Array) -> Array:
    return torch.einsum("bji,bj->bi", torch.linalg.eigh(A).eigenvectors, x) ** 2


def spectral_projector(A: Array, *, k: int = 1) -> Array:
    V = torch.linalg.eigh(A).eigenvectors[..., -k:]
    return V @ V.mT


def singular_values(X: Array) -> Array:
    return torch.linalg.svdvals(X)


def nuclear_norm(X: Array) -> Array:
    return torch.linalg.matrix_norm(X, "nuc")


def spectral_norm(X: Array) -> Array:
    return torch.linalg.matrix_norm(X, 2)
