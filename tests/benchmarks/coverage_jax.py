"""The public names of jax.nn, jax.numpy, jax.numpy.linalg and jax.scipy.special: example inputs, or why not."""

from __future__ import annotations

import numpy as np
from jax import numpy as jnp

from .coverage_cases import Case, above, at, between, call, definite, far, grouped, positive, real, whole

V, M, T = real(5), real(3, 4), real(2, 3, 4)
SQUARE = definite(4, 4)
ROWS = whole(0, 2, 1, 2)
MASK = np.arange(12).reshape(3, 4) % 3 != 0
TIES = at(-1.0, 0.0, 2.0)

INTEGER = "of integers"
BOOLEAN = "returns conditions or integers, which have no derivative"
CREATION = "creates an array from numbers that are no arrays"
QUERY = "tells a dtype, a shape or a text"
TYPE = "a type or a constant"
FILES = "reads or writes"
COMPLEX = "computes with complex numbers"
SETS = "a set: its shape depends on values"
MAKES = "makes a function"
BITS = "the representation of a number"
BLOCKS = "float8 numbers in blocks"


def alias(name: str) -> str:
    return f"another name of {name}"


NN: dict[str, list[Case]] = {
    "celu": [call(M), call(M, alpha=0.5), call(TIES), call(far(6))],
    "dot_product_attention": [
        call(real(2, 3, 2, 4), real(2, 3, 2, 4), real(2, 3, 2, 4)),
        call(real(2, 3, 2, 4), real(2, 3, 1, 4), real(2, 3, 1, 4), is_causal=True),
        call(real(2, 3, 2, 4), real(2, 3, 2, 4), real(2, 3, 2, 4), bias=real(1, 2, 3, 3), scale=0.3),
        call(real(1, 4, 1, 2), real(1, 4, 1, 2), real(1, 4, 1, 2), local_window_size=1),
    ],
    "elu": [call(M), call(M, alpha=0.5), call(TIES), call(far(6))],
    "gelu": [call(M), call(M, approximate=False), call(far(6)), call(far(6), approximate=False)],
    "glu": [call(M), call(real(4, 3), axis=0)],
    "hard_sigmoid": [call(M), call(at(-3.0, 0.0, 3.0))],
    "hard_silu": [call(M), call(at(-3.0, 0.0, 3.0))],
    "hard_tanh": [call(M), call(at(-1.0, 0.0, 1.0))],
    "identity": [call(M)],
    "leaky_relu": [call(M), call(M, negative_slope=0.2), call(TIES)],
    "log1mexp": [call(positive(3, 4)), call(at(1e-3, 0.5, 0.69, 0.7, 5.0, 40.0))],
    "log_sigmoid": [call(M), call(far(6))],
    "log_softmax": [call(M), call(M, axis=0), call(far(3, 4)), call(M, where=MASK)],
    "logmeanexp": [call(M), call(M, axis=0), call(far(6))],
    "logsumexp": [call(M), call(M, axis=1, keepdims=True), call(far(6)), call(V, b=at(1.0, 2.0, 0.5, 1.5, 3.0))],
    "mish": [call(M), call(far(6))],
    "relu": [call(M), call(TIES)],
    "relu6": [call(M), call(at(-1.0, 0.0, 3.0, 6.0))],
    "selu": [call(M), call(TIES)],
    "sigmoid": [call(M), call(far(6))],
    "silu": [call(M), call(far(6))],
    "soft_sign": [call(M), call(TIES)],
    "softmax": [call(M), call(M, axis=0), call(far(3, 4)), call(M, where=MASK)],
    "softplus": [call(M), call(far(6)), call(TIES)],
    "sparse_plus": [call(M), call(at(-1.0, 0.0, 1.0))],
    "sparse_sigmoid": [call(M), call(at(-1.0, 0.0, 1.0))],
    "squareplus": [call(M), call(M, b=1.0)],
    "standardize": [call(M), call(M, axis=0), call(M, epsilon=0.1)],
    "tanh": [call(M), call(far(6))],
}
"""jax.nn."""

NN_OUT = grouped(
    {
        alias("hard_silu"): "hard_swish",
        alias("silu"): "swish",
        BLOCKS: "scaled_matmul scaled_dot_general get_scaled_dot_general_config",
        CREATION: "one_hot",
        TYPE: "initializers",
    }
)

