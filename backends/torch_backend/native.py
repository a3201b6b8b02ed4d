"""How a user of PyTorch would write the catalogue: with the fused functions of the framework.

Each function here is the native form of the operation of its name: it takes the operation's inputs and parameters and
returns its values; PyTorch differentiates it.
"""

from __future__ import annotations

import math
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


def inverse(X: Array) -> Any:
    return torch.linalg.inv(X)


def trace_inverse(A: Array, X: Array, B: Array) -> Any:
    return torch.einsum("bmn,bnm->b", A, torch.linalg.solve(X, B))


def trace_resolvent(X: Array, A: Array) -> Any:
    return torch.einsum("bnn->b", torch.linalg.inv(X + A))


def solve(A: Array, B: Array) -> Any:
    return torch.linalg.solve(A, B)


def logdet(X: Array) -> Any:
    return torch.linalg.slogdet(X).logabsdet


def logdet_gram(X: Array) -> Any:
    return torch.logdet(X.mT @ X)


def det_quadratic(X: Array, A: Array) -> Any:
    return torch.linalg.det(X.mT @ A @ X)


def cholesky(A: Array, *, block: int = 0) -> Any:
    return torch.linalg.cholesky(A)


def triangular_solve(L: Array, B: Array, *, block: int = 0) -> Any:
    return torch.linalg.solve_triangular(L, B, upper=False)


def qr(A: Array) -> Any:
    Q, R = torch.linalg.qr(A)
    signs = torch.sign(torch.linalg.diagonal(R))
    return Q * signs[:, None, :], signs[:, :, None] * R


def pseudo_inverse(A: Array) -> Any:
    return torch.linalg.pinv(A)


def least_squares(A: Array, B: Array) -> Any:
    return torch.linalg.lstsq(A, B).solution


def eigenvalues(A: Array) -> Any:
    return torch.linalg.eigvalsh(A)


def log_trace_exp(A: Array) -> Any:
    return torch.logsumexp(torch.linalg.eigvalsh(A), dim=-1)


def eigenvector_energies(A: Array, x: Array) -> Any:
    return torch.einsum("bji,bj->bi", torch.linalg.eigh(A).eigenvectors, x) ** 2


def spectral_projector(A: Array, *, k: int = 1) -> Any:
    V = torch.linalg.eigh(A).eigenvectors[..., -k:]
    return V @ V.mT


def singular_values(X: Array) -> Any:
    return torch.linalg.svdvals(X)


def nuclear_norm(X: Array) -> Any:
    return torch.linalg.matrix_norm(X, "nuc")


def spectral_norm(X: Array) -> Any:
    return torch.linalg.matrix_norm(X, 2)


# recurrent, perceptron


def lstm(W: Array, V: Array, S: Array, X: Array) -> Array:
    h, k = list(S[:, 0]), list(S[:, 1])
    total = X.new_zeros(())
    for t in range(X.shape[0] - 1):
        x = X[t] * V[0]
        for i in range(W.shape[0]):
            f, i_, o, g = torch.cat([x, h[i], x, h[i]]).reshape(4, -1) * W[i, 0] + W[i, 1]
            k[i] = k[i] * torch.sigmoid(f) + torch.sigmoid(i_) * torch.tanh(g)
            h[i] = torch.sigmoid(o) * torch.tanh(k[i])
            x = h[i]
        y = x * V[1] + V[2]
        total = total + torch.sum(X[t + 1] * (y - torch.log(torch.sum(torch.exp(y)) + 2)))
    return -total / ((X.shape[0] - 1) * X.shape[1])


def lstm_cell(X: Array, H: Array, C: Array, W: Array, U: Array, B: Array) -> tuple[Array, Array]:
    hidden, cell = torch.lstm_cell(X, (H, C), W.flatten(0, 1), U.flatten(0, 1), B.flatten())
    return hidden, cell


def gru_cell(X: Array, H: Array, W: Array, U: Array, B: Array, A: Array) -> Array:
    return torch.gru_cell(X, H, W.flatten(0, 1), U.flatten(0, 1), B.flatten(), A.flatten())


