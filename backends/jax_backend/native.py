"""How a user of JAX would write the catalogue: with the functions that JAX has for it.

Each function here is the native form of the operation of its name: it takes the operation's inputs and parameters and
returns its values; JAX differentiates it.
"""

from __future__ import annotations

import math
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


def inverse(X: Array) -> Any:
    return jnp.linalg.inv(X)


def trace_inverse(A: Array, X: Array, B: Array) -> Any:
    return jnp.einsum("bmn,bnm->b", A, jnp.linalg.solve(X, B))


def trace_resolvent(X: Array, A: Array) -> Any:
    return jnp.trace(jnp.linalg.inv(X + A), axis1=-2, axis2=-1)


def solve(A: Array, B: Array) -> Any:
    return jnp.linalg.solve(A, B)


def logdet(X: Array) -> Any:
    return jnp.linalg.slogdet(X)[1]


def logdet_gram(X: Array) -> Any:
    return jnp.linalg.slogdet(X.mT @ X)[1]


def det_quadratic(X: Array, A: Array) -> Any:
    return jnp.linalg.det(X.mT @ A @ X)


def cholesky(A: Array, *, block: int = 0) -> Any:
    return jnp.linalg.cholesky(A)


def triangular_solve(L: Array, B: Array, *, block: int = 0) -> Any:
    return jax.scipy.linalg.solve_triangular(L, B, lower=True)


def qr(A: Array) -> Any:
    Q, R = jnp.linalg.qr(A)
    signs = jnp.sign(jnp.linalg.diagonal(R))
    return Q * signs[:, None, :], signs[:, :, None] * R


def pseudo_inverse(A: Array) -> Any:
    return jnp.linalg.pinv(A)


def least_squares(A: Array, B: Array) -> Any:
    return jax.vmap(lambda a, b: jnp.linalg.lstsq(a, b)[0])(A, B)


def eigenvalues(A: Array) -> Any:
    return jnp.linalg.eigvalsh(A)


def log_trace_exp(A: Array) -> Any:
    return jax.nn.logsumexp(jnp.linalg.eigvalsh(A), axis=-1)


def eigenvector_energies(A: Array, x: Array) -> Any:
    return jnp.square(jnp.einsum("bji,bj->bi", jnp.linalg.eigh(A)[1], x))


def spectral_projector(A: Array, *, k: int = 1) -> Any:
    V = jnp.linalg.eigh(A)[1][..., -k:]
    return V @ V.mT


def singular_values(X: Array) -> Any:
    return jnp.linalg.svdvals(X)


def nuclear_norm(X: Array) -> Any:
    return jnp.linalg.matrix_norm(X, ord="nuc")


def spectral_norm(X: Array) -> Any:
    return jnp.linalg.matrix_norm(X, ord=2)


# recurrent, perceptron


