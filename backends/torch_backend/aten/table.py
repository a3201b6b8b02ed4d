"""What torch's ATen calls are in the array API standard, element by element: one fact a line; and the table of all.

Each fact is ``fact(xp, *operands, **options)``. The arguments that torch's schema has as tensors are operands, in its
order, and so are numbers that stand where another overload of the same name has a tensor, such as ``other`` of
``add.Scalar``. All others are options under the names of the schema; a number may be either, since the facts have the
schema's names as well. Nothing here imports torch.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from multigrad.graph.evaluation import Table
from multigrad.graph.namespace import Namespace

from .arrays import ARRAYS
from .entries import ENTRIES
from .facts import Array, Fact, by_name, named
from .layers import LAYERS
from .matrices import MATRICES
from .windows import WINDOWS

DECOMPOSED: tuple[str, ...] = (
    *("_native_batch_norm_legit", "_native_batch_norm_legit_functional", "native_batch_norm", "native_layer_norm"),
    "grid_sampler_2d",
)
"""Calls that go away by a decomposition of torch's that is not among its core ones."""

KEPT: tuple[str, ...] = (
    *("_safe_softmax", "log_sigmoid_forward", "logaddexp", "logsumexp", "multilabel_margin_loss_forward"),
    *("roll", "special_log_ndtr", "tril", "triu"),
    *("upsample_bicubic2d", "upsample_bilinear2d", "upsample_linear1d", "upsample_trilinear3d"),
    *(f"{name}{n}d" for name in ("upsample_nearest", "_upsample_nearest_exact") for n in (1, 2, 3)),
)
"""Calls that stay although torch has a decomposition, since they are one fact here."""


def _alike(fact: Fact) -> Fact:
    """Let a fact have operands of one kind."""

    def applied(xp: Namespace, *operands: Array, **options: Any) -> Array:
        return fact(xp, *xp.alike(*operands), **options)

    return applied


def _real(fact: Fact) -> Fact:
    """Let a fact have real operands, whatever they were."""

    def applied(xp: Namespace, *operands: Array, **options: Any) -> Array:
        kept = [float(x) if isinstance(x, int) else x if xp.is_real(x) else xp.real(x) for x in operands]
        return fact(xp, *xp.together(*kept), **options)

    return applied


def _clamped(xp: Namespace, self: Array, min: Array | None = None, max: Array | None = None) -> Array:
    raised = self if min is None else xp.maximum(*xp.alike(self, min))
    return raised if max is None else xp.minimum(*xp.alike(raised, max))


# fmt: off
REAL: dict[str, Fact] = {
    "acos":       lambda xp, x, **_: xp.acos(x),
    "acosh":      lambda xp, x, **_: xp.acosh(x),
    "asin":       lambda xp, x, **_: xp.asin(x),
    "asinh":      lambda xp, x, **_: xp.asinh(x),
    "atan":       lambda xp, x, **_: xp.atan(x),
    "atan2":      lambda xp, x, y, **_: xp.atan2(x, y),
    "atanh":      lambda xp, x, **_: xp.atanh(x),
    "cos":        lambda xp, x, **_: xp.cos(x),
    "cosh":       lambda xp, x, **_: xp.cosh(x),
    "digamma":    lambda xp, x, **_: xp.digamma(x),
    "fmax":       lambda xp, x, y, **_: xp.maximum(x, y),
    "fmin":       lambda xp, x, y, **_: xp.minimum(x, y),
    "erf":        lambda xp, x, **_: xp.erf(x),
    "erfc":       lambda xp, x, **_: xp.erfc(x),
    "erfinv":     lambda xp, x, **_: xp.erfinv(x),
    "exp":        lambda xp, x, **_: xp.exp(x),
    "exp2":       lambda xp, x, **_: xp.exp(x * math.log(2)),
    "expm1":      lambda xp, x, **_: xp.expm1(x),
    "lgamma":     lambda xp, x, **_: xp.lgamma(x),
    "log":        lambda xp, x, **_: xp.log(x),
    "log10":      lambda xp, x, **_: xp.log10(x),
    "log1p":      lambda xp, x, **_: xp.log1p(x),
    "log2":       lambda xp, x, **_: xp.log2(x),
    "logaddexp":  lambda xp, x, y, **_: xp.logaddexp(x, y),
    "polygamma":  lambda xp, x, *, n, **_: _polygamma(xp, n, x),
    "reciprocal": lambda xp, x, **_: xp.reciprocal(x),
    "rsqrt":      lambda xp, x, **_: xp.reciprocal(xp.sqrt(x)),
    "sigmoid":    lambda xp, x, **_: xp.reciprocal(1 + xp.exp(-x)),
    "sin":        lambda xp, x, **_: xp.sin(x),
    "sinh":       lambda xp, x, **_: xp.sinh(x),
    "special_i0e":      lambda xp, x, **_: xp.i0e(x),
    "special_i1":       lambda xp, x, **_: xp.exp(xp.abs(x)) * xp.i1e(x),
    "special_i1e":      lambda xp, x, **_: xp.i1e(x),
    "special_ndtri":    lambda xp, x, **_: math.sqrt(2) * xp.erfinv(2 * x - 1),
    "i0":               lambda xp, x, **_: xp.exp(xp.abs(x)) * xp.i0e(x),
    "special_erfcx":    lambda xp, x, **_: xp.exp(x * x) * xp.erfc(x),
    "special_zeta":     lambda xp, s, x, **_: xp.hurwitz_zeta(s, x),
    "special_log_ndtr": lambda xp, x, **_: xp.log(xp.erfc(-x * math.sqrt(0.5)) / 2),
    "sqrt":       lambda xp, x, **_: xp.sqrt(x),
    "tan":        lambda xp, x, **_: xp.tan(x),
    "tanh":       lambda xp, x, **_: xp.tanh(x),
    "hypot":      lambda xp, x, y, **_: xp.hypot(x, y),
}
"""Functions whose values are real numbers, also of integers."""

