"""Functions of torch with their arguments: those that the table of ATen calls is held against."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - what users write

rng = np.random.default_rng(20)


def r(*shape):
    return torch.from_numpy(np.asarray(rng.standard_normal(shape)))


def p(*shape):
    return torch.from_numpy(np.asarray(rng.uniform(0.2, 0.9, shape)))


def t(*values):
    return torch.tensor(values)


M = (3, 4)
x, y, q = r(*M), r(*M), p(*M)
rows = t(2, 0, 1)

ACTIVATIONS = {
    "relu": (F.relu, x),
    "relu6": (F.relu6, 6 * x),
    "elu": (lambda x: F.elu(x, 1.3), x),
    "selu": (F.selu, x),
    "celu": (lambda x: F.celu(x, 0.7), x),
    "gelu": (F.gelu, x),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), x),
    "silu": (F.silu, x),
    "mish": (F.mish, x),
    "softplus": (lambda x: F.softplus(x, 2.0, 3.0), 2 * x),
    "softsign": (F.softsign, x),
    "tanh": (F.tanh, x),
    "tanhshrink": (F.tanhshrink, x),
    "hardshrink": (F.hardshrink, x),
    "softshrink": (F.softshrink, x),
    "hardtanh": (lambda x: F.hardtanh(x, -0.5, 0.7), x),
    "hardsigmoid": (F.hardsigmoid, 3 * x),
    "hardswish": (F.hardswish, 3 * x),
    "sigmoid": (F.sigmoid, x),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), x),
    "prelu": (F.prelu, x, p(4)),
    "prelu_one": (F.prelu, x, p(1)),
    "rrelu": (lambda x: F.rrelu(x, 0.1, 0.3, training=False), x),
    "glu": (F.glu, x),
    "logsigmoid": (F.logsigmoid, x),
    "threshold": (lambda x: F.threshold(x, 0.1, 0.4), x),
    "softmax": (lambda x: F.softmax(x, -1), x),
    "softmax_of_columns": (lambda x: F.softmax(x, 0), x),
    "log_softmax": (lambda x: F.log_softmax(x, 1), x),
    "softmin": (lambda x: F.softmin(x, 1), x),
    "dropout": (lambda x: F.dropout(x, 0.5, training=False), x),
    "alpha_dropout": (lambda x: F.alpha_dropout(x, 0.5, training=False), x),
}

ELEMENTWISE = {
    **{
        f: (getattr(torch, f), x)
        for f in ("abs", "exp", "exp2", "expm1", "sin", "cos", "tan", "sinh", "cosh", "atan", "asinh", "erf", "erfc")
    },
    **{f: (getattr(torch, f), x) for f in ("neg", "square", "sign", "floor", "ceil", "trunc", "round", "frac", "sinc")},
    **{
        f: (getattr(torch, f), q)
        for f in ("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "asin", "acos", "atanh", "erfinv")
    },
    **{f: (getattr(torch, f), q) for f in ("lgamma", "digamma", "logit", "deg2rad", "rad2deg", "sigmoid")},
    "acosh": (torch.acosh, q + 1),
    **{f: (getattr(torch, f), x, y) for f in ("add", "sub", "mul", "div", "maximum", "minimum", "atan2", "hypot")},
    **{f: (getattr(torch, f), x, y) for f in ("logaddexp", "logaddexp2", "fmod", "remainder", "copysign", "fmax")},
    "broadcast": (lambda x, y: x * y + y, x, r(4)),
    "pow_whole": (lambda x: x**3, x),
    "pow_real": (lambda x: x**1.7, q),
    "pow_of_number": (lambda x: 2**x, x),
    "pow_both": (lambda x, y: x**y, q, y),
    "add_alpha": (lambda x, y: torch.add(x, y, alpha=0.3), x, y),
    "rsub": (lambda x: 1 - x, x),
    "div_floor": (lambda x, y: torch.div(x, y, rounding_mode="floor") + x, x, y),
    "div_trunc": (lambda x, y: torch.div(x, y, rounding_mode="trunc") + x, x, y),
    "polygamma": (lambda x: torch.polygamma(1, x), q),
    "polygamma_3": (lambda x: torch.polygamma(3, x), q),
    **{name: (getattr(torch.special, name), x) for name in ("i0", "i0e", "i1", "i1e")},
    "ndtri": (torch.special.ndtri, q),
    "ldexp": (torch.ldexp, x, t(1, 2, 0, 3)),
    "mvlgamma": (lambda x: torch.mvlgamma(x, 2), q + 1),
    "zeta": (lambda x: torch.special.zeta(2.0, x), q),
    "xlogy": (torch.xlogy, q, p(*M)),
    "xlog1py": (torch.special.xlog1py, q, p(*M)),
    "entr": (torch.special.entr, q),
    "ndtr": (torch.special.ndtr, x),
    "log_ndtr": (torch.special.log_ndtr, x),
    "expit": (torch.special.expit, x),
    "lerp": (lambda x, y, w: torch.lerp(x, y, w), x, y, q),
    "addcmul": (lambda x, y, z: torch.addcmul(x, y, z, value=0.5), x, y, q),
    "addcdiv": (lambda x, y, z: torch.addcdiv(x, y, z, value=0.5), x, y, q),
    "clamp": (lambda x: torch.clamp(x, -0.5, 0.6), x),
    "clamp_min": (lambda x: torch.clamp(x, min=0.1), x),
    "clamp_tensors": (lambda x, a, b: torch.clamp(x, a, b), x, -p(*M), p(*M)),
    "clip_one": (lambda x: x.clip(max=0.1), x),
    "where": (lambda x, y: torch.where(x > 0, x, 2 * y), x, y),
    "where_number": (lambda x: torch.where(x > 0, x, 0.5), x),
    "masked_fill": (lambda x, m: x.masked_fill(m, -3.0), x, y > 0),
    "nan_to_num": (torch.nan_to_num, x),
    "whole_beside_real": (lambda x, i: x * i + i / 2 + i // 2, x, t(1, 2, 3, 4)),
    "condition_beside_real": (lambda x, m: x * m + m, x, y > 0),
    "float_power": (lambda x: torch.float_power(x, 3), x),
}

REDUCTIONS = {
    "sum": (torch.sum, x),
    "sum_axis": (lambda x: x.sum(0, keepdim=True), x),
    "mean": (torch.mean, x),
    "mean_axes": (lambda x: x.mean((0, 2)), r(2, 3, 4)),
    "prod": (torch.prod, x),
    "prod_axis": (lambda x: x.prod(1), x),
    "var": (torch.var, x),
    "var_axis": (lambda x: x.var(1, unbiased=False, keepdim=True), x),
    "std": (torch.std, x),
    "std_axis": (lambda x: x.std(0), x),
    "var_mean": (lambda x: torch.var_mean(x, 1), x),
    "norm": (torch.norm, x),
    "norm_1": (lambda x: torch.norm(x, 1, dim=1), x),
    "norm_3": (lambda x: torch.norm(x, 3, dim=0), x),
    "norm_inf": (lambda x: torch.linalg.vector_norm(x, float("inf"), dim=1), x),
    "max": (torch.max, x),
    "max_axis": (lambda x: x.max(1), x),
    "min": (torch.min, x),
    "min_axis": (lambda x: x.min(0, keepdim=True), x),
    "amax": (lambda x: x.amax(1), x),
    "amin": (lambda x: x.amin((0, 1)), x),
    "aminmax": (lambda x: torch.aminmax(x, dim=1), x),
    "logsumexp": (lambda x: torch.logsumexp(x, 1), x),
    "logsumexp_axes": (lambda x: torch.logsumexp(x, (0, 1), keepdim=True), x),
    "cumsum": (lambda x: x.cumsum(1), x),
    "cumprod": (lambda x: x.cumprod(0), x),
    "cummax": (lambda x: torch.cummax(x, 1), x),
    "cummin": (lambda x: torch.cummin(x, 0), x),
    "logcumsumexp": (lambda x: torch.logcumsumexp(x, 1), x),
    "sort": (lambda x: torch.sort(x, 1, descending=True), x),
    "sort_stable": (lambda x: torch.sort(x, dim=0, stable=True), x),
    "argsort": (lambda x: x.gather(1, torch.argsort(x, 1)), x),
    "topk": (lambda x: torch.topk(x, 2, 1), x),
    "topk_smallest": (lambda x: torch.topk(x, 2, 0, largest=False), x),
    "kthvalue": (lambda x: torch.kthvalue(x, 2, 1), x),
    "median": (torch.median, x),
    "median_axis": (lambda x: torch.median(x, 1, keepdim=True), x),
    "quantile": (lambda x: torch.quantile(x, 0.3, dim=1), x),
    "nansum": (lambda x: torch.nansum(x, 1), x),
    "diff": (lambda x: torch.diff(x), x),
    "trapezoid": (lambda x: torch.trapezoid(x), x),
    "dist": (torch.dist, x, y),
    "argmax": (lambda x: x.gather(1, x.argmax(1, keepdim=True)), x),
    "count_nonzero": (lambda x: x.sum() * torch.count_nonzero(x), x),
    "any_all": (lambda x: torch.where((x > 0).any(1, keepdim=True) & (x > -5).all(), x, -x), x),
}

SHAPES = {
    "reshape": (lambda x: x.reshape(2, 6) * 2, x),
    "view_minus_one": (lambda x: x.view(-1, 2) ** 2, x),
    "transpose": (lambda x: x.transpose(0, 1) * 2, x),
    "permute": (lambda x: x.permute(2, 0, 1) * 2, r(2, 3, 4)),
    "flatten": (lambda x: x.flatten() ** 2, x),
    "squeeze": (lambda x: x.squeeze() ** 2, r(1, 3, 1)),
    "unsqueeze": (lambda x: x.unsqueeze(-1) ** 2, x),
    "expand": (lambda x: x.expand(2, -1, 4) ** 2, r(3, 1)),
    "cat": (lambda x, y: torch.cat([x, y], 1), x, y),
    "stack": (lambda x, y: torch.stack([x, y], -1), x, y),
    "chunk": (lambda x: x.chunk(3, 1), x),
    "split": (lambda x: torch.split(x**2, [1, 3], 1), x),
    "unbind": (lambda x: (x**2).unbind(1), x),
    "repeat": (lambda x: x.repeat(2, 1, 3), x),
    "repeat_interleave": (lambda x: x.repeat_interleave(2, 1), x),
    "tile": (lambda x: x.tile((2, 1)), x),
    "roll": (lambda x: x.roll(1, 1), x),
    "roll_all": (lambda x: x.roll(2), x),
    "flip": (lambda x: x.flip(0, 1), x),
    "rot90": (lambda x: x.rot90(), x),
    "tril": (lambda x: torch.tril(x, -1), x),
    "triu": (lambda x: torch.triu(x, 1), x),
    "diag": (lambda x: torch.diag(x), r(4)),
    "diag_of_matrix": (lambda x: torch.diag(x, 1), x),
    "diagonal": (lambda x: torch.diagonal(x, -1, 0, 2), r(3, 2, 4)),
    "diag_embed": (lambda x: torch.diag_embed(x, 1), x),
    "trace": (torch.trace, x),
    "movedim": (lambda x: x.movedim(0, 2) ** 2, r(2, 3, 4)),
    "unfold_tensor": (lambda x: x.unfold(1, 2, 1), x),
    "meshgrid": (lambda a, b: torch.meshgrid(a, b, indexing="ij"), r(2), r(3)),
    "cartesian": (lambda a, b: torch.cartesian_prod(a, b), r(2), r(3)),
    "outer": (torch.outer, r(2), r(3)),
    "block_diag": (torch.block_diag, r(2, 2), r(3, 1)),
}

m, i = y > 0, t([2, 0], [1, 1])
ENTRIES = {
    "gather": (lambda x: x.gather(1, t([1, 1], [0, 3], [2, 0])), x),
    "gather_drawn": (lambda x, i: x.gather(0, i), x, i),
    "scatter": (lambda x, y: x.scatter(1, t([1, 2], [0, 3], [2, 0]), y), x, y[:, :2].clone()),
    "scatter_number": (lambda x: x.scatter(0, t([1, 2]), 0.5), x),
    "scatter_add": (lambda x, y: x.scatter_add(1, t([1, 1], [0, 0], [2, 0]), y), x, y[:, :2].clone()),
    "scatter_sum": (lambda x, y: x.scatter_reduce(0, i, y, "sum"), x, y[:2, :2].clone()),
    "scatter_prod": (lambda x, y: x.scatter_reduce(0, i, y, "prod"), x, y[:2, :2].clone()),
    "scatter_amax": (lambda x, y: x.scatter_reduce(0, i, y, "amax"), x, y[:2, :2].clone()),
    "scatter_mean": (lambda x, y: x.scatter_reduce(0, i, y, "mean", include_self=False), x, y[:2, :2].clone()),
    "scatter_amin_alone": (lambda x, y: x.scatter_reduce(0, i, y, "amin", include_self=False), x, y[:2, :2].clone()),
    "slices": (lambda x: x[1:, ::2] ** 2, x),
    "slices_from_the_end": (lambda x: x[:-1, -2:] ** 2, x),
    "one_row": (lambda x: x[-1] ** 2, x),
    "integers": (lambda x: x[[0, 2, 2]] ** 2, x),
    "integers_given": (lambda x, rows: x[rows] ** 2, x, rows),
    "integers_apart": (lambda x: x[t(0, 1), :, t(2, 0)], r(3, 2, 4)),
    "integers_beside": (lambda x: x[:, t(0, 1, -1), t(2, 0, 1)], r(3, 2, 4)),
    "integers_in_a_table": (lambda x: x[:, t([0, 1], [1, 0])], x),
    "rows_and_labels": (lambda x, rows: x[torch.arange(3), rows], x, rows),
    "mask": (lambda x: x[torch.tensor([True, False, True])] ** 2, x),
    "ellipsis_and_none": (lambda x: x[..., None, 1:] ** 2, x),
    "written_slice": (lambda x, y: put_slice(x, y), x, y),
    "written_row": (lambda x, y: put_row(x, y), x, y),
    "written_mask": (lambda x, m: put_mask(x, m), x, m),
    "index_put": (lambda x, y: x.index_put((rows, t(0, 0, 3)), y[0, :3]), x, y),
    "index_put_added": (lambda x, y: x.index_put((t(0, 0, 2),), y, accumulate=True), x, y),
    "index_add": (lambda x, y: x.index_add(1, t(0, 0, 3), y[:, :3], alpha=0.5), x, y),
    "index_select": (lambda x, rows: x.index_select(0, rows), x, rows),
    "masked_scatter": (lambda x, m, y: x.masked_scatter(m, y), x, m, y),
    "diagonal_scatter": (lambda x, v: x.diagonal_scatter(v, 1), x, r(3)),
    "index_reduce": (lambda x, y: x.index_reduce(0, t(0, 0, 2), y, "prod"), x, y),
    "put": (lambda x: x.put(t(0, 7), x[1, 2:], accumulate=True), x),
    "index_copy": (lambda x, y: x.index_copy(0, t(0, 2), y[:2]), x, y),
    "index_fill": (lambda x: x.index_fill(1, t(0, 2), 0.3), x),
    "take": (lambda x: x.take(t(0, 5, 5)), x),
    "take_along_dim": (lambda x: x.take_along_dim(t([1, 1], [0, 3], [2, 0]), 1), x),
    "masked_scatter_by_where": (lambda x, m: torch.where(m, x, 0.0), x, m),
    "one_hot": (lambda x, rows: x @ F.one_hot(rows, 4).to(x.dtype).T, x, rows),
    "embedding": (lambda w, i: F.embedding(i, w), r(5, 3), i),
    "embedding_padded": (lambda w, i: F.embedding(i, w, padding_idx=2), r(5, 3), i),
}


def put_slice(x, y):
    z = x.clone()
    z[1:, ::2] = y[1:, :2] * 2
    return z


def put_row(x, y):
    z = x * 1
    z[1] = y[0] ** 2
    z[:, 0] += 1
    return z


def put_mask(x, m):
    z = x.clone()
    z[m] = 0.25
    return z**2


A, b, v, tall = r(3, 3), r(3, 2), r(3), r(4, 3)
D = A @ A.T + torch.eye(3)
L = torch.linalg


def with_sign(Q, R):
    """The factors of a QR decomposition whose diagonal is positive."""
    signs = torch.sign(torch.diagonal(R)).detach()
    return Q * signs, R * signs[:, None]


MATRICES = {
    "linear": (F.linear, r(2, 3), r(4, 3), r(4)),
    "linear_of_rows": (F.linear, r(2, 5, 3), r(4, 3)),
    "bilinear": (F.bilinear, r(2, 3), r(2, 4), r(5, 3, 4), r(5)),
    "mm": (torch.mm, A, b),
    "bmm": (torch.bmm, r(2, 2, 3), r(2, 3, 4)),
    "mv": (torch.mv, A, v),
    "dot": (torch.dot, v, r(3)),
    "matmul": (torch.matmul, r(2, 1, 3, 4), r(3, 4, 2)),
    "addmm": (lambda x, a, b: torch.addmm(x, a, b, beta=0.5, alpha=2.0), r(2, 2), r(2, 3), b),
    "addmv": (torch.addmv, v, A, r(3)),
    "addr": (torch.addr, A, v, r(3)),
    "baddbmm": (torch.baddbmm, r(2, 2, 2), r(2, 2, 3), r(2, 3, 2)),
    "addbmm": (torch.addbmm, r(2, 2), r(2, 2, 3), r(2, 3, 2)),
    "einsum": (lambda a, b: torch.einsum("ij,jk->ik", a, b), A, b),
    "einsum_three": (lambda a, b, c: torch.einsum("bij,bjk,k->bi", a, b, c), r(2, 3, 4), r(2, 4, 5), r(5)),
    "einsum_trace": (lambda a: torch.einsum("ii->i", a), A),
    "tensordot": (lambda a, b: torch.tensordot(a, b, 1), A, b),
    "kron": (torch.kron, A, b),
    "inner": (torch.inner, A, D),
    "multi_dot": (lambda a, b: L.multi_dot([a, a, b]), A, b),
    "matrix_power": (lambda a: L.matrix_power(a, -3), D),
    "vecdot": (L.vecdot, A, D),
    "cross": (lambda a, b: L.cross(a, b), A, D),
    "solve": (L.solve, A, b),
    "solve_vector": (L.solve, A, v),
    "solve_from_the_right": (lambda a, b: L.solve(a, b, left=False), A, r(2, 3)),
    "inv": (L.inv, A),
    "inv_batch": (L.inv, r(2, 3, 3)),
    "det": (L.det, A),
    "slogdet": (lambda a: L.slogdet(a)[1], A),
    "logdet": (torch.logdet, D),
    "cholesky": (lambda a: L.cholesky((a + a.T) / 2), D),
    "cholesky_upper": (lambda a: L.cholesky((a + a.T) / 2, upper=True), D),
    "cholesky_solve": (lambda b, a: torch.cholesky_solve(b, a.tril()), b, L.cholesky(D)),
    "cholesky_inverse": (lambda a: torch.cholesky_inverse(a.tril()), L.cholesky(D)),
    "qr": (lambda a: with_sign(*L.qr(a)), tall),
    "svd": (lambda a: (lambda U, S, V: (U @ torch.diag(S) @ V, S, U * U))(*L.svd(a, full_matrices=False)), tall),
    "svdvals": (L.svdvals, tall),
    "eigh": (lambda a: (lambda w, V: (w, V * V))(*L.eigh((a + a.T) / 2)), D),
    "eigvalsh": (lambda a: L.eigvalsh((a + a.T) / 2), D),
    "pinv": (L.pinv, tall),
    "pinv_symmetric": (lambda a: L.pinv((a + a.T) / 2, hermitian=True), D),
    "triangular_solve": (lambda a, b: torch.triangular_solve(b, a, upper=False)[0], A + 3 * torch.eye(3), b),
    "solve_triangular": (lambda a, b: L.solve_triangular(a, b, upper=False), A + 3 * torch.eye(3), b),
    "solve_triangular_upper": (
        lambda a, b: L.solve_triangular(a, b, upper=True, left=False, unitriangular=True),
        A,
        r(2, 3),
    ),
    "lu": (L.lu, A),
    "lu_solve": (lambda a, b: L.lu_solve(*L.lu_factor(a), b), A, b),
    "matrix_exp": (torch.matrix_exp, A),
    "norm_frobenius": (L.norm, A),
    "norm_spectral": (lambda a: L.matrix_norm(a, 2), A),
    "norm_nuclear": (lambda a: L.matrix_norm(a, "nuc"), A),
    "norm_of_columns": (lambda a: L.matrix_norm(a, 1), A),
    "cond": (L.cond, A),
    "tensorinv": (lambda a: L.tensorinv(a.reshape(2, 2, 4), 2), r(4, 4)),
    "tensorsolve": (lambda a, b: L.tensorsolve(a.reshape(2, 2, 4), b), r(4, 4), r(2, 2)),
    "householder_product": (L.householder_product, r(4, 2), r(2)),
    "vander": (L.vander, v),
    "cdist": (lambda a, b: torch.cdist(a, b), r(2, 3), r(4, 3)),
    "cdist_1": (lambda a, b: torch.cdist(a, b, 1.0), r(2, 3), r(4, 3)),
    "pdist": (lambda a: F.pdist(a), tall),
    "cosine_similarity": (lambda a, b: F.cosine_similarity(a, b), A, D),
    "pairwise_distance": (lambda a, b: F.pairwise_distance(a, b), A, D),
    "normalize": (lambda a: F.normalize(a), A),
    "renorm": (lambda a: torch.renorm(a, 2, 0, 1.0), A),
}

labels, weights = t(2, 0, 1), p(4)
signs = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
lists = t([3, 0, -1, 1], [1, -1, 0, 0], [0, 1, 2, 3])
LOSSES = {
    **{
        name: (lambda x, y, name=name: getattr(F, name)(x, y), x, y)
        for name in (
            *("l1_loss", "mse_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss"),
            *("multilabel_soft_margin_loss", "binary_cross_entropy_with_logits"),
        )
    },
    "mse_loss_of_each": (lambda x, y: F.mse_loss(x, y, reduction="none"), x, y),
    "smooth_l1_loss_summed": (lambda x, y: F.smooth_l1_loss(x, y, reduction="sum", beta=0.5), x, y),
    "huber_loss_delta": (lambda x, y: F.huber_loss(x, y, delta=0.4), x, y),
    "bce": (lambda q, y: F.binary_cross_entropy(q, y), q, p(*M)),
    "soft_margin_loss": (lambda x: F.soft_margin_loss(x, torch.sign(y)), x),
    "bce_weighted": (lambda q, y: F.binary_cross_entropy(q, y, weights, reduction="sum"), q, p(*M)),
    "bce_with_logits_weighted": (
        lambda x, y: F.binary_cross_entropy_with_logits(x, y, weights, pos_weight=2 * weights),
        x,
        p(*M),
    ),
    "kl_div": (lambda x, y: F.kl_div(x, y, reduction="batchmean"), x, q),
    "kl_div_log": (lambda x, y: F.kl_div(x, y, reduction="sum", log_target=True), x, y),
    "poisson_nll_full": (lambda q, y: F.poisson_nll_loss(q, y, log_input=False, full=True), q, 3 * p(*M)),
    "gaussian_nll_of_variances": (lambda x, y, s: F.gaussian_nll_loss(x, y, s, reduction="sum"), x, y, q),
    "ctc": (
        lambda x: F.ctc_loss(x.log_softmax(-1), t([1, 2, 2], [2, 1, 3]), t(6, 5), t(3, 2)),
        r(6, 2, 4),
    ),
    "ctc_given": (
        lambda x, i, n, m: F.ctc_loss(x.log_softmax(-1), i, n, m, 1, "none"),
        r(6, 2, 4),
        t([0, 2, 2], [2, 0, 3]),
        t(6, 5),
        t(3, 1),
    ),
    "ctc_joined": (lambda x: F.ctc_loss(x.log_softmax(-1), t(1, 2, 3, 1), (5, 5), (1, 3), reduction="sum"), r(5, 2, 4)),
    "ctc_infinite": (
        lambda x: F.ctc_loss(x.log_softmax(-1), t([1, 1], [2, 1]), (2, 2), (2, 2), zero_infinity=True),
        r(2, 2, 4),
    ),
    "gaussian_nll": (lambda x, y: F.gaussian_nll_loss(x, y, 0.4, full=True), x, y),
    "cross_entropy": (lambda x: F.cross_entropy(x, labels), x),
    "cross_entropy_given": (lambda x, n: F.cross_entropy(x, n, reduction="sum"), x, labels),
    "cross_entropy_weighted": (lambda x: F.cross_entropy(x, labels, weights, ignore_index=1), x),
    "cross_entropy_smooth": (
        lambda x: F.cross_entropy(x, labels, weights, ignore_index=1, label_smoothing=0.1),
        x,
    ),
    "cross_entropy_soft": (lambda x, s: F.cross_entropy(x, s.softmax(-1), label_smoothing=0.2), x, y),
    "cross_entropy_of_images": (lambda x: F.cross_entropy(x, t([[0, 1], [2, 1]])), r(1, 3, 2, 2)),
    "nll_loss": (lambda x: F.nll_loss(x, labels, weights), x),
    "nll_loss_of_images": (lambda x: F.nll_loss(x, t([[0, 1], [2, 1]])), r(1, 3, 2, 2)),
    "cosine_embedding_loss": (lambda x, y: F.cosine_embedding_loss(x, y, signs, margin=0.1), x, y),
    "hinge_embedding_loss": (lambda x: F.hinge_embedding_loss(x, t(1, -1, 1, -1)), x),
    "margin_ranking_loss": (lambda x, y: F.margin_ranking_loss(x, y, signs, margin=0.2), v, r(3)),
    "multi_margin_loss": (lambda x: F.multi_margin_loss(x, labels), x),
    "multi_margin_loss_squared": (lambda x: F.multi_margin_loss(x, labels, 2, 0.7, weights), x),
    "multilabel_margin_loss": (lambda x: F.multilabel_margin_loss(x, lists), x),
    "triplet_margin_loss": (lambda x, y, z: F.triplet_margin_loss(x, y, z, p=3, swap=True), x, y, r(*M)),
    "triplet_margin_with_distance_loss": (
        lambda x, y, z: F.triplet_margin_with_distance_loss(x, y, z, margin=2.0),
        x,
        y,
        r(*M),
    ),
}

line, image, cube = r(2, 3, 8), r(2, 3, 6, 6), r(1, 2, 4, 4, 4)
NORMS = {
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), image, r(3), r(3)),
    "batch_norm_eval": (lambda x: F.batch_norm(x, v, v * v), image),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (4,), w, b), x, r(4), r(4)),
    "layer_norm_plain": (lambda x: F.layer_norm(x, (3, 4)), r(2, 3, 4)),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), r(2, 4, 3), r(4), r(4)),
    "instance_norm": (lambda x, w, b: F.instance_norm(x, weight=w, bias=b), image, r(3), r(3)),
    "local_response_norm": (lambda x: F.local_response_norm(x, 2), image),
    "rms_norm": (lambda x, w: F.rms_norm(x, (4,), w), x, r(4)),
}

query, key, value = r(2, 2, 5, 4), r(2, 2, 6, 4), r(2, 2, 6, 3)
allowed = torch.from_numpy(rng.uniform(size=(5, 6)) > 0.4)
allowed[1] = False


def attended(x, w, bias, o, c, mask):
    return F.multi_head_attention_forward(
        x, x, x, 4, 2, w, bias, None, None, False, 0.0, o, c, need_weights=True, attn_mask=mask, is_causal=False
    )[0]


ATTENTION = {
    "attention": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v), query, key, value),
    "attention_causal": (lambda q, k: F.scaled_dot_product_attention(q, k, k, is_causal=True), query, key),
    "attention_masked": (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, allowed), query, key, value),
    "attention_mask_given": (F.scaled_dot_product_attention, query, key, value, allowed),
    "attention_bias": (
        lambda q, k, v, b: F.scaled_dot_product_attention(q, k, v, b, scale=0.3),
        query,
        key,
        value,
        r(5, 6),
    ),
    "attention_grouped": (
        lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True),
        r(1, 4, 3, 2),
        r(1, 2, 3, 2),
    ),
    "multi_head_attention": (
        lambda x, w, b, o, c: attended(x, w, b, o, c, None),
        r(3, 2, 4),
        r(12, 4),
        r(12),
        r(4, 4),
        r(4),
    ),
    "multi_head_attention_masked": (
        lambda x, w, b, o, c: attended(x, w, b, o, c, torch.triu(torch.ones(3, 3, dtype=torch.bool), 1)),
        r(3, 2, 4),
        r(12, 4),
        r(12),
        r(4, 4),
        r(4),
    ),
}

theta = r(2, 2, 3)
WINDOWS = {
    "conv1d": (lambda x, k, b: F.conv1d(x, k, b, 2, 1, 2), line, r(4, 3, 3), r(4)),
    "conv1d_one_image": (lambda x, k: F.conv1d(x, k), line[0].clone(), r(4, 3, 3)),
    "conv2d": (lambda x, k, b: F.conv2d(x, k, b, (1, 2), (1, 0)), image, r(4, 3, 3, 2), r(4)),
    "conv2d_groups": (lambda x, k: F.conv2d(x, k, groups=3, padding="same"), image, r(6, 1, 3, 3)),
    "conv3d": (lambda x, k: F.conv3d(x, k), cube, r(2, 2, 2, 2, 2)),
    "conv_transpose1d": (lambda x, k, b: F.conv_transpose1d(x, k, b, 2, 1, 1), line, r(3, 4, 3), r(4)),
    "conv_transpose2d": (
        lambda x, k: F.conv_transpose2d(x, k, None, 2, 1, 1, 2, (1, 2)),
        r(1, 4, 3, 3),
        r(4, 1, 3, 2),
    ),
    "conv_transpose3d": (lambda x, k: F.conv_transpose3d(x, k, stride=2), r(1, 2, 2, 2, 2), r(2, 2, 2, 2, 2)),
    "conv_tbc": (lambda x, k, b: torch.conv_tbc(x, k, b, 1), r(5, 2, 3), r(3, 3, 4), r(4)),
    "unfold": (lambda x: F.unfold(x, 2, padding=1, stride=2), image),
    "fold": (lambda x: F.fold(x, (4, 4), 2), r(2, 12, 9)),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 3, 2, 1), line),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, (2, 3), 2, 1, ceil_mode=True, count_include_pad=False), image),
    "avg_pool2d_ceil": (lambda x: F.avg_pool2d(x, 4, 3, 1, ceil_mode=True), image),
    "avg_pool2d_divisor": (lambda x: F.avg_pool2d(x, 2, divisor_override=3), image),
    "avg_pool3d": (lambda x: F.avg_pool3d(x, 2), cube),
    "max_pool1d": (lambda x: F.max_pool1d(x, 3, 2, 1), line),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), image),
    "max_pool2d_dilated": (lambda x: F.max_pool2d(x, 2, 1, 0, 2), image),
    "max_pool2d_places": (lambda x: F.max_pool2d(x, 2, return_indices=True), image),
    "max_pool3d": (lambda x: F.max_pool3d(x, 2), cube),
    "lp_pool1d": (lambda x: F.lp_pool1d(x, 3, 2), line.abs()),
    "lp_pool2d": (lambda x: F.lp_pool2d(x, 2, 2), image),
    "lp_pool3d": (lambda x: F.lp_pool3d(x, 2, 2), cube),
    "adaptive_avg_pool1d": (lambda x: F.adaptive_avg_pool1d(x, 3), line),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (4, 3)), image),
    "adaptive_avg_pool3d": (lambda x: F.adaptive_avg_pool3d(x, (3, 2, 4)), cube),
    "adaptive_max_pool1d": (lambda x: F.adaptive_max_pool1d(x, 3), line),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, (4, 3)), image),
    "adaptive_max_pool3d": (lambda x: F.adaptive_max_pool3d(x, 3), cube),
    "max_unpool1d": (lambda x: F.max_unpool1d(*F.max_pool1d(x, 2, return_indices=True), 2), line),
    "max_unpool2d": (lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2), image),
    "max_unpool3d": (lambda x: F.max_unpool3d(*F.max_pool3d(x, 2, return_indices=True), 2), cube),
    "embedding_bag": (lambda w: F.embedding_bag(t([0, 1], [2, 0]), w), r(4, 3)),
    "embedding_bag_sum": (
        lambda w, s: F.embedding_bag(t(0, 1, 2, 0), w, t(0, 3), mode="sum", per_sample_weights=s),
        r(4, 3),
        r(4),
    ),
    "embedding_bag_max": (lambda w: F.embedding_bag(t([0, 1], [2, 0]), w, mode="max"), r(4, 3)),
    "embedding_bag_padded": (lambda w: F.embedding_bag(t([0, 1], [2, 0]), w, padding_idx=0), r(4, 3)),
    "pad_constant": (lambda x: F.pad(x, (1, 2, -1, 1), value=0.3), image),
    "pad_reflect": (lambda x: F.pad(x, (1, 2, 1, 1), mode="reflect"), image),
    "pad_replicate": (lambda x: F.pad(x, (1, 2, 1, 1), mode="replicate"), image),
    "pad_circular": (lambda x: F.pad(x, (1, 2, 1, 1), mode="circular"), image),
    **{
        f"interpolate_{mode.replace('-', '_')}": (lambda x, mode=mode: F.interpolate(x, size=(4, 9), mode=mode), image)
        for mode in ("nearest", "nearest-exact", "area", "bilinear", "bicubic")
    },
    "interpolate_corners": (lambda x: F.interpolate(x, scale_factor=1.5, mode="bilinear", align_corners=True), image),
    "interpolate_bicubic_corners": (lambda x: F.interpolate(x, (4, 9), mode="bicubic", align_corners=True), image),
    "interpolate_antialias": (lambda x: F.interpolate(x, (4, 3), mode="bilinear", antialias=True), image),
    "interpolate_bicubic_antialias": (lambda x: F.interpolate(x, (3, 9), mode="bicubic", antialias=True), image),
    "interpolate_linear": (lambda x: F.interpolate(x, size=5, mode="linear"), line),
    "interpolate_nearest1d": (lambda x: F.interpolate(x, scale_factor=2), line),
    "interpolate_trilinear": (lambda x: F.interpolate(x, scale_factor=1.5, mode="trilinear"), cube),
    "interpolate_nearest3d": (lambda x: F.interpolate(x, size=3, mode="nearest"), cube),
    "upsample": (lambda x: F.interpolate(x, scale_factor=2, mode="nearest"), image),
    **{
        f"grid_sample_{mode}_{outside}": (
            lambda x, g, mode=mode, outside=outside: F.grid_sample(x, g, mode, outside, align_corners=False),
            image,
            0.8 * r(2, 3, 3, 2),
        )
        for mode in ("bilinear", "nearest", "bicubic")
        for outside in ("zeros", "border", "reflection")
    },
    "grid_sample_corners": (lambda x, g: F.grid_sample(x, g, align_corners=True), image, r(2, 3, 3, 2)),
    **{
        f"grid_sample_3d_{mode}_{outside}": (
            lambda x, g, mode=mode, outside=outside: F.grid_sample(x, g, mode, outside, align_corners=False),
            cube,
            0.8 * r(1, 2, 2, 2, 3),
        )
        for mode, outside in (("bilinear", "zeros"), ("nearest", "border"), ("bilinear", "reflection"))
    },
    "affine_grid": (lambda m: F.affine_grid(m, [2, 3, 4, 5], align_corners=False), theta),
    "affine_grid_3d": (lambda m: F.affine_grid(m, [1, 3, 2, 4, 5], align_corners=True), r(1, 3, 4)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2) ** 2, r(1, 4, 2, 2)),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, 2) ** 2, image),
    "channel_shuffle": (lambda x: torch.channel_shuffle(x, 3) ** 2, image),
}

CASES = ACTIVATIONS | ELEMENTWISE | REDUCTIONS | SHAPES | ENTRIES | MATRICES | LOSSES | NORMS | ATTENTION | WINDOWS