def lstm(W: Array, V: Array, S: Array, X: Array) -> Array:
    def character(state: tuple[Array, Array], now: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        x, wanted = now
        x, hidden, cells = x * V[0], [], []
        for (w, v), h, k in zip(W, *state, strict=True):
            f, i, o, g = jnp.stack([x, h, x, h]) * w + v
            cells.append(k * jax.nn.sigmoid(f) + jax.nn.sigmoid(i) * jnp.tanh(g))
            x = jax.nn.sigmoid(o) * jnp.tanh(cells[-1])
            hidden.append(x)
        y = x * V[1] + V[2]
        loss = jnp.sum(wanted * (y - jnp.log(jnp.sum(jnp.exp(y)) + 2)))
        return (jnp.stack(hidden), jnp.stack(cells)), loss

    _, losses = jax.lax.scan(character, (S[:, 0], S[:, 1]), (X[:-1], X[1:]))
    return -jnp.mean(losses) / X.shape[1]


def lstm_cell(X: Array, H: Array, C: Array, W: Array, U: Array, B: Array) -> tuple[Array, Array]:
    Z = X @ W.reshape(-1, X.shape[1]).T + H @ U.reshape(-1, H.shape[1]).T + B.ravel()
    i, f, g, o = jnp.split(Z, 4, axis=1)
    cell = jax.nn.sigmoid(f) * C + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(cell), cell


def gru_cell(X: Array, H: Array, W: Array, U: Array, B: Array, A: Array) -> Array:
    P = jnp.split(X @ W.reshape(-1, X.shape[1]).T + B.ravel(), 3, axis=1)
    Q = jnp.split(H @ U.reshape(-1, H.shape[1]).T + A.ravel(), 3, axis=1)
    z = jax.nn.sigmoid(P[1] + Q[1])
    return (1 - z) * jnp.tanh(P[2] + jax.nn.sigmoid(P[0] + Q[0]) * Q[2]) + z * H


def mlp(X: Array, W: Array, b: Array, V: Array, a: Array) -> Array:
    return jax.nn.relu(X @ W + b) @ V + a


# cameras, hands


def bundle_adjustment(cameras: Array, points: Array, w: Array, features: Array, seen: Array) -> tuple[Array, Array]:
    errors = jax.vmap(_reprojection_error)(cameras[seen[:, 0]], points[seen[:, 1]], w, features)
    return errors, 1 - w**2


def _reprojection_error(camera: Array, x: Array, w: Array, feature: Array) -> Array:
    X, Y, Z = _rodrigues(camera[:3], x - camera[3:6])
    u = jnp.stack([X / Z, Y / Z])
    r = jnp.sum(u**2)
    distorted = u * (1 + camera[9] * r + camera[10] * r * r)
    return w * (distorted * camera[6] + camera[7:9] - feature)


def _rodrigues(omega: Array, x: Array) -> Array:
    square = jnp.sum(omega**2)
    theta = jnp.sqrt(jnp.where(square > 0, square, 1))
    axis = omega / theta
    cross = jnp.cross(axis, x)
    turned = x * jnp.cos(theta) + cross * jnp.sin(theta) + axis * (jnp.dot(axis, x) * (1 - jnp.cos(theta)))
    return jnp.where(square > 0, turned, x + jnp.cross(omega, x))


def hand_tracking(
    theta: Array,
    relative: Array,
    inverse: Array,
    positions: Array,
    weights: Array,
    points: Array,
    corresponding: Array,
) -> Array:
    return points - theta[3:6] - _hand(theta, relative, inverse, positions, weights)[corresponding]


def hand_tracking_barycentric(
    theta: Array,
    u: Array,
    relative: Array,
    inverse: Array,
    positions: Array,
    weights: Array,
    triangles: Array,
    points: Array,
    corresponding: Array,
) -> Any:
    a, b, c = _hand(theta, relative, inverse, positions, weights)[triangles[corresponding]].swapaxes(0, 1)
    return points - theta[3:6] - (u[:, :1] * a + u[:, 1:] * b + (1 - u[:, :1] - u[:, 1:]) * c)


def _hand(theta: Array, relative: Array, inverse: Array, positions: Array, weights: Array) -> Array:
    absolute = [relative[0]]
    for i in range(1, len(relative)):
        finger, bone = divmod(i - 1, 4)
        last = i == len(relative) - 1
        parent = 0 if last or bone == 0 else i - 1
        transform = relative[i]
        if not last and bone > 0:
            angles = theta[6 + 4 * finger : 10 + 4 * finger]
            x, z = (angles[0], angles[1]) if bone == 1 else (angles[bone], jnp.zeros_like(angles[0]))
            transform = transform @ _bent(x, z)
        absolute.append(absolute[parent] @ transform)
    posed = jnp.stack(absolute) @ inverse @ positions.T
    skin = jnp.sum(posed * weights.T[:, None, :], axis=0)[:3]
    return jax.vmap(_rodrigues, (None, 1))(theta[:3], skin)


def _bent(x: Array, z: Array) -> Array:
    one, zero = jnp.ones_like(x), jnp.zeros_like(x)
    c, s, cz, sz = jnp.cos(x), jnp.sin(x), jnp.cos(z), jnp.sin(z)
    about_x = [one, zero, zero, zero, zero, c, -s, zero, zero, s, c, zero, zero, zero, zero, one]
    about_z = [cz, -sz, zero, zero, sz, cz, zero, zero, zero, zero, one, zero, zero, zero, zero, one]
    return jnp.stack(about_z).reshape(4, 4) @ jnp.stack(about_x).reshape(4, 4)


# Layers: affine and bilinear maps, embeddings, activations, softmax, pools, order


def affine(X: Array, W: Array, b: Array) -> Array:
    return X @ W + b


def bilinear(X: Array, A: Array, Y: Array) -> Array:
    return jnp.einsum("bm,mn,bn->b", X, A, Y)


def embedding(E: Array, t: Array) -> Array:
    return E[t]


def relu(x: Array) -> Array:
    return jax.nn.relu(x)


def leaky_relu(x: Array, *, slope: float = 0.01) -> Array:
    return jax.nn.leaky_relu(x, slope)


def elu(x: Array, *, alpha: float = 1.0) -> Array:
    return jax.nn.elu(x, alpha)


def hardtanh(x: Array, *, low: float = -1.0, high: float = 1.0) -> Array:
    return jnp.clip(x, low, high)


def clip(x: Array, *, low: float = 0.0, high: float = 1.0) -> Array:
    return jnp.clip(x, low, high)


def absolute(x: Array) -> Array:
    return jnp.abs(x)


def sigmoid(x: Array) -> Array:
    return jax.nn.sigmoid(x)


def tanh(x: Array) -> Array:
    return jnp.tanh(x)


def softplus(x: Array) -> Array:
    return jax.nn.softplus(x)


def silu(x: Array) -> Array:
    return jax.nn.silu(x)


def gelu(x: Array) -> Array:
    return jax.nn.gelu(x, approximate=True)


def softmax(x: Array) -> Array:
    return jax.nn.softmax(x, axis=1)


def log_softmax(x: Array) -> Array:
    return jax.nn.log_softmax(x, axis=1)


def logsumexp(x: Array) -> Array:
    return jax.nn.logsumexp(x, axis=1)


def max_pool2d(image: Array, *, window: Any = 2, stride: Any = None, padding: Any = 0) -> Array:
    return _pooled(image, -jnp.inf, jax.lax.max, window, stride, padding)


def avg_pool2d(image: Array, *, window: Any = 2, stride: Any = None, padding: Any = 0) -> Array:
    p, q = _pair(window)
    return _pooled(image, 0.0, jax.lax.add, window, stride, padding) / (p * q)


def _pooled(image: Array, start: float, reduce: Any, window: Any, stride: Any, padding: Any) -> Array:
    windows = (1, 1, *_pair(window))
    strides = (1, 1, *_pair(window if stride is None else stride))
    borders = [(0, 0), (0, 0), *((p, p) for p in _pair(padding))]
    pooled: Array = jax.lax.reduce_window(image, start, reduce, windows, strides, borders)
    return pooled


def cumulative_sum(X: Array) -> Array:
    return jnp.cumsum(X, axis=1)


def sort(X: Array) -> Array:
    return jnp.sort(X, axis=1)


def amax(x: Array) -> Array:
    return jnp.max(x, axis=1)


# Traces, quadratic forms, Kronecker products, structure


def trace_linear(A: Array, X: Array, B: Array) -> Array:
    return jnp.einsum("bnp,bpq,bqn->b", A, X, B)


def trace_quadratic(X: Array, B: Array) -> Array:
    return jnp.sum(X * (B @ X), axis=(-2, -1))


def trace_sandwich(X: Array, B: Array, C: Array) -> Array:
    return jnp.sum(X * (B @ X @ C), axis=(-2, -1))


def trace_residual(A: Array, X: Array, B: Array, C: Array) -> Array:
    return jnp.sum(jnp.square(A @ X @ B + C), axis=(-2, -1))


def trace_power(X: Array, *, k: int = 3) -> Array:
    return jnp.trace(jnp.linalg.matrix_power(X, k), axis1=-2, axis2=-1)


def quadratic_form(X: Array, s: Array, W: Array) -> Array:
    D = X - s
    return jnp.sum((D @ W) * D, axis=-1)


def weighted_least_squares(X: Array, S: Array, A: Array, W: Array) -> Array:
    R = X - S @ A.T
    return jnp.sum((R @ W) * R, axis=-1)


def ridge(X: Array, W: Array, Y: Array, strength: Array) -> Array:
    return jnp.sum(jnp.square(X @ W - Y)) + strength * jnp.sum(jnp.square(W))


def residual_norm(A: Array, X: Array, B: Array) -> Array:
    result: Array = jnp.linalg.norm(X @ A.T - B, axis=-1)
    return result


def kronecker_product(A: Array, B: Array) -> Array:
    return jnp.kron(A, B)


def kronecker_map(A: Array, B: Array, X: Array) -> Array:
    return B @ X @ A.mT


def kronecker_trace(A: Array, X: Array) -> Array:
    return jnp.trace(A, axis1=-2, axis2=-1) * jnp.trace(X, axis1=-2, axis2=-1)


def matrix_power(X: Array, *, k: int = 3) -> Array:
    result: Array = jnp.linalg.matrix_power(X, k)
    return result


def matrix_exponential(X: Array, *, squarings: int = 4) -> Array:
    result: Array = jax.scipy.linalg.expm(X)  # it looks at the norm and chooses the squarings itself
    return result


def structured_matrix(X: Array, *, structure: str = "symmetric") -> Array:
    if structure == "plain":
        return X
    L = jnp.tril(X)
    return L + jnp.tril(X, -1).mT if structure == "symmetric" else L


def structured_trace(A: Array, X: Array, *, structure: str = "symmetric") -> Array:
    return jnp.einsum("bij,bji->b", A, structured_matrix(X, structure=structure))


def structured_product(X: Array, B: Array, *, structure: str = "symmetric", block: int = 256) -> Array:
    return structured_matrix(X, structure=structure) @ B


# Losses


def softmax_cross_entropy(X: Array, t: Array) -> Array:
    return -jnp.take_along_axis(jax.nn.log_softmax(X), t[:, None], axis=1)[:, 0]


def binary_cross_entropy_with_logits(X: Array, Y: Array) -> Array:
    return jnp.sum(jax.nn.softplus(X) - X * Y, axis=-1)


def huber(X: Array, Y: Array, *, delta: float = 1.0) -> Array:
    size = jnp.abs(X - Y)
    return jnp.sum(jnp.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta)), axis=-1)


