"""A result judged part by part: what is right passes, and what is wrong in one part or in a sum of parts does not."""

import numpy as np
import pytest

from multigrad import operations
from multigrad.backend.placement import split_axes, split_symbol
from multigrad.truth.inputs import dtype_arrays
from multigrad.verdict.judge import Reference, judge
from multigrad.verdict.words import FAIL, NOTE, PASS
from tests.benchmarks.parts import judge_part, summed

SIZES = {
    "relu_regression": {"m": 60, "k": 4, "n": 3},
    "linear_map": {"m": 60, "n": 5},
    "softmax_cross_entropy": {"n": 60, "k": 7},
    "layer_norm": {"b": 60, "n": 5},
}
PARTS = 4


def cut(arrays, axes, part):
    return [a if axis is None else np.array_split(a, PARTS, axis)[part] for a, axis in zip(arrays, axes, strict=True)]


def parted(name, dtype, regime="gaussian"):
    """Return the operation, its split dimension, and for each part its arrays and outputs."""
    op = operations()[name]
    arrays = dtype_arrays(op, SIZES[name], 0, regime, dtype)
    shapes = [a.shape for a in arrays]
    axes = split_axes(op, shapes)
    parts = [cut(arrays, axes, part) for part in range(PARTS)]
    outputs = []
    for part in parts:
        given = [a.astype(dtype) if a.dtype.kind == "f" else a for a in part]
        outputs.append(dict(zip(op.outputs, op.analytic(np, {})(*given), strict=True)))
    return op, split_symbol(op, shapes[: len(op.inputs)]), parts, outputs


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", SIZES)
def test_every_output_of_every_part_is_judged_and_right(name, dtype):
    op, symbol, parts, outputs = parted(name, dtype)
    found = [judge_part(op, {}, dtype, symbol, *both) for both in zip(parts, outputs, strict=True)]
    for part in found:
        assert {*part.judgements, *part.sums} == set(op.outputs)
        assert {j.verdict for j in part.judgements.values()} <= {PASS, NOTE}
        assert all(j.compared for j in part.judgements.values())
    for output in found[0].sums:
        total = sum(o[output] for o in outputs)
        assert judge(np.asarray(total), summed([p.sums[output] for p in found], dtype), dtype).verdict in (PASS, NOTE)


@pytest.mark.parametrize("name", SIZES)
def test_one_wrong_entry_of_one_part_is_seen(name):
    op, symbol, parts, outputs = parted(name, "float64")
    for output in judge_part(op, {}, "float64", symbol, parts[2], outputs[2]).judgements:
        wrong = np.array(outputs[2][output])
        wrong.flat[-1] *= 1 + 1e-9
        assert judge_part(op, {}, "float64", symbol, parts[2], {**outputs[2], output: wrong}).judgements[
            output
        ].verdict == (FAIL)


@pytest.mark.parametrize("name", ["relu_regression", "linear_map", "layer_norm"])
def test_a_part_that_is_missing_from_a_sum_is_seen(name):
    op, symbol, parts, outputs = parted(name, "float64")
    found = [judge_part(op, {}, "float64", symbol, *both) for both in zip(parts, outputs, strict=True)]
    assert found[0].sums
    for output in found[0].sums:
        short = sum(o[output] for o in outputs[1:])
        assert judge(np.asarray(short), summed([p.sums[output] for p in found], "float64"), "float64").verdict == FAIL


@pytest.mark.parametrize("name", ["relu_regression", "linear_map"])
def test_integers_have_no_error_in_any_part(name):
    op, symbol, parts, outputs = parted(name, "float64", "integers")
    for both in zip(parts, outputs, strict=True):
        part = judge_part(op, {}, "float64", symbol, *both)
        assert {j.max_abs_error for j in part.judgements.values()} == {0.0}
        assert all(not reference.bound.any() for reference in part.sums.values())


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_the_bound_of_a_sum_holds_in_any_order_and_is_not_far(dtype):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((300, 50)).astype(dtype)
    zero = np.zeros(50)
    exact = [Reference(v.astype(np.float64), zero, zero, zero, zero) for v in values]
    total = summed(exact, dtype)
    largest = 0.0
    for _ in range(20):
        in_turn = np.zeros(50, dtype=dtype)
        for v in values[rng.permutation(len(values))]:
            in_turn = in_turn + v
        error = np.abs(in_turn.astype(np.float64) - total.value)
        assert np.all(error <= total.bound)
        assert np.all(error <= total.probable)
        largest = max(largest, float(np.max(error / total.probable)))
    assert largest > 1e-3


def test_a_sum_is_off_by_what_its_parts_are_off():
    zero = np.zeros(1)
    parts = [Reference(np.ones(1), zero, np.full(1, bound), np.full(1, bound), zero) for bound in (0.5, 0.25)]
    assert summed(parts, "float64").bound == pytest.approx(0.75)
