"""Which dimension is split, of every operation there is."""

import pytest

from multigrad import operations
from multigrad.backend.placement import (
    input_shapes,
    rounded,
    split_axes,
    split_symbol,
    split_symbols,
    undivided,
)
from multigrad.data.errors import BadInput
from multigrad.ops.operation import operation

LARGE = {
    "relu_regression": ("m", {"m": 8192, "k": 1024, "n": 1024}, (0, None, 0)),
    "linear_map": ("m", {"m": 100, "n": 4000}, (0, None)),
    "affine": ("m", {"m": 10, "k": 4000, "n": 4000}, (0, None, None)),
    "softmax_cross_entropy": ("n", {"n": 1000, "k": 10}, (0, 0)),
    "layer_norm": ("b", {"b": 1000, "n": 1000}, (0, None, None)),
    "gmm": ("n", {"n": 10_000, "d": 10, "k": 25, "t": 45}, (0, None, None, None, None)),
    "kmeans": ("n", {"n": 10_000, "d": 10, "k": 100}, (0, None)),
    "det": ("b", {"b": 3, "n": 500}, (0,)),
}
"""By operation: the symbol, a size, and the axis of each input that is split."""


@pytest.mark.parametrize("name", LARGE)
def test_split(name):
    symbol, size, axes = LARGE[name]
    op = operations()[name]
    shapes = [tuple(size[s] for s in shape) for shape in op.signature.inputs]
    assert split_symbol(op, shapes) == symbol
    assert split_axes(op, shapes) == axes


def test_every_operation_has_one_and_it_divides_an_input():
    for op in operations().values():
        shapes = [a.shape for a in op.make_inputs(op.size(next(iter(op.sizes))), 0)]
        assert any(axis is not None for axis in split_axes(op, shapes)), op.name


def test_cotangents_are_split_with_the_inputs():
    op = operations()["affine"]
    assert split_axes(op, [(6, 4), (4, 3), (3,), (6, 3)]) == (0, None, None, 0)
    assert split_axes(op, [(6, 4), (4, 3), (3,)], "n") == (None, 1, 0)


@operation("()->()")
def cube(xp, x):
    return x**3, lambda bar: 3 * bar * x**2


def test_nothing_to_split():
    assert split_symbol(cube, [()]) is None
    assert split_axes(cube, [(), ()]) == (None, None)


def test_shapes_that_do_not_fit():
    with pytest.raises(BadInput, match="W has shape"):
        split_axes(operations()["relu_regression"], [(2, 3), (4, 5), (2, 5)])


SECOND = {
    "relu_regression": ({"m": 8192, "k": 1024, "n": 1024}, ("m", "k")),
    "softmax_cross_entropy": ({"n": 1000, "k": 10}, ("n", "k")),
    "layer_norm": ({"b": 1000, "n": 1000}, ("b", "n")),
    "det": ({"b": 3, "n": 500}, ("b", "n")),
}
"""By operation: a size, and the dimensions for the axes of a mesh of two: the next that leads an input, or any."""


@pytest.mark.parametrize("name", SECOND)
def test_a_mesh_of_two_axes_splits_the_next_best_too(name):
    size, symbols = SECOND[name]
    op = operations()[name]
    assert split_symbols(op, input_shapes(op, size), 2) == symbols


def test_there_may_be_fewer_dimensions_than_axes():
    op = operations()["lse"]
    assert split_symbols(op, [(7,)], 2) == ("n",)
    assert split_symbols(cube, [()], 2) == ()


def test_what_does_not_divide_is_named():
    op = operations()["relu_regression"]
    assert undivided(op, [(8, 4), (4, 3), (8, 3)], (8,)) == ""
    assert undivided(op, [(9, 4), (4, 3), (9, 3)], (8,)) == "m = 9 is no multiple of 8, the devices it is split among"
    said = "m = 9 is no multiple of 4 and k = 5 is no multiple of 2, the devices it is split among"
    assert undivided(op, [(9, 5), (5, 3), (9, 3)], (4, 2)) == said
    assert undivided(cube, [()], (8,)) == ""


@pytest.mark.parametrize(
    ("meshes", "left"),
    [([(8,)], {"kmeans_direction"}), ([(8,), (4, 2)], {"hand_tracking", "hand_tracking_barycentric"})],
)
def test_every_operation_has_a_size_that_a_mesh_divides_unless_its_generator_refuses(meshes, left):
    found = set()
    for op in operations().values():
        size = rounded(op, op.size(next(iter(op.sizes))), meshes)
        shapes = [a.shape for a in op.make_inputs(size, 0)]
        assert input_shapes(op, size) == shapes
        found |= {op.name} if any(undivided(op, shapes, mesh) for mesh in meshes) else set()
    assert found == left


def test_a_size_is_only_rounded_where_it_must_be():
    op = operations()["relu_regression"]
    assert rounded(op, {"m": 5, "k": 4, "n": 3}, [(8,)]) == {"m": 8, "k": 4, "n": 3}
    assert rounded(op, {"m": 5, "k": 4, "n": 3}, []) == {"m": 5, "k": 4, "n": 3}


@operation("(n)->()", inputs=lambda draw, n: [draw(n)] if n == 3 else refuse())
def three(xp, x):
    return xp.sum(x), lambda bar: bar + 0 * x


def refuse():
    raise BadInput("wanted three")


def test_a_size_that_its_generator_refuses_is_left():
    assert rounded(three, {"n": 3}, [(8,)]) == {"n": 3}


def test_a_size_that_lacks_a_dimension():
    with pytest.raises(BadInput, match="the size of relu_regression lacks 'n'; it has m, k"):
        input_shapes(operations()["relu_regression"], {"m": 5, "k": 4})
