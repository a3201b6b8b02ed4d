"""A JAX function as an operation: the same values as JAX's own, the same derivative, and certified."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import numpy as np
import pytest

import multigrad
from multigrad import BadInput, from_jax
from multigrad.backend import backend
from multigrad.data.standard import numpy_standard
from multigrad.namespaces import bounds, cost, dual, exact

jax = pytest.importorskip("jax", reason="jax is not installed (pip install jax)")
jnp = jax.numpy

from tests.backends import jax_functions  # noqa: E402 - imports jax

REFERENCES = Path(__file__).parent / "jax_references.py"
xp = numpy_standard()


@pytest.fixture(scope="module", autouse=True)
def in_64_bits():
    """What a session of JAX sets; the tests of this folder share a process."""
    backend("jax").open("cpu", threads=1)


def several(values):
    return tuple(values) if isinstance(values, tuple | list) else (values,)


def example(*shapes):
    return tuple(np.linspace(-1.0, 2.0, math.prod(s)).reshape(s) for s in shapes)


def long(name):
    return pytest.param(name, marks=pytest.mark.long)


SLOW_TO_COMPILE = (
    *("expm", "cumlogsumexp", "mvn_logpdf", "hessian", "weighted_logsumexp", "associative_scan", "betaln", "lstsq"),
    *("gamma_logpdf", "log_ndtr"),
)
"""Functions of which JAX's own derivative takes seconds to be compiled."""

EACH = pytest.mark.parametrize(
    "name", [long(name) if name in SLOW_TO_COMPILE else name for name in jax_functions.NAMES]
)

# Values and derivatives


@functools.cache
def in_jax(name):
    """Return the operation, its arguments and directions, and what JAX makes of them: values and derivatives."""
    function, arguments, directions = jax_functions.drawn(name)
    op = from_jax(function, example=tuple(arguments), name=name)
    values, tangents = jax.jvp(lambda *a: jax.tree.leaves(function(*a)), tuple(arguments), tuple(directions))
    return op, arguments, directions, values, tangents


@EACH
def test_the_graph_has_the_values_of_jax_to_the_last_digits(name):
    op, arguments, _, wanted, _ = in_jax(name)
    with np.errstate(all="ignore"):
        values = several(op.function(xp, *arguments))
    assert len(values) == len(wanted)
    for ours, theirs in zip(values, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-13, strict=False)
        assert np.shape(ours) == theirs.shape


@EACH
def test_the_derivative_in_ball_arithmetic_is_that_of_jax(name):
    op, arguments, directions, _, wanted = in_jax(name)

    def differentiate(*arrays):
        pushed = [exact.lift(d[None]) for d in directions]
        _, tangents = dual.directional_derivatives(lambda *i: several(op.function(dual, *i)), arrays, pushed)
        return tuple(tangents)

    found = exact.evaluate(differentiate, *arguments, width=1e-20)
    for ours, theirs in zip(found.outputs, wanted, strict=True):
        np.testing.assert_allclose(exact.midpoints(ours)[0], theirs, rtol=1e-11, atol=1e-12)


def test_a_power_of_zero_is_constant_also_at_zero_where_jax_has_nan():
    x = np.array([0.0, 2.0])
    op = from_jax(lambda x: jnp.vander(x, 3), example=(x,))
    found = exact.evaluate(
        lambda a: dual.directional_derivatives(
            lambda i: several(op.function(dual, i)), (a,), [exact.lift(np.ones((1, 2)))]
        )[1],
        x,
    )
    np.testing.assert_array_equal(exact.midpoints(found.outputs[0])[0], [[0, 1, 0], [4, 1, 0]])
    assert np.isnan(jax.jacobian(lambda x: jnp.vander(x, 3))(x)).any()


def test_there_are_enough_functions_to_mean_something():
    assert len(jax_functions.NAMES) >= 140


BOUNDED = ["softplus", "median", "attention", "max_pool", "solve", "rows", "scan", "i0", "i1e", "interp_knots"]