ALIKE: dict[str, Fact] = {
    "abs":           lambda xp, x, **_: xp.abs(x),
    "add":           lambda xp, x, y, *, alpha=1, **_: xp.add(x, y if alpha == 1 else y * alpha),
    "angle":         lambda xp, x, **_: xp.where(x < 0, math.pi, 0 * x),
    "bitwise_and":   lambda xp, x, y, **_: xp.bitwise_and(x, y),
    "bitwise_left_shift":  lambda xp, x, y, **_: xp.bitwise_left_shift(x, y),
    "bitwise_not":   lambda xp, x, **_: xp.bitwise_invert(x),
    "bitwise_or":    lambda xp, x, y, **_: xp.bitwise_or(x, y),
    "bitwise_right_shift": lambda xp, x, y, **_: xp.bitwise_right_shift(x, y),
    "bitwise_xor":   lambda xp, x, y, **_: xp.bitwise_xor(x, y),
    "ceil":          lambda xp, x, **_: xp.ceil(x),
    "copysign":      lambda xp, x, y, **_: xp.copysign(x, y),
    "div":           lambda xp, x, y, *, rounding_mode=None, **_: _divided(xp, x, y, rounding_mode),
    "eq":            lambda xp, x, y, **_: xp.equal(x, y),
    "floor":         lambda xp, x, **_: xp.floor(x),
    "floor_divide":  lambda xp, x, y, **_: xp.floor_divide(x, y),
    "fmod":          lambda xp, x, y, **_: _truncated(xp, x, y),
    "ge":            lambda xp, x, y, **_: xp.greater_equal(x, y),
    "gt":            lambda xp, x, y, **_: xp.greater(x, y),
    "isfinite":      lambda xp, x, **_: xp.isfinite(x),
    "isinf":         lambda xp, x, **_: xp.isinf(x),
    "isnan":         lambda xp, x, **_: xp.isnan(x),
    "ldexp":         lambda xp, x, y, **_: xp.multiply(x, xp.pow(2.0, y)),
    "le":            lambda xp, x, y, **_: xp.less_equal(x, y),
    "logical_and":   lambda xp, x, y, **_: xp.logical_and(x, y),
    "logical_not":   lambda xp, x, **_: xp.logical_not(x),
    "logical_or":    lambda xp, x, y, **_: xp.logical_or(x, y),
    "logical_xor":   lambda xp, x, y, **_: xp.logical_xor(x, y),
    "lt":            lambda xp, x, y, **_: xp.less(x, y),
    "maximum":       lambda xp, x, y, **_: xp.maximum(x, y),
    "minimum":       lambda xp, x, y, **_: xp.minimum(x, y),
    "mul":           lambda xp, x, y, **_: xp.multiply(x, y),
    "ne":            lambda xp, x, y, **_: xp.not_equal(x, y),
    "neg":           lambda xp, x, **_: xp.negative(x),
    "pow":           lambda xp, x, y, **_: xp.pow(x, y),
    "relu":          lambda xp, x, **_: xp.maximum(x, 0),
    "remainder":     lambda xp, x, y, **_: xp.remainder(x, y),
    "round":         lambda xp, x, *, decimals=0, **_: _rounded(xp, x, decimals),
    "rsub":          lambda xp, x, y, *, alpha=1, **_: xp.subtract(y, x if alpha == 1 else x * alpha),
    "sgn":           lambda xp, x, **_: xp.sign(x),
    "sign":          lambda xp, x, **_: xp.sign(x),
    "signbit":       lambda xp, x, **_: xp.signbit(x),
    "square":        lambda xp, x, **_: xp.square(x),
    "sub":           lambda xp, x, y, *, alpha=1, **_: xp.subtract(x, y if alpha == 1 else y * alpha),
    "trunc":         lambda xp, x, **_: xp.trunc(x),
}
"""Functions of which the kind of the values is that of the operands, and comparisons."""