def mlp(X: Array, W: Array, b: Array, V: Array, a: Array) -> Array:
    return F.linear(F.relu(F.linear(X, W.T, b)), V.T, a)


# cameras, hands


def bundle_adjustment(cameras: Array, points: Array, w: Array, features: Array, seen: Array) -> tuple[Array, Array]:
    errors = torch.vmap(_reprojection_error)(cameras[seen[:, 0]], points[seen[:, 1]], w, features)
    return errors, 1 - w**2


def _reprojection_error(camera: Array, x: Array, w: Array, feature: Array) -> Array:
    X, Y, Z = _rodrigues(camera[:3], x - camera[3:6])
    u = torch.stack([X / Z, Y / Z])
    r = torch.sum(u**2)
    distorted = u * (1 + camera[9] * r + camera[10] * r * r)
    return w * (distorted * camera[6] + camera[7:9] - feature)


def _rodrigues(omega: Array, x: Array) -> Array:
    square = torch.sum(omega**2)
    theta = torch.sqrt(torch.where(square > 0, square, 1))
    axis = omega / theta
    cross = torch.linalg.cross(axis, x)
    turned = x * torch.cos(theta) + cross * torch.sin(theta) + axis * (torch.dot(axis, x) * (1 - torch.cos(theta)))
    return torch.where(square > 0, turned, x + torch.linalg.cross(omega, x))


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
) -> Array:
    a, b, c = _hand(theta, relative, inverse, positions, weights)[triangles[corresponding]].unbind(1)
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
            x, z = (angles[0], angles[1]) if bone == 1 else (angles[bone], torch.zeros_like(angles[0]))
            transform = transform @ _bent(x, z)
        absolute.append(absolute[parent] @ transform)
    posed = torch.stack(absolute) @ inverse @ positions.T
    skin = torch.sum(posed * weights.T[:, None, :], dim=0)[:3]
    return torch.vmap(_rodrigues, (None, 1))(theta[:3], skin)


def _bent(x: Array, z: Array) -> Array:
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    c, s, cz, sz = torch.cos(x), torch.sin(x), torch.cos(z), torch.sin(z)
    about_x = [one, zero, zero, zero, zero, c, -s, zero, zero, s, c, zero, zero, zero, zero, one]
    about_z = [cz, -sz, zero, zero, sz, cz, zero, zero, zero, zero, one, zero, zero, zero, zero, one]
    return torch.stack(about_z).reshape(4, 4) @ torch.stack(about_x).reshape(4, 4)


# Layers: affine and bilinear maps, embeddings, activations, softmax, pools, order


def affine(X: Array, W: Array, b: Array) -> Array:
    return torch.addmm(b, X, W)


def bilinear(X: Array, A: Array, Y: Array) -> Array:
    f: Array = torch.linalg.vecdot(X @ A, Y)
    return f


def embedding(E: Array, t: Array) -> Array:
    return F.embedding(t, E)


def relu(x: Array) -> Array:
    return F.relu(x)


def leaky_relu(x: Array, *, slope: float = 0.01) -> Array:
    return F.leaky_relu(x, slope)


def elu(x: Array, *, alpha: float = 1.0) -> Array:
    return F.elu(x, alpha)


def hardtanh(x: Array, *, low: float = -1.0, high: float = 1.0) -> Array:
    return F.hardtanh(x, low, high)


def clip(x: Array, *, low: float = 0.0, high: float = 1.0) -> Array:
    return torch.clamp(x, low, high)


def absolute(x: Array) -> Array:
    return torch.abs(x)


def sigmoid(x: Array) -> Array:
    return torch.sigmoid(x)


def tanh(x: Array) -> Array:
    return torch.tanh(x)


def softplus(x: Array) -> Array:
    return F.softplus(x)


def silu(x: Array) -> Array:
    return F.silu(x)


def gelu(x: Array) -> Array:
    return F.gelu(x, approximate="tanh")


def softmax(x: Array) -> Array:
    return F.softmax(x, dim=1)


def log_softmax(x: Array) -> Array:
    return F.log_softmax(x, dim=1)


def logsumexp(x: Array) -> Array:
    return torch.logsumexp(x, dim=1)


