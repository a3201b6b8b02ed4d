"""Handing over: the hand-derived pullback is what a framework's own autodiff calls, in every way it may be asked."""

import functools

import numpy as np
import pytest

from multigrad import BadInput, Unavailable, operations, to_jax, to_torch
from multigrad.backend import backend
from multigrad.backend.handover import hand_over
from multigrad.process.child import Death, run
from tests.backends.handover_work import C, X

REPRESENTATIVE = (
    "relu_regression",  # a kink
    "linear_map",
    "softmax_cross_entropy",  # labels
    "embedding",  # a scatter
    "layer_norm",
    "masked_attention",  # a mask, and blocks
    "conv2d",  # parameters
    "sort",
    "det",  # factors
    "qr",  # several values
    "ode",  # a recurrence
    "kmeans_direction",
)
IN_FLOAT64 = tuple(name for name, op in operations().items() if "float64" in op.dtypes)
SETS = [
    pytest.param(REPRESENTATIVE, id="representative"),
    pytest.param(IN_FLOAT64, id="all", marks=pytest.mark.long),
]
DROPPED = "would drop the hand-derived pullback"
EACH = pytest.mark.parametrize("name", ["torch", "jax"])


@functools.cache
def work(what, name, **arguments):
    """Return what a worker yields."""
    environment = backend(name).environment("cpu", 1, "strict") if what != "jax_edges" else {"JAX_PLATFORMS": "cpu"}
    given = {"backend": name, **{k: list(v) if isinstance(v, tuple) else v for k, v in arguments.items()}}
    rows = list(run(f"tests.backends.handover_work:{what}", given, environment=environment))
    deaths = [r.reason for r in rows if isinstance(r, Death)]
    assert not deaths, deaths
    assert rows, f"{what} on {name} yielded nothing"
    return rows


def ways(name):
    return {r["way"]: r for r in work("ways", name)}


PLANTED = (7 * C * X).tolist()
LEFT_OUT = ("compile(grad)", "compile(backward(vmap))")
OTHER_ENDS = ("torch's own, compile(grad)", "fullgraph compile(grad)", "forward mode twice", "second derivative")


@pytest.mark.parametrize("name", ["torch", "jax", "numpy"])
def test_the_planted_pullback_is_used_in_every_way(name):
    rows = {way: r for way, r in ways(name).items() if way not in OTHER_ENDS}
    assert len(rows) >= (10 if name != "numpy" else 2)
    wrong = [r for r in rows.values() if r["raised"] or not np.allclose(r["found"], PLANTED, rtol=1e-15, atol=0)]
    assert not wrong, wrong
    assert not [r for way, r in rows.items() if any(DROPPED in w for w in r["warned"]) and way not in LEFT_OUT]


@pytest.mark.parametrize("way", LEFT_OUT)
def test_torch_compile_over_a_transform_is_left_uncompiled_with_a_warning(way):
    assert any(DROPPED in text for text in ways("torch")[way]["warned"])


def test_torch_compile_over_a_transform_raises_where_it_must_be_whole():
    raised = ways("torch")["fullgraph compile(grad)"]["raised"]
    assert DROPPED in raised


def test_torch_itself_still_drops_a_pullback_there():
    found = ways("torch")["torch's own, compile(grad)"]["found"]
    assert np.allclose(found, C * np.cos(X)), "mended upstream: `uncompiled` in handover_torch.py can go"


def test_forward_mode_over_forward_mode_is_refused_where_torch_would_return_zero():
    raised = ways("torch")["forward mode twice"]["raised"]
    assert raised.startswith("NotImplementedError: planted: forward mode over forward mode")


def test_a_second_derivative_by_autograd_says_that_there_is_none():
    raised = ways("numpy")["second derivative"]["raised"]
    assert raised.startswith("NotImplementedError: VJP of the pullback of planted")


@EACH
@pytest.mark.parametrize("names", SETS)
def test_a_drawn_cotangent_gives_what_the_pullback_gives(name, names):
    rows = work("cotangents", name, operations=names)
    assert [r["operation"] for r in rows] == list(names)
    assert not [r for r in rows if r["problem"]]


@pytest.mark.parametrize(("name", "order"), [("torch", 1), ("torch", 2), ("jax", 2)])  # JAX's checks the first as well
@pytest.mark.parametrize("names", SETS)
def test_the_framework_s_own_checker_agrees_and_so_with_second_derivatives(name, names, order):
    rows = work("checked", name, operations=names, order=order)
    assert [r["operation"] for r in rows] == list(names)
    assert not [r for r in rows if r["problem"]]


@EACH
def test_that_checker_sees_a_planted_pullback(name):
    (row,) = work(
        "checked", name, operations=(f"{__file__.replace('test_handover', 'handover_work')}::planted",), order=1
    )
    assert row["problem"]


EDGES = {
    "gradient_of_views": [0.0, 0.0],
    "only_one_wanted": [True, True, True],
    "expanded_cotangent": [7.0] * 4,
    "freed": [True, True, True, True],
    "settings": True,
}
RAISED = {
    "changed_in_place": "modified by an inplace operation",
    "twice": "backward through the graph a second time",
    "no_array": "BadInput: x is ndarray; wanted torch.Tensor",
    "no_shape": "BadInput: Y has shape (5, 2); wanted (m,n) with n = 3 from W",
}


def test_torch_keeps_what_it_promises_of_a_function():
    rows = {r["way"]: r for r in work("torch_edges", "torch")}
    assert set(rows) == {*EDGES, *RAISED}
    for way, wanted in EDGES.items():
        assert rows[way]["found"] == wanted, rows[way]
    for way, words in RAISED.items():
        assert words in rows[way]["raised"], rows[way]


def test_jax_keeps_what_its_user_has_set_and_gives_labels_no_gradient():
    rows = {r["way"]: r for r in work("jax_edges", "jax")}
    assert rows["settings"]["found"] == [False, True]
    assert "BadInput: x has shape (2, 2); wanted (n)" in rows["no_shape"]["raised"]
    assert rows["labels"]["found"] == ["False", "True"]


def test_what_cannot_be_handed_over_says_so():
    with pytest.raises(Unavailable, match="strict has no autodiff that takes a pullback"):
        hand_over("strict", "relu_regression", {})
    with pytest.raises(BadInput, match="conv2d has no parameter 'strides'; it has stride"):
        to_torch("conv2d", strides=2)
    with pytest.raises(BadInput, match="no operation named 'relu_regresion'; did you mean 'relu_regression'"):
        to_jax("relu_regresion")