ELEMENTWISE: dict[str, list[Case]] = {
    "abs": [call(M), call(TIES)],
    "acos": [call(between(3, 4))],
    "acosh": [call(above(3, 4))],
    "add": [call(M, M), call(M, real(4)), call(M, real())],
    "asin": [call(between(3, 4))],
    "asinh": [call(M), call(far(6))],
    "atan": [call(M), call(far(6))],
    "atan2": [call(M, M), call(at(0.0, 1.0, -1.0), at(-1.0, 0.0, 0.0))],
    "atanh": [call(between(3, 4))],
    "cbrt": [call(M), call(at(-8.0, 1.0))],
    "ceil": [call(M)],
    "clip": [call(M, -0.5, 0.5), call(M, real(4), above(4)), call(TIES, 0.0, 1.0)],
    "conj": [call(M)],
    "copysign": [call(M, M)],
    "cos": [call(M), call(far(6))],
    "cosh": [call(M)],
    "deg2rad": [call(M)],
    "divmod": [call(M, M)],
    "exp": [call(M), call(far(6, scale=5.0))],
    "exp2": [call(M)],
    "expm1": [call(M), call(at(1e-9, -1e-9, 0.0))],
    "fabs": [call(M), call(TIES)],
    "float_power": [call(positive(3, 4), M)],
    "floor": [call(M)],
    "floor_divide": [call(M, M)],
    "fmax": [call(M, M), call(at(1.0, 2.0), at(1.0, 3.0))],
    "fmin": [call(M, M), call(at(1.0, 2.0), at(1.0, 3.0))],
    "fmod": [call(M, M)],
    "frexp": [call(M)],
    "heaviside": [call(M, M)],
    "hypot": [call(M, M), call(at(0.0, 3.0), at(2.0, 0.0))],
    "i0": [call(M), call(at(0.0, 1.0, 20.0))],
    "ldexp": [call(real(4), whole(1, -2, 0, 3))],
    "log": [call(positive(3, 4))],
    "log10": [call(positive(3, 4))],
    "log1p": [call(positive(3, 4)), call(at(1e-9, 0.0))],
    "log2": [call(positive(3, 4))],
    "logaddexp": [call(M, M), call(far(6), far(6)), call(at(1.0, 2.0), at(1.0, 2.0))],
    "logaddexp2": [call(M, M), call(at(1.0, 2.0), at(1.0, 2.0))],
    "maximum": [call(M, M), call(M, real(4)), call(at(1.0, 2.0), at(1.0, 3.0))],
    "minimum": [call(M, M), call(at(1.0, 2.0), at(1.0, 3.0))],
    "modf": [call(M)],
    "multiply": [call(M, M), call(M, real(4))],
    "nan_to_num": [call(M)],
    "negative": [call(M)],
    "positive": [call(M)],
    "power": [call(positive(3, 4), M), call(M, 3), call(M, -2), call(at(0.0, 2.0), 2.0)],
    "rad2deg": [call(M)],
    "real": [call(M)],
    "reciprocal": [call(M)],
    "remainder": [call(M, M)],
    "rint": [call(M)],
    "round": [call(M), call(M, 1)],
    "sign": [call(M), call(TIES)],
    "sin": [call(M), call(far(6))],
    "sinc": [call(M), call(at(0.0, 1.0, 0.5, 1e-5))],
    "sinh": [call(M)],
    "sqrt": [call(positive(3, 4))],
    "square": [call(M)],
    "subtract": [call(M, M), call(M, real(4))],
    "tan": [call(M)],
    "tanh": [call(M), call(far(6))],
    "true_divide": [call(M, M), call(M, real(4))],
    "trunc": [call(M)],
    "unwrap": [call(V), call(far(3, 4, scale=2.0), axis=0)],
    "where": [call(MASK, M, M), call(MASK, M, real())],
}
"""Functions of each element."""