def kl_divergence(P: Array, Q: Array) -> Array:
    return jnp.sum(jax.scipy.special.rel_entr(P, Q), axis=-1)


def gaussian_nll(M: Array, Y: Array, V: Array) -> Array:
    return -jnp.sum(jax.scipy.stats.norm.logpdf(Y, M, jnp.sqrt(V)), axis=-1)


def poisson_nll(X: Array, Y: Array) -> Array:
    return jnp.sum(jnp.exp(X) - X * Y, axis=-1)


# Normalisations


def layer_norm(X: Array, G: Array, B: Array, *, epsilon: float = 1e-5) -> Array:
    mean, variance = jnp.mean(X, axis=-1, keepdims=True), jnp.var(X, axis=-1, keepdims=True)
    return (X - mean) * jax.lax.rsqrt(variance + epsilon) * G + B


def rms_norm(X: Array, G: Array, *, epsilon: float = 1e-5) -> Array:
    return X * jax.lax.rsqrt(jnp.mean(jnp.square(X), axis=-1, keepdims=True) + epsilon) * G


def batch_norm(X: Array, G: Array, B: Array, *, epsilon: float = 1e-5) -> Array:
    mean, variance = jnp.mean(X, axis=(0, 2), keepdims=True), jnp.var(X, axis=(0, 2), keepdims=True)
    return (X - mean) * jax.lax.rsqrt(variance + epsilon) * G[:, None] + B[:, None]


