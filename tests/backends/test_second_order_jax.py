"""Second derivatives in JAX: what the drop-in and `check --order 2` say of right and wrong rules."""

from __future__ import annotations

import numpy as np
import pytest

import multigrad
from multigrad import GradientError, check_grads
from tests.benchmarks.second_order import ALARM, RIGHT, trials
from tests.benchmarks.second_order_mutants import FUNCTIONS, MUTANTS, for_jax

jax = pytest.importorskip("jax", reason="jax is not installed (pip install jax)")
numpy = jax.numpy


@pytest.fixture(autouse=True)
def _in_float64():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def made(forward, backward, primal=numpy.tanh):
    function = jax.custom_vjp(lambda x: primal(x))
    function.defvjp(forward, backward)
    return function


def drawn(dtype="float64"):
    return numpy.asarray(np.random.default_rng(0).standard_normal((3, 4)), dtype=dtype)


def slope(x):
    return 1 - numpy.tanh(x) ** 2


def says(function, *arguments):
    with pytest.raises(GradientError) as raised:
        check_grads(function, arguments, order=2)
    return str(raised.value)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_right_rule_passes(dtype):
    right = made(lambda x: (numpy.tanh(x), x), lambda x, g: (g * slope(x),))
    assert check_grads(right, (drawn(dtype),), order=2)
    assert check_grads(numpy.tanh, (drawn(dtype),), order=2)


def test_a_residual_behind_stop_gradient_is_seen_in_order_2_alone():
    wrong = made(lambda x: (numpy.tanh(x), numpy.tanh(x)), lambda y, g: (g * (1 - jax.lax.stop_gradient(y) ** 2),))
    assert check_grads(wrong, (drawn(),))
    assert "∂²f/∂x²·v is zero everywhere" in says(wrong, drawn())


def test_a_backward_rule_that_is_a_callback_is_one_clear_sentence():
    def backward(x, g):
        host = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return (jax.pure_callback(lambda x, g: np.asarray(g * (1 - np.tanh(x) ** 2)), host, x, g),)

    said = says(made(lambda x: (numpy.tanh(x), x), backward), drawn())
    assert "its backward pass cannot be differentiated: its double backward raised" in said
    assert "callbacks do not support JVP" in said
    assert "\n" not in said


def test_a_rule_within_the_rule_with_a_wrong_factor_is_named():
    inner = made(lambda x: (numpy.cos(x), x), lambda x, g: (-2 * g * numpy.sin(x),), numpy.cos)
    outer = made(lambda x: (numpy.sin(x), x), lambda x, g: (g * inner(x),), numpy.sin)
    assert check_grads(outer, (drawn(),))
    assert "∂²f/∂x²·v is 2 × the true gradient: a factor 2 is too much" in says(outer, drawn())


@pytest.mark.parametrize("number", range(1, len(MUTANTS), 16))
def test_a_sample_of_mutants_is_killed(number):
    name, old, new, _ = MUTANTS[number]
    arguments = [
        numpy.asarray(np.random.default_rng(i).standard_normal(s)) for i, s in enumerate(FUNCTIONS[name].shapes)
    ]
    assert check_grads(for_jax(name), arguments, order=2)
    assert check_grads(for_jax(name, (old, new)), arguments)
    assert "²·v" in (said := says(for_jax(name, (old, new)), *arguments)) or "J·v" in said


def test_operations_that_are_handed_over_raise_no_alarm():
    rows = [row for row, _ in zip(trials(seed=2, forms=["to_jax"]), range(4), strict=False)]
    assert not [row for row in rows if row.verdict == ALARM]
    assert sum(row.verdict == RIGHT for row in rows) >= 3


def test_the_matrix_judges_vjp_of_vjp_eager_and_compiled():
    frame = multigrad.check("l2_normalise", order=2, backend="jax", dtype="float64", regime="gaussian", size="tiny")
    assert set(frame["verdict"]) <= {"PASS", "NOTE", "UNAVAILABLE"}, frame["reason"].tolist()
    judged = frame[frame["output"].str.endswith("_bar_bar")]
    assert {(m, v) for m, v in zip(judged["mode"], judged["variant"], strict=True)} >= {
        ("eager", "to_jax"),
        ("compiled", "to_jax"),
        ("eager", "autodiff"),
        ("eager", "analytic"),
    }
