"""Operation counts against counting by hand, shapes and dtypes against NumPy."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from multigrad import BadInput, operation, operations
from multigrad.namespaces import cost as namespace
from multigrad.namespaces.cost import Array, cost, counting

shapes = hnp.array_shapes(min_dims=1, max_dims=3, max_side=5)


def ghost(array):
    return Array(array.shape, str(array.dtype))


@operation("(m,k),(k,n),(m,n)->()")
def layer(xp, X, W, Y):
    """The project's first operation, written out here so that the counts below stay true of it."""
    T = xp.matrix_transpose
    Z = X @ W
    R = xp.maximum(Z, 0) - Y

    def pullback(f_bar):
        R_bar = 2 * f_bar * R
        Z_bar = xp.where(Z > 0, R_bar, 0)
        return Z_bar @ T(W), T(X) @ Z_bar, -R_bar

    return xp.sum(R * R), pullback


def test_one_relu_layer_counts_as_by_hand():
    m, k, n = 7, 5, 3
    found = cost(layer, {"m": m, "k": k, "n": n}, "float32", "analytic")
    products = 3 * 2 * m * k * n
    elementwise = 2 * m * n + 2 * m * n + (1 + m * n) + m * n + m * n  # R; R·R and its sum; 2·f̄·R; Z > 0; −R̄
    assert found.product_flops == products
    assert found.flops == products + elementwise
    values = m * k + k * n + m * n
    assert found.bytes == 4 * (values + 1 + 1 + values)
    assert found.transcendentals == 0
    assert found.streamed_bytes > found.bytes


def test_forward_alone_moves_inputs_and_values():
    op = operations()["linear_map"]
    found = cost(op, {"m": 4, "n": 16}, "float64", "forward")
    assert (found.flops, found.product_flops) == (2 * 4 * 16, 2 * 4 * 16)
    assert found.bytes == 8 * (4 * 16 + 16 + 4)
    assert found.streamed_bytes == found.bytes


@pytest.mark.parametrize("variant", ["forward", "analytic", "autodiff", "native"])
def test_every_operation_of_the_catalogue_has_a_cost_at_every_size(variant):
    counted = 0
    for op in operations().values():
        for name in op.sizes:
            found = cost(op, op.size(name), "float32", variant)
            # What only copies has no operations.
            assert found.flops >= 0
            assert found.bytes > 0
            assert 0 <= found.product_flops <= found.flops
            counted += 1
    assert counted >= 10


def test_half_the_bytes_for_half_the_width():
    wide, narrow = (cost(layer, layer.size("medium"), dtype) for dtype in ("float32", "bfloat16"))
    assert wide.flops == narrow.flops
    assert wide.bytes == 2 * narrow.bytes
    # The mask is a byte whatever the width, and so does not shrink.
    assert narrow.streamed_bytes < 0.6 * wide.streamed_bytes


@operation("(n,c),(n)->()", nondifferentiable=["labels"], inputs=lambda draw, n, c: (draw(n, c), draw.labels(c, n)))
def cross_entropy(xp, X, labels):
    """Made for this test: exponentials, a reduction and a gather."""
    shifted = X - xp.max(X, axis=-1, keepdims=True)
    E = xp.exp(shifted)
    total = xp.sum(E, axis=-1, keepdims=True)
    picked = xp.take_along_axis(shifted - xp.log(total), labels[:, None], axis=-1)

    def pullback(f_bar):
        hot = xp.astype(xp.arange(X.shape[-1])[None, :] == labels[:, None], X.dtype)
        return (E / total - hot) * f_bar

    return -xp.sum(picked), pullback


def test_labels_are_read_as_integers_and_exponentials_are_counted_apart():
    n, c = 6, 5
    found = cost(cross_entropy, {"n": n, "c": c}, "float32")
    assert found.transcendentals == n * c + n
    assert found.bytes == 4 * n * c + 8 * n + 4 + 4 + 4 * n * c
    assert found.product_flops == 0


def test_a_dtype_that_is_not_there_is_refused_by_name():
    with pytest.raises(BadInput, match="float8"):
        cost(operations()["relu_regression"], {"m": 1, "k": 1, "n": 1}, "float8")


def test_a_missing_dimension_is_refused_by_name():
    with pytest.raises(BadInput, match="needs a size for n"):
        cost(operations()["relu_regression"], {"m": 1, "k": 1})


def test_a_missing_function_is_named():
    with pytest.raises(AttributeError, match=r"`xp\.fft` \(test_cost\.py, line \d+\) is not known to the count"):
        _ = namespace.fft
    with pytest.raises(AttributeError, match=r"`xp\.linalg\.expm` .* is not known"):
        _ = namespace.linalg.expm


@pytest.mark.parametrize("question", [bool, float, np.asarray])
def test_nobody_gets_a_value(question):
    with pytest.raises(TypeError, match="is not known to the count of operations"):
        question(Array((), "float32"))


def test_linear_algebra_counts_leading_orders():
    n, r = 30, 4
    A, B = Array((2, n, n), "float64"), Array((2, n, r), "float64")
    with counting("float64") as tally:
        assert namespace.linalg.solve(A, B).shape == (2, n, r)
    assert tally.flops == pytest.approx(2 * (2 / 3 * n**3 + 2 * n**2 * r))
    with counting("float64") as tally:
        assert namespace.linalg.inv(A).shape == A.shape
        assert namespace.linalg.cholesky(A).shape == A.shape
    assert tally.flops == pytest.approx(2 * (2 * n**3 + n**3 / 3))