REDUCTIONS: dict[str, list[Case]] = {
    "apply_over_axes": [call(jnp.sum, T, (0, 2))],
    "average": [call(M), call(M, axis=1, weights=positive(4))],
    "corrcoef": [call(M), call(V, V), call(M, rowvar=False)],
    "cov": [call(M), call(M, rowvar=False), call(V, V, bias=True), call(M, aweights=positive(4))],
    "cumprod": [call(M), call(M, axis=1), call(at(2.0, 0.0, 3.0))],
    "cumsum": [call(M), call(M, axis=0)],
    "cumulative_prod": [call(V), call(M, axis=1, include_initial=True)],
    "cumulative_sum": [call(V), call(M, axis=1, include_initial=True)],
    "max": [
        call(M),
        call(M, axis=0),
        call(M, axis=(0, 1), keepdims=True),
        call(at(1.0, 3.0, 3.0)),
        call(M, initial=0.1),
    ],
    "mean": [call(M), call(M, axis=0), call(M, where=MASK), call(T, axis=(0, 2))],
    "median": [call(M), call(M, axis=0), call(M, axis=1, keepdims=True)],
    "min": [call(M), call(M, axis=0), call(at(1.0, 1.0, 3.0))],
    "nancumprod": [call(M, axis=1)],
    "nancumsum": [call(M, axis=1)],
    "nanmax": [call(M), call(M, axis=0)],
    "nanmean": [call(M), call(M, axis=0)],
    "nanmedian": [call(M), call(M, axis=0)],
    "nanmin": [call(M), call(M, axis=0)],
    "nanpercentile": [call(V, 30.0), call(M, 60.0, axis=0)],
    "nanprod": [call(M), call(M, axis=0)],
    "nanquantile": [call(V, 0.3), call(M, 0.6, axis=0)],
    "nanstd": [call(M), call(M, axis=0, ddof=1)],
    "nansum": [call(M), call(M, axis=0)],
    "nanvar": [call(M), call(M, axis=0, ddof=1)],
    "percentile": [call(V, 30.0), call(M, at(20.0, 70.0), axis=0)],
    "prod": [call(M), call(M, axis=0), call(at(2.0, 0.0, 3.0)), call(at(0.0, 0.0, 3.0)), call(M, where=MASK)],
    "ptp": [call(M), call(M, axis=1)],
    "quantile": [call(V, 0.3), call(M, 0.6, axis=0), call(V, 0.3, method="lower"), call(V, 0.3, method="midpoint")],
    "std": [call(M), call(M, axis=0), call(M, ddof=1)],
    "sum": [call(M), call(M, axis=0), call(M, where=MASK), call(T, axis=(0, 2), keepdims=True)],
    "trapezoid": [call(V), call(M, dx=0.5, axis=0), call(V, at(0.0, 1.0, 1.5, 3.0, 7.0))],
    "var": [call(M), call(M, axis=0), call(M, ddof=1), call(M, where=MASK)],
}
"""Reductions and running ones."""