def l2_normalise(X: Array, *, epsilon: float = 1e-12) -> Array:
    return X * jax.lax.rsqrt(jnp.maximum(jnp.sum(jnp.square(X), axis=-1, keepdims=True), epsilon))


# Attention


def attention(Q: Array, K: Array, V: Array, *, causal: bool = False, keys: int = 512) -> Array:
    mask = jnp.tri(Q.shape[1], K.shape[1], dtype=bool) if causal else jnp.asarray(True)
    return masked_attention(Q, K, V, mask)


def masked_attention(Q: Array, K: Array, V: Array, mask: Array, *, keys: int = 512) -> Array:
    # jax.nn.dot_product_attention is these lines, but for its scores, which are float32 whatever the inputs are.
    S = Q @ K.mT / Q.shape[-1] ** 0.5
    return jax.nn.softmax(S, where=mask) @ V


# GradBench's problems, as it formulates them: mixture, clustering, series, determinant, dynamics


def gmm(
    x: Array,
    alpha: Array,
    mu: Array,
    q: Array,
    l: Array,  # noqa: E741
    *,
    gamma: float = 1.0,
    m: int = 0,
    prior: int = 1,
) -> Array:
    (n, d), k, degrees = x.shape, len(alpha), x.shape[1] + m + 1
    columns, rows = jnp.triu_indices(d, 1)
    L = jnp.zeros((k, d, d), x.dtype).at[:, rows, columns].set(l)
    centred = x[:, None, :] - mu
    y = jnp.exp(q) * centred + jnp.einsum("kij,nkj->nki", L, centred)
    e = alpha + jnp.sum(q, axis=1) - 0.5 * jnp.sum(jnp.square(y), axis=2)
    p = m * jnp.sum(q) - 0.5 * gamma**2 * (jnp.sum(jnp.square(jnp.exp(q))) + jnp.sum(jnp.square(l)))
    p = p + k * (
        degrees * d * math.log(gamma / math.sqrt(2))
        - jax.scipy.special.multigammaln(jnp.asarray(0.5 * degrees, x.dtype), d)
    )
    likelihood = jnp.sum(jax.nn.logsumexp(e, axis=1)) - n * jax.nn.logsumexp(alpha)
    return likelihood - 0.5 * n * d * math.log(2 * math.pi) + prior * p


