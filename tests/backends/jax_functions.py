"""Functions of JAX, with the shapes of their arguments: those that a traced operation is held against."""

from __future__ import annotations

import jax
import numpy as np
from jax import lax, nn
from jax import numpy as jnp
from jax.scipy import special, stats

la, sla = jnp.linalg, jax.scipy.linalg

V, M, S, B = (5,), (3, 4), (4, 4), (2, 3, 3)
ROWS = np.array([0, 2, 1, 2])


def convolved(x, k):
    return lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW"))


def convolved_in_groups(x, k):
    numbers = ("NWC", "WIO", "NWC")
    return lax.conv_general_dilated(
        x, k, (2,), [(1, 1)], rhs_dilation=(2,), feature_group_count=2, dimension_numbers=numbers
    )


def pooled(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "SAME")


def masked_attention(q, k, v):
    scores = q @ k.T / jnp.sqrt(q.shape[-1])
    mask = jnp.tril(jnp.ones(scores.shape, bool))
    return nn.softmax(jnp.where(mask, scores, jnp.finfo(scores.dtype).min)) @ v


def recurrence(x):
    def step(carry, y):
        carry = 0.9 * carry + 0.1 * y * jnp.sin(carry)
        return carry, carry * carry

    return lax.scan(step, x[0], x)


def counted(x):
    return lax.while_loop(lambda c: c[0] < 4, lambda c: (c[0] + 1, c[1] * x + c[0]), (0, x))[1]


def layer_norm(x, g):
    return (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5) * g


def cosine(a, b):
    return jnp.sum(a * b, -1) / (la.norm(a, axis=-1) * la.norm(b, axis=-1))


def convolved_by_batch(x, k):
    return lax.conv_general_dilated(x, k, (1,), "SAME", dimension_numbers=("NCW", "OIW", "NCW"), batch_group_count=2)


def straight_through(x):
    return x + lax.stop_gradient(jnp.floor(x) - x)


def unsigned_eigen(A):
    values, vectors = la.eigh(A)
    return (vectors * jnp.exp(values)) @ vectors.T


