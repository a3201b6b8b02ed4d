"""What is computed in float32 and stored in halves is held against the bound of exactly that."""

from __future__ import annotations

import numpy as np
import pytest

from multigrad.backend import namespace
from multigrad.catalogue.losses import softmax_cross_entropy
from multigrad.catalogue.normalisation import layer_norm
from multigrad.catalogue.regression import relu_regression
from multigrad.data.standard import numpy_standard
from multigrad.diagnosis.diagnose import Evidence, diagnose
from multigrad.truth.arithmetic import Arithmetic
from multigrad.truth.case import Case
from multigrad.truth.find import find_truth, in_arithmetic
from multigrad.truth.variant import judge_variant
from multigrad.verdict.formats import FORMATS

xp = numpy_standard()


def sum_in(dtype):
    """Return a sum that is rounded to a dtype after every addition, one number after the other."""

    def add_up(x, axis=None, keepdims=False):
        axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
        rest = [i for i in range(x.ndim) if i not in {a % x.ndim for a in axes}]
        terms = np.transpose(x, [*(a % x.ndim for a in axes), *rest]).reshape(-1, *(x.shape[i] for i in rest))
        total = np.zeros(terms.shape[1:])
        for term in terms:
            total = FORMATS[dtype].round(total + term)
        shape = [1 if i not in rest else n for i, n in enumerate(x.shape)]
        return total.astype(np.float32).reshape(shape if keepdims else total.shape)

    return add_up


def kernel_namespace(dtype):
    """Return a namespace for float32 whose sums, in products too, are rounded to a dtype after every addition."""
    add_up = sum_in(dtype)
    return namespace(
        xp,
        sum=add_up,
        mean=lambda x, axis=None, keepdims=False: (
            add_up(x, axis, keepdims) / np.float32(x.size // add_up(x, axis).size)
        ),
        vecdot=lambda a, b: add_up(a * b, axis=-1),
    )


def outputs(op, size, arrays, dtype, namespace=xp):
    given = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in arrays]
    computed = op.analytic(namespace, op.split(size)[1])(*given)
    return [FORMATS[dtype].round(a) for a in computed]


CASES = [
    (layer_norm, {"b": 2, "n": 3}),
    (layer_norm, {"b": 40, "n": 100}),
    (layer_norm, {"b": 4, "n": 1000}),
    (softmax_cross_entropy, {"n": 3, "k": 4}),
    (softmax_cross_entropy, {"n": 40, "k": 100}),
    (softmax_cross_entropy, {"n": 3, "k": 1000}),
    (relu_regression, {"m": 5, "k": 4, "n": 3}),
    (relu_regression, {"m": 40, "k": 50, "n": 30}),
    (relu_regression, {"m": 100, "k": 20, "n": 10}),
]


def judged(op, size, dtype, namespace=xp, seed=0, variant="fused"):
    case = Case(op.name, op.name, size, "gaussian", dtype, seed)
    arithmetic = Arithmetic(dtype, accumulate="float32")
    truth = in_arithmetic(op, case, find_truth(op, case), arithmetic)
    found = outputs(op, size, truth.arrays, dtype, namespace)
    parameters = op.split(size)[1]
    return {
        name: judge_variant(op, parameters, arithmetic, variant, lambda: truth.arrays, i, a, r)
        for i, (name, a, r) in enumerate(zip(op.outputs, found, truth.references, strict=True))
    }


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(("op", "size"), CASES)
def test_what_is_computed_in_float32_and_rounded_once_passes(op, size, dtype):
    assert {name: (j.verdict, j.reason) for name, j in judged(op, size, dtype).items()} == dict.fromkeys(
        op.outputs, ("PASS", "")
    )


ACCUMULATED = {
    # Where the sums are long enough to lose digits that the outputs have.
    "layer_norm": ("value", "X_bar", "G_bar", "B_bar"),
    "softmax_cross_entropy": ("value", "X_bar"),
    "relu_regression": ("value",),
}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(("op", "size"), [(op, size) for op, size in CASES if max(size.values()) >= 40])
def test_sums_that_are_kept_in_halves_fail_and_are_named(op, size, dtype):
    case = Case(op.name, op.name, size, "gaussian", dtype, 0)
    arithmetic = Arithmetic(dtype, accumulate="float32")
    truth = in_arithmetic(op, case, find_truth(op, case), arithmetic)
    wrong = outputs(op, size, truth.arrays, dtype, kernel_namespace(dtype))
    for name, judgement in judged(op, size, dtype, kernel_namespace(dtype)).items():
        assert judgement.verdict == ("FAIL" if name in ACCUMULATED[op.name] else "PASS"), (name, judgement)
        if judgement.verdict == "FAIL":
            i = op.outputs.index(name)
            true = {name: truth.references[i].value}
            roundoff, inside = FORMATS[dtype].unit_roundoff, arithmetic.unit_roundoff
            bound = truth.references[i].bound
            evidence = Evidence.of(op, size, truth.arrays, name, wrong[i], true, bound, roundoff, inside)
            assert "lower precision" in diagnose(evidence)
