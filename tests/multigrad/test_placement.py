"""Which dimension is split, of every operation there is."""

import pytest

from multigrad import operations
from multigrad.operation import BadInput, operation
from multigrad.placement import split_axes, split_symbol

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
