"""The gradient of an operation as an operation: its values, its proof, and `check` of order 2 on NumPy."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from multigrad.bench.cli import main
from multigrad.bench.report.github import annotated

import multigrad
from multigrad import BadInput, operation
from multigrad.data.standard import numpy_standard
from multigrad.namespaces import bounds
from multigrad.ops.derived import Gradient, gradient_operation, of_orders, with_gradients
from multigrad.ops.find import load_operations
from multigrad.ops.text import derivative_name
from multigrad.proof.prove import prove
from multigrad.truth.case import Case
from multigrad.truth.find import find_truth
from multigrad.truth.formula import judge_formula
from multigrad.truth.inputs import dtype_arrays

CATALOGUE = multigrad.operations()


@operation("(m,n),(n)->(m)", sizes={"tiny": {"m": 2, "n": 3}})
def cubes(xp, X, w):
    """f = Σ x³ w."""

    def pullback(f_bar):
        f_bar = f_bar[:, None]
        return 3 * f_bar * X * X * w, xp.sum(f_bar * X**3, axis=0)

    return xp.sum(X**3 * w, axis=-1), pullback


@operation("(m,n),(n)->(m)", sizes={"tiny": {"m": 2, "n": 3}})
def cubes_without_pullback(xp, X, w):
    """f = Σ x³ w."""
    return xp.sum(X**3 * w, axis=-1)


@operation("(n)->(n)", sizes={"tiny": {"n": 3}})
def wrong_square(xp, x):
    """f = x²."""
    return x * x, lambda f_bar: 3 * f_bar * x


@pytest.mark.parametrize("op", [cubes, cubes_without_pullback], ids=["its pullback", "the tape's"])
def test_values_and_gradients_are_those_of_the_formula(op):
    G = gradient_operation(op)
    assert G.inputs == ("X", "w", "value_bar")
    assert G.outputs == ("X_bar", "w_bar", "X_bar_bar", "w_bar_bar", "value_dot")
    X, w, g, v, u = dtype_arrays(G, G.size("tiny"), 0, "gaussian", "float64")
    found = G.analytic(numpy_standard(), {})(X, w, g, v, u)
    column = g[:, None]
    wanted = [
        3 * column * X**2 * w,
        (column * X**3).sum(0),
        column * (6 * X * w * v + 3 * X**2 * u),
        (3 * column * X**2 * v).sum(0),
        (3 * X**2 * w * v + X**3 * u).sum(-1),
    ]
    for name, a, b in zip(G.outputs, found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, err_msg=name)


def test_outputs_are_written_as_derivatives_of_second_order():
    written = [derivative_name(name) for name in gradient_operation(cubes).outputs]
    assert written == ["∂f/∂X", "∂f/∂w", "∂²f/∂X²·v", "∂²f/∂w²·v", "J·v"]


@pytest.mark.parametrize("name", CATALOGUE)
def test_dual_and_tape_over_the_pullback_agree_in_balls(name):
    proof = prove(gradient_operation(CATALOGUE[name]), next(iter(CATALOGUE[name].sizes)))
    assert proof.passed
    assert sum(gradient.compared for gradient in proof.gradients) > 0


def test_labels_are_not_differentiated_and_cotangents_are_never_all_ones():
    op = CATALOGUE["softmax_cross_entropy"]
    G = gradient_operation(op)
    assert [n for n, d in zip(G.inputs, G.differentiable, strict=True) if not d] == [
        n for n, d in zip(op.inputs, op.differentiable, strict=True) if not d
    ]
    (cotangent,) = gradient_operation(CATALOGUE["lse"]).make_inputs({"n": 3}, 0, "integers")[1:]
    assert cotangent == 3.0


def test_a_free_dimension_of_a_value_is_drawn_from_the_forward_part():
    @operation("(n)->(k)", sizes={"tiny": {"n": 3}})
    def doubled(xp, x):
        """f = (x, x)."""
        return xp.concat([x, x])

    assert [a.shape for a in gradient_operation(doubled).make_inputs({"n": 3}, 0)] == [(3,), (6,)]


def test_a_gradient_is_found_again_by_its_reference():
    (G,) = load_operations(["∇rms_norm"])
    assert isinstance(G, Gradient)
    assert load_operations([G.reference]) == [G]


def test_a_wrong_pullback_has_no_right_second_derivative():
    G = gradient_operation(wrong_square)
    judgements = judge_formula(G, Case("", G.name, {"n": 3}, "gaussian", "float64", 0))
    assert judgements["*"].verdict == "FAIL"
    assert "the formula of wrong_square is wrong" in judgements["*"].reason


def test_some_gradients_alone():
    some = with_gradients(cubes, ["w"])
    X, w, g = dtype_arrays(cubes, cubes.size("tiny"), 0, "gaussian", "float64")
    _, gradient = some.analytic(numpy_standard(), {})(X, w, g)
    np.testing.assert_allclose(gradient, (g[:, None] * X**3).sum(0))
    assert gradient_operation(some).outputs == ("w_bar", "w_bar_bar", "value_dot")


@pytest.mark.parametrize("order", [0, 3, True, "2", (1, 3), ()])
def test_another_order_is_one_clear_line(order):
    with pytest.raises(BadInput, match=r"no order .*there are 1, 2"):
        of_orders([cubes], order)


def test_a_gradient_has_no_gradient_operation():
    with pytest.raises(BadInput, match="third order"):
        gradient_operation(gradient_operation(cubes))


def test_check_judges_both_orders():
    frame = multigrad.check(cubes, order=(1, 2), backend="numpy", dtype="float64", regime=("gaussian", "integers"))
    assert set(frame["operation"]) == {"cubes", "∇cubes"}
    assert set(frame["verdict"]) == {"PASS"}
    second = frame[(frame["operation"] == "∇cubes") & (frame["backend"] == "numpy")]
    assert set(second["output"]) == {*gradient_operation(cubes).outputs}


def test_at_a_kink_the_second_derivative_of_relu_is_a_convention():
    relu = CATALOGUE["relu"]
    frame = multigrad.check(
        relu, order=2, backend="numpy", dtype="float64", regime=("kink", "integers"), variant="autodiff"
    )
    assert not {"FAIL", "FINDING", "INCONCLUSIVE"} & set(frame["verdict"]), frame["reason"].tolist()


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["multigrad", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr()


def test_ties_of_a_sort_have_a_truth():
    G = gradient_operation(CATALOGUE["sort"])
    truth = find_truth(G, Case("", G.name, {"m": 3, "n": 5}, "integers", "float64", 0))
    assert (truth.references[0].hull > 0).any()
    assert all(np.isfinite(reference.bound).all() for reference in truth.references)


def test_a_shape_without_entries_that_has_no_second_derivative_is_not_judged():
    frame = multigrad.check("batch_norm", order=2, backend="numpy", dtype="float64", regime="empty")
    assert not {"FAIL", "INCONCLUSIVE"} & set(frame["verdict"]), frame["reason"].tolist()
    assert "no derivative there" in " ".join(frame["reason"])


def test_places_of_entries_are_undecided_where_their_index_is():
    tied = bounds.Array(np.array([1.0, 1.0, 2.0]), np.full(3, 1e-3), np.full(3, 1e-3))
    places = bounds.take_along_axis(np.arange(3), bounds.argsort(tied))
    assert places.undecided.tolist() == [True, True, False]


def test_what_is_wrong_is_annotated_at_the_operation_itself():
    frame = multigrad.check(wrong_square, order=2, backend="numpy", dtype="float64", regime="gaussian")
    (line, *_) = annotated(frame, [wrong_square])
    assert "line=" in line
    assert "title=multigrad%3A ∇wrong_square FAIL" in line


def test_the_command_judges_order_2_and_names_what_is_wrong(tmp_path, monkeypatch, capsys):
    file = tmp_path / "mine.py"
    file.write_text(
        "from multigrad import operation\n\n"
        '@operation("(n)->(n)", sizes={"tiny": {"n": 3}})\n'
        "def square(xp, x):\n"
        '    """f = x²."""\n'
        "    return x * x, lambda f_bar: 2 * f_bar * x\n"
    )
    arguments = ["check", str(file), "-b", "numpy", "-d", "float64", "--regime", "gaussian", "--json"]
    code, said = run(monkeypatch, capsys, *arguments, "--order", "1,2")
    assert code == 0
    assert {row["operation"] for row in json.loads(said.out)} == {"square", "∇square"}
    file.write_text(file.read_text().replace("2 * f_bar", "3 * f_bar"))
    code, said = run(monkeypatch, capsys, *arguments, "--order", "2")
    assert code == 1
    assert "the formula of square is wrong" in said.out


@pytest.mark.parametrize(("order", "words"), [("3", "no order 3"), ("two", "--order two is no number")])
def test_an_order_that_is_none_is_refused_by_the_command(order, words, monkeypatch, capsys):
    code, said = run(monkeypatch, capsys, "check", "relu", "--order", order)
    assert code == 3
    assert words in said.err


def test_check_grad_of_numpy_has_no_second_order():
    with pytest.raises(BadInput, match="as numbers, which nothing differentiates; wanted order=1"):
        multigrad.check_grad(lambda x: np.sum(x**2), lambda x: 2 * x, np.ones(3), order=2)


def test_a_replaced_gradient_stays_one():
    assert replace(gradient_operation(cubes), draw=None).value_names == ("X_bar", "w_bar")