ACTIVATIONS: dict[str, Fact] = {
    "elu":         lambda xp, x, *, alpha=1, scale=1, input_scale=1, **_: _elu(xp, x, alpha, scale, input_scale),
    "gelu":        lambda xp, x, *, approximate="none", **_: _gelu(xp, x, approximate),
    "hardtanh":    lambda xp, x, *, min_val=-1, max_val=1, **_: _clamped(xp, x, float(min_val), float(max_val)),
    "clamp":       by_name(_clamped),
    "clamp_max":   lambda xp, x, y, **_: _clamped(xp, x, None, y),
    "clamp_min":   lambda xp, x, y, **_: _clamped(xp, x, y),
    "log_sigmoid_forward": lambda xp, x, **_: (-xp.logaddexp(-x, xp.zeros_like(x)), x),
    "leaky_relu":  lambda xp, x, *, negative_slope=0.01, **_: xp.where(x > 0, x, x * negative_slope),
}
"""Activations that torch leaves whole."""

NUMBERS: dict[str, Callable[..., Any]] = {
    "mul": operator.mul, "neg": operator.neg, "abs": abs,
    "maximum": max, "minimum": min, "floor": math.floor, "ceil": math.ceil,
    "eq": operator.eq, "ne": operator.ne, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
}
"""Functions of constants, as fractions; not those that have options."""
# fmt: on


def _polygamma(xp: Namespace, n: int, x: Array) -> Array:
    """The derivatives of the digamma function: (−1)ⁿ⁺¹ n! Σ (x + k)⁻ⁿ⁻¹."""
    return (-1.0) ** (n + 1) * math.factorial(n) * xp.hurwitz_zeta(n + 1, x) if n else xp.digamma(x)


def _rounded(xp: Namespace, x: Array, decimals: int) -> Array:
    return xp.round(x * 10**decimals) / 10**decimals if decimals else xp.round(x)


def _divided(xp: Namespace, x: Array, y: Array, rounding_mode: str | None) -> Array:
    if rounding_mode == "floor":
        return xp.floor_divide(x, y)
    quotient = xp.divide(*(operand if xp.is_real(operand) else xp.real(operand) for operand in (x, y)))
    return xp.trunc(quotient) if rounding_mode else quotient


def _truncated(xp: Namespace, x: Array, y: Array) -> Array:
    if xp.is_real(x):
        return x - xp.trunc(xp.divide(x, y)) * y
    return xp.sign(x) * xp.remainder(xp.abs(x), xp.abs(xp.array(y)))


def _elu(xp: Namespace, x: Array, alpha: float, scale: float, input_scale: float) -> Array:
    below = alpha * xp.expm1(xp.minimum(x, 0.0) * input_scale)
    return scale * xp.where(x > 0, x, below)


def _gelu(xp: Namespace, x: Array, approximate: str) -> Array:
    if approximate == "tanh":
        return 0.5 * x * (1 + xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * xp.erfc(-x * math.sqrt(0.5))


TABLE = Table(
    elementwise=named(
        {name: _real(fact) for name, fact in REAL.items()}
        | {name: _alike(fact) for name, fact in ALIKE.items()}
        | ACTIVATIONS
    ),
    others=named(ARRAYS | ENTRIES | LAYERS | MATRICES | WINDOWS) | {"stop_gradient": lambda xp, x, **_: xp.constant(x)},
    numbers=named(NUMBERS),
)
"""All facts."""
