"""Every function of the array API standard in every namespace of proof: it computes, or says that it cannot."""

from __future__ import annotations

import math
from types import SimpleNamespace

import array_api_compat.numpy as reference
import array_api_extra as xpx
import array_api_strict
import numpy as np
import pytest
import scipy.special
from flint import arb

from multigrad.data.standard import SPECIAL, numpy_standard
from multigrad.namespaces import bounds, cost, dual, exact
from multigrad.namespaces.shared.unsupported import Unsupported

RNG = np.random.default_rng(3)
SPREAD = np.array([0.31, -0.72, 1.63, -1.24, 0.55, 2.17])
FLOATS = {
    "x": SPREAD.reshape(2, 3),
    "y": np.array([[1.21, 0.44, -0.93], [0.68, -1.57, 0.26]]),
    "p": np.array([[0.11, 0.82, 0.37], [0.64, 0.23, 0.91]]),  # inside (0, 1)
    "v": np.array([-0.8, 0.13, 1.9]),
    "w": np.array([0.7, -1.1, 0.4]),
    "s": np.array(0.57),
    "A": np.array([[1.3, 0.2, -0.4], [0.5, 2.1, 0.3], [-0.6, 0.1, 1.7]]),
    "S": np.array([[2.3, 0.4, -0.3], [0.4, 1.6, 0.2], [-0.3, 0.2, 1.1]]),
}
WHOLE = {
    "i": np.array([2, 0, 1, 2]),
    "j": np.array([1, 3, 2, 6]),
    "k": np.array([[0, 2, 1], [1, 1, 0]]),
    "m": np.array([[True, False, True], [False, True, True]]),
    "n": np.array([[True, True, False], [False, False, True]]),
}

# fmt: off
ELEMENTWISE = {
    "x": (
        "abs", "negative", "positive", "square", "sign", "exp", "expm1", "sin", "cos", "tan", "atan", "sinh", "cosh",
        "tanh", "asinh", "floor", "ceil", "round", "trunc", "reciprocal", "conj", "real", "isnan", "isfinite", "isinf",
        "signbit",
    ),
    "p": ("log", "log1p", "log2", "log10", "sqrt", "asin", "acos", "atanh"),
}
PAIRS = (
    "add", "subtract", "multiply", "divide", "maximum", "minimum", "hypot", "logaddexp", "atan2", "copysign",
    "floor_divide", "remainder",
)
COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
REDUCTIONS = ("sum", "mean", "var", "std", "prod", "max", "min")
BITS = ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift")
# fmt: on


def call(name, *arrays, **options):
    return lambda xp, t: getattr(xp, name)(*(getattr(t, a) for a in arrays), **options)


