"""Pushforwards: hand-derived ones are certified, wrong ones are not, and those that nobody derived follow."""

from pathlib import Path

import numpy as np
import pytest
from multigrad.backends.numpy_backend import BACKEND

from multigrad import BadInput, check, operation, operations
from multigrad.matrix.relations import RELATIONS, relations
from multigrad.matrix.structure import structure
from multigrad.mutation.kill import kill_matrix
from multigrad.mutation.mutants import mutants
from multigrad.namespaces import dual, exact
from multigrad.ops.find import given_operations, load_operations
from multigrad.ops.pushforward import derived, pushed_forward, pushforward_of
from multigrad.ops.text import derivative_name
from multigrad.proof.prove import prove
from multigrad.truth.inputs import dtype_arrays
from multigrad.verdict.words import FAIL, PASS

BY_HAND = [name for name, op in operations().items() if op.pushed is not None]
FUNCTIONS = str(Path(__file__).parents[1] / "backends" / "forward_functions.py")


@operation("(b,n),(n)->(b,n)", sizes={"tiny": {"b": 3, "n": 4}})
def gate(xp, x, w):
    """y = sin(x) ∘ w."""
    return xp.sin(x) * w, lambda g: (g * xp.cos(x) * w, xp.sum(g * xp.sin(x), axis=0))


def tangents_in_balls(op, seed=0):
    """Jẋ by `dual`, and by the pushforward in `exact`, for integer tangents."""
    size = next(iter(op.sizes.values()))
    _, parameters = op.split(size)
    inputs = op.make_inputs(size, seed)
    rng = np.random.default_rng(seed)
    moved = [rng.integers(-9, 9, a.shape) if d else None for a, d in zip(inputs, op.differentiable, strict=True)]

    def true(*arrays):
        directions = [None if m is None else exact.lift(m[None]) for m in moved]
        return tuple(t[0] for t in dual.directional_derivatives(op.forward(dual, parameters), arrays, directions)[1])

    def ours(*arrays):
        chosen = [exact.lift(m) for m in moved if m is not None]
        return pushed_forward(op, exact, arrays, chosen, parameters)

    return (exact.evaluate(f, *inputs).outputs for f in (true, ours))


def compared(op):
    true, ours = tangents_in_balls(op)
    pairs = [
        (p, q) for a, b in zip(true, ours, strict=True) for p, q in zip(a.elements.flat, b.elements.flat, strict=True)
    ]
    assert pairs
    return [p.overlaps(q) for p, q in pairs]


def test_nine_operations_of_the_catalogue_have_a_pushforward():
    assert len(BY_HAND) >= 9


@pytest.mark.parametrize("name", BY_HAND)
def test_a_hand_derived_pushforward_is_what_dual_gives(name):
    assert all(compared(operations()[name]))


@pytest.mark.parametrize("name", ["qr", "det", "ode", "huber"])
def test_a_pushforward_that_nobody_derived_is_what_dual_gives(name):
    assert operations()[name].pushed is None
    assert all(compared(operations()[name]))


@pytest.mark.parametrize("name", BY_HAND)
def test_a_hand_derived_pushforward_is_certified(name):
    pushed = pushforward_of(operations()[name])
    proof = prove(pushed, next(iter(pushed.sizes.values())))
    assert proof.passed
    assert sum(g.compared for g in proof.gradients) > 0


def with_pushforward(function):
    made = operation("(b,n),(n)->(b,n)", sizes={"tiny": {"b": 3, "n": 4}})(gate.function)
    made.pushforward(function)
    return made


def right(xp, x, w, x_dot, w_dot):
    return xp.cos(x) * w * x_dot + xp.sin(x) * w_dot


def without_a_tangent(xp, x, w, x_dot, w_dot):
    return xp.cos(x) * w * x_dot


def of_another_shape(xp, x, w, x_dot, w_dot):
    return xp.sum(right(xp, x, w, x_dot, w_dot), axis=0)


def test_a_wrong_pushforward_is_refuted_and_its_pullback_is_not():
    for function, passed in ((right, True), (without_a_tangent, False), (of_another_shape, False)):
        op = with_pushforward(function)
        assert prove(pushforward_of(op), op.size("tiny")).passed is passed
        assert prove(op, op.size("tiny")).passed


def test_a_wrong_pullback_does_not_spoil_the_verdict_on_the_pushforward():
    def doubled(xp, x, w):
        return xp.sin(x) * w, lambda g: (2 * g * xp.cos(x) * w, xp.sum(g * xp.sin(x), axis=0))

    op = operation("(b,n),(n)->(b,n)", sizes={"tiny": {"b": 3, "n": 4}})(doubled)
    op.pushforward(right)
    assert not prove(op, op.size("tiny")).passed
    assert prove(pushforward_of(op), op.size("tiny")).passed
    found = dict(relations(BACKEND.open(), pushforward_of(op), op.size("tiny"), "float64"))
    assert found[RELATIONS["transpose"]].verdict == FAIL  # ⟨Jv, u⟩ and ⟨v, Jᵀu⟩ do not agree any more


