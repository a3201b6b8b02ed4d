"""Forward mode and batches on frameworks: what is handed over, and what implementations bring of their own."""

import functools

import numpy as np
import pytest

from multigrad import check, operations
from multigrad.backend import backend
from multigrad.process.child import Death, run
from multigrad.verdict.words import FAIL, NOTE, PASS
from tests.backends import forward_functions as functions
from tests.backends.forward_work import FORWARD, REVERSE, SECOND

EACH = pytest.mark.parametrize("name", ["torch", "jax"])
BY_HAND = tuple(name for name, op in operations().items() if op.pushed is not None)
OTHERS = ("qr", "masked_attention", "embedding", "det", "ode")
SETS = [
    pytest.param((*BY_HAND, *OTHERS), id="some"),
    pytest.param(tuple(operations()), id="all", marks=pytest.mark.long),
]
VMAP = "relation: vmap is the loop over the batch"
ONE = {"dtype": "float64", "mode": "eager", "device": "cpu"}


@functools.cache
def work(what, name, **arguments):
    environment = backend(name).environment("cpu", 1, "strict")
    given = {"backend": name, **{k: list(v) for k, v in arguments.items()}}
    rows = list(run(f"tests.backends.forward_work:{what}", given, environment=environment))
    deaths = [r.reason for r in rows if isinstance(r, Death)]
    assert not deaths, deaths
    return rows


@EACH
def test_forward_mode_calls_the_pushforward_and_reverse_mode_the_pullback(name):
    wanted = {"forward": FORWARD, "reverse": REVERSE, "second": SECOND}
    rows = work("ways", name)
    assert len(rows) >= 11
    wrong = [r for r in rows if r["raised"] or not np.allclose(r["found"], wanted[r["kind"]], rtol=1e-14, atol=0)]
    assert not wrong, wrong


@EACH
@pytest.mark.parametrize("names", SETS)
def test_forward_mode_of_what_is_handed_over_is_the_pushforward(name, names):
    rows = work("handed_over", name, operations=names)
    assert [r["operation"] for r in rows] == list(names)
    assert not [r for r in rows if not r["apart"] <= 1e-10]


@functools.cache
def forward_rows():
    frame = check(
        functions.__file__,
        derivative="forward",
        backend=["torch", "jax"],
        variant=[*functions.WRONG_JVP, "torch_right", "torch_layer", "jax_right"],
        regime="gaussian",
        **ONE,
    )
    return frame[(frame["output"] == "value_dot") & (frame["backend"] != "exact")].set_index("variant")


@pytest.mark.parametrize("variant", functions.WRONG_JVP)
def test_a_wrong_rule_of_forward_mode_is_refuted(variant):
    assert forward_rows().loc[variant, "verdict"] == FAIL


@pytest.mark.parametrize("variant", ["torch_right", "torch_layer", "jax_right"])
def test_a_right_rule_of_forward_mode_passes(variant):
    assert forward_rows().loc[variant, "verdict"] == PASS


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ("torch_factor", "J·v is 2 × the true value"),
        ("torch_ignored", "without the term `t * w_dot` (line 19)"),
        ("jax_lost_factor", "without the factor `w` (line 19)"),
        ("torch_unmasked", "the mask is missing"),
    ],
)
def test_the_mistake_is_named(variant, words):
    assert words in forward_rows().loc[variant, "reason"]


@functools.cache
def vmap_rows():
    frame = check(
        f"{functions.__file__}::scaled_tanh",
        derivative="reverse",
        backend=["torch", "jax"],
        variant=[*functions.WRONG_VMAP, "torch_vmap_right", "jax_vmap_right", "torch_right", "jax_right"],
        regime="relations",
        **ONE,
    )
    return frame[frame["regime"] == VMAP].set_index("variant")


@pytest.mark.parametrize("variant", functions.WRONG_VMAP)
def test_a_wrong_rule_of_vmap_is_refuted(variant):
    row = vmap_rows().loc[variant]
    assert row["verdict"] == FAIL
    assert "is not what it is alone" in row["reason"]


@pytest.mark.parametrize("variant", ["torch_vmap_right", "jax_vmap_right", "jax_right"])
def test_a_right_rule_of_vmap_passes(variant):
    row = vmap_rows().loc[variant]
    assert row["verdict"] == PASS
    assert row["ratio"] >= 0


def test_what_cannot_be_mapped_is_a_note_with_the_framework_s_reason():
    row = vmap_rows().loc["torch_right"]
    assert row["verdict"] == NOTE
    assert "must override the setup_context staticmethod" in row["reason"]
    assert "\n" not in row["reason"]


def test_handed_over_it_is_judged_in_both_modes_and_mapped():
    frame = check(
        "softmax", derivative="forward", backend=["torch", "jax"], variant=["to_torch", "to_jax"], size="tiny", **ONE
    )
    numbers = frame[(frame["backend"] != "exact") & (frame["device"] == "cpu")]
    assert {*numbers["variant"]} == {"to_torch", "to_jax"}
    assert {*numbers["verdict"]} == {PASS}, numbers[numbers["verdict"] != PASS].to_dict("records")
    relations = {*numbers["regime"]}
    assert VMAP in relations
    assert "relation: ⟨Jv, u⟩ = ⟨v, Jᵀu⟩" in relations