ANY = {
    # jax.nn
    "relu": (nn.relu, M),
    "relu6": (nn.relu6, M),
    "sigmoid": (nn.sigmoid, M),
    "softplus": (nn.softplus, M),
    "soft_sign": (nn.soft_sign, M),
    "silu": (nn.silu, M),
    "log_sigmoid": (nn.log_sigmoid, M),
    "leaky_relu": (nn.leaky_relu, M),
    "hard_sigmoid": (nn.hard_sigmoid, M),
    "hard_silu": (nn.hard_silu, M),
    "hard_tanh": (nn.hard_tanh, M),
    "elu": (nn.elu, M),
    "celu": (nn.celu, M),
    "selu": (nn.selu, M),
    "gelu": (nn.gelu, M),
    "gelu_by_erf": (lambda x: nn.gelu(x, approximate=False), M),
    "glu": (nn.glu, M),
    "mish": (nn.mish, M),
    "squareplus": (nn.squareplus, M),
    "softmax": (nn.softmax, M),
    "log_softmax": (lambda x: nn.log_softmax(x, axis=0), M),
    "logsumexp": (nn.logsumexp, M),
    "weighted_logsumexp": (lambda x: special.logsumexp(x, axis=1, b=jnp.arange(1.0, 5)), M),
    "standardize": (nn.standardize, M),
    "one_hot": (lambda x: nn.one_hot(ROWS, 4) @ x, (4, 3)),
    # elementwise
    "expm1": (jnp.expm1, M),
    "tan": (jnp.tan, M),
    "arctan": (jnp.arctan, M),
    "arcsinh": (jnp.arcsinh, M),
    "cbrt": (jnp.cbrt, M),
    "sinc": (jnp.sinc, M),
    "exp2": (jnp.exp2, M),
    "deg2rad": (jnp.deg2rad, M),
    "integer_powers": (lambda x: x**3 + x**-2, M),
    "where": (lambda x: jnp.where(x > 0, x, jnp.exp(x)), M),
    "clip": (lambda x: jnp.clip(x, -0.5, 0.5), M),
    "select": (lambda x: jnp.select([x > 1, x > 0], [x, x**2], 0.0), V),
    "piecewise": (lambda x: jnp.piecewise(x, [x > 0], [jnp.sin, jnp.cos]), V),
    "arctan2": (jnp.arctan2, M, M),
    "hypot": (jnp.hypot, M, M),
    "logaddexp": (jnp.logaddexp, M, M),
    "logaddexp2": (jnp.logaddexp2, M, M),
    "ldexp": (lambda x: jnp.ldexp(x, jnp.arange(4)), M),
    "copysign": (jnp.copysign, M, M),
    "mod": (jnp.mod, M, M),
    "fmod": (jnp.fmod, M, M),
    "floor_divide": (jnp.floor_divide, M, M),
    # reductions
    "mean": (lambda x: jnp.mean(x, axis=0), M),
    "var": (lambda x: jnp.var(x, axis=1, ddof=1), M),
    "std": (lambda x: jnp.std(x, axis=0), M),
    "prod": (lambda x: jnp.prod(x, axis=0), M),
    "max": (lambda x: jnp.max(x, axis=0), M),
    "ptp": (lambda x: jnp.ptp(x, axis=1), M),
    "nanmean": (lambda x: jnp.nanmean(x, axis=0), M),
    "median": (lambda x: jnp.median(x, axis=0), M),
    "percentile": (lambda x: jnp.percentile(x, 30.0), V),
    "cumsum": (lambda x: jnp.cumsum(x, axis=0), M),
    "cumprod": (lambda x: jnp.cumprod(x, axis=1), M),
    "cumlogsumexp": (lambda x: lax.cumlogsumexp(x, axis=1, reverse=True), M),
    "cummax": (lambda x: lax.cummax(x, axis=1), M),
    "associative_scan": (lambda x: lax.associative_scan(jnp.multiply, x), (7,)),
    # order and entries by index
    "sort": (lambda x: jnp.sort(x, axis=0), M),
    "argsort": (lambda x: jnp.take_along_axis(x, jnp.argsort(x, axis=1), axis=1), M),
    "top_k": (lambda x: lax.top_k(x, 2)[0], M),
    "rows": (lambda x: x[ROWS, 1:], M),
    "entries": (lambda x: x[ROWS[:2], ROWS[1:3]], M),
    "added_at": (lambda x: x.at[ROWS, 1].add(3.0 * x[0, 0]), M),
    "set_at": (lambda x: x.at[1:, 2].set(7.0), M),
    "multiplied_at": (lambda x: x.at[ROWS].multiply(2.0), M),
    "segment_sum": (lambda x: jax.ops.segment_sum(x, ROWS[:3], 3), M),
    "segment_max": (lambda x: jax.ops.segment_max(x, ROWS[:3], 3), M),
    "dynamic_slice": (lambda x: lax.dynamic_slice(x, (1, 2), (2, 2)), M),
    "dynamic_update_slice": (lambda x: lax.dynamic_update_slice(x, x[:1, :2] * 2, (1, 1)), M),
    "interp": (lambda x: jnp.interp(x, jnp.arange(-3.0, 4), jnp.arange(-3.0, 4) ** 2), M),
    "interp_knots": (lambda x, y: jnp.interp(x, jnp.cumsum(jnp.exp(y)) - 2, y), M, V),
    "histogram": (lambda x: jnp.histogram(ROWS, bins=3, weights=x)[0], (4,)),
    # shapes
    "column_major": (lambda x: jnp.reshape(x, (2, -1), order="F"), M),
    "unstacked": (jnp.unstack, M),
    "vander": (jnp.vander, V),
    "pad": (lambda x: jnp.pad(x, ((1, 2), (0, 1)), mode="edge"), M),
    "roll": (lambda x: jnp.roll(x, 2, 1), M),
    "repeat": (lambda x: jnp.repeat(x, 2, axis=1), M),
    "tile": (lambda x: jnp.tile(x, (2, 1)), M),
    "split": (lambda x: jnp.split(x, 2, axis=1)[1], M),
    "tril": (jnp.tril, M),
    "unstack": (lambda x: jnp.unstack(x)[1], M),
    "kron": (lambda x: jnp.kron(x, x), M),
    # products
    "einsum": (lambda a, b: jnp.einsum("ijk,ikl->jl", a, b), (2, 3, 4), (2, 4, 5)),
    "tensordot": (lambda a, b: jnp.tensordot(a, b, 1), M, (4, 2)),
    "cross": (jnp.cross, (2, 3), (2, 3)),
    "convolve": (jnp.convolve, (6,), (3,)),
    "polyval": (jnp.polyval, (3,), V),
    "convolution": (convolved, (2, 3, 5, 5), (4, 3, 3, 3)),
    "convolution_in_groups": (convolved_in_groups, (2, 8, 4), (3, 2, 6)),
    "convolution_by_batch": (convolved_by_batch, (4, 3, 6), (8, 3, 3)),
    "transposed_convolution": (lambda x, k: lax.conv_transpose(x, k, (2, 2), "SAME"), (1, 4, 4, 2), (3, 3, 2, 3)),
    "max_pool": (pooled, (1, 5, 5, 2)),
    "avg_pool": (lambda x: lax.reduce_window(x, 0.0, lax.add, (2, 2), (1, 1), "VALID") / 4, (4, 5)),
    "layer_norm": (layer_norm, M, (4,)),
    "cosine": (cosine, M, M),
    "attention": (masked_attention, (4, 3), (4, 3), (4, 2)),
    # special functions
    "erf": (special.erf, M),
    "erfc": (special.erfc, M),
    "ndtr": (special.ndtr, M),
    "log_ndtr": (special.log_ndtr, M),
    "i0": (jnp.i0, M),
    "i1e": (special.i1e, M),
    "norm_logpdf": (lambda x: stats.norm.logpdf(x, 0.5, 2.0), V),
    "t_logpdf": (lambda x: stats.t.logpdf(x, 3.0), V),
    # control
    "scan": (recurrence, V),
    "fori_loop": (lambda x: lax.fori_loop(0, 5, lambda i, c: c * x + i, x), V),
    "while_loop": (counted, V),
    "cond": (lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x), V),
    "switch": (lambda x: lax.switch(1, [jnp.sin, jnp.cos], x), V),
    "map": (lambda x: lax.map(lambda r: jnp.sum(r**2), x), M),
    "vmap": (jax.vmap(lambda r: nn.softmax(r) @ r), M),
    "checkpoint": (jax.checkpoint(lambda x: jnp.sin(jnp.exp(x))), V),
    "jit": (jax.jit(lambda x: jnp.sin(x) * 2), V),
    "grad": (jax.grad(lambda x: jnp.sum(nn.softmax(x) * x**2)), V),
    "hessian": (jax.hessian(lambda x: jnp.sum(jnp.tanh(x) ** 2 * x)), (3,)),
    "straight_through": (straight_through, V),
}
"""Functions of any numbers."""