def test_every_relation_holds_for_the_pushforwards_of_the_catalogue():
    for name in BY_HAND:
        pushed = pushforward_of(operations()[name])
        found = dict(relations(BACKEND.open(), pushed, next(iter(pushed.sizes.values())), "float64"))
        assert RELATIONS["transpose"] in found, name
        assert {j.verdict for j in found.values()} == {PASS}, (name, found)
        assert all(j.compared > 0 for j in found.values())


def test_cotangents_of_several_values_are_linear_together():
    pushed = pushforward_of(operations()["qr"])
    assert structure(pushed, next(iter(pushed.sizes.values()))).linear == (("value0_bar", "value1_bar"),)


def test_it_is_drawn_at_the_points_of_its_operation():
    op = operations()["softmax_cross_entropy"]
    ours = pushforward_of(op).make_inputs(op.size("tiny"), 3)
    theirs = op.make_inputs(op.size("tiny"), 3)
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=False))
    assert len(ours) == len(theirs) + 1
    arrays = dtype_arrays(pushforward_of(op), op.size("tiny"), 0, "gaussian", "float64")
    assert [a.shape for a in arrays[-2:]] == [(3,), (3, 4)]  # ȳ, and ẋ: a label has no tangent


@pytest.mark.parametrize("name", ["relu_regression", "softmax", "linear_map"])
def test_mutants_of_a_pushforward_are_made_of_its_own_source(name):
    op = operations()[name]
    found = mutants(pushforward_of(op))
    first = op.pushed.__code__.co_firstlineno
    edited = [m for m in found if m.line]
    assert len(edited) >= 5
    assert all(m.line >= first for m in edited)


def test_every_mutant_of_a_pushforward_is_killed():
    frame = kill_matrix([f"{FUNCTIONS}::relu_layer.pushforward"], backends=["numpy"], rivals=False)
    ours = frame[frame["mutant"] >= 0]
    told = ours.groupby("mutant").agg({"killed": "any", "equivalent": "any"})
    assert len(told) >= 20
    assert (told["killed"] | told["equivalent"]).all()
    assert told["killed"].sum() >= 20
    assert not frame[frame["mutant"] < 0]["killed"].any()


def test_a_check_judges_a_pushforward_beside_the_pullback():
    frame = check(f"{FUNCTIONS}::relu_layer", backend="numpy", dtype="float64", device="cpu")
    assert list(dict.fromkeys(frame["operation"])) == ["relu_layer", "relu_layer.pushforward"]
    rows = frame[(frame["output"] == "value_dot") & (frame["backend"] == "numpy")]
    assert len(rows) >= 3
    assert {*rows["verdict"]} == {PASS}
    assert rows["ratio"].max() > 0
    only = check(f"{FUNCTIONS}::relu_layer", derivative="reverse", backend="numpy", dtype="float64", device="cpu")
    assert {*only["operation"]} == {"relu_layer"}


def test_a_check_of_forward_mode_alone_takes_any_operation():
    frame = check("huber", derivative="forward", backend="numpy", dtype="float64", device="cpu", regime="gaussian")
    assert {*frame["operation"]} == {"huber.pushforward"}
    assert {*frame[frame["output"] == "value_dot"]["verdict"]} == {PASS}


def test_it_is_found_by_name():
    (op,) = load_operations(["softmax.pushforward"])
    assert op is pushforward_of(operations()["softmax"])
    assert [o.name for o in given_operations(f"{FUNCTIONS}::scaled_tanh.pushforward")] == ["scaled_tanh.pushforward"]
    names = [o.name for o in derived([operations()["softmax"], operations()["huber"]], None)]
    assert names == ["softmax", "softmax.pushforward", "huber"]


def test_the_tangent_of_a_value_is_written_as_mathematics_does():
    assert [derivative_name(o) for o in ("value_dot", "value1_dot", "W_bar")] == ["J·v", "J₁·v", "∂f/∂W"]


def swapped(xp, x, w, w_dot, x_dot):
    return right(xp, x, w, x_dot, w_dot)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (swapped, r"takes \(xp, x, w, w_dot, x_dot\); wanted \(xp, x, w, x_dot, w_dot\)"),
        (lambda xp, x, w: x, r"takes \(xp, x, w\); wanted \(xp, x, w, x_dot, w_dot\)"),
        (3, "a pushforward is a function written with def; found int"),
    ],
)
def test_what_cannot_be_a_pushforward_is_refused(given, words):
    with pytest.raises(BadInput, match=words):
        with_pushforward(given)


def test_there_is_one_pushforward_and_one_set_of_derivatives():
    op = with_pushforward(right)
    with pytest.raises(BadInput, match="gate has a pushforward already"):
        op.pushforward(without_a_tangent)
    with pytest.raises(BadInput, match="no derivative named 'sideways'; there are reverse, forward"):
        check("softmax", derivative="sideways")