SHAPES: dict[str, list[Case]] = {
    "append": [call(V, real(2)), call(M, M, axis=0)],
    "apply_along_axis": [call(jnp.cumsum, 1, M)],
    "array": [call(M), call([V, V])],
    "array_split": [call(V, 2), call(M, 3, axis=1)],
    "asarray": [call(M)],
    "astype": [call(M, float)],
    "atleast_1d": [call(real()), call(M)],
    "atleast_2d": [call(real()), call(V)],
    "atleast_3d": [call(real()), call(V), call(M)],
    "bincount": [call(ROWS, real(4), length=3)],
    "block": [call([[real(2, 2), real(2, 1)], [real(1, 2), real(1, 1)]])],
    "broadcast_arrays": [call(M, real(4))],
    "broadcast_to": [call(real(4), (3, 4)), call(real(3, 1), (2, 3, 4))],
    "choose": [call(whole(0, 2, 1, 0), [real(4), real(4)], mode=m) for m in ("clip", "wrap")],
    "column_stack": [call([real(3), real(3)]), call([M, real(3)])],
    "compress": [call(whole(True, False, True), M, axis=0, size=2)],
    "concatenate": [call([M, M]), call([M, real(3, 2)], axis=1), call([M, M], axis=None)],
    "copy": [call(M)],
    "delete": [call(V, 1), call(M, whole(0, 2), axis=1)],
    "diag": [call(V), call(M), call(V, 1), call(real(4, 4), -1)],
    "diagflat": [call(V), call(M, 1)],
    "diagonal": [call(M), call(M, 1), call(T, axis1=0, axis2=2)],
    "diff": [call(V), call(M, axis=0), call(V, n=2), call(V, prepend=real(2))],
    "dsplit": [call(T, 2)],
    "dstack": [call([M, M])],
    "ediff1d": [call(V), call(V, to_end=real(2), to_begin=real(1))],
    "expand_dims": [call(M, 1), call(M, (0, 2))],
    "extract": [call(MASK, M, size=8)],
    "fill_diagonal": [call(real(4, 4), real(), inplace=False), call(M, 2.0, inplace=False)],
    "flip": [call(M), call(M, 0)],
    "fliplr": [call(M)],
    "flipud": [call(M)],
    "full": [call((2, 3), real())],
    "full_like": [call(M, real())],
    "geomspace": [call(positive(), positive(), 5)],
    "gradient": [call(V), call(M), call(M, 0.5, axis=0)],
    "histogram": [call(whole(0.5, 1.5, 2.5, 2.7), bins=3, range=(0.0, 3.0), weights=real(4))],
    "histogram2d": [
        call(whole(0.3, 1.7), whole(0.3, 0.7), bins=2, range=((0.0, 2.0), (0.0, 1.0)), weights=real(2)),
    ],
    "histogram_bin_edges": [call(V, 4)],
    "histogramdd": [
        call(np.array([[0.3, 0.3], [1.7, 0.7]]), bins=2, range=((0.0, 2.0), (0.0, 1.0)), weights=real(2)),
    ],
    "hsplit": [call(M, 2)],
    "hstack": [call([M, M]), call([V, real(2)])],
    "insert": [call(V, 2, real()), call(M, 1, real(3), axis=1)],
    "interp": [
        call(V, at(-3.0, -1.0, 0.5, 2.0), real(4)),
        call(V, np.arange(-3.0, 4.0), np.arange(-3.0, 4.0) ** 2),
        call(at(-1.0, 1.0, 5.0), at(0.0, 1.0, 2.0), real(3)),
    ],
    "linspace": [call(real(), real(), 5), call(real(3), real(3), 4, endpoint=False, axis=1)],
    "logspace": [call(real(), real(), 5)],
    "kaiser": [call(5, positive())],
    "matrix_transpose": [call(T)],
    "meshgrid": [call(real(2), real(3)), call(real(2), real(3), indexing="ij")],
    "moveaxis": [call(T, 0, 2), call(T, (0, 1), (2, 0))],
    "pad": [
        call(M, 1),
        call(M, ((1, 2), (0, 1)), constant_values=real()),
        *(call(M, ((1, 2), (2, 1)), mode=m) for m in ("edge", "reflect", "symmetric", "wrap", "linear_ramp")),
        *(call(M, ((1, 2), (2, 1)), mode=m) for m in ("maximum", "minimum", "mean", "median")),
    ],
    "partition": [call(V, 2), call(M, 1, axis=0)],
    "piecewise": [call(V, [whole(True, False, True, False, True)], [jnp.square, jnp.negative])],
    "place": [call(M, MASK, real(8), inplace=False)],
    "put": [call(V, whole(0, 3), real(2), inplace=False)],
    "put_along_axis": [call(M, whole([0], [2], [1]), real(3, 1), axis=1, inplace=False)],
    "ravel": [call(M), call(M, order="F")],
    "repeat": [call(M, 2), call(M, 2, axis=1), call(M, whole(1, 0, 2), axis=0)],
    "reshape": [call(M, (2, 6)), call(M, -1, order="F")],
    "resize": [call(M, (5, 4)), call(M, (2, 3))],
    "roll": [call(M, 2), call(M, 1, axis=0), call(M, (1, -1), axis=(0, 1))],
    "rollaxis": [call(T, 2)],
    "rot90": [call(M), call(M, 2), call(T, axes=(1, 2))],
    "select": [call([MASK, ~MASK], [M, M]), call([MASK], [M], default=2.0)],
    "sort": [call(M), call(M, axis=0), call(V, descending=True), call(at(1.0, 3.0, 1.0))],
    "split": [call(M, 2, axis=1), call(V, (1, 3))],
    "squeeze": [call(real(1, 3, 1)), call(real(1, 3, 1), axis=0)],
    "stack": [call([M, M]), call([M, M], axis=-1)],
    "swapaxes": [call(T, 0, 2)],
    "take": [call(M, ROWS, axis=0), call(M, whole(0, 5, 11)), call(M, whole(0, 9), axis=1, mode="clip")],
    "take_along_axis": [call(M, whole([0, 1], [3, 3], [2, 0]), axis=1)],
    "tile": [call(M, 2), call(M, (2, 1, 3))],
    "trace": [call(M), call(T, offset=1, axis1=1, axis2=2)],
    "transpose": [call(M), call(T, (2, 0, 1))],
    "tril": [call(M), call(M, 1), call(T, -1)],
    "triu": [call(M), call(M, 1), call(T, -1)],
    "unstack": [call(M), call(M, axis=1)],
    "vander": [call(V), call(V, 3, increasing=True), call(at(0.0, 0.5, 2.0))],
    "vsplit": [call(real(4, 2), 2)],
    "vstack": [call([M, M]), call([V, V])],
}
"""Shapes, order, and entries by index."""