def max_pool2d(image: Array, *, window: Any = 2, stride: Any = None, padding: Any = 0) -> Array:
    return F.max_pool2d(image, window, stride, padding)


def avg_pool2d(image: Array, *, window: Any = 2, stride: Any = None, padding: Any = 0) -> Array:
    return F.avg_pool2d(image, window, stride, padding)


def cumulative_sum(X: Array) -> Array:
    return torch.cumsum(X, dim=1)


def sort(X: Array) -> Array:
    return torch.sort(X, dim=1).values


def amax(x: Array) -> Array:
    return torch.amax(x, dim=1)


# Traces, quadratic forms, Kronecker products, structure


def trace_linear(A: Array, X: Array, B: Array) -> Array:
    return torch.einsum("bnp,bpq,bqn->b", A, X, B)


def trace_quadratic(X: Array, B: Array) -> Array:
    return torch.sum(X * (B @ X), dim=(-2, -1))


def trace_sandwich(X: Array, B: Array, C: Array) -> Array:
    return torch.sum(X * (B @ X @ C), dim=(-2, -1))


def trace_residual(A: Array, X: Array, B: Array, C: Array) -> Array:
    return torch.square(torch.baddbmm(C, A @ X, B)).sum(dim=(-2, -1))


def trace_power(X: Array, *, k: int = 3) -> Array:
    result: Array = torch.linalg.matrix_power(X, k).diagonal(dim1=-2, dim2=-1).sum(-1)
    return result


def quadratic_form(X: Array, s: Array, W: Array) -> Array:
    D = X - s
    return torch.sum((D @ W) * D, dim=-1)


def weighted_least_squares(X: Array, S: Array, A: Array, W: Array) -> Array:
    R = X - F.linear(S, A)
    return torch.sum((R @ W) * R, dim=-1)


def ridge(X: Array, W: Array, Y: Array, strength: Array) -> Array:
    return F.mse_loss(X @ W, Y, reduction="sum") + strength * torch.sum(torch.square(W))


def residual_norm(A: Array, X: Array, B: Array) -> Array:
    result: Array = torch.linalg.vector_norm(F.linear(X, A) - B, dim=-1)
    return result


def kronecker_product(A: Array, B: Array) -> Array:
    return torch.kron(A, B)


def kronecker_map(A: Array, B: Array, X: Array) -> Array:
    return B @ X @ A.mT


def kronecker_trace(A: Array, X: Array) -> Array:
    return A.diagonal(dim1=-2, dim2=-1).sum(-1) * X.diagonal(dim1=-2, dim2=-1).sum(-1)


def matrix_power(X: Array, *, k: int = 3) -> Array:
    result: Array = torch.linalg.matrix_power(X, k)
    return result


def matrix_exponential(X: Array, *, squarings: int = 4) -> Array:
    result: Array = torch.linalg.matrix_exp(X)  # it looks at the norm and chooses the squarings itself
    return result


def structured_matrix(X: Array, *, structure: str = "symmetric") -> Array:
    if structure == "plain":
        return X
    L = torch.tril(X)
    return L + torch.tril(X, -1).mT if structure == "symmetric" else L


def structured_trace(A: Array, X: Array, *, structure: str = "symmetric") -> Array:
    return torch.einsum("bij,bji->b", A, structured_matrix(X, structure=structure))


def structured_product(X: Array, B: Array, *, structure: str = "symmetric", block: int = 256) -> Array:
    return structured_matrix(X, structure=structure) @ B


# Losses


def softmax_cross_entropy(X: Array, t: Array) -> Array:
    return F.cross_entropy(X, t, reduction="none")


def binary_cross_entropy_with_logits(X: Array, Y: Array) -> Array:
    return F.binary_cross_entropy_with_logits(X, Y, reduction="none").sum(-1)


def huber(X: Array, Y: Array, *, delta: float = 1.0) -> Array:
    return F.huber_loss(X, Y, reduction="none", delta=delta).sum(-1)


def kl_divergence(P: Array, Q: Array) -> Any:
    # F.kl_div subtracts logarithms, which are farther apart than P and Q are.
    return torch.special.xlogy(P, P / Q).sum(-1)


