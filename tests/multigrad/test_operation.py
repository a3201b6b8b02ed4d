"""Signatures, inputs and references: what is wrong is said in one line that names it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import multigrad
from multigrad import BadInput, load_operations, operation, operations
from multigrad.ops import draw
from multigrad.ops.draw import Draw
from multigrad.ops.elsewhere import described
from multigrad.ops.find import given_operations
from multigrad.ops.signature import Signature


def square(xp: Any, x: Any) -> Any:
    """Sum of squares: f = Σ x², ∂f/∂x = 2x."""
    return xp.sum(x * x), lambda f_bar: 2 * f_bar * x


names = st.from_regex(r"[a-z][a-z0-9]?", fullmatch=True)
shapes = st.lists(st.lists(names, max_size=3).map(tuple), min_size=1, max_size=3)


@given(inputs=shapes, outputs=shapes)
def test_a_signature_is_read_back_as_it_was_written(inputs: list[Any], outputs: list[Any]) -> None:
    text = "->".join(",".join(f"({','.join(s)})" for s in side) for side in (inputs, outputs))
    parsed = Signature.parse(text)
    assert (list(parsed.inputs), list(parsed.outputs)) == (inputs, outputs)


@pytest.mark.parametrize("text", ["", "(m)", "m->()", "(m)->", "(m,)->()", "(m)(n)->()", "(m)->(n)->()"])
def test_what_is_no_signature_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match="gufunc notation"):
        Signature.parse(text)


def test_a_size_that_does_not_fit_names_the_input_and_the_source() -> None:
    signature = Signature.parse("(m,k),(k,n)->(m,n)")
    assert signature.bind(["A", "B"], [(2, 3), (3, 4)]) == {"m": 2, "k": 3, "n": 4}
    with pytest.raises(BadInput, match=r"B has shape \(2, 4\); wanted \(k,n\) with k = 3 from A"):
        signature.bind(["A", "B"], [(2, 3), (2, 4)])
    with pytest.raises(BadInput, match=r"A has shape \(2,\); wanted \(m,k\), which has 2 dimensions"):
        signature.bind(["A", "B"], [(2,), (2, 4)])


def test_a_signature_that_does_not_match_its_function_is_refused() -> None:
    with pytest.raises(BadInput, match=r"has 2 inputs, the function has 1 after the namespace \(x\)"):
        operation("(n),(n)->()")(square)


def test_a_name_that_is_no_input_is_refused() -> None:
    with pytest.raises(BadInput, match="'y', which is not among x"):
        operation("(n)->()", nondifferentiable=["y"])(square)


def test_nothing_to_differentiate_is_refused() -> None:
    with pytest.raises(BadInput, match="no gradient to check"):
        operation("(n)->()", nondifferentiable=["x"])(square)


def test_a_size_without_a_dimension_is_refused() -> None:
    with pytest.raises(BadInput, match="size 'tiny' lacks 'n'"):
        operation("(n)->()", sizes={"tiny": {}})(square)
    with pytest.raises(BadInput, match="size 'tiny' gives 'm'"):
        operation("(n)->()", sizes={"tiny": {"n": 3, "m": 2}})(square)


def test_a_pullback_with_too_few_gradients_is_told() -> None:
    @operation("(n),(n)->()")
    def dot(xp: Any, x: Any, y: Any) -> Any:
        return xp.sum(x * y), lambda f_bar: (f_bar * y,)

    with pytest.raises(BadInput, match="returned 1 gradients; wanted 2: x, y"):
        dot.analytic(np, {})(np.ones(3), np.ones(3), np.ones(()))


def test_inputs_are_the_same_for_the_same_seed_and_differ_between_operations() -> None:
    regression = operations()["relu_regression"]
    size = regression.size("tiny")
    first, second = regression.make_inputs(size, 7), regression.make_inputs(size, 7)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], regression.make_inputs(size, 8)[0])


def test_the_integers_regime_draws_small_integers() -> None:
    drawn = Draw(0, "integers")(1000)
    assert set(drawn.tolist()) == {-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0}


def test_a_scalar_cotangent_is_never_zero_or_one() -> None:
    for seed in range(50):
        for regime in ("gaussian", "integers"):
            (cotangent,) = operations()["relu_regression"].make_cotangents([()], seed, regime)
            assert cotangent not in (0, 1)


def test_an_unknown_operation_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(BadInput, match="did you mean 'relu_regression'"):
        load_operations(["relu_regresion"])


def write(folder: Path, text: str) -> str:
    path = folder / "mine.py"
    path.write_text(text)
    return str(path)


GOOD = """
from multigrad import operation

