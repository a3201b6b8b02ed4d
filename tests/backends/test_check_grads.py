"""`multigrad.check_grads` on functions of JAX: called like JAX's, and says why."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from multigrad import BadInput, GradientError, check_grads
from multigrad.backend import backend

jax = pytest.importorskip("jax", reason="jax is not installed (pip install jax)")
numpy = jax.numpy


@pytest.fixture(scope="module", autouse=True)
def in_64_bits():
    """What a session of JAX sets; the tests of this folder share a process."""
    backend("jax").open("cpu", threads=1)


def function(backward):
    """Return a custom_vjp of Σ x² w along the last axis with a backward pass."""

    @jax.custom_vjp
    def weighted(x, w):
        return numpy.sum(x * x * w, axis=-1)

    weighted.defvjp(lambda x, w: (weighted(x, w), (x, w)), lambda kept, g: backward(*kept, g))
    return weighted


def right(x, w, g):
    return 2 * g[..., None] * x * w, numpy.sum(g[..., None] * x * x, axis=0)


def half(x, w, g):
    return right(x, w, g)[0] / 2, right(x, w, g)[1]


def reference(xp, x, w):
    return xp.sum(x * x * w, axis=-1)


def drawn(dtype="float64"):
    rng = np.random.default_rng(0)
    return [numpy.asarray(rng.normal(size=shape), dtype=dtype) for shape in ((3, 4), (4,))]


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_the_primal_of_a_custom_vjp_is_its_reference(dtype):
    assert check_grads(function(right), drawn(dtype), order=1, modes=["rev"]) is True
    with pytest.raises(GradientError, match=r"weighted: ∂f/∂x is 0\.\d+ × the true gradient: a factor 2 is missing"):
        check_grads(function(half), drawn(dtype), order=1, modes=["rev"])


def test_the_end_of_a_subdifferential_may_be_rounded():
    x, y = numpy.zeros(1, "float32"), numpy.full(1, 2, "float32")
    assert check_grads(jax.scipy.special.xlogy, (x, y)) is True
    with pytest.raises(GradientError):
        check_grads(lambda x, y: 1.01 * jax.scipy.special.xlogy(x, y), (x, y), reference=jax_xlogy)


def jax_xlogy(xp, x, y):
    return xp.where(x == 0, 0, x * xp.log(y))


def test_a_reference_may_be_given():
    assert check_grads(function(right), drawn(), 1, "rev", reference=reference) is True
    with pytest.raises(GradientError, match="value is not that of the reference"):
        check_grads(function(right), drawn(), reference=lambda xp, x, w: 2 * reference(xp, x, w))


@pytest.mark.parametrize(
    "written",
    [lambda x, w: numpy.einsum("ij,ij,j->i", x, x, w), lambda x, w: np.sum(x * x * w, axis=-1), lambda x, w: x * x @ w],
    ids=["in JAX", "in NumPy", "in either"],
)
def test_a_reference_is_written_in_jax_or_in_numpy(written):
    assert check_grads(function(right), drawn(), reference=written) is True
    with pytest.raises(GradientError, match=r"∂f/∂x is 0\.\d+ × the true gradient"):
        check_grads(function(half), drawn(), reference=written)
    with pytest.raises(GradientError, match="value is not that of the reference"):
        check_grads(function(right), drawn(), reference=lambda x, w: 2 * written(x, w))


def test_a_function_that_calls_a_rule_is_checked_through_it():
    def loss(rule, x, w):
        return numpy.sum(numpy.tanh(rule(x, w)))

    assert check_grads(functools.partial(loss, function(right)), drawn()) is True
    with pytest.raises(GradientError, match="∂f/∂x"):
        check_grads(functools.partial(loss, function(half)), drawn())


def test_labels_are_held_fixed():
    def picked(x, t):
        return numpy.sum(numpy.take_along_axis(jax.nn.log_softmax(x), t[:, None], axis=-1))

    assert check_grads(picked, (drawn()[0], numpy.asarray([1, 0, 3]))) is True


def test_numbers_of_python_are_arguments_too():
    assert check_grads(lambda x, scale, n: numpy.sum(scale * x) * n, (drawn()[0], 0.5, 3)) is True


MISTAKES = {
    "zeros": (lambda x, w, g: (0 * x, 0 * w), "∂f/∂x is zero everywhere: the term is missing"),
    "NaN": (lambda x, w, g: (right(x, w, g)[0].at[1, 2].set(numpy.nan), right(x, w, g)[1]), r"first at \[1, 2\]"),
    "cotangent": (lambda x, w, g: right(x, w, numpy.ones_like(g)), "∂f/∂x"),
    "a billionth": (lambda x, w, g: (right(x, w, g)[0] * (1 + 1e-9), right(x, w, g)[1]), "error of 1e-09 throughout"),
    "shape": (lambda x, w, g: (right(x, w, g)[0].T, right(x, w, g)[1]), "its backward pass raised"),
    "one": (lambda x, w, g: (right(x, w, g)[0],), "its backward pass raised"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name):
    wrong, said = MISTAKES[name]
    with pytest.raises(GradientError, match=said):
        check_grads(function(wrong), drawn(), reference=reference)


BAD = {
    "order": (lambda: check_grads(function(right), drawn(), order=3), "no order 3; there are 1, 2"),
    "modes": (lambda: check_grads(function(right), drawn(), modes=("fwd", "rev")), r'wanted modes=\("rev",\)'),
    "a dict": (lambda: check_grads(lambda x: {"y": x}, drawn()[:1], reference=lambda x: x), "returned a dict of 'y'"),
    "a tree": (lambda: check_grads(lambda p: p["x"], [{"x": 1.0}]), "argument 0 is a dict; wanted arrays: unpack it"),
    "complex": (lambda: check_grads(lambda x: x, [numpy.ones(2, dtype="complex64")]), "argument 0 is complex"),
    "integers": (lambda: check_grads(lambda x: x, [numpy.arange(3)]), "no argument is floating-point"),
    "raises": (
        lambda: check_grads(lambda x: x @ x, drawn()[:1], reference=lambda x: x),
        "raised TypeError: .*at these",
    ),
    "a tolerance": (lambda: check_grads(function(right), drawn(), atol=1e-3), "takes no atol"),
    "other shapes": (
        lambda: check_grads(function(right), drawn(), reference=lambda x, w: np.sum(x)),
        r"has shape \(3,\), of the reference .+ \(\)",
    ),
    "no rule": (
        lambda: check_grads(lambda x: jax.pure_callback(np.sin, x, x), drawn()[:1]),
        "callback",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_that_says_what_to_do(name):
    call, said = BAD[name]
    with pytest.raises(BadInput, match=said) as raised:
        call()
    assert "\n" not in str(raised.value)
