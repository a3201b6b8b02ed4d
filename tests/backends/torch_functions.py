"""Functions of torch with their arguments: those that the table of ATen calls is held against."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

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
    "scatter": (lambda x, y: x.scatter(1, t([1, 2], [0, 3], [2, 0]), y), x, y),
    "scatter_number": (lambda x: x.scatter(0, t([1, 2]), 0.5), x),
    "scatter_add": (lambda x, y: x.scatter_add(1, t([1, 1], [0, 0], [2, 0]), y), x, y),
    "scatter_sum": (lambda x, y: x.scatter_reduce(0, i, y, "sum"), x, y),
    "scatter_prod": (lambda x, y: x.scatter_reduce(0, i, y, "prod"), x, y),
    "scatter_amax": (lambda x, y: x.scatter_reduce(0, i, y, "amax"), x, y),
    "scatter_mean": (lambda x, y: x.scatter_reduce(0, i, y, "mean", include_self=False), x, y),
    "scatter_amin_alone": (lambda x, y: x.scatter_reduce(0, i, y, "amin", include_self=False), x, y),
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


CASES = ACTIVATIONS | ELEMENTWISE | REDUCTIONS | SHAPES | ENTRIES