PRODUCTS: dict[str, list[Case]] = {
    "convolve": [call(real(6), real(3)), call(real(6), real(3), mode="same"), call(real(6), real(3), mode="valid")],
    "correlate": [call(real(6), real(3)), call(real(6), real(3), mode="full")],
    "cross": [call(real(2, 3), real(2, 3)), call(real(2), real(2))],
    "dot": [call(M, real(4, 2)), call(V, V), call(T, real(4))],
    "einsum": [
        call("ij,jk->ik", M, real(4, 2)),
        call("ii->i", real(4, 4)),
        call("bij,bjk,bk->bi", T, real(2, 4, 3), real(2, 3)),
    ],
    "inner": [call(M, real(2, 4)), call(V, V)],
    "kron": [call(real(2, 2), real(2, 3)), call(V, V)],
    "matmul": [call(M, real(4, 2)), call(T, real(2, 4, 2)), call(V, V)],
    "matvec": [call(T, real(4))],
    "outer": [call(V, real(3))],
    "poly": [call(V)],
    "polyadd": [call(V, real(3))],
    "polyder": [call(V), call(V, 2)],
    "polydiv": [call(at(2.0, -1.0, 0.5, 3.0), at(1.5, 0.3))],
    "polyfit": [call(at(0.0, 0.5, 1.5, 2.0, 3.0), V, 2)],
    "polyint": [call(V), call(V, 2)],
    "polymul": [call(V, real(3))],
    "polysub": [call(V, real(3))],
    "polyval": [call(real(3), V)],
    "tensordot": [call(M, real(4, 2), 1), call(T, real(3, 4, 2), 2), call(T, M, ((1, 2), (0, 1)))],
    "vdot": [call(M, M)],
    "vecdot": [call(M, M), call(T, M, axis=-1)],
    "vecmat": [call(real(3), T)],
}
"""Products and polynomials."""

NUMPY = ELEMENTWISE | REDUCTIONS | SHAPES | PRODUCTS
"""jax.numpy."""