KNOWN = {
    **{name: call(name, a) for a, names in ELEMENTWISE.items() for name in names},
    **{name: call(name, "x", "y") for name in (*PAIRS, *COMPARISONS)},
    **{
        name: lambda xp, t, f=name: (
            getattr(xp, f)(t.x),
            getattr(xp, f)(t.x, axis=1),
            getattr(xp, f)(t.x, axis=(0, 1), keepdims=True),
        )
        for name in REDUCTIONS
    },
    **{name: lambda xp, t, f=name: getattr(xp, f)(xp.astype(t.i, xp.int64), t.j) for name in BITS},
    **{name: call(name, "m", "n") for name in ("logical_and", "logical_or", "logical_xor")},
    "acosh": lambda xp, t: xp.acosh(t.p + 1),
    "all": lambda xp, t: (xp.all(t.m), xp.all(t.x > -1, axis=0)),
    "any": lambda xp, t: (xp.any(t.m), xp.any(t.x > 2, axis=1, keepdims=True)),
    "arange": lambda xp, t: (xp.arange(3) + t.v, xp.arange(0.5, 2.0, 0.5) * t.v),
    "argmax": lambda xp, t: (xp.argmax(t.x), xp.argmax(t.x, axis=1)),
    "argmin": lambda xp, t: (xp.argmin(t.x), xp.argmin(t.x, axis=1, keepdims=True)),
    "argsort": lambda xp, t: (xp.argsort(t.x), xp.argsort(t.x, axis=0, descending=True)),
    "asarray": lambda xp, t: xp.asarray(t.x, copy=True) + xp.asarray([1.0, 2.0, 3.0]),
    "astype": lambda xp, t: xp.astype(t.m, t.x.dtype) * t.x,
    "bitwise_invert": call("bitwise_invert", "m"),
    "broadcast_arrays": lambda xp, t: tuple(xp.broadcast_arrays(t.x, t.v)),
    "broadcast_shapes": lambda xp, t: xp.zeros(xp.broadcast_shapes((2, 1), (1, 3))) + t.v,
    "broadcast_to": lambda xp, t: xp.broadcast_to(t.v, (2, 3)),
    "can_cast": lambda xp, t: t.v,
    "clip": lambda xp, t: (xp.clip(t.x, -0.5, 1.5), xp.clip(t.x, t.v - 1, None)),
    "concat": lambda xp, t: (xp.concat([t.x, t.y], axis=1), xp.concat([t.x, t.y], axis=None)),
    "count_nonzero": lambda xp, t: (xp.count_nonzero(t.m), xp.count_nonzero(t.x, axis=0)),
    "cumulative_prod": lambda xp, t: (xp.cumulative_prod(t.v), xp.cumulative_prod(t.x, axis=1, include_initial=True)),
    "cumulative_sum": lambda xp, t: (xp.cumulative_sum(t.v), xp.cumulative_sum(t.x, axis=0, include_initial=True)),
    "diff": lambda xp, t: (xp.diff(t.x), xp.diff(t.v, n=2), xp.diff(t.x, axis=0, prepend=t.y)),
    "empty": lambda xp, t: 0 * xp.empty((3,)) + t.v,
    "empty_like": lambda xp, t: 0 * xp.empty_like(t.v) + t.v,
    "expand_dims": lambda xp, t: (xp.expand_dims(t.x, axis=1), xp.expand_dims(t.v, axis=(0, 2))),
    "eye": lambda xp, t: xp.eye(3) * t.A + xp.eye(3, k=1),
    "finfo": lambda xp, t: t.v * xp.finfo(t.v.dtype).eps,
    "flip": lambda xp, t: (xp.flip(t.x), xp.flip(t.x, axis=1)),
    "full": lambda xp, t: (xp.full((2,), 0.5), xp.full((3,), t.s) * t.v),
    "full_like": lambda xp, t: xp.full_like(t.v, 2.0) * t.v,
    "iinfo": lambda xp, t: t.v / xp.iinfo(xp.int64).bits,
    "isdtype": lambda xp, t: t.v if xp.isdtype(t.v.dtype, "real floating") else None,
    "isin": lambda xp, t: xp.isin(t.i, t.j),
    "linspace": lambda xp, t: (xp.linspace(-1.0, 2.0, 3) * t.v, xp.linspace(0, 1, 4, endpoint=False)),
    "logical_not": call("logical_not", "m"),
    "matmul": lambda xp, t: (t.A @ t.v, t.x @ t.A, xp.matmul(t.v, t.w)),
    "matrix_transpose": lambda xp, t: xp.matrix_transpose(t.x),
    "meshgrid": lambda xp, t: tuple(xp.meshgrid(t.v, t.w, indexing="ij")) + tuple(xp.meshgrid(t.v, t.w)),
    "moveaxis": lambda xp, t: xp.moveaxis(t.x, 0, 1),
    "nonzero": lambda xp, t: xp.nonzero(t.m) + xp.nonzero(t.x > 0),
    "ones": lambda xp, t: xp.ones((3,)) * t.v,
    "ones_like": lambda xp, t: xp.ones_like(t.x) + t.x,
    "permute_dims": lambda xp, t: xp.permute_dims(t.x, (1, 0)),
    "pow": lambda xp, t: (t.x**3, t.p**t.y, xp.pow(t.p, 0.3), t.x**-2, 2.0**t.x),
    "repeat": lambda xp, t: (xp.repeat(t.x, 2), xp.repeat(t.x, 3, axis=1)),
    "reshape": lambda xp, t: (xp.reshape(t.x, (3, 2)), xp.reshape(t.x, (-1,))),
    "result_type": lambda xp, t: xp.astype(t.m, xp.result_type(t.x, t.y)) * t.x,
    "roll": lambda xp, t: (xp.roll(t.x, 2), xp.roll(t.x, (1, 1), axis=(0, 1))),
    "searchsorted": lambda xp, t: (xp.searchsorted(t.v, t.w), xp.searchsorted(t.v, t.w, side="right") - 1),
    "sort": lambda xp, t: (xp.sort(t.x), xp.sort(t.x, axis=0, descending=True)),
    "squeeze": lambda xp, t: xp.squeeze(t.x[:, None, :], axis=1),
    "stack": lambda xp, t: (xp.stack([t.x, t.y]), xp.stack([t.v, t.w], axis=1)),
    "take": lambda xp, t: (xp.take(t.v, t.i), xp.take(t.x, t.i, axis=1)),
    "take_along_axis": lambda xp, t: xp.take_along_axis(t.x, t.k, axis=1),
    "tensordot": lambda xp, t: (xp.tensordot(t.x, t.A, axes=1), xp.tensordot(t.x, t.y, axes=((0, 1), (0, 1)))),
    "tile": lambda xp, t: xp.tile(t.x, (2, 1)),
    "tril": lambda xp, t: (xp.tril(t.A), xp.tril(t.A, k=1)),
    "triu": lambda xp, t: (xp.triu(t.A), xp.triu(t.A, k=-1)),
    "unique_all": lambda xp, t: tuple(xp.unique_all(t.i)),
    "unique_counts": lambda xp, t: tuple(xp.unique_counts(t.i)),
    "unique_inverse": lambda xp, t: tuple(xp.unique_inverse(t.i)),
    "unique_values": lambda xp, t: xp.sort(xp.unique_values(t.i)),
    "unstack": lambda xp, t: xp.unstack(t.x, axis=1),
    "vecdot": lambda xp, t: (xp.vecdot(t.x, t.y), xp.vecdot(t.x, t.y, axis=0)),
    "where": lambda xp, t: (xp.where(t.m, t.x, t.y), xp.where(t.x > 0, t.x, 0.0), xp.where(t.m, 1.0, t.x)),
    "zeros": lambda xp, t: xp.zeros((3,)) + t.v,
    "zeros_like": lambda xp, t: xp.zeros_like(t.x) + t.x,
    "linalg.cholesky": lambda xp, t: xp.linalg.cholesky(t.S),
    "linalg.cross": lambda xp, t: xp.linalg.cross(t.v, t.w),
    "linalg.det": lambda xp, t: xp.linalg.det(t.A),
    "linalg.diagonal": lambda xp, t: (xp.linalg.diagonal(t.A), xp.linalg.diagonal(t.A, offset=1)),
    "linalg.eigh": lambda xp, t: (xp.linalg.eigh(t.S)[0], xp.linalg.eigh(t.S)[1] ** 2),
    "linalg.eigvalsh": lambda xp, t: xp.linalg.eigvalsh(t.S),
    "linalg.inv": lambda xp, t: xp.linalg.inv(t.A),
    "linalg.matmul": lambda xp, t: xp.linalg.matmul(t.A, t.S),
    "linalg.matrix_norm": lambda xp, t: (
        *(xp.linalg.matrix_norm(t.A, ord=p) for p in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)),
        xp.linalg.matrix_norm(t.A, keepdims=True),
    ),
    "linalg.matrix_power": lambda xp, t: (xp.linalg.matrix_power(t.A, 3), xp.linalg.matrix_power(t.A, -1)),
    "linalg.matrix_transpose": lambda xp, t: xp.linalg.matrix_transpose(t.A),
    "linalg.outer": lambda xp, t: xp.linalg.outer(t.v, t.w),
    "linalg.pinv": lambda xp, t: (xp.linalg.pinv(t.x), xp.linalg.pinv(xp.matrix_transpose(t.x))),
    "linalg.qr": lambda xp, t: (xp.abs(xp.linalg.qr(t.A)[1]), xp.linalg.qr(t.A)[0] ** 2),
    "linalg.slogdet": lambda xp, t: tuple(xp.linalg.slogdet(t.A)),
    "linalg.solve": lambda xp, t: (xp.linalg.solve(t.A, t.S), xp.linalg.solve(t.A, t.v)),
    "linalg.svd": lambda xp, t: (xp.linalg.svd(t.x, full_matrices=False)[0] ** 2, xp.linalg.svd(t.A)[1]),
    "linalg.svdvals": lambda xp, t: xp.linalg.svdvals(t.x),
    "linalg.tensordot": lambda xp, t: xp.linalg.tensordot(t.x, t.A, axes=1),
    "linalg.trace": lambda xp, t: (xp.linalg.trace(t.A), xp.linalg.trace(t.A, offset=-1)),
    "linalg.vecdot": lambda xp, t: xp.linalg.vecdot(t.x, t.y),
    "linalg.vector_norm": lambda xp, t: tuple(
        xp.linalg.vector_norm(t.x, ord=p, axis=axis, keepdims=keepdims)
        for p, axis, keepdims in (
            *((2, None, False), (2, 1, True), (1, 0, False), (math.inf, 1, False), (-math.inf, None, False)),
            *((3, 1, False), (2.5, None, True), (0, 1, False), (2, (0, 1), False)),
        )
    ),
}

