"""What JAX's primitives are in the array API standard: one fact a line.

Each fact is ``fact(xp, *operands, **params)``; the params are those of the primitive. Nothing here imports JAX.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from multigrad.graph.evaluation import Table
from multigrad.graph.indexing import (
    Outside,
    Windows,
    dynamic_slice,
    dynamic_update_slice,
    gather,
    pad,
    scatter,
    strided,
)
from multigrad.graph.namespace import Namespace, is_known, is_number
from multigrad.graph.products import contracted, eliminated_with_pivots, order_after, ordered, triangular_solve
from multigrad.graph.windows import accumulated, convolve, reduce_windows
from multigrad.namespaces.shared.unsupported import Unsupported

Array = Any
Fact = Callable[..., Any]


# fmt: off
UNARY: dict[str, Fact] = {
    "abs":         lambda xp, x, **_: xp.abs(x),
    "acos":        lambda xp, x, **_: xp.acos(x),
    "acosh":       lambda xp, x, **_: xp.acosh(x),
    "asin":        lambda xp, x, **_: xp.asin(x),
    "asinh":       lambda xp, x, **_: xp.asinh(x),
    "atan":        lambda xp, x, **_: xp.atan(x),
    "atanh":       lambda xp, x, **_: xp.atanh(x),
    "bessel_i0e":  lambda xp, x, **_: xp.i0e(x),
    "bessel_i1e":  lambda xp, x, **_: xp.i1e(x),
    "cbrt":        lambda xp, x, **_: xp.sign(x) * xp.pow(xp.abs(x), 1 / 3),
    "ceil":        lambda xp, x, **_: xp.ceil(x),
    "cos":         lambda xp, x, **_: xp.cos(x),
    "cosh":        lambda xp, x, **_: xp.cosh(x),
    "digamma":     lambda xp, x, **_: xp.digamma(x),
    "erf":         lambda xp, x, **_: xp.erf(x),
    "erfc":        lambda xp, x, **_: xp.erfc(x),
    "erf_inv":     lambda xp, x, **_: xp.erfinv(x),
    "exp":         lambda xp, x, **_: xp.exp(x),
    "exp2":        lambda xp, x, **_: xp.exp(x * math.log(2)),
    "expm1":       lambda xp, x, **_: xp.expm1(x),
    "floor":       lambda xp, x, **_: xp.floor(x),
    "is_nan":      lambda xp, x, **_: xp.isnan(x),
    "is_no_nan":   lambda xp, x, **_: xp.logical_not(xp.isnan(x)),
    "is_finite":   lambda xp, x, **_: xp.isfinite(x),
    "lgamma":      lambda xp, x, **_: xp.lgamma(x),
    "log":         lambda xp, x, **_: xp.log(x),
    "log1p":       lambda xp, x, **_: xp.log1p(x),
    "logistic":    lambda xp, x, **_: xp.reciprocal(1 + xp.exp(-x)),
    "neg":         lambda xp, x, **_: xp.negative(x),
    "not":         lambda xp, x, **_: xp.logical_not(x),
    "integer_not": lambda xp, x, **_: xp.bitwise_invert(x),
    "rsqrt":       lambda xp, x, **_: xp.reciprocal(xp.sqrt(x)),
    "sign":        lambda xp, x, **_: xp.sign(x),
    "sin":         lambda xp, x, **_: xp.sin(x),
    "sinh":        lambda xp, x, **_: xp.sinh(x),
    "sqrt":        lambda xp, x, **_: xp.sqrt(x),
    "square":      lambda xp, x, **_: xp.square(x),
    "tan":         lambda xp, x, **_: xp.tan(x),
    "tanh":        lambda xp, x, **_: xp.tanh(x),
    "integer_pow": lambda xp, x, *, y, **_: xp.pow(x, y),
    "round":       lambda xp, x, *, rounding_method, **_: _rounded(xp, x, int(rounding_method)),
}
"""Functions of one array, element by element."""

BINARY: dict[str, Fact] = {
    "add":                    lambda xp, x, y, **_: xp.add(x, y),
    "add_any":                lambda xp, x, y, **_: xp.add(x, y),
    "and":                    lambda xp, x, y, **_: xp.logical_and(x, y),
    "integer_and":            lambda xp, x, y, **_: xp.bitwise_and(x, y),
    "atan2":                  lambda xp, x, y, **_: xp.atan2(x, y),
    "div":                    lambda xp, x, y, **_: xp.divide(x, y),
    "integer_div":            lambda xp, x, y, **_: xp.sign(x) * xp.sign(y) * xp.floor_divide(xp.abs(x), xp.abs(y)),
    "eq":                     lambda xp, x, y, **_: xp.equal(x, y),
    "ge":                     lambda xp, x, y, **_: xp.greater_equal(x, y),
    "gt":                     lambda xp, x, y, **_: xp.greater(x, y),
    "le":                     lambda xp, x, y, **_: xp.less_equal(x, y),
    "le_to":                  lambda xp, x, y, **_: xp.less_equal(x, y),
    "lt":                     lambda xp, x, y, **_: xp.less(x, y),
    "lt_to":                  lambda xp, x, y, **_: xp.less(x, y),
    "max":                    lambda xp, x, y, **_: xp.maximum(x, y),
    "min":                    lambda xp, x, y, **_: xp.minimum(x, y),
    "mul":                    lambda xp, x, y, **_: xp.multiply(x, y),
    "ne":                     lambda xp, x, y, **_: xp.not_equal(x, y),
    "or":                     lambda xp, x, y, **_: xp.logical_or(x, y),
    "integer_or":             lambda xp, x, y, **_: xp.bitwise_or(x, y),
    "polygamma":              lambda xp, n, x, **_: _polygamma(xp, n, x),
    "pow":                    lambda xp, x, y, **_: xp.pow(x, y),
    "rem":                    lambda xp, x, y, **_: x - xp.trunc(xp.divide(x, y)) * y,
    "integer_rem":            lambda xp, x, y, **_: xp.sign(x) * xp.remainder(xp.abs(x), xp.abs(y)),
    "shift_left":             lambda xp, x, y, **_: xp.bitwise_left_shift(x, y),
    "shift_right_arithmetic": lambda xp, x, y, **_: xp.bitwise_right_shift(x, y),
    "zeta":                   lambda xp, s, x, **_: _zeta(xp, s, x),
    "sub":                    lambda xp, x, y, **_: xp.subtract(x, y),
    "xor":                    lambda xp, x, y, **_: xp.logical_xor(x, y),
    "integer_xor":            lambda xp, x, y, **_: xp.bitwise_xor(x, y),
}
"""Functions of two arrays, element by element. Of integers and of conditions some are others."""

NUMBERS: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv, "neg": operator.neg,
    "abs": abs, "max": max, "min": min, "floor": math.floor, "ceil": math.ceil,
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "clamp": lambda low, x, high: min(max(low, x), high),
}
"""Functions of constants, as fractions."""

JAXS_OWN: dict[str, Fact] = {
    "copysign":     lambda xp, x, y, **_: xp.copysign(x, y),
    "floor_divide": lambda xp, x, y, **_: xp.floor_divide(x, y),
    "hypot":        lambda xp, x, y, **_: xp.hypot(x, y),
    "ldexp":        lambda xp, x, n, **_: xp.multiply(x, xp.pow(2.0, xp.real(n))),
    "logaddexp":    lambda xp, x, y, **_: xp.logaddexp(x, y),
    "logaddexp2":   lambda xp, x, y, **_: xp.logaddexp(x * math.log(2), y * math.log(2)) / math.log(2),
    "remainder":    lambda xp, x, y, **_: xp.remainder(x, y),
    "signbit":      lambda xp, x, **_: xp.signbit(x),
}
"""Functions of JAX that are one function of the standard, though JAX makes many primitives of them."""

JAXS_LINALG: dict[str, Fact] = {
    "det":     lambda xp, A, **_: xp.linalg.det(A),
    "inv":     lambda xp, A, **_: xp.linalg.inv(A),
    "slogdet": lambda xp, A, **_: tuple(xp.linalg.slogdet(A)),
    "solve":   lambda xp, A, B, **_: xp.linalg.solve(A, xp.array(B)),
}
"""The same for matrices: an elimination with pivots would be a choice by values."""


def _zeta(xp: Namespace, s: Array, x: Array) -> Array:
    if is_number(s) and s == int(s) and s > 1:
        return xp.hurwitz_zeta(int(s), x)
    raise Unsupported("jax.scipy.special.zeta", "s must be one whole number", "the table of primitives")


def _polygamma(xp: Namespace, n: Array, x: Array) -> Array:
    """The derivatives of the digamma function: (−1)ⁿ⁺¹ n! Σ (x + k)⁻ⁿ⁻¹."""
    if is_number(n) and n in (0, 1):
        return xp.trigamma(x) if n else xp.digamma(x)
    return (-1.0) ** (n + 1) * math.gamma(n + 1) * _zeta(xp, n + 1, x)


def _rounded(xp: Namespace, x: Array, method: int) -> Array:
    # 1 is to even; 0 is away from zero.
    return xp.round(x) if method else xp.sign(x) * xp.floor(xp.abs(x) + 0.5)


def _broadcast(
    xp: Namespace, x: Array, *, shape: Sequence[int], broadcast_dimensions: Sequence[int], **_: Any
) -> Array:
    x = xp.array(x)
    wide = [1] * len(shape)
    for axis, n in zip(broadcast_dimensions, x.shape, strict=True):
        wide[axis] = n
    laid = x if tuple(x.shape) == tuple(wide) else xp.reshape(x, tuple(wide))
    return laid if tuple(wide) == tuple(shape) else xp.broadcast_to(laid, tuple(shape))


def _reshaped(
    xp: Namespace, x: Array, *, new_sizes: Sequence[int], dimensions: Sequence[int] | None = None, **_: Any
) -> Array:
    x = xp.array(x)
    return xp.reshape(x if dimensions is None else xp.permute_dims(x, tuple(dimensions)), tuple(new_sizes))


def _clamped(xp: Namespace, low: Array, x: Array, high: Array, **_: Any) -> Array:
    low, x = xp.together(low, x)
    high, x = xp.together(high, xp.maximum(low, x))
    return xp.minimum(high, x)


def _running(along: Callable[[Namespace, Array, int], Array]) -> Fact:
    def fact(xp: Namespace, x: Array, *, axis: int, reverse: bool, **_: Any) -> Array:
        x = xp.array(x)
        return xp.flip(along(xp, xp.flip(x, axis=axis), axis), axis=axis) if reverse else along(xp, x, axis)

    return fact


def _numbers(shape: Sequence[int], axis: int) -> np.ndarray:
    along = np.arange(shape[axis]).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return np.broadcast_to(along, shape)


def _multiplied(xp: Namespace, a: Array, b: Array, *, dimension_numbers: Any, **_: Any) -> Array:
    summed, batch = dimension_numbers
    return contracted(xp, a, b, summed=summed, batch=batch)


def _eigen(xp: Namespace, A: Array, *, lower: bool = True, **_: Any) -> tuple[Array, Array]:
    values, vectors = xp.linalg.eigh(A if lower else xp.matrix_transpose(A))
    return vectors, values


def _substituted(
    xp: Namespace,
    A: Array,
    B: Array,
    *,
    left_side: bool,
    lower: bool,
    transpose_a: bool,
    unit_diagonal: bool,
    **_: Any,
) -> Array:
    A, B = xp.array(A), xp.array(B)
    return triangular_solve(
        xp, A, B, left=left_side, lower=lower, transposed=transpose_a, unit_diagonal=unit_diagonal
    )


def _selected(xp: Namespace, which: Array, *cases: Array, **_: Any) -> Array:
    if is_known(which) and np.ndim(which) == 0:
        return cases[int(which)]
    chosen, which = xp.array(cases[0]), xp.array(which)
    if len(cases) == 2 and xp.isdtype(which.dtype, "bool"):
        return xp.where(which, xp.array(cases[1]), chosen)
    for i in range(1, len(cases)):
        chosen = xp.where(which >= i, xp.array(cases[i]), chosen)
    return chosen


def _sliced(
    xp: Namespace,
    x: Array,
    *,
    start_indices: Sequence[int],
    limit_indices: Sequence[int],
    strides: Sequence[int] | None,
    **_: Any,
) -> Array:
    return strided(xp, x, start_indices, limit_indices, strides or (1,) * len(start_indices))


def _split(xp: Namespace, x: Array, *, sizes: Sequence[int], axis: int, **_: Any) -> tuple[Array, ...]:
    ends = np.cumsum(sizes)
    ahead = (slice(None),) * axis
    x = xp.array(x)
    return tuple(x[(*ahead, slice(int(end - n), int(end)), ...)] for n, end in zip(sizes, ends, strict=True))


def _largest(xp: Namespace, x: Array, *, k: int, axis: int = -1, **_: Any) -> tuple[Array, Array]:
    x = xp.array(x)
    first = (*(slice(None),) * (axis % x.ndim), slice(0, k), ...)
    places = xp.argsort(x, axis=axis, descending=True, stable=True)
    return xp.sort(x, axis=axis, descending=True)[first], places[first]


def _decomposed(xp: Namespace, A: Array, *, full_matrices: bool, compute_uv: bool, **_: Any) -> tuple[Array, ...]:
    if not compute_uv:
        return (xp.linalg.svdvals(A),)
    U, S, Vh = xp.linalg.svd(A, full_matrices=full_matrices)
    return S, U, Vh


OUTSIDE: dict[str, Outside] = {"PROMISE_IN_BOUNDS": "promised", "CLIP": "clip", "FILL_OR_DROP": "drop"}
"""What JAX calls what happens where an index is outside."""


def _outside(mode: Any) -> Outside:
    return OUTSIDE[str(getattr(mode, "name", mode)).rpartition(".")[2]] if mode is not None else "promised"


def _plain(axes: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(a) for a in axes)


def _gathered(
    xp: Namespace,
    x: Array,
    corners: Array,
    *,
    dimension_numbers: Any,
    slice_sizes: Sequence[int],
    mode: Any,
    fill_value: Any,
    **_: Any,
) -> Array:
    d = dimension_numbers
    windows = Windows(
        _plain(d.offset_dims),
        _plain(d.collapsed_slice_dims),
        _plain(d.start_index_map),
        _plain(d.operand_batching_dims),
        _plain(d.start_indices_batching_dims),
    )
    return gather(
        xp, x, corners, windows=windows, lengths=_plain(slice_sizes), outside=_outside(mode), fill=fill_value
    )


def _scattered(combined: str) -> Fact:
    def fact(
        xp: Namespace, x: Array, corners: Array, slab: Array, *, dimension_numbers: Any, mode: Any, **_: Any
    ) -> Array:
        d = dimension_numbers
        windows = Windows(
            _plain(d.update_window_dims),
            _plain(d.inserted_window_dims),
            _plain(d.scatter_dims_to_operand_dims),
            _plain(d.operand_batching_dims),
            _plain(d.scatter_indices_batching_dims),
        )
        return scatter(xp, x, corners, slab, windows=windows, outside=_outside(mode), combined=combined)

    return fact


def _pooled(combined: str, start: float) -> Fact:
    def fact(
        xp: Namespace,
        x: Array,
        *,
        window_dimensions: Sequence[int],
        window_strides: Sequence[int],
        padding: Sequence[tuple[int, int]],
        base_dilation: Sequence[int],
        window_dilation: Sequence[int],
        **_: Any,
    ) -> Array:
        return reduce_windows(
            xp,
            x,
            getattr(xp, combined),
            start,
            lengths=window_dimensions,
            strides=window_strides,
            padding=padding,
            base_dilations=base_dilation,
            dilations=window_dilation,
        )

    return fact


def _convolved(
    xp: Namespace,
    x: Array,
    kernel: Array,
    *,
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
    dimension_numbers: Any,
    feature_group_count: int,
    batch_group_count: int = 1,
    **_: Any,
) -> Array:
    image_axes, kernel_axes, result_axes = (_plain(axes) for axes in dimension_numbers)
    image = xp.permute_dims(xp.array(x), image_axes)
    if batch_group_count != 1:
        # Groups of a batch are groups of channels of a smaller batch: each meets kernels of its own.
        feature_group_count, (b, c, *places) = batch_group_count, image.shape
        image = xp.reshape(image, (batch_group_count, b // batch_group_count, c, *places))
        image = xp.reshape(xp.moveaxis(image, 0, 1), (b // batch_group_count, batch_group_count * c, *places))
    result = convolve(
        xp,
        image,
        xp.permute_dims(xp.array(kernel), kernel_axes),
        strides=window_strides,
        padding=padding,
        image_dilations=lhs_dilation,
        kernel_dilations=rhs_dilation,
        groups=feature_group_count,
    )
    return xp.permute_dims(result, tuple(int(a) for a in np.argsort(result_axes)))



# fmt: off
ARRAYS: dict[str, Fact] = {
    "argmax":               lambda xp, x, *, axes, **_: xp.argmax(xp.numeric(x), axis=axes[0]),
    "argmin":               lambda xp, x, *, axes, **_: xp.argmin(xp.numeric(x), axis=axes[0]),
    "broadcast_in_dim":     _broadcast,
    "cholesky":             lambda xp, A, **_: xp.linalg.cholesky(A),
    "clamp":                _clamped,
    "concatenate":          lambda xp, *xs, dimension, **_: xp.concat([xp.array(x) for x in xs], axis=dimension),
    "conv_general_dilated": _convolved,
    "cumlogsumexp":         _running(lambda xp, x, axis: accumulated(xp, x, xp.logaddexp, axis)),
    "cummax":               _running(lambda xp, x, axis: accumulated(xp, x, xp.maximum, axis)),
    "cummin":               _running(lambda xp, x, axis: accumulated(xp, x, xp.minimum, axis)),
    "cumprod":              _running(lambda xp, x, axis: accumulated(xp, x, xp.multiply, axis)),
    "cumsum":               _running(lambda xp, x, axis: xp.cumulative_sum(x, axis=axis)),
    "dot_general":          _multiplied,
    "dynamic_slice":        lambda xp, x, *starts, slice_sizes, **_: dynamic_slice(xp, x, starts, slice_sizes),
    "dynamic_update_slice": lambda xp, x, part, *starts, **_: dynamic_update_slice(xp, x, part, starts),
    "eigh":                 _eigen,
    "gather":               _gathered,
    "iota":                 lambda xp, *, shape, dimension, **_: xp.real(_numbers(shape, dimension)),
    "integer_iota":         lambda xp, *, shape, dimension, **_: _numbers(shape, dimension),
    "lu":                   lambda xp, A, **_: eliminated_with_pivots(xp, A),
    "lu_pivots_to_permutation": lambda xp, p, *, permutation_size, **_: order_after(xp, p, permutation_size),
    "pad":                  lambda xp, x, value, *, padding_config, **_: pad(xp, x, value, edges=padding_config),
    "qr":                   lambda xp, A, **_: tuple(xp.linalg.qr(A)),
    "reduce_and":           lambda xp, x, *, axes, **_: xp.all(xp.array(x), axis=axes),
    "reduce_max":           lambda xp, x, *, axes, **_: xp.max(xp.array(x), axis=axes),
    "reduce_min":           lambda xp, x, *, axes, **_: xp.min(xp.array(x), axis=axes),
    "reduce_or":            lambda xp, x, *, axes, **_: xp.any(xp.array(x), axis=axes),
    "reduce_prod":          lambda xp, x, *, axes, **_: xp.prod(xp.array(x), axis=axes) if axes else x,
    "reduce_sum":           lambda xp, x, *, axes, **_: xp.sum(xp.array(x), axis=axes) if axes else x,
    "reduce_window_max":    _pooled("maximum", -math.inf),
    "reduce_window_min":    _pooled("minimum", math.inf),
    "reduce_window_sum":    _pooled("add", 0.0),
    "reshape":              _reshaped,
    "rev":                  lambda xp, x, *, dimensions, **_: xp.flip(xp.array(x), axis=tuple(dimensions)),
    "scatter":              _scattered("set"),
    "scatter-add":          _scattered("add"),
    "scatter-max":          _scattered("maximum"),
    "scatter-min":          _scattered("minimum"),
    "scatter-mul":          _scattered("multiply"),
    "select_n":             _selected,
    "slice":                _sliced,
    "sort":                 lambda xp, *xs, dimension, num_keys, **_: ordered(xp, xs, axis=dimension, keys=num_keys),
    "split":                _split,
    "squeeze":              lambda xp, x, *, dimensions, **_: xp.squeeze(xp.array(x), axis=tuple(dimensions)),
    "stack":                lambda xp, *xs, axis=0, **_: xp.stack([xp.array(x) for x in xs], axis=axis),
    "stop_gradient":        lambda xp, x, **_: xp.constant(x),
    "svd":                  _decomposed,
    "tile":                 lambda xp, x, *, reps, **_: xp.tile(xp.array(x), tuple(reps)),
    "to_condition":         lambda xp, x, **_: xp.not_equal(xp.array(x), 0),
    "to_integer":           lambda xp, x, **_: int(x) if is_number(x) else xp.astype(xp.array(x), xp.int64),
    "to_real":              lambda xp, x, **_: float(x) if is_number(x) else xp.real(x),
    "top_k":                _largest,
    "transpose":            lambda xp, x, *, permutation, **_: xp.permute_dims(xp.array(x), tuple(permutation)),
    "triangular_solve":     _substituted,
    "unstack":              lambda xp, x, *, axis=0, **_: tuple(xp.unstack(xp.array(x), axis=axis)),
}
"""Everything else: axes, shapes, entries by index, matrices, kinds of number."""
# fmt: on

SAME = frozenset(
    (
        *(
            "copy",
            "copy_p",
            "device_put",
            "optimization_barrier",
            "sharding_constraint",
            "layout_constraint",
            "mesh_cast",
        ),
        *("pvary", "pcast", "reshard", "convert_element_type", "name", "to_same"),
    )
)
"""Primitives that leave numbers as they are: dtypes are those that are computed in, never the traced ones."""


def of_jaxs_own(name: str) -> str:
    """Return the key of a function of JAX's own in the table."""
    return f"jax.numpy.{name}"


TABLE = Table(
    elementwise=UNARY | BINARY | {of_jaxs_own(name): fact for name, fact in JAXS_OWN.items()},
    others=ARRAYS | {of_jaxs_own(name): fact for name, fact in JAXS_LINALG.items()},
    numbers=NUMBERS,
    same=SAME,
)
"""All facts."""