def gaussian_nll(M: Array, Y: Array, V: Array) -> Array:
    # F.gaussian_nll_loss asks whether a variance is negative, which torch.compile refuses.
    return 0.5 * (torch.log(2 * torch.pi * V) + (M - Y) ** 2 / V).sum(-1)


def poisson_nll(X: Array, Y: Array) -> Array:
    return F.poisson_nll_loss(X, Y, reduction="none").sum(-1)


# Normalisations


def layer_norm(X: Array, G: Array, B: Array, *, epsilon: float = 1e-5) -> Array:
    return F.layer_norm(X, X.shape[-1:], G, B, epsilon)


def rms_norm(X: Array, G: Array, *, epsilon: float = 1e-5) -> Array:
    return F.rms_norm(X, X.shape[-1:], G, epsilon)


def batch_norm(X: Array, G: Array, B: Array, *, epsilon: float = 1e-5) -> Array:
    return F.batch_norm(X, None, None, G, B, training=True, eps=epsilon)


def l2_normalise(X: Array, *, epsilon: float = 1e-12) -> Array:
    return F.normalize(X, dim=-1, eps=epsilon**0.5)


# Attention


def attention(Q: Array, K: Array, V: Array, *, causal: bool = False, keys: int = 512) -> Array:
    heads = (Q[:, None], K[:, None], V[:, None])  # the fused kernel wants an axis of heads
    return F.scaled_dot_product_attention(*heads, is_causal=causal)[:, 0]


def masked_attention(Q: Array, K: Array, V: Array, mask: Array, *, keys: int = 512) -> Array:
    heads = (Q[:, None], K[:, None], V[:, None])
    return F.scaled_dot_product_attention(*heads, attn_mask=mask)[:, 0]


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
    columns, rows = torch.triu_indices(d, d, 1, device=x.device)
    L = x.new_zeros(k, d, d).index_put((torch.arange(k, device=x.device)[:, None], rows, columns), l)
    centred = x[:, None, :] - mu
    y = torch.exp(q) * centred + torch.einsum("kij,nkj->nki", L, centred)
    e = alpha + q.sum(1) - 0.5 * y.square().sum(2)
    p = m * q.sum() - 0.5 * gamma**2 * (torch.exp(q).square().sum() + l.square().sum())
    p = p + k * (degrees * d * math.log(gamma / math.sqrt(2)) - torch.mvlgamma(x.new_tensor(0.5 * degrees), d))
    likelihood = torch.logsumexp(e, 1).sum() - n * torch.logsumexp(alpha, 0)
    return likelihood - 0.5 * n * d * math.log(2 * math.pi) + prior * p


def kmeans(x: Array, c: Array) -> Array:
    squares = x.square().sum(1) + c.square().sum(1)[:, None] - 2 * (c @ x.T)
    return squares.min(0).values.sum()


def kmeans_direction(x: Array, c: Array) -> tuple[Array, Array]:
    gradient = torch.func.grad(lambda moved: kmeans(x, moved))
    J, H, *_ = torch.func.jvp(gradient, (c,), (torch.ones_like(c),))
    return kmeans(x, c), J / H.clamp(min=1)  # both are 0 where a centroid has no points


def lse(x: Array) -> Array:
    return torch.logsumexp(x, 0)


def llsq(x: Array, y: Array) -> Any:
    t = -1 + 2 * torch.arange(len(y), dtype=x.dtype, device=x.device) / (len(y) - 1)
    return 0.5 * (y - torch.linalg.vander(t, N=len(x)) @ x).square().sum()


def det(A: Array) -> Any:
    return torch.linalg.det(A)


def ode(x: Array, *, s: int = 10) -> Array:
    first = torch.arange(len(x), device=x.device) == 0

    def slope(y: Array) -> Array:
        return torch.where(first, x, x * torch.roll(y, 1))

    y, h = torch.zeros_like(x), 2 / s
    for _ in range(s):
        k1 = slope(y)
        k2 = slope(y + h / 2 * k1)
        k3 = slope(y + h / 2 * k2)
        k4 = slope(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y