BESIDES = {
    **{
        f"einsum {subscripts}": lambda xp, t, s=subscripts, a=operands: xp.einsum(s, *(getattr(t, one) for one in a))
        for subscripts, operands in (
            *(("ij->ji", "x"), ("ij->", "x"), ("ij->j", "x"), ("ii", "A"), ("ii->i", "A"), ("i,i", "vw")),
            *(("i,j->ij", "vw"), ("ij,j", "xv"), ("ij,kj->ik", "xy"), ("ij,jk,kl->il", "xAS"), ("ij,ij->i", "xy")),
            *(("...j,j->...", "xv"), ("...ij,...jk->...ik", "AS"), ("ij,jk->ki", "xA"), ("i,ij,j->", "vAw")),
            *(("ij,i->ij", "Av"), ("ji,j,kl->il", "AvS"), ("ij,kl->ikjl", "xy"), ("b...,b->...", "Av")),
        )
    },
    **{
        f"scipy {name}": lambda xp, t, f=name, a=arrays: getattr(scipy.special, f)(*(getattr(t, one) for one in a))
        for name, arrays in (
            *(
                ("erf", "x"),
                ("erfc", "x"),
                ("erfinv", "p"),
                ("gammaln", "p"),
                ("gamma", "p"),
                ("digamma", "p"),
                ("psi", "p"),
            ),
            *(
                ("digamma", "p"),
                ("expit", "x"),
                ("logit", "p"),
                ("log_expit", "x"),
                ("ndtr", "x"),
                ("log_ndtr", "x"),
                ("entr", "p"),
            ),
            *(("xlogy", "xp"), ("xlog1py", "xp"), ("rel_entr", "ps"), ("kl_div", "ps"), ("cbrt", "x"), ("exp10", "x")),
        )
    },
    **{
        f"numpy {name}": lambda xp, t, f=name, a=arrays: getattr(np, f)(*(getattr(t, one) for one in a))
        for name, arrays in (
            *(("exp", "x"), ("arctan2", "xy"), ("power", "pp"), ("exp2", "x"), ("fabs", "x"), ("rint", "x")),
            *(("logaddexp2", "xy"), ("deg2rad", "x"), ("degrees", "x"), ("fmod", "xy"), ("heaviside", "xp")),
            *(("sum", "x"), ("mean", "x"), ("ravel", "x"), ("cumsum", "x"), ("transpose", "x"), ("dot", "xA")),
        )
    },
    "numpy linalg": lambda xp, t: (np.linalg.norm(t.x), np.linalg.norm(t.x, axis=1), np.linalg.inv(t.A)),
    "numpy's names in xp": lambda xp, t: (
        xp.concatenate([t.x, t.y], axis=1),
        xp.arcsin(t.p),
        xp.power(t.p, 2.5),
        xp.linalg.norm(t.x, axis=1),
        xp.linalg.norm(t.A, "nuc"),
        xp.dot(t.x, t.A),
        xp.cumsum(t.x, axis=0),
    ),
    "numpy options": lambda xp, t: (
        np.std(t.x, axis=0, ddof=1),
        np.sum(t.x, axis=1, keepdims=True),
        np.clip(t.x, 0, 1),
    ),
    "an index with a mask": lambda xp, t: t.x[t.m],
    "an index with numbers": lambda xp, t: (t.v[t.i], t.x[..., [2, 0]], t.x[::-1, None], t.x[:, t.k], t.v[-2:]),
    "an entry written": lambda xp, t: written(xp, t),
    "in place": lambda xp, t: in_place(t),
    "searchsorted - 1": lambda xp, t: xp.take(t.w, xp.clip(xp.searchsorted(t.v, t.w) - 1, 0, 1) + 1),
    "a remainder": lambda xp, t: (t.x % 0.75, t.x // 0.75, 2.0 % t.y, t.x - xp.floor(t.x)),
    "lists of numbers": lambda xp, t: xp.stack([xp.asarray(1.0), t.v[0], t.s * 2]),
    "an index cut off": lambda xp, t: (
        t.v[xp.astype(t.p * 3, xp.int64)],
        xp.take(t.v, xp.astype(xp.floor(t.p * 3), xp.int64), axis=0),
    ),
    "kinds side by side": lambda xp, t: (
        xp.where(xp.broadcast_arrays(t.m, t.x)[0], t.x, t.y),
        xp.take(t.v, xp.meshgrid(t.i, t.v, indexing="ij")[0]),
    ),
    "array-api-extra": lambda xp, t: (
        xpx.apply_where(t.x > 0, t.x, xp.log, lambda a: 0 * a, xp=xp),
        xpx.one_hot(xp.asarray(WHOLE["i"]), 3, xp=xp),
        xpx.sinc(t.x, xp=xp),
        xpx.kron(t.x, t.A, xp=xp),
        xpx.pad(t.x, 1, xp=xp),
    ),
    "conditions": lambda xp, t: xp.where((t.x > 0) & ~(t.y < 0) | (t.x == t.y) ^ t.m, t.x, t.y),
}
"""What people write that the standard does not have, or not with these arguments."""


def written(xp, t):
    result = xp.zeros_like(t.x)
    result[0, :] = t.x[1, :] * t.v
    result[:, 1] += t.y[:, 0]
    result[1, :] *= t.w
    result[t.m] = 0.5
    result[..., -1] = t.s
    return result


def in_place(t):
    x = t.x + 0
    x += t.y
    x *= 2
    x -= t.v
    x /= 3 + t.y
    x **= 2
    return x


WRITTEN = KNOWN | BESIDES

UNKNOWN = {
    "from_dlpack": lambda xp, t: xp.from_dlpack(t.x),
    "imag": lambda xp, t: xp.imag(t.x),
    "nextafter": lambda xp, t: xp.nextafter(t.x, t.y),
    "linalg.eig": lambda xp, t: xp.linalg.eig(t.A),
    "linalg.eigvals": lambda xp, t: xp.linalg.eigvals(t.A),
    "linalg.matrix_rank": lambda xp, t: xp.linalg.matrix_rank(t.A),
    "fft": lambda xp, t: xp.fft.fft(t.v),
}

DATA_DEPENDENT = ["isin", "nonzero", "unique_all", "unique_counts", "unique_inverse", "unique_values"]
"""What the count of operations cannot know: here are shapes only."""


def names_of(module, prefix=""):
    tests = ("Literal", "NamedTuple", "normalize_axis_tuple", "requires_api_version", "requires_extension")
    return {
        f"{prefix}{name}"
        for name in module.__all__
        if callable(getattr(module, name)) and not name.endswith(("_strict_flags", "__")) and name not in tests
        if not isinstance(getattr(module, name), type) and name not in ("fft", "linalg")
    }


def test_the_table_holds_every_function_of_the_standard():
    standard = names_of(array_api_strict) | names_of(array_api_strict.linalg, "linalg.")
    dtypes = {n for n in standard if isinstance(getattr(array_api_strict, n, None), array_api_strict._dtypes.DType)}
    assert standard - dtypes - set(KNOWN) - set(UNKNOWN) == set()


def given(wrap, wrap_whole=lambda a: a):
    return SimpleNamespace(**{k: wrap(a) for k, a in FLOATS.items()}, **{k: wrap_whole(a) for k, a in WHOLE.items()})


def listed(outputs):
    return list(outputs) if isinstance(outputs, tuple | list) else [outputs]


def numpys(function):
    with np.errstate(all="ignore"):
        return [np.asarray(o) for o in listed(function(reference, given(np.array)))]


@pytest.mark.parametrize("name", WRITTEN)
def test_exact_gives_numpys_values(name):
    with exact.precision(200):
        found = listed(WRITTEN[name](exact, given(exact.variable, exact.whole)))
    wanted = numpys(WRITTEN[name])
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert tuple(a.shape) == b.shape
        assert isinstance(a, exact.ExactArray) == (b.dtype.kind == "f") or name in ("sign", "vector_norm")
        np.testing.assert_allclose(exact.midpoints(a), np.asarray(b, dtype=float), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", WRITTEN)
def test_the_derivative_is_the_limit_of_difference_quotients(name):
    directions = {k: RNG.integers(-9, 10, a.shape) for k, a in FLOATS.items()}
    step = arb(2) ** -120

    def moved(sign):
        def wrap(key):
            return exact.variable(FLOATS[key]) + exact.lift(directions[key]) * exact.ExactArray(
                np.asarray(sign * step, dtype=object)
            )

        return SimpleNamespace(**{k: wrap(k) for k in FLOATS}, **{k: exact.whole(a) for k, a in WHOLE.items()})

    with exact.precision(700):
        above, below = (listed(WRITTEN[name](exact, moved(sign))) for sign in (1, -1))
        t = SimpleNamespace(
            **{k: dual.DualArray(exact.variable(a), exact.lift(directions[k])[None]) for k, a in FLOATS.items()},
            **{k: exact.whole(a) for k, a in WHOLE.items()},
        )
        found = listed(WRITTEN[name](dual, t))
        for value, high, low in zip(found, above, below, strict=True):
            if not isinstance(value, dual.DualArray):
                assert np.array_equal(np.asarray(value), np.asarray(high))  # integers and conditions do not move
                continue
            tangent = np.zeros(value.shape) if value.tangent is None else value.tangent[0]
            quotient = (exact.lift(high) - low) / exact.ExactArray(np.asarray(2 * step, dtype=object))
            assert tangent.shape == quotient.shape
            difference = exact.lift(quotient - tangent).elements
            assert all(abs(d) < 1e-50 for d in difference.flat), name


@pytest.mark.parametrize("name", [n for n in WRITTEN if n != "can_cast"])
def test_the_bounds_hold_numpys_values(name):
    with bounds.context("float64"), np.errstate(all="ignore"):
        found = listed(WRITTEN[name](bounds, given(bounds.asarray)))
    for a, b in zip(found, numpys(WRITTEN[name]), strict=True):
        assert tuple(a.shape) == b.shape
        if isinstance(a, bounds.Array):
            assert np.all(np.abs(a.value - b) <= 2 * a.worst), name
            size = np.max(np.abs(b), initial=1e-300)
            assert np.max(a.worst, initial=0) <= 1e-12 * size, name
        else:
            assert np.array_equal(getattr(a, "value", a), b)


@pytest.mark.parametrize(
    "name", [n for n in WRITTEN if n not in (*DATA_DEPENDENT, "can_cast", "an index with a mask", "an entry written")]
)
def test_the_count_of_operations_has_numpys_shapes(name):
    with cost.counting("float64"):
        found = listed(WRITTEN[name](cost, given(cost.asarray, cost.asarray)))
    for a, b in zip(found, numpys(WRITTEN[name]), strict=True):
        assert tuple(a.shape) == b.shape


@pytest.mark.parametrize("name", UNKNOWN)
@pytest.mark.parametrize("namespace", [exact, dual, bounds, cost])
def test_what_is_not_known_says_so(namespace, name):
    t = {
        exact: lambda: given(exact.variable, exact.whole),
        dual: lambda: given(lambda a: dual.DualArray(exact.variable(a), exact.ones((1, *a.shape))), exact.whole),
        bounds: lambda: given(bounds.asarray),
        cost: lambda: given(cost.asarray, cost.asarray),
    }[namespace]
    with bounds.context("float64"), cost.counting("float64"):
        arrays = t()
        with pytest.raises(Unsupported, match=rf"`xp\.{name}` \(test_standard\.py, line \d+\) is not known to the"):
            UNKNOWN[name](namespace, arrays)


@pytest.mark.parametrize("name", DATA_DEPENDENT)
def test_a_shape_that_depends_on_data_is_refused_in_words(name):
    with cost.counting("float64"), pytest.raises(Unsupported, match="is not known to the count of operations"):
        WRITTEN[name](cost, given(cost.asarray, cost.asarray))


@pytest.mark.parametrize("namespace", ["exact", "dual"])
def test_what_a_factorisation_returns_has_the_names_of_the_standard(namespace):
    xp = {"exact": exact, "dual": dual}[namespace]
    A = exact.variable(np.array([[4.0, 1.0], [1.0, 3.0]]))
    if namespace == "dual":
        A = dual.DualArray(A)
    assert xp.linalg.slogdet(A).logabsdet.shape == ()
    assert xp.linalg.eigh(A).eigenvectors.shape == (2, 2)
    assert xp.linalg.qr(A).R.shape == (2, 2)
    assert xp.linalg.svd(A).Vh.shape == (2, 2)


@pytest.mark.parametrize("name", [*SPECIAL, "trigamma"])
def test_a_special_function_is_that_of_the_exact_namespace(name):
    x = np.array([0.25, 0.75])
    np.testing.assert_allclose(getattr(numpy_standard(), name)(x), exact.midpoints(getattr(exact, name)(x)), rtol=1e-13)
