"""What is computed in float32 and stored in halves is held against the bound of exactly that."""

from __future__ import annotations

import numpy as np
import pytest

from multigrad.backend import namespace
from multigrad.backend.accumulation import LARGEST
from multigrad.catalogue.losses import softmax_cross_entropy
from multigrad.catalogue.normalisation import layer_norm
from multigrad.catalogue.regression import relu_regression
from multigrad.data.standard import numpy_standard
from multigrad.diagnosis.diagnose import Evidence, diagnose
from multigrad.extra.blocks import in_blocks
from multigrad.namespaces import bounds
from multigrad.ops.operation import operation
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


class Function:
    """A function of arrays, as an operation without gradients."""

    def __init__(self, function, count):
        self.function, self.inputs = function, tuple(f"x{i}" for i in range(count))

    def __call__(self, xp, *arrays):
        return self.function(*arrays), lambda *cotangents: ()

    values = gradients_of = staticmethod(tuple)


def analysed(arithmetic, function, arrays):
    return arithmetic.analyse(Function(function, len(arrays)), {}, arrays)


def rounded(x, dtype="bfloat16"):
    return FORMATS[dtype].round(x)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sums_and_products_kept_in_float32_are_within_a_bound_that_those_kept_in_the_half_exceed(dtype):
    rng = np.random.default_rng(0)
    x = rounded(rng.standard_normal((60, 200)), dtype)
    y = rounded(rng.standard_normal((200, 40)), dtype)
    kept = Arithmetic(dtype, products="float32", sums="float32")
    total, product = analysed(kept, lambda x, y: (bounds.sum(x, axis=1), x @ y), [x, y])
    assert np.all(np.abs(rounded(np.float32(x).sum(axis=1), dtype) - x.sum(axis=1)) <= total.worst)
    assert np.all(np.abs(rounded(np.float32(x) @ np.float32(y), dtype) - x @ y) <= product.worst)
    lost = sum_in(dtype)(x, axis=1)
    assert np.mean(np.abs(lost - x.sum(axis=1)) > total.worst) > 0.5
    lost = sum_in(dtype)(x[:, :, None] * y, axis=1)
    assert np.mean(np.abs(lost - x @ y) > product.worst) > 0.5
    own = analysed(Arithmetic(dtype), lambda x, y: (bounds.sum(x, axis=1), x @ y), [x, y])
    assert np.all(np.abs(lost - x @ y) <= own[1].worst)
    assert np.max(own[0].worst / total.worst) > 50


def test_a_sum_of_larger_arrays_than_were_asked_for_is_bounded_by_the_half():
    kept = Arithmetic("bfloat16", products="float32", sums="float32")
    for entries, wider in ((LARGEST, True), (LARGEST + 1, False)):
        x = rounded(np.random.default_rng(0).standard_normal(entries))
        for function in (lambda x: (bounds.sum(x),), lambda x: (x @ x,)):
            narrow, own = (analysed(a, function, [x])[0].worst for a in (kept, Arithmetic("bfloat16")))
            assert (narrow < own / 50) == wider
            assert wider or narrow == own


def test_what_is_not_asked_about_is_bounded_by_the_half():
    x = rounded(np.random.default_rng(0).standard_normal((8, 50)))
    kept = Arithmetic("bfloat16", products="float32", sums="float32")

    def unprobed(x):
        summed = in_blocks(bounds, lambda x: (bounds.sum(x, axis=0),), x, sums=1, elements=2**20)
        return (
            bounds.cumulative_sum(x, axis=1),
            bounds.var(x, axis=1),
            bounds.linalg.vector_norm(x, axis=1),
            bounds.linalg.trace(x),
            bounds.einsum("ij,kj->ik", x, x),
            *summed,
        )

    for narrow, own in zip(analysed(kept, unprobed, [x]), analysed(Arithmetic("bfloat16"), unprobed, [x]), strict=True):
        assert np.array_equal(narrow.worst, own.worst)
    in_one_block = lambda x: in_blocks(bounds, lambda x: (bounds.sum(x, axis=0),), x, sums=1, elements=1)  # noqa: E731
    narrow, own = (analysed(a, in_one_block, [x])[0].worst for a in (kept, Arithmetic("bfloat16")))
    assert np.all(narrow < own)