def kmeans(x: Array, c: Array) -> Array:
    squares = jnp.sum(jnp.square(x), axis=1) + jnp.sum(jnp.square(c), axis=1)[:, None] - 2 * (c @ x.T)
    return jnp.sum(jnp.min(squares, axis=0))


def kmeans_direction(x: Array, c: Array) -> tuple[Array, Array]:
    gradient = jax.grad(lambda moved: kmeans(x, moved))
    J, H = jax.jvp(gradient, (c,), (jnp.ones_like(c),))
    return kmeans(x, c), J / jnp.maximum(H, 1)  # both are 0 where a centroid has no points


def lse(x: Array) -> Any:
    return jax.nn.logsumexp(x)


def llsq(x: Array, y: Array) -> Array:
    t = -1 + 2 * jnp.arange(len(y), dtype=x.dtype) / (len(y) - 1)

    def squared(t: Array, wanted: Array) -> Array:
        powers = jnp.cumprod(jnp.full(len(x), t).at[0].set(1))
        return jnp.square(wanted - jnp.sum(x * powers))

    return 0.5 * jnp.sum(jax.vmap(squared)(t, y))


def det(A: Array) -> Any:
    return jnp.linalg.det(A)


def ode(x: Array, *, s: int = 10) -> Any:
    first, h = jnp.arange(len(x)) == 0, 2 / s

    def slope(y: Array) -> Array:
        return jnp.where(first, x, x * jnp.roll(y, 1))

    def step(y: Array, _: None) -> tuple[Array, None]:
        k1 = slope(y)
        k2 = slope(y + h / 2 * k1)
        k3 = slope(y + h / 2 * k2)
        k4 = slope(y + h * k3)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    return jax.lax.scan(step, jnp.zeros_like(x), None, length=s)[0]
