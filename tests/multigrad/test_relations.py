"""Relations between a backend's own results: they hold for what is right, and each has been seen to fail."""

from __future__ import annotations

import pytest
from multigrad.backends.numpy_backend import BACKEND

from multigrad import operation, operations
from multigrad.matrix.relations import RELATIONS, relations
from multigrad.matrix.structure import structure
from multigrad.verdict.words import FAIL, PASS, UNAVAILABLE

SIZE = {"b": 3, "n": 4}


def made(pullback_of):
    """y = sin(x) ∘ w over a batch, with whatever pullback is made of its parts."""

    @operation("(b,n),(n)->(b,n)", sizes={"tiny": SIZE})
    def f(xp, x, w):
        return xp.sin(x) * w[None, :], pullback_of(xp, x, w)

    return f


def right(xp, x, w):
    return lambda g: (g * xp.cos(x) * w[None, :], xp.sum(g * xp.sin(x), axis=0))


def tried(op, size=None, dtype="float64"):
    found = relations(BACKEND.open(), op, size or op.size("tiny"), dtype)
    return dict(found)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_relation_holds_for_a_right_pullback(dtype):
    found = tried(made(right), dtype=dtype)
    assert set(found) == {words for name, words in RELATIONS.items() if name not in ("kept", "vmap")}
    assert {j.verdict for j in found.values()} == {PASS}
    assert all(j.compared > 0 for j in found.values())


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d", "linear_map", "relu_regression"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_every_relation_holds_for_the_catalogue(name, dtype):
    op = operations()[name]
    for size in list(op.sizes)[:2]:
        found = tried(op, op.size(size) if size != "digits" else None, dtype)
        assert {j.verdict for j in found.values()} == {PASS}, found


def test_the_structure_is_found_not_declared():
    found = structure(made(right), SIZE)
    assert found.batch == "b"
    assert found.linear == (("w",),)
    conv = operations()["conv2d"]
    assert structure(conv, conv.size(list(conv.sizes)[1])).batch == "b"
    assert structure(operations()["relu_regression"], {"m": 5, "k": 4, "n": 3}).batch is None


def test_a_dimension_that_is_mixed_is_no_batch():
    @operation("(b,n)->(b,n)", sizes={"tiny": SIZE})
    def centred(xp, x):
        return x - xp.mean(x, axis=0, keepdims=True), lambda g: g - xp.mean(g, axis=0, keepdims=True)

    assert structure(centred, SIZE).batch == "n"
    assert {j.verdict for j in tried(centred).values()} == {PASS}


def constant(xp, x, w):
    return lambda g: (right(xp, x, w)(g)[0] + 1e-6, right(xp, x, w)(g)[1])


def squared(xp, x, w):
    return lambda g: right(xp, x, w)(g * abs(g))


def twice(xp, x, w):
    calls = []

    def pullback(g):
        calls.append(1)
        a, b = right(xp, x, w)(g)
        return a * (1 + 1e-12 * len(calls)), b

    return pullback


def writing(xp, x, w):
    def pullback(g):
        result = right(xp, x, w)(g)
        if hasattr(g, "flags"):
            g[0, 0] = 5.0
        return result

    return pullback


def first_item_for_all(xp, x, w):
    return lambda g: (right(xp, x, w)(g)[0], xp.sum(g * xp.sin(x[:1, :]), axis=0))


def halved(xp, x, w):
    return lambda g: (right(xp, x, w)(g)[0], 0.5 * right(xp, x, w)(g)[1])


@pytest.mark.parametrize(
    ("wrong", "relation", "words"),
    [
        (constant, "zero", "is not zero in 12 of 12 entries"),
        (squared, "linear", "beyond the bound"),
        (twice, "twice", "called twice"),
        (writing, "unchanged", "the cotangent of value"),
        (first_item_for_all, "batch", "∂f/∂w"),
        (halved, "transpose", "v in place of w"),
    ],
)
def test_each_relation_is_seen_to_fail(wrong, relation, words):
    judgement = tried(made(wrong))[RELATIONS[relation]]
    assert judgement.verdict == FAIL
    assert words in judgement.reason


def spline(xp, q):
    """The cubic B-spline of radius 2, and its derivative: zero from |q| = 2 on."""
    a = xp.abs(q)
    near, far = 1 - 1.5 * a**2 + 0.75 * a**3, 0.25 * (2 - a) ** 3
    slope_near, slope_far = -3 * a + 2.25 * a**2, -0.75 * (2 - a) ** 2
    value = xp.where(a < 1, near, xp.where(a < 2, far, 0 * q))
    return value, xp.sign(q) * xp.where(a < 1, slope_near, xp.where(a < 2, slope_far, 0 * q))


def epanechnikov(xp, q):
    inside = xp.abs(q) < 1
    return xp.where(inside, 0.75 * (1 - q * q), 0 * q), xp.where(inside, -1.5 * q, 0 * q)


def fraction(xp, q):
    return q - xp.floor(q), xp.ones_like(q)


def saturated(xp, q):
    return xp.clip(q, -8, 8), xp.where(xp.abs(q) < 8, 1.0, 0 * q)


@pytest.mark.parametrize("curve", [spline, epanechnikov, fraction, saturated])
def test_what_is_linear_only_far_from_the_drawn_inputs_is_no_linear_map(curve):
    @operation("(n)->(n)", sizes={"tiny": {"n": 4}})
    def f(xp, q):
        value, slope = curve(xp, q)
        return value, lambda g: g * slope

    assert structure(f, {"n": 4}).linear == ()
    judgements = tried(f)
    assert RELATIONS["transpose"] not in judgements
    assert FAIL not in {j.verdict for j in judgements.values()}


def test_items_that_meet_in_the_middle_of_a_batch_are_none():
    @operation("(b,n)->(b,n)", sizes={"tiny": {"b": 4, "n": 2}})
    def f(xp, x):
        def pullback(g):
            middle = g[1:2, :] + g[2:3, :]
            return xp.concat([g[:1, :], middle, g[2:3, :], g[3:, :]], axis=0)

        return xp.concat([x[:2, :], x[1:2, :] + x[2:3, :], x[3:, :]], axis=0), pullback

    assert structure(f, {"b": 4, "n": 2}).batch == "n"


@operation("(n),(n)->()", sizes={"tiny": {"n": 3}}, inputs=lambda draw, n: [300 + abs(draw(n)), draw(n)])
def fourth_powers(xp, x, w):
    """Σ w x⁴: in half precision x³ overflows."""
    return xp.sum(w * x**4), lambda b: (b * 4 * w * x**3, b * x**4)


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_zero_times_an_overflow_is_left_out():
    zero = tried(fourth_powers, dtype="float16")[RELATIONS["zero"]]
    assert zero.verdict == UNAVAILABLE
    assert "may overflow in float16" in zero.reason
    assert tried(fourth_powers)[RELATIONS["zero"]].verdict == PASS