NUMPY_OUT = grouped(
    {
        INTEGER: "bitwise_and bitwise_count bitwise_invert bitwise_left_shift bitwise_not bitwise_or "
        "bitwise_right_shift "
        "bitwise_xor gcd invert lcm left_shift right_shift packbits unpackbits ravel_multi_index unravel_index ix_ "
        "diag_indices diag_indices_from indices mask_indices tril_indices tril_indices_from triu_indices "
        "triu_indices_from",
        BOOLEAN: "all allclose any argmax argmin argpartition argsort argwhere array_equal array_equiv count_nonzero "
        "digitize equal flatnonzero greater greater_equal isclose iscomplex isfinite isin isinf isnan isneginf "
        "isposinf "
        "isreal less less_equal lexsort logical_and logical_not logical_or logical_xor nanargmax nanargmin nonzero "
        "not_equal searchsorted signbit unique_counts",
        CREATION: "arange bartlett blackman empty empty_like eye fromfunction hamming hanning identity ones "
        "ones_like tri "
        "zeros zeros_like",
        QUERY: "array_repr array_str broadcast_shapes can_cast einsum_path finfo get_printoptions iinfo iscomplexobj "
        "isdtype isrealobj isscalar issubdtype iterable ndim printoptions promote_types result_type set_printoptions "
        "shape size",
        TYPE: "ComplexWarning bfloat16 bool bool_ cdouble character complex128 complex64 complex_ "
        "complexfloating csingle "
        "double dtype e euler_gamma flexible float16 float32 float4_e2m1fn float64 float6_e2m3fn float6_e3m2fn "
        "float8_e3m4 float8_e4m3 float8_e4m3b11fnuz float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz "
        "float8_e8m0fnu float_ floating generic inexact inf int1 int16 int2 int32 int4 int64 int8 int_ integer "
        "linalg nan "
        "ndarray newaxis number object_ pi signedinteger single ufunc uint uint1 uint16 uint2 uint32 uint4 "
        "uint64 uint8 "
        "unsignedinteger",
        "written with brackets": "c_ index_exp mgrid ogrid r_ s_",
        FILES: "from_dlpack frombuffer fromfile fromiter fromstring load save savez",
        COMPLEX: "angle fft imag roots sort_complex",
        SETS: "intersect1d setdiff1d setxor1d trim_zeros union1d unique unique_all unique_inverse unique_values",
        MAKES: "frompyfunc vectorize",
        BITS: "nextafter spacing",
        **{
            alias(name): others
            for name, others in {
                "abs": "absolute",
                "acos": "arccos",
                "acosh": "arccosh",
                "asin": "arcsin",
                "asinh": "arcsinh",
                "atan": "arctan",
                "atan2": "arctan2",
                "atanh": "arctanh",
                "concatenate": "concat",
                "conj": "conjugate",
                "deg2rad": "radians",
                "max": "amax",
                "min": "amin",
                "power": "pow",
                "rad2deg": "degrees",
                "remainder": "mod",
                "round": "around",
                "transpose": "permute_dims",
                "true_divide": "divide",
            }.items()
        },
    }
)

LINALG: dict[str, list[Case]] = {
    "cholesky": [call(SQUARE), call(SQUARE, upper=True), call(definite(2, 3, 3))],
    "cond": [call(real(3, 3)), call(SQUARE, p=1), call(SQUARE, p="fro")],
    "cross": [call(real(2, 3), real(2, 3))],
    "det": [call(SQUARE), call(real(2, 3, 3)), call(real(2, 2))],
    "diagonal": [call(T), call(T, offset=1)],
    "eigh": [call(SQUARE, after=lambda r: (r[1] * np.e ** r[0][None, :]) @ r[1].T), call(SQUARE, after=lambda r: r[0])],
    "eigvalsh": [call(SQUARE), call(SQUARE, UPLO="U")],
    "inv": [call(real(3, 3)), call(real(2, 3, 3))],
    "lstsq": [call(real(5, 3), real(5), after=lambda r: r[0])],
    "matmul": [call(M, real(4, 2))],
    "matrix_norm": [call(M), call(M, ord="nuc"), call(M, ord=1), call(M, ord=2), call(T, ord=np.inf)],
    "matrix_power": [call(real(3, 3), 3), call(real(3, 3), -2), call(real(3, 3), 0)],
    "matrix_transpose": [call(T)],
    "multi_dot": [call([M, real(4, 2), real(2, 5)])],
    "norm": [
        call(V),
        call(M),
        call(M, axis=1),
        call(V, ord=3),
        call(V, ord=1),
        call(V, ord=np.inf),
        call(M, ord="nuc"),
        call(M, ord=2),
    ],
    "outer": [call(V, real(3))],
    "pinv": [call(real(4, 3)), call(real(3, 4)), call(real(3, 3))],
    "qr": [call(real(4, 3), after=lambda r: r[1] ** 2), call(real(3, 3), mode="r", after=lambda r: r**2)],
    "slogdet": [call(SQUARE, after=lambda r: r[1]), call(real(2, 3, 3), after=lambda r: r[1])],
    "solve": [call(real(3, 3), real(3)), call(real(3, 3), real(3, 2)), call(real(2, 3, 3), real(2, 3, 1))],
    "svd": [
        call(real(4, 3), full_matrices=False, after=lambda r: (r[0] * r[1] ** 2) @ r[2]),
        call(real(3, 4), full_matrices=False, after=lambda r: r[1]),
    ],
    "svdvals": [call(M), call(T)],
    "tensordot": [call(M, real(4, 2), axes=1)],
    "tensorinv": [call(real(4, 2, 2), ind=1)],
    "tensorsolve": [call(real(4, 2, 2), real(4))],
    "trace": [call(T)],
    "vecdot": [call(M, M)],
    "vector_norm": [call(V), call(M, axis=1), call(M, ord=1, axis=0), call(V, ord=3)],
}
"""jax.numpy.linalg."""

