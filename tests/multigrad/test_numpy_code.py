"""NumPy code as it stands: operations without a namespace, NumPy's functions and methods in every namespace."""

from __future__ import annotations

import numpy as np
import pytest

from multigrad import BadInput, operation
from multigrad.backend.registry import backend
from multigrad.data.standard import numpy_standard
from multigrad.namespaces import bounds, cost, dual, exact, tape
from multigrad.proof.prove import prove
from multigrad.truth.case import Case
from multigrad.truth.formula import judge_formula
from multigrad.verdict.words import UNAVAILABLE

from .numpy_references import REFERENCES, cross_entropy, smoothed

xp = numpy_standard()


@pytest.mark.parametrize("op", REFERENCES, ids=lambda op: op.name)
def test_a_reference_is_certified_as_it_stands(op):
    assert (op.namespaced, op.has_pullback) == (False, False)
    assert all(gradient.passed for gradient in prove(op, next(iter(op.sizes.values()))).gradients)


PLACES = [(op, name) for op in REFERENCES for name in ("numpy", "torch")] + [(smoothed, "jax")]


@pytest.mark.parametrize(("op", "name"), PLACES, ids=lambda each: getattr(each, "name", each))
def test_a_reference_runs_on_a_framework_in_every_dtype(op, name):
    session = backend(name).open("cpu")
    size = next(iter(op.sizes.values()))
    _, parameters = op.split(size)
    inputs = op.make_inputs(size, 0)
    cotangents = op.make_cotangents([v.shape for v in op.forward(xp, parameters)(*inputs)], 0)
    truth = op.analytic(xp, parameters)(*inputs, *cotangents)
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-4)):
        arrays = session.place(op, [*inputs, *cotangents], dtype)
        for variant in ("analytic", "autodiff"):
            found = session.function(op, parameters, variant, "eager")(*arrays)
            for a, b in zip(found, truth, strict=True):
                assert session.dtype_name(a) == dtype
                np.testing.assert_allclose(session.to_numpy(a), b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("op", REFERENCES, ids=lambda op: op.name)
def test_a_reference_has_bounds_and_a_cost_or_says_why_not(op):
    size = next(iter(op.sizes.values()))
    _, parameters = op.split(size)
    inputs = op.make_inputs(size, 0)
    arrays = [*inputs, *op.make_cotangents([v.shape for v in op.forward(xp, parameters)(*inputs)], 0)]
    for output in bounds.analyse(op.analytic(bounds, parameters), *arrays):
        assert np.isfinite(output.worst).all()
    if op.name == "huber":
        with pytest.raises(AttributeError, match=r"`x\[mask\]` \(numpy_references.py, line \d+\) is not known"):
            cost.cost(op, size)
    else:
        assert cost.cost(op, size).flops > 0


def test_the_standard_s_strict_namespace_is_not_for_numpy_code():
    session = backend("strict").open("cpu")
    with pytest.raises(Exception, match="smoothed is written with NumPy, not with the standard"):
        session.function(smoothed, {}, "analytic", "eager")


def test_numpy_code_may_have_a_pullback_of_its_own():
    @operation("(n)->()")
    def squares(x):
        return np.sum(x**2), lambda f_bar: 2 * f_bar * x

    assert (squares.namespaced, squares.has_pullback) == (False, True)
    assert all(g.passed for g in prove(squares, {"n": 3}).gradients)
    torch = backend("torch").open("cpu")
    x, g = torch.to_device(np.array([1.0, 2.0]), "float32"), torch.to_device(np.array(3.0), "float32")
    assert torch.to_numpy(squares.analytic(torch.xp, {})(x, g)[1]).tolist() == [6, 12]


def test_a_function_that_names_its_first_argument_xp_takes_a_namespace():
    with pytest.raises(BadInput, match="2 inputs, the function has 1 after the namespace"):

        @operation("(n),(n)->()")
        def lacking(xp, x):
            return xp.sum(x)


def test_a_call_without_an_exact_form_is_named_with_its_place_and_refutes_nothing():
    @operation("(n)->()")
    def spaced(x):
        return np.sum(np.spacing(x))

    judgement = judge_formula(spaced, Case("", "spaced", {"n": 3}, "gaussian", "float64", 0))["*"]
    assert judgement.verdict == UNAVAILABLE
    assert judgement.reason.startswith("`np.spacing` (test_numpy_code.py, line ")


def of_exact(function, arrays):
    return exact.midpoints(function(*map(exact.variable, arrays)))


def of_dual(function, arrays):
    return dual.midpoints(function(*(dual.DualArray(exact.variable(a)) for a in arrays)))


def of_tape(function, arrays):
    return function(*map(tape.over(np).variable, arrays)).value


def of_bounds(function, arrays):
    with bounds.context("float64"):
        return bounds.as_array(function(*map(bounds.asarray, arrays))).value


CALLS = {
    "sum": lambda A, v, B: A.sum(axis=0) + A.sum(),
    "mean, variance": lambda A, v, B: A.mean(1) + A.var(axis=0) + A.std(axis=1, ddof=1),
    "largest": lambda A, v, B: A.max(axis=1) - A.min(axis=0) + v.argmax() + np.ptp(A, axis=0),
    "transposes": lambda A, v, B: A.T + A.transpose(1, 0) + A.transpose() + A.swapaxes(0, 1),
    "reshapes": lambda A, v, B: A.reshape(-1) + A.reshape((9,)) + A.flatten() + A.ravel(),
    "dot": lambda A, v, B: A.dot(v) + v.dot(v) + np.inner(A, v) + np.vdot(A, A),
    "copies": lambda A, v, B: v.copy() + v.astype(float) + v.astype(np.float64).squeeze() + v.conj(),
    "running": lambda A, v, B: v.cumsum() + v.cumprod() + v.clip(-1, 1) + v.round() + abs(v),
    "places": lambda A, v, B: v.take([0, 1, 1]) + v.repeat(2)[:3] + A.diagonal() + A.trace() + A.prod(axis=0),
    "truth": lambda A, v, B: v * (v > 0).any() + v.all(),
    "diagonals": lambda A, v, B: np.diag(v, 1)[:3, :3] + np.diag(v, -1)[1:, 1:] + np.diag(v) + np.diag(A),
    "kron": lambda A, v, B: np.kron(A, B),
    "joined": lambda A, v, B: np.vstack([v, A]) + np.column_stack([v, A])[:, :3].sum(),
    "average": lambda A, v, B: np.average(A, axis=1, weights=v * v) + np.average(A),
    "padded": lambda A, v, B: np.pad(A, ((1, 2), (0, 1))).sum(axis=1)[:6] + np.pad(v, (1, 2)),
    "split": lambda A, v, B: np.split(v, 3)[1] + np.array_split(v, 2)[0][:1],
    "convolved": lambda A, v, B: np.convolve(v, B[0]) + np.convolve(v, B[0, :2], mode="same").sum(),
    "valid part": lambda A, v, B: np.convolve(v, B[0, :2], "valid"),
    "crossed": lambda A, v, B: np.cross(A, v),
    "singular values": lambda A, v, B: np.linalg.svd(A, compute_uv=False),
    "flipped": lambda A, v, B: np.fliplr(A) * np.flipud(A),
}


@pytest.mark.parametrize("run", [of_exact, of_dual, of_tape, of_bounds])
@pytest.mark.parametrize("name", CALLS)
def test_a_method_or_function_of_numpy_gives_numpys_value(run, name):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((3, 3)), rng.standard_normal(3), rng.standard_normal((2, 3))]
    np.testing.assert_allclose(run(CALLS[name], arrays), CALLS[name](*arrays), atol=1e-12)


@pytest.mark.parametrize("name", CALLS)
def test_a_method_or_function_of_numpy_has_numpys_shape_in_the_count_of_operations(name):
    arrays = [np.ones((3, 3)), np.ones(3), np.ones((2, 3))]
    with cost.counting("float64"):
        found = CALLS[name](*(cost.Array(a.shape, "float64") for a in arrays))
    assert found.shape == np.shape(CALLS[name](*arrays))


def test_labels_that_pick_entries_get_no_gradient():
    logits, labels = np.array([[1.0, 2.0], [0.0, 0.5]]), np.array([1, 0])
    _, pullback = cross_entropy(xp, logits, labels)
    (gradient,) = pullback(np.asarray(1.0))
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-15)