@operation("(n)->()")
def square(xp, x):
    "f = sum of squares"
    return xp.sum(x * x), lambda f_bar: 2 * f_bar * x
"""


def test_a_file_gives_its_operations_and_a_reference_that_finds_them_again(tmp_path: Path) -> None:
    (op,) = load_operations([write(tmp_path, GOOD)])
    assert op.name == "square"
    assert load_operations([op.reference])[0].name == "square"
    assert list(op.sizes) == ["tiny", "small", "medium"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "mine.py defines no operation"),
        ("\n1 / 0", r"mine.py raised on import \(line 2\): ZeroDivisionError"),
        ("def f(:", r"mine.py raised on import \(line 1\): SyntaxError"),
        ("import nowhere_at_all", "ModuleNotFoundError"),
        (GOOD.replace("(n)->()", "(n),(m)->()"), "mine.py: square: the signature"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        load_operations([write(tmp_path, text)])
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_and_a_name_that_is_not_in_it_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no file"):
        load_operations(["nowhere.py"])
    with pytest.raises(BadInput, match="has no operation 'cube'; it has square"):
        load_operations([write(tmp_path, GOOD) + "::cube"])


def test_an_operation_of_the_catalogues_name_is_not_the_catalogues(tmp_path: Path) -> None:
    (own,) = load_operations([write(tmp_path, GOOD.replace("square", "relu"))])
    assert own.name == "relu"
    assert not own.catalogued
    assert all(op.catalogued for op in operations().values())


def test_two_operations_of_one_name_are_refused(tmp_path: Path) -> None:
    relu = write(tmp_path, GOOD.replace("square", "relu"))
    with pytest.raises(BadInput, match=r"two operations are named relu: the catalogue's and that of .*\.py; .* rename"):
        given_operations(["relu", relu])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(BadInput, match=r"two operations are named relu: that of .* and that of .*elsewhere"):
        given_operations([relu, write(elsewhere, GOOD.replace("square", "relu"))])
    with pytest.raises(BadInput, match="and one that lies in no file"):
        given_operations(["relu", replace(operations()["relu"], reference="")])


def test_an_operation_that_is_given_twice_counts_once(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    assert [op.name for op in given_operations(["relu", operations()["relu"], path, f"{path}::square"])] == [
        "relu",
        "square",
    ]
    with pytest.raises(BadInput, match="no operation was given"):
        given_operations([])


def test_the_paths_from_before_the_rooms_lead_to_the_same_names() -> None:
    from multigrad.operation import REGIMES, BadInput, Draw, Operation, load_operations, operation, operations

    assert operation is multigrad.operation
    assert (BadInput, Operation) == (multigrad.BadInput, multigrad.Operation)
    assert (load_operations, operations) == (multigrad.load_operations, multigrad.operations)
    assert (REGIMES, Draw) == (draw.REGIMES, draw.Draw)


@pytest.mark.parametrize("name", ["atanh", "artanh", "tangent", "f"])
def test_where_inputs_are_drawn_does_not_depend_on_the_name(name):
    def forward(xp, x):
        return xp.atanh(x), lambda y_bar: y_bar / (1 - x * x)

    forward.__name__ = forward.__qualname__ = name
    assert operation("(n)->(n)")(forward).domain == "numbers between −1 and 1"


def test_another_process_tells_whether_an_operation_has_a_pullback(tmp_path):
    path = tmp_path / "both.py"
    path.write_text(
        "import numpy as np\nfrom multigrad import operation\n\n\n"
        "@operation('(n)->()')\ndef with_one(xp, x):\n    return xp.sum(x), lambda f_bar: f_bar + 0 * x\n\n\n"
        "@operation('(n)->()')\ndef without(x):\n    return np.sum(x)\n"
    )
    found = {op.name: (op.namespaced, op.has_pullback) for op in described(path)}
    assert found == {"with_one": (True, True), "without": (False, False)}
