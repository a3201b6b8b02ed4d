from pathlib import Path

import pytest

from multigrad import load_operations, operation
from multigrad.diagnosis.repair import repair
from multigrad.mutation.mutants import mutants
from multigrad.truth.certified import true_gradients
from multigrad.truth.inputs import dtype_arrays

PRACTICE = {op.name: op for op in load_operations([str(Path(__file__).with_name("practice.py"))])}


def mended(op, wrong=None):
    size = op.size("tiny")
    arrays = dtype_arrays(op, size, 0, "gaussian", "float64")
    true = {name: high for name, high, _ in true_gradients(op, arrays, {}, op.outputs)}
    return repair(wrong or op, {}, arrays, true)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("two_layers", "T(X) → X"),
        ("two_layers", "xp.where(Z > 0, H_bar * (1 - H * H), 0) → H_bar * (1 - H * H)"),
        ("attention", "scale * (S_bar @ K) → S_bar @ K"),
        ("layer_norm", "xp.sum(Y_bar, axis=0) → xp.mean(Y_bar, axis=0)"),
        ("gaussian_nll", "-x_bar → x_bar"),
        ("least_squares", "r_bar[:, None] → r_bar"),
        ("quadratic_form", "A @ x + xp.matrix_transpose(A) @ x → A @ x"),
    ],
)
def test_the_line_of_a_mistake_is_found(name, change):
    op = PRACTICE[name]
    mutant = next(m for m in mutants(op) if m.change == change)
    found = mended(op, mutant.operation)
    assert found is not None
    assert found.line == mutant.line


def test_what_is_right_is_not_mended():
    assert mended(PRACTICE["attention"]) is None


def test_a_condition_may_stand_in_the_place_that_is_tried():
    @operation("(n)->()", sizes={"tiny": {"n": 6}})
    def f(xp, x):
        def pullback(f_bar):
            return f_bar * xp.where(x > 0, 1 + 0 * x, 1 + 0 * x)

        return xp.sum(xp.maximum(x, 0)), pullback

    found = mended(f)
    assert found is not None
    assert (found.old, found.new) == ("1", "0")


def test_a_mistake_that_no_one_change_mends_is_left():
    @operation("(n)->()", sizes={"tiny": {"n": 4}})
    def f(xp, x):
        def pullback(f_bar):
            return f_bar * xp.cos(x) ** 3

        return xp.sum(xp.exp(x) * xp.sin(x**3)), pullback

    assert mended(f) is None