@pytest.mark.parametrize(
    "name", ["det", "inv", "eigvalsh", "svdvals", "pinv", "slogdet", "eigh", "qr", "trace", "diagonal"]
)
def test_linear_algebra_has_numpys_shapes(name):
    array = np.eye(4) + np.zeros((3, 1, 1))
    wanted = getattr(np.linalg, name)(array)
    with counting("float64"):
        found = getattr(namespace.linalg, name)(ghost(array))
    pairs = zip(found, wanted, strict=True) if isinstance(wanted, tuple) else [(found, wanted)]
    assert all(f.shape == np.shape(w) for f, w in pairs)


ELEMENTWISE = {
    "add": lambda xp, a, b: a + b,
    "subtract": lambda xp, a, b: 1 - a * b,
    "divide": lambda xp, a, b: a / (2.0 + b * b),
    "compare": lambda xp, a, b: (a > b) & ~(b < 0.0),
    "where": lambda xp, a, b: xp.where(a > b, a, 0),
    "exp": lambda xp, a, b: xp.exp(-xp.abs(a)) + b,
    "maximum": lambda xp, a, b: xp.maximum(a, b) ** 2,
}


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=4), st.sampled_from(sorted(ELEMENTWISE)))
def test_elementwise_functions_have_numpys_shape_and_dtype(drawn, name):
    a, b = (np.ones(s, dtype=np.float32) for s in drawn.input_shapes)
    wanted = np.asarray(ELEMENTWISE[name](np, a, b))
    with counting("float32") as tally:
        found = ELEMENTWISE[name](namespace, ghost(a), ghost(b))
    assert (found.shape, str(found.dtype)) == (wanted.shape, str(wanted.dtype))
    assert tally.flops >= wanted.size


REDUCTIONS = ["sum", "mean", "max", "min", "prod", "var", "std", "argmax", "any", "all", "count_nonzero"]


@given(shapes, st.sampled_from(REDUCTIONS), st.booleans(), st.data())
def test_reductions_have_numpys_shape(shape, name, keepdims, data):
    axis = data.draw(st.sampled_from([None, *range(-len(shape), len(shape))]))
    array = np.ones(shape, dtype=np.float32)
    wanted = np.asarray(getattr(np, name)(array, axis=axis, keepdims=keepdims))
    with counting("float32") as tally:
        found = getattr(namespace, name)(ghost(array), axis=axis, keepdims=keepdims)
    assert found.shape == wanted.shape
    assert tally.streamed_bytes >= array.nbytes
    assert found.dtype == str(wanted.dtype) or name == "count_nonzero"


@given(shapes, st.data())
def test_indexing_has_numpys_shape(shape, data):
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    array = np.ones(shape)
    with counting("float64") as tally:
        assert ghost(array)[key].shape == array[key].shape
    assert tally.streamed_bytes == 0


MOVES = {
    "reshape": lambda xp, a: xp.reshape(a, (-1,)),
    "transpose": lambda xp, a: xp.permute_dims(a, (2, 0, 1)),
    "matrix_transpose": lambda xp, a: xp.matrix_transpose(a),
    "mT": lambda xp, a: a.mT,
    "broadcast": lambda xp, a: xp.broadcast_to(a[:, :1], (2, 3, 4)),
    "expand": lambda xp, a: xp.expand_dims(a, axis=1),
    "squeeze": lambda xp, a: xp.squeeze(a[:1], axis=0),
    "concat": lambda xp, a: xp.concat([a, a[:, :, :2]], axis=-1),
    "stack": lambda xp, a: xp.stack([a, a], axis=-1),
    "take": lambda xp, a: xp.take(a, xp.asarray([0, 2, 1, 1]), axis=1),
    "gather": lambda xp, a: a[:, xp.asarray([[0, 2], [1, 1]])],
    "along": lambda xp, a: xp.take_along_axis(a, xp.argsort(a, axis=-1)[..., :2], axis=-1),
    "tile": lambda xp, a: xp.tile(a, (2, 1, 3)),
    "repeat": lambda xp, a: xp.repeat(a, 3, axis=1),
    "flip": lambda xp, a: xp.flip(a, axis=1),
    "roll": lambda xp, a: xp.roll(a, 2, axis=0),
    "tril": lambda xp, a: xp.tril(a),
    "cumulative_sum": lambda xp, a: xp.cumulative_sum(a, axis=1, include_initial=True),
    "matmul": lambda xp, a: a @ xp.matrix_transpose(a),
    "matvec": lambda xp, a: a @ a[0, 0],
    "vecmat": lambda xp, a: a[0, :, 0] @ a,
    "tensordot": lambda xp, a: xp.tensordot(a, a, axes=([0, 2], [0, 2])),
    "vecdot": lambda xp, a: xp.vecdot(a, a[0], axis=-1),
    "diff": lambda xp, a: xp.diff(a, axis=1),
    "searchsorted": lambda xp, a: a[0, 0, 0] * xp.searchsorted(a[0, 0], a[:, 0, 1]),
}


@pytest.mark.parametrize("name", MOVES)
def test_moves_and_products_have_numpys_shape(name):
    array = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    with counting("float32"):
        found = MOVES[name](namespace, ghost(array))
    assert found.shape == MOVES[name](np, array).shape
    assert found.dtype == "float32"


def test_a_recurrence_costs_as_many_steps_as_it_has():
    from multigrad.extra.recurrence import scan

    def step(carry, x):
        return carry * x, namespace.sum(carry + x)

    x, start = np.ones((7, 4)), np.ones(4)
    with counting("float64") as tally:
        last, sums = scan(namespace, step, namespace.asarray(start), namespace.asarray(x))
    with counting("float64") as one:
        step(namespace.asarray(start), namespace.asarray(x[0]))
    assert (last.shape, sums.shape) == ((4,), (7,))
    assert tally.flops == 7 * one.flops > 0
