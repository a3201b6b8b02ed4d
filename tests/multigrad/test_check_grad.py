"""`multigrad.check_grad` on functions of NumPy: called like SciPy's, and says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import multigrad
from multigrad import BadInput, GradientError, check_grad

ROOT = Path(__file__).parent.parent.parent
rng = np.random.default_rng(0)
X, y, start = rng.normal(size=(20, 5)), rng.normal(size=20), rng.normal(size=5)


def loss(b, X, y):
    residual = X @ b - y
    return 0.5 * np.sum(residual * residual) + np.sum(np.log1p(np.exp(b)))


def slope(b, X, y):
    return X.T @ (X @ b - y) + 1 / (1 + np.exp(-b))


def both(b, X, y):
    return loss(b, X, y), slope(b, X, y)


def test_a_right_gradient_is_true():
    assert check_grad(loss, slope, start, X, y) is True
    assert check_grad(loss, slope, start.astype("f4"), X.astype("f4"), y.astype("f4")) is True


def test_a_list_of_integers_is_a_point_as_for_scipy():
    assert check_grad(loss, slope, [1, 2, 3, 4, 5], X, y) is True


def test_a_pair_is_checked_as_minimize_calls_it():
    assert check_grad(both, None, start, X, y, jac=True) is True
    assert check_grad(both, True, start, X, y) is True
    with pytest.raises(GradientError, match="2 × the true gradient"):
        check_grad(lambda *a: (loss(*a), 2 * slope(*a)), None, start, X, y, jac=True)


MISTAKES = {
    "twice": (lambda *a: 2 * slope(*a), r"^loss: ∂f/∂b is 2 × the true gradient: a factor 2 is too much"),
    "sign": (lambda *a: -slope(*a), r"∂f/∂b is −1 × the true gradient: the sign is wrong"),
    "a millionth": (lambda *a: 1.000001 * slope(*a), r"a relative error of 1e-06 throughout"),
    "nothing": (lambda b, *_: 0 * b, r"is zero everywhere: the term is missing"),
    "NaN": (lambda *a: slope(*a) * [1, 1, np.nan, 1, 1], r"is not finite in 1 of 5 entries, first at \[2\]"),
    "shape": (lambda *a: slope(*a)[None], r"has shape \(1, 5\), wanted \(5,\)"),
    "narrower": (lambda *a: slope(*a).astype("f4"), r"float32|∂f/∂b has dtype float32, wanted float64"),
    "raises": (lambda b, *_: b @ np.ones(7), r"its backward pass raised ValueError|raised ValueError"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name):
    wrong, said = MISTAKES[name]
    with pytest.raises((GradientError, BadInput), match=said):
        check_grad(loss, wrong, start, X, y)


def test_a_gradient_that_changes_its_point_is_named():
    def careless(b, X, y):
        gradient = slope(b, X, y)
        b *= 2
        return gradient

    with pytest.raises(GradientError, match="changes its input b"):
        check_grad(loss, careless, start, X, y)


def test_a_gradient_that_changes_another_argument_is_named():
    def careless(b, X, y):
        gradient = slope(b, X, y)
        y -= 1
        return gradient

    before = y.copy()
    with pytest.raises(GradientError, match="changes its input argument 2"):
        check_grad(loss, careless, start, X, y)
    assert np.array_equal(y, before)


def test_a_gradient_that_changes_from_call_to_call_is_named():
    noise = np.random.default_rng(0)

    def noisy(*arguments):
        return slope(*arguments) * (1 + 1e-16 * noise.integers(0, 5, 5))

    with pytest.raises(GradientError, match=r"other bits in ∂f/∂b.*deterministic=False"):
        check_grad(loss, noisy, start, X, y)
    assert check_grad(loss, noisy, start, X, y, deterministic=False)


def test_one_buffer_for_all_calls_is_named():
    buffer = np.empty(5)

    def shared(b, X, y):
        np.copyto(buffer, slope(b, X, y))
        return buffer

    assert check_grad(loss, shared, start, X, y) is True  # the same numbers in the same place harm nobody


def test_a_gradient_that_depends_on_strides_is_named():
    def raw(b, X, y):
        return slope(np.frombuffer(b.base if b.base is not None else b, dtype="f8")[:5], X, y)

    with pytest.raises(GradientError, match="depends on strides"):
        check_grad(loss, raw, start, X, y)


BAD = {
    "no gradient": (lambda: check_grad(loss, None, start, X, y), "grad is NoneType; wanted a function, or jac=True"),
    "a vector": (lambda: check_grad(lambda b: b, lambda b: b, start), r"returned shape \(5,\); wanted one number"),
    "complex": (lambda: check_grad(loss, slope, start * 1j, X, y), "x0 is complex .*wanted real numbers"),
    "a step": (lambda: check_grad(loss, slope, start, X, y, epsilon=1e-6), "takes no epsilon"),
    "raises": (lambda: check_grad(lambda b: b @ y, lambda b: b, start), "raised ValueError"),
    "a dict": (lambda: check_grad(lambda b: {"f": 1.0}, lambda b: b, start), "returned dict .*wanted one number"),
    "no exact form": (
        lambda: check_grad(lambda b: np.fft.rfft(b).real.sum(), lambda b: b, start),
        r"`np\.\w+.*` \(test_check_grad.py, line \d+\) is not known",
    ),
    "asks for a value": (
        lambda: check_grad(
            lambda b: np.sum(b) if b[0] > 0 else np.sum(-b), lambda b: np.sign(b[0]) * np.ones(5), start
        ),
        "write `xp.where`",
    ),
    "not finite": (lambda: check_grad(loss, slope, start * np.inf, X, y), "not finite"),
    "no pair": (lambda: check_grad(loss, None, start, X, y, jac=True), r"wanted \(value, gradient\)"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_that_says_what_to_do(name):
    call, said = BAD[name]
    with pytest.raises(BadInput, match=said) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_a_value_that_does_not_depend_on_the_point_has_a_gradient_of_zeros():
    assert check_grad(lambda b: 3.0, lambda b: 0 * b, start) is True
    with pytest.raises(GradientError, match="not zero"):
        check_grad(lambda b: 3.0, lambda b: b, start)


def test_an_empty_point_has_an_empty_gradient():
    assert check_grad(lambda b: np.sum(b * b), lambda b: 2 * b, np.empty(0)) is True


def test_on_a_kink_every_convention_is_right_and_nothing_beyond():
    point = np.array([0.0, 1.0, -1.0])
    for at_zero in (0.0, 0.5, 1.0):
        choice = np.array([at_zero, 1.0, 0.0])
        assert check_grad(lambda b: np.sum(np.maximum(b, 0)), lambda b, c=choice: c, point) is True
    for at_zero in (-0.1, 1.1, 2.0):
        choice = np.array([at_zero, 1.0, 0.0])
        with pytest.raises(GradientError):
            check_grad(lambda b: np.sum(np.maximum(b, 0)), lambda b, c=choice: c, point)


def test_another_formula_may_be_some_roundings_further_off_and_no_more():
    point = np.linspace(8.0, 30.0, 40)

    def silu(x):
        return np.sum(x / (1 + np.exp(-x)))

    def slope(x):
        s = 1 / (1 + np.exp(-x))
        return s * (1 + x * (1 - s))  # 1 − s has few digits here

    assert check_grad(silu, slope, point) is True
    with pytest.raises(GradientError, match="a relative error of 1e-12 throughout"):
        check_grad(silu, lambda x: slope(x) * (1 + 1e-12), point)


def test_it_runs_in_a_script_without_a_main_guard_and_says_nothing(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, multigrad\n"
        "assert multigrad.check_grad(lambda x: np.sum(x**3), lambda x: 3 * x**2, np.arange(1.0, 5.0))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_names_are_where_people_look():
    assert {"check_grad", "check_grads", "gradcheck"} <= set(multigrad.__all__)
