"""How a user of JAX would write the catalogue: with the functions that JAX has for it.

Each function here is the native form of the operation of its name: it takes the operation's inputs and parameters and
returns its values; JAX differentiates it.
"""

from __future__ import annotations

from typing import Any

import jax
from jax import numpy as jnp

Array = jax.Array


def relu_regression(X: Array, W: Array, Y: Array) -> Array:
    return jnp.sum(jnp.square(jax.nn.relu(X @ W) - Y))


def linear_map(C: Array, x: Array) -> Array:
    return jnp.dot(C, x)


def conv2d(
    image: Array, kernel: Array, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Array:
    return jax.lax.conv_general_dilated(
        image,
        kernel,
        window_strides=_pair(stride),
        padding=[(p, p) for p in _pair(padding)],
        rhs_dilation=_pair(dilation),
        feature_group_count=groups,
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )


def conv_transpose2d(
    image: Array,
    kernel: Array,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    # jax.lax.conv_transpose knows no groups and no output padding: this is what it stands for.
    c, o, *window = kernel.shape
    turned = jnp.reshape(jnp.flip(kernel, (2, 3)), (groups, c // groups, o, *window))
    edges = [d * (w - 1) - p for d, w, p in zip(_pair(dilation), window, _pair(padding), strict=True)]
    return jax.lax.conv_general_dilated(
        image,
        jnp.reshape(jnp.swapaxes(turned, 1, 2), (groups * o, c // groups, *window)),
        window_strides=(1, 1),
        padding=[(e, e + extra) for e, extra in zip(edges, _pair(output_padding), strict=True)],
        lhs_dilation=_pair(stride),
        rhs_dilation=_pair(dilation),
        feature_group_count=groups,
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


# Linear algebra


def inverse(X: Array) -> Array:
    return jnp.linalg.inv(X)


def trace_inverse(A: Array, X: Array, B: Array) -> Array:
    return jnp.einsum("bmn,bnm->b", A, jnp.linalg.solve(X, B))


def trace_resolvent(X: Array, A: Array) -> Array:
    return jnp.trace(jnp.linalg.inv(X + A), axis1=-2, axis2=-1)


def solve(A: Array, B: Array) -> Array:
    return jnp.linalg.solve(A, B)


def logdet(X: Array) -> Array:
    return jnp.linalg.slogdet(X)[1]


def logdet_gram(X: Array) -> Array:
    return jnp.linalg.slogdet(X.mT @ X)[1]


def det_quadratic(X: Array, A: Array) -> Array:
    return jnp.linalg.det(X.mT @ A @ X)


def cholesky(A: Array, *, block: int = 0) -> Array:
    return jnp.linalg.cholesky(A)


def triangular_solve(L: Array, B: Array, *, block: int = 0) -> Array:
    return jax.scipy.linalg.solve_triangular(L, B, lower=True)


def qr(A: Array) -> tuple[Array, Array]:
    Q, R = jnp.linalg.qr(A)
    signs = jnp.sign(jnp.linalg.diagonal(R))
    return Q * signs[:, None, :], signs[:, :, None] * R


def pseudo_inverse(A: Array) -> Array:
    return jnp.linalg.pinv(A)


def least_squares(A: Array, B: Array) -> Array:
    return jax.vmap(lambda a, b: jnp.linalg.lstsq(a, b)[0])(A, B)


def eigenvalues(A: Array) -> Array:
    return jnp.linalg.eigvalsh(A)


def log_trace_exp(A: Array) -> Array:
    return jax.nn.logsumexp(jnp.linalg.eigvalsh(A), axis=-1)


def eigenvector_energies(A: Array, x: Array) -> Array:
    return jnp.square(jnp.einsum("bji,bj->bi", jnp.linalg.eigh(A)[1], x))


def spectral_projector(A: Array, *, k: int = 1) -> Array:
    V = jnp.linalg.eigh(A)[1][..., -k:]
    return V @ V.mT


def singular_values(X: Array) -> Array:
    return jnp.linalg.svdvals(X)


def nuclear_norm(X: Array) -> Array:
    return jnp.linalg.matrix_norm(X, ord="nuc")


def spectral_norm(X: Array) -> Array:
    return jnp.linalg.matrix_norm(X, ord=2)
