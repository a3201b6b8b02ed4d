"""How far an elementary or special function may be off, in ulps, by dtype; beside it what CUDA documents."""

from __future__ import annotations

from collections.abc import Mapping

DEFAULT_ULPS: Mapping[str, float] = {
    "float64": 4.0,
    "float32": 4.0,
    # Computed in float32 and rounded once: half an ulp and a little.
    "bfloat16": 1.0,
    "float16": 1.0,
}
"""The error in ulps of an elementary function that no table names."""

SPECIAL_ULPS = 16.0
"""The error in ulps of a function that the standard lacks, in every dtype."""

_FLOAT64: Mapping[str, float] = {
    # XLA turns a division by a constant into a product with its reciprocal.
    "divide": 2.0,
    "sqrt": 1.0,
    # exp(y·log x) loses the bits of the integer part of y·log x.
    "pow": 16.0,
    "tan": 8.0,
    # XLA's on a CPU, near −0.4141, where its polynomial ends: 130 measured (JAX 0.10.2); float32 has less than 4.
    "log1p": 160.0,
}

_FLOAT32: Mapping[str, float] = {
    "divide": 2.5,
    "sqrt": 1.5,
    "pow": 16.0,
    "tan": 8.0,
    "acosh": 4.5,
    "asin": 4.5,
}

_HALF: Mapping[str, float] = {
    # JAX 0.10.2 on a CPU computes these in the half itself: up to 2.11 ulps off in float16, 1.81 in bfloat16.
    **dict.fromkeys(("acos", "acosh", "asin", "asinh", "atanh", "hypot", "log10", "log2", "logaddexp"), 2.5),
    "expm1": 3.0,
}

ELEMENTARY_ULPS: Mapping[str, Mapping[str, float]] = {
    "float64": _FLOAT64,
    "float32": _FLOAT32,
    "bfloat16": _HALF,
    "float16": _HALF,
}
"""By dtype, the functions whose error in ulps is not the default."""

NEAREST = 0.5
"""CUDA counts from the correctly rounded result, which is up to half an ulp off itself."""

# fmt: off
CUDA_ULPS: Mapping[str, tuple[float, float]] = {
    #            float32 float64
    "divide":    (2, 0),   # float32 without -prec-div, as XLA and Triton compile it (div.full)
    "sqrt":      (1, 0),   # float32 without -prec-sqrt
    "pow":       (8, 2),
    "exp":       (2, 1),
    "expm1":     (1, 1),
    "log":       (1, 1),
    "log2":      (1, 1),
    "log10":     (2, 1),
    "log1p":     (1, 1),
    "sin":       (2, 1),
    "cos":       (2, 1),
    "tan":       (4, 2),
    "sinh":      (3, 1),
    "cosh":      (2, 1),
    "tanh":      (2, 1),
    "asin":      (4, 2),
    "acos":      (3, 1),
    "atan":      (2, 2),
    "atan2":     (3, 2),
    "asinh":     (3, 2),
    "acosh":     (4, 2),
    "atanh":     (3, 2),
    "hypot":     (3, 2),
    "erf":       (2, 2),
    "erfc":      (4, 4),
    "erfinv":    (2, 5),
    "lgamma":    (6, 4),   # outside −11.0001 … −2.2637, where it has zeros
    "gamma":     (11, 8),
}
# fmt: on
"""The largest error in ulps of CUDA's functions, float32 and float64, of those that the namespaces have.

Source: NVIDIA, *CUDA C++ Programming Guide*, appendix "Mathematical Functions", tables of the standard library's
functions with maximum ulp error, for compute capability 5.2 and above; of several editions the largest figure. NVIDIA
found them in extensive tests and proves none. Halves have no table: frameworks compute them in float32 and round once.
"""
