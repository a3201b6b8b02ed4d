"""The native forms of the catalogue, traced, are the hand-written forward parts in ball arithmetic."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import multigrad
from multigrad.backend import backend
from multigrad.namespaces import exact

REPRESENTATIVE = (
    *("relu_regression", "conv2d", "softmax_cross_entropy", "layer_norm", "masked_attention", "embedding", "sort"),
    *("cumulative_sum", "max_pool2d", "lstm", "det", "cholesky", "matrix_exponential", "gmm", "bundle_adjustment"),
)

NO_GRAPH = {("torch", "least_squares"): "torch.linalg.lstsq asks for the rank, a value"}
"""Forms that cannot be traced, each with the reason."""

ARRAYS = {"jax": lambda array: array, "torch": lambda array: importlib.import_module("torch").as_tensor(array)}
"""What a framework takes."""


def forms():
    """Yield each framework with the name of an operation that has a form in it."""
    for framework in ARRAYS:
        try:
            native = importlib.import_module(f"multigrad.backends.{framework}_backend.native")
        except ImportError:
            continue
        for name in multigrad.operations():
            if hasattr(native, name) and (framework, name) not in NO_GRAPH:
                marks = () if name in REPRESENTATIVE else pytest.mark.long
                yield pytest.param(framework, name, marks=marks, id=f"{framework}-{name}")


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")  # of torch.func.jvp's own
@pytest.mark.parametrize(("framework", "name"), list(forms()))
def test_the_native_form_of_an_operation_is_the_same_function_in_ball_arithmetic(framework, name):
    backend(framework).open("cpu", threads=1)
    native = importlib.import_module(f"multigrad.backends.{framework}_backend.native")
    op = multigrad.operations()[name]
    size = next(iter(op.sizes.values()))
    dimensions, parameters = op.split(size)
    inputs = op.make_inputs(size, 0)
    traced = getattr(multigrad, f"from_{framework}")(
        getattr(native, name),
        op.signature.text,
        example=tuple(map(ARRAYS[framework], inputs)),
        sizes={"one": dimensions},
    )
    ours, theirs = (
        exact.evaluate(each.forward(exact, parameters), *inputs, width=1e-25).outputs for each in (traced, op)
    )
    assert len(ours) == len(theirs) >= 1
    for a, b in zip(ours, theirs, strict=True):
        # Where both have a constant of 16 digits, each has its own.
        np.testing.assert_allclose(exact.midpoints(a), exact.midpoints(b), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("framework", ARRAYS)
def test_most_of_the_catalogue_has_a_native_form_that_is_traced(framework):
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    assert sum(case.values[0] == framework for case in forms()) >= 87