LINALG_OUT = grouped({COMPLEX: "eig eigvals", BOOLEAN: "matrix_rank"})

SPECIAL: dict[str, list[Case]] = {
    "bessel_jn": [call(positive(3), v=2, n_iter=30)],
    "beta": [call(positive(4), positive(4))],
    "betainc": [call(positive(4), positive(4), between(4))],
    "betaln": [call(positive(4), positive(4))],
    "boxcox": [call(positive(4), real(4)), call(positive(2), at(0.0, 1.0))],
    "boxcox1p": [call(positive(4), real(4)), call(positive(2), at(0.0, 1.0))],
    "comb": [call(above(3, low=4.0), positive(3))],
    "dawsn": [call(V)],
    "digamma": [call(positive(4)), call(at(-0.5, -1.3))],
    "entr": [call(positive(4))],
    "erf": [call(M), call(far(4))],
    "erfc": [call(M), call(far(4, scale=3.0))],
    "erfcx": [call(M)],
    "erfinv": [call(between(4))],
    "exp1": [call(positive(4))],
    "expi": [call(positive(4))],
    "expit": [call(M)],
    "expn": [call(2, positive(4))],
    "factorial": [call(positive(4))],
    "fresnel": [call(V)],
    "gamma": [call(positive(4)), call(at(-0.5, -1.3))],
    "gammainc": [call(positive(4), positive(4))],
    "gammaincc": [call(positive(4), positive(4))],
    "gammaln": [call(positive(4)), call(at(-0.5, -1.3, 30.0))],
    "gammasgn": [call(real(4))],
    "hyp1f1": [call(positive(2), positive(2), positive(2))],
    "hyp2f1": [call(positive(2), positive(2), positive(2), between(2))],
    "i0": [call(M)],
    "i0e": [call(M)],
    "i1": [call(M)],
    "i1e": [call(M)],
    "kl_div": [call(positive(4), positive(4))],
    "log_ndtr": [call(M), call(at(-30.0, -5.0, 5.0))],
    "log_softmax": [call(M, axis=1)],
    "loggamma": [call(positive(4))],
    "logit": [call(between(4))],
    "logsumexp": [call(M), call(M, axis=1)],
    "multigammaln": [call(above(3, low=2.0), 3)],
    "ndtr": [call(M)],
    "ndtri": [call(between(4))],
    "owens_t": [call(real(3), real(3))],
    "poch": [call(positive(4), positive(4))],
    "polygamma": [call(1, positive(4)), call(2, positive(4))],
    "rel_entr": [call(positive(4), positive(4))],
    "sici": [call(positive(4))],
    "softmax": [call(M, axis=1)],
    "spence": [call(positive(4))],
    "xlog1py": [call(real(4), positive(4)), call(at(0.0), at(0.0))],
    "xlogy": [call(real(4), positive(4)), call(at(0.0), at(2.0))],
    "zeta": [call(above(4), positive(4))],
}
"""jax.scipy.special."""

SPECIAL_OUT = grouped({CREATION: "bernoulli", COMPLEX: "sph_harm_y wofz"})

MODULES = {
    "jax.nn": (NN, NN_OUT),
    "jax.numpy": (NUMPY, NUMPY_OUT),
    "jax.numpy.linalg": (LINALG, LINALG_OUT),
    "jax.scipy.special": (SPECIAL, SPECIAL_OUT),
}
"""For each module its inputs, and the reason of each name that has none."""