@pytest.mark.parametrize("name", BOUNDED)
def test_bounds_and_cost_follow_the_graph(name):
    op, arguments, *_ = in_jax(name)
    for bounded in several(bounds.analyse(functools.partial(op.function, bounds), *arguments, context="float32")):
        assert np.all(bounded.worst <= 1e-3 * (1 + np.abs(bounded.value)))
    with cost.counting("float32") as counters:
        results = several(op.function(cost, *map(cost.asarray, arguments)))
    assert counters.streamed_bytes > 0
    assert [r.shape for r in results] == [v.shape for v in several(op.function(xp, *arguments))]


@pytest.mark.parametrize("name", ["rows", "segment_sum", "interp", "argsort", "scan", "fori_loop", "attention", "grad"])
def test_a_compiler_follows_the_graph(name):
    op, arguments, _, wanted, _ = in_jax(name)
    session = backend("jax").open("cpu", threads=1)
    values = several(session.compile(functools.partial(op.function, session.xp))(*arguments))
    for ours, theirs in zip(values, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore:Logical operators:FutureWarning")
@pytest.mark.parametrize("name", ["scan", long("rows"), long("attention")])
def test_torchs_compiler_follows_the_graph(name):
    pytest.importorskip("torch", reason="torch is not installed")
    op, arguments, _, wanted, _ = in_jax(name)
    session = backend("torch").open("cpu", threads=1)
    inputs = session.place(op, arguments, "float64")
    forward = op.forward(session.xp, {})
    cotangents = [session.to_device(np.ones(np.shape(v)), "float64") for v in wanted]
    found = session.compile(session.differentiate(forward, op.differentiable))(*inputs, *cotangents)
    for ours, theirs in zip(found, wanted, strict=False):
        np.testing.assert_allclose(session.to_numpy(ours), theirs, rtol=1e-12, atol=1e-12)
    assert len(found) == len(wanted) + sum(op.differentiable)


def test_indices_that_a_compiler_computes_gather_and_scatter():
    def function(E, t, y):
        return jnp.concatenate([E[t], E.at[t].add(y), E.at[t[0]].set(1.0), jnp.take(E, t + 1, axis=0, mode="clip")])

    E, t, y = np.arange(12.0).reshape(4, 3), np.array([3, 1, 3]), np.ones((3, 3))
    op = from_jax(function, example=(E, t, y))
    session = backend("jax").open("cpu", threads=1)
    compiled = session.compile(functools.partial(op.function, session.xp))(E, t, y)
    np.testing.assert_array_equal(compiled, function(jnp.asarray(E), t, y))
    np.testing.assert_array_equal(op.function(xp, E, t, y), function(jnp.asarray(E), t, y))


# What is traced


def test_the_primal_of_a_custom_vjp_is_taken():
    @jax.custom_vjp
    def wrong(x):
        return jnp.sin(x)

    wrong.defvjp(lambda x: (wrong(x), x), lambda x, g: (7 * g * x,))
    op = from_jax(wrong, "(n)->(n)")
    x = np.array([0.3, 2.0])
    _, (tangent,) = dual.directional_derivatives(
        lambda a: (op.function(dual, a),), [exact.variable(x)], [exact.lift(np.ones((1, 2)))]
    )
    np.testing.assert_allclose(exact.midpoints(tangent)[0], np.cos(x), rtol=1e-14)
    assert op.name == "wrong"


def test_a_function_of_a_person_is_not_taken_for_the_one_of_jax_that_has_its_name():
    @jax.jit
    def det(A):
        return A[0, 0] * 10

    assert from_jax(lambda A: det(A), example=example((2, 2)), name="f").function(xp, np.eye(2)) == 10


def test_a_constant_of_float32_does_not_spoil_float64():
    eighths = jnp.asarray([0.125, 0.25], dtype=jnp.float32)

    def function(x):
        return x.astype(jnp.float32) * 0.1 + eighths + x.astype(jnp.bfloat16) * 0.3

    op = from_jax(function, "(2)->(2)", sizes={"only": {}})
    x = np.array([1 / 3, 2 / 3])
    np.testing.assert_array_equal(op.function(xp, x), x * 0.1 + np.array([0.125, 0.25]) + x * 0.3)
    assert op.function(xp, x.astype(np.float32)).dtype == np.float32


def test_tracing_leaves_jax_in_32_bits_where_it_was():
    with jax.enable_x64(False):
        from_jax(jnp.sin, "(n)->(n)")
        assert jnp.asarray(1.0).dtype == jnp.float32


def test_a_mask_of_the_smallest_number_is_one_in_every_dtype():
    q = example((4, 3), (4, 3), (4, 2))
    op = from_jax(jax_functions.masked_attention, example=q)
    with np.errstate(all="raise", under="ignore"):
        half = op.function(xp, *(a.astype(np.float32) for a in q))
    np.testing.assert_allclose(half, op.function(xp, *q), rtol=1e-5)


def test_keyword_arguments_with_defaults_are_parameters():
    def scaled(x, *, factor=2.0):
        return factor * x

    op = from_jax(scaled, "(n)->(n)")
    assert op.parameters == {"factor": 2.0}
    assert op.function(xp, np.ones(1), factor=3.0) == 3


# Names and shapes


def test_equal_sizes_get_equal_letters_and_a_size_of_one_stays_one():
    op = from_jax(lambda x, w: x * w, example=example((3, 4), (1, 4)), name="f")
    assert op.signature.text == "(m,n),(1,n)->(m,n)"


def test_a_second_example_tells_sizes_apart_that_are_equal_by_chance():
    one = from_jax(jnp.matmul, example=example((3, 3), (3, 3)))
    two = from_jax(jnp.matmul, example=[example((3, 3), (3, 3)), example((2, 3), (3, 5))])
    assert one.signature.text == "(m,m),(m,m)->(m,m)"
    assert two.signature.text == "(m,n),(n,k)->(m,k)"
    assert two.sizes["example2"] == {"m": 2, "n": 3, "k": 5}


def test_a_function_of_one_shape_alone_has_the_size_of_the_example_alone():
    op = from_jax(lambda x: x.reshape(2, 3).sum(0), example=example((6,)), name="f")
    assert op.sizes == {"example": {"m": 6}}
    assert set(from_jax(jnp.sin, example=example((6,))).sizes) == {"tiny", "example", "small", "medium"}


def test_every_leaf_of_a_tree_is_an_input_by_its_path():
    def model(params, x, depth):
        for layer in params["layers"][:depth]:
            x = jnp.tanh(x @ layer["weight"] + layer["bias"])
        return jnp.sum(x) * params["scale factor"]

    layers = [dict(zip(("weight", "bias"), example((4, 5), (5,)), strict=True))]
    op = from_jax(model, example=({"layers": layers, "scale factor": 0.5}, *example((6, 4)), 1))
    assert op.inputs == ("params.layers.0.bias", "params.layers.0.weight", "params.scale_factor", "x")
    assert op.signature.text == "(m),(n,m),(),(k,n)->()"


def test_labels_and_masks_are_not_differentiated_and_drawn_as_they_stand():
    def loss(x, t, mask):
        return -jnp.sum(jax.nn.log_softmax(x)[jnp.arange(len(t)), t] * mask)

    t, mask = np.array([2, 0, 1]), np.array([True, False, True])
    op = from_jax(loss, example=(*example((3, 4)), t, mask))
    assert op.differentiable == (True, False, False)
    for seed in range(3):
        _, labels, kept = op.make_inputs(op.size("example"), seed)
        np.testing.assert_array_equal(labels, t)
        np.testing.assert_array_equal(kept, mask)


def test_a_function_that_returns_a_dict_has_its_leaves_as_values():
    op = from_jax(lambda x: {"b": x.sum(), "a": 2 * x}, example=example((3,)), name="f")
    assert op.signature.text == "(m)->(m),()"


# What cannot be


def loops(x):
    return jax.lax.while_loop(lambda c: c[0] < 1, lambda c: c * 2, x)


def branches(x):
    if x[0] > 0:
        return x
    return -x


def draws(x):
    return x * jax.random.normal(jax.random.key(0), x.shape)


def prints(x):
    jax.debug.print("{}", x)
    return x


def of_gamma(x):
    return jax.lax.igamma(x, x) + jax.lax.igammac(x, x) + jax.lax.reduce_precision(x, 5, 10)


def transformed(x):
    return jnp.abs(jnp.fft.rfft(x))


REFUSED = {
    loops: ["ends a loop where the value of an input says so", "test_from_jax.py, line", "jax.lax.fori_loop"],
    branches: ["asks for the value of an input", "test_from_jax.py, line", "jnp.where"],
    draws: ["draws random numbers", "pass them as an input"],
    prints: ["side effect", "debug_print" if hasattr(jax, "debug_print_p") else "debug", "test_from_jax.py, line"],
    of_gamma: ["igamma", "test_from_jax.py, line", "2 more are missing"],
    transformed: ["complex numbers", "test_from_jax.py, line"],
    jnp.argsort: ["returns integers"],
    lambda x: x @ x: ["cannot be traced at shapes (2, 3)"],
}


@pytest.mark.parametrize("function", REFUSED, ids=lambda f: f.__name__)
def test_what_cannot_be_traced_is_said_in_one_line(function):
    with pytest.raises(BadInput) as error:
        from_jax(function, example=example((2, 3) if function.__name__ == "<lambda>" else (3,)))
    message = str(error.value)
    assert "\n" not in message
    for part in REFUSED[function]:
        assert part in message


BAD = {
    "wanted a signature, or example": {},
    "is complex": {"example": (np.ones(2, dtype=complex),)},
    "has no array": {"example": ("text",)},
    "differ in more than sizes": {"example": [example((2,)), example((2, 2))]},
    "has 2 inputs": {"signature": "(n),(n)->(n)", "example": example((2,))},
}


@pytest.mark.parametrize("part", BAD)
def test_bad_input_is_said_in_one_line(part):
    with pytest.raises(BadInput, match=part):
        from_jax(jnp.sin, **BAD[part])


# Certified


def certified(**selectors):
    rows = multigrad.check(str(REFERENCES), dtype="float64", regime="gaussian", **selectors)
    assert len(set(rows["operation"])) >= 12
    bad = rows[rows["verdict"].isin(["FAIL", "INCONCLUSIVE"])]
    assert bad.empty, bad[["operation", "backend", "output", "verdict", "reason"]].to_string()
    return rows[rows["verdict"] == "PASS"]


def test_a_dozen_functions_of_a_file_are_certified_and_judged():
    passed = certified(backend="numpy")
    assert len(passed) > 50
    assert set(passed["operation"]) == {op.name for op in multigrad.load_operations([str(REFERENCES)])}


@pytest.mark.long
def test_they_are_judged_on_every_framework_eager_and_compiled():
    passed = certified(backend=["jax", "torch"])
    assert set(passed["variant"]) >= {"analytic", "autodiff"}


def test_a_function_of_a_file_is_found_by_the_name_that_it_is_assigned_to():
    (op,) = multigrad.load_operations([f"{REFERENCES}::rms"])
    assert op.reference == f"{REFERENCES.resolve()}::rms"
    with pytest.raises(BadInput, match="no operation 'root_mean_square'"):
        multigrad.load_operations([f"{REFERENCES}::root_mean_square"])


def test_a_function_that_is_not_assigned_in_a_file_is_known_here_alone():
    assert from_jax(jnp.sin, "(n)->(n)").reference == ""