def test_a_sum_that_float16_could_not_hold_on_its_way_is_bounded_where_it_is_kept_wider():
    x = np.array([60000.0, 60000.0, -59968.0])
    own, kept = (analysed(Arithmetic("float16", sums=s), lambda x: (bounds.sum(x),), [x])[0] for s in (None, "float32"))
    assert np.isinf(own.worst)
    assert kept.worst < 64


def test_an_output_is_rounded_once_and_overflows_where_it_is_stored():
    x = rounded(np.array([1.0, 3.0, 300.0, 1e-30, 2.0**-120]), "float16")
    arithmetic = Arithmetic("float16", accumulate="float32")
    (same,) = analysed(arithmetic, lambda x: (x,), [x])
    assert not same.worst.any()
    (squares,) = analysed(arithmetic, lambda x: (x * x,), [x])
    assert np.isinf(squares.worst).tolist() == [False, False, True, False, False]
    exact = x * x
    finite = np.isfinite(squares.worst)
    assert np.all(np.abs(rounded(exact, "float16") - exact)[finite] <= squares.worst[finite])


def test_inputs_that_are_off_by_a_rounding_are_within_the_bound_of_just_that():
    rng = np.random.default_rng(0)
    x = rounded(rng.standard_normal(20))
    function = lambda x: (bounds.exp(x) / bounds.sum(bounds.exp(x)),)  # noqa: E731
    (near,) = analysed(Arithmetic("bfloat16", accumulate="float32", perturbed=True), function, [x])
    true = np.exp(x) / np.sum(np.exp(x))
    off = x * (1 + 2.0**-8 * rng.choice([-1, 1], 20))
    found = rounded(np.exp(off) / np.sum(np.exp(off)))
    assert np.all(np.abs(found - true) <= near.worst)
    assert np.all(near.worst < analysed(Arithmetic("bfloat16"), function, [x])[0].worst)


def test_adding_nothing_to_a_mask_of_infinity_is_exact():
    with bounds.context("float32"):
        mask, x = bounds.asarray([-np.inf, -np.inf, 0.0]), bounds.asarray([0.0, 0.1, 0.0])
        assert not (x + mask).worst[:2].any()
        assert np.isinf((x * mask).worst).tolist() == [True, False, False]


@pytest.mark.parametrize("own", [True, False])
def test_a_pullback_that_reads_a_stored_value_is_within_the_bound(own):
    def softmax(xp, x):
        e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
        y = e / xp.sum(e, axis=-1, keepdims=True)
        return (y, lambda y_bar: y * (y_bar - xp.sum(y * y_bar, axis=-1, keepdims=True))) if own else y

    op = operation("(m,n)->(m,n)", sizes={"tiny": {"m": 20, "n": 30}})(softmax)
    rng = np.random.default_rng(0)
    x, y_bar = (rounded(rng.standard_normal((20, 30))) for _ in range(2))
    value, gradient = Arithmetic("bfloat16", accumulate="float32").analyse(op, {}, [x, y_bar])
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    true = e / np.sum(e, axis=1, keepdims=True)
    y = rounded(np.float32(true))
    assert np.all(np.abs(y - true) <= value.worst)
    found = rounded(np.float32(y * (y_bar - np.sum(y * y_bar, axis=1, keepdims=True))))
    error = np.abs(found - true * (y_bar - np.sum(true * y_bar, axis=1, keepdims=True)))
    assert np.all(error <= gradient.worst)
    assert np.max(gradient.worst) < 0.04 * np.max(np.abs(found))
    once = 2.0**-8 * np.abs(found) + 1e-5
    assert np.any(error > once)  # it is not a single rounding of the gradient