POSITIVE = {
    "log2": (jnp.log2, M),
    "sqrt": (jnp.sqrt, M),
    "power": (jnp.power, M, M),
    "root": (lambda x: x**0.4, M),
    "xlogy": (special.xlogy, M, M),
    "entr": (special.entr, M),
    "rel_entr": (special.rel_entr, M, M),
    "gammaln": (special.gammaln, M),
    "digamma": (special.digamma, M),
    "polygamma": (lambda x: special.polygamma(1, x), M),
    "polygamma_2": (lambda x: special.polygamma(2, x), M),
    "zeta": (lambda x: special.zeta(3.0, x), M),
    "betaln": (special.betaln, M, M),
    "gamma_logpdf": (lambda x: stats.gamma.logpdf(x, 2.0), V),
}
"""Functions of positive numbers."""

BETWEEN = {
    "arcsin": (jnp.arcsin, M),
    "arctanh": (jnp.arctanh, M),
    "logit": (special.logit, M),
    "erfinv": (special.erfinv, M),
    "ndtri": (special.ndtri, M),
}
"""Functions of numbers between 0 and 1."""

DEFINITE = {
    "inv": (la.inv, S),
    "inv_of_a_batch": (jax.vmap(la.inv), B),
    "det": (la.det, S),
    "det_along_the_last_axis": (lambda A: jax.vmap(la.det, in_axes=2)(jnp.moveaxis(A, 0, 2)), B),
    "slogdet": (lambda A: la.slogdet(A)[1], S),
    "solve": (la.solve, S, (4, 2)),
    "solve_a_vector": (la.solve, S, (4,)),
    "solve_definite": (lambda A, b: sla.solve(A, b, assume_a="pos"), S, (4,)),
    "solve_triangular": (lambda A, b: sla.solve_triangular(A, b, lower=True, trans=1), S, (4, 2)),
    "cho_solve": (lambda A, b: sla.cho_solve(sla.cho_factor(A), b), S, (4,)),
    "cholesky": (la.cholesky, S),
    "qr": (lambda A: la.qr(A)[1] ** 2, (4, 3)),
    "svdvals": (lambda A: la.svd(A, compute_uv=False), M),
    "nuclear_norm": (lambda A: la.norm(A, "nuc"), M),
    "pinv": (la.pinv, (4, 3)),
    "eigh": (unsigned_eigen, S),
    "matrix_power": (lambda A: la.matrix_power(A, 3), S),
    "lstsq": (lambda A, b: la.lstsq(A, b)[0], (4, 3), (4,)),
    "expm": (sla.expm, (3, 3)),
    "lu": (lambda A: sla.lu(A)[1:], (4, 3)),
    "lu_solve": (lambda A, b: sla.lu_solve(sla.lu_factor(A), b), S, (4,)),
    "mvn_logpdf": (lambda x, A: stats.multivariate_normal.logpdf(x, jnp.zeros(4), A), (4,), S),
}
"""Functions of matrices; square ones are symmetric and positive definite."""


def _definite(a):
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        return a
    return a @ np.swapaxes(a, -1, -2) / 2 + 3 * np.eye(a.shape[-1])


def _symmetric(a):
    return (a + np.swapaxes(a, -1, -2)) / 2 if a.ndim > 1 and a.shape[-1] == a.shape[-2] else a


DOMAINS = (
    (ANY, lambda a: a),
    (POSITIVE, lambda a: abs(a) + 0.2),
    (BETWEEN, lambda a: (abs(a) + 0.1) / (abs(a) + 1)),
    (DEFINITE, _definite),
)

NAMES = [name for functions, _ in DOMAINS for name in functions]


def drawn(name):
    """Return a function, its arguments, and a direction for each of them."""
    functions, move = next((functions, move) for functions, move in DOMAINS if name in functions)
    function, *shapes = functions[name]
    rng = np.random.default_rng(0)
    arguments = [move(rng.standard_normal(shape)) for shape in shapes]
    directions = [rng.standard_normal(shape) for shape in shapes]
    return function, arguments, [_symmetric(d) if functions is DEFINITE else d for d in directions]
