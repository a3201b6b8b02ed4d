"""A simplified graph has fewer calls and the same values."""

from __future__ import annotations

import numpy as np
import pytest

from multigrad.data.standard import numpy_standard
from multigrad.graph.calls import Call, Constant, Graph
from multigrad.graph.evaluation import Table, evaluate
from multigrad.graph.simplified import simplified

TABLE = Table(
    elementwise={"add": lambda xp, x, y: xp.add(x, y), "less": lambda xp, x, y: xp.less(x, y)},
    others={
        "sum": lambda xp, x, *, axis: xp.sum(x, axis=axis),
        "numbers": lambda xp, *, count: np.arange(count),
        "where": lambda xp, c, x, y: xp.where(xp.array(c), xp.array(x), xp.array(y)),
    },
    same=frozenset({"copy", "barrier"}),
)


def call(name, operands, results, kinds=("real",), **options):
    return Call(name, tuple(operands), tuple(results), tuple(kinds), options, "model.py, line 3")


def graph(calls, outputs, *, inputs=(0,), shape=(3,)):
    reals = ("real",) * len(inputs)
    return Graph(tuple(inputs), reals, tuple(calls), tuple(outputs), ("real",) * len(outputs), (shape,) * len(outputs))


def names(simple):
    return [c.name for c in simple.every_call()]


X = np.array([0.5, -1.0, 2.0])


def values(one):
    return [np.asarray(v) for v in evaluate(one, TABLE, numpy_standard(), [X])]


def test_what_is_the_same_repeated_or_unused_goes():
    whole = graph(
        [
            call("copy", [0], [1]),
            call("add", [1, 0], [2]),
            call("add", [0, 1], [3]),  # the same once more
            call("sum", [2], [4], axis=0),  # of use to nobody
            call("barrier", [2, 3], [5, 6], ("real", "real")),
            call("add", [5, 6], [7]),
        ],
        [7],
    )
    simple = simplified(whole, TABLE)
    assert names(simple) == ["add", "add"]
    np.testing.assert_array_equal(values(simple)[0], 4 * X)


def test_calls_that_differ_in_an_option_or_in_the_sign_of_zero_stay():
    whole = graph(
        [
            call("sum", [0], [1], axis=0),
            call("sum", [0], [2], axis=None),
            call("add", [0, Constant(0.0)], [3]),
            call("add", [0, Constant(-0.0)], [4]),
            call("add", [0, Constant(1)], [5]),
            call("add", [0, Constant(1.0)], [6]),
        ],
        [1, 2, 3, 4, 5, 6],
    )
    assert len(names(simplified(whole, TABLE))) == 6


def test_a_graph_that_is_called_is_written_where_it_is_called():
    doubled = graph([call("add", [0, 0], [1])], [1])
    whole = graph([call("call", [0], [1], graph=doubled), call("call", [1], [2], graph=doubled)], [2, 0])
    simple = simplified(whole, TABLE)
    assert names(simple) == ["add", "add"]
    first, second = values(simple)
    np.testing.assert_array_equal(first, 4 * X)
    np.testing.assert_array_equal(second, X)


def test_integers_and_conditions_of_no_input_are_computed():
    whole = graph(
        [
            call("numbers", [], [1], ("whole",), count=3),
            call("less", [1, Constant(2)], [2], ("truth",)),
            call("where", [2, 0, Constant(0.0)], [3]),
        ],
        [3],
    )
    simple = simplified(whole, TABLE)
    assert names(simple) == ["where"]
    np.testing.assert_array_equal(values(simple)[0], [0.5, -1.0, 0.0])


@pytest.mark.parametrize("where", ["body", "branches"])
def test_the_body_of_a_loop_and_branches_are_simplified_by_themselves(where):
    body = graph([call("copy", [0], [1]), call("add", [1, 1], [2])], [2])
    outer = graph([call("scan", [0], [1], **{where: (body, body) if where == "branches" else body})], [1])
    assert names(simplified(outer, TABLE)) == ["scan", *["add"] * (2 if where == "branches" else 1)]
