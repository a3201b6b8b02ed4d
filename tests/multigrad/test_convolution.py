"""Convolutions: three ways to the same numbers (matrix, sum of shifted products, the framework's own)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import array_api_compat.numpy as xp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multigrad.backend import backends
from multigrad.catalogue.convolution import conv2d, conv_transpose2d, unrolled
from multigrad.catalogue.linear import linear_map
from multigrad.data.errors import BadInput
from multigrad.process import child as worker
from tests.multigrad.on_backends import EACH

OPERATIONS = {"conv2d": conv2d, "conv_transpose2d": conv_transpose2d}
HERE = [b.name for b in backends().values() if b.missing("cpu") is None]
NATIVE = [name for name in HERE if name in ("torch", "jax")]

Case = dict[str, Any]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A convolution that fits: shapes, steps and a seed for its integers."""
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    steps = {"stride": draw(pairs), "padding": tuple(n - 1 for n in draw(pairs)), "dilation": draw(pairs)}
    steps["groups"] = draw(st.integers(1, 3))
    p, q = draw(pairs)
    # Few and many channels take different ways through the unrolling.
    i = draw(st.sampled_from([1, 2, 24]))
    least = [d * (taps - 1) + 1 for d, taps in zip(steps["dilation"], (p, q), strict=True)]
    h, w = (max(1, n - 2 * pad) + draw(st.integers(0, 4)) for n, pad in zip(least, steps["padding"], strict=True))
    b, outputs = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 30]))
    return {
        "image": [b, i * steps["groups"], h, w],
        "kernel": [outputs * steps["groups"], i, p, q],
        "steps": steps,
        "seed": draw(st.integers(0, 2**32 - 1)),
    }


def integers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-3, 4, shape).astype(np.float64)


def by_the_definition(X: np.ndarray, K: np.ndarray, case: Case) -> np.ndarray:
    """The formula of the docstring, one product after the other."""
    (s, t), (pad, side), (d, e), g = (case["steps"][k] for k in ("stride", "padding", "dilation", "groups"))
    X = np.pad(X, ((0, 0), (0, 0), (pad, pad), (side, side)))
    (o, i, p, q), (b, _, h, w) = K.shape, X.shape
    Y = np.zeros((b, o, (h - d * (p - 1) - 1) // s + 1, (w - e * (q - 1) - 1) // t + 1))
    for n, u, v in np.ndindex(o, *Y.shape[2:]):
        first = n // (o // g) * i
        seen = X[:, first : first + i, s * u : s * u + d * (p - 1) + 1 : d, t * v : t * v + e * (q - 1) + 1 : e]
        Y[:, n, u, v] = np.sum(seen * K[n], axis=(1, 2, 3))
    return Y


@settings(deadline=None, max_examples=150)
@given(cases())
def test_the_matrix_the_products_and_the_definition_agree_exactly(case: Case) -> None:
    rng = np.random.default_rng(case["seed"])
    X, K = integers(rng, *case["image"]), integers(rng, *case["kernel"])
    Y, pullback = conv2d(xp, X, K, **case["steps"])
    np.testing.assert_array_equal(Y, by_the_definition(X, K, case))

    Y_bar = integers(rng, *Y.shape)
    X_bar, K_bar = pullback(Y_bar)
    C = unrolled(xp, K, X.shape[1:], **case["steps"])
    for image, value, cotangent, gradient in zip(X, Y, Y_bar, X_bar, strict=True):
        y, pull = linear_map(xp, C, np.ravel(image))
        np.testing.assert_array_equal(y, np.ravel(value))
        np.testing.assert_array_equal(pull(np.ravel(cotangent))[1], np.ravel(gradient))
    # K̄ is what pairs with every kernel as Ȳ pairs with its convolution.
    direction = integers(rng, *K.shape)
    assert np.sum(K_bar * direction) == np.sum(Y_bar * by_the_definition(X, direction, case))


@settings(deadline=None, max_examples=150)
@given(cases(), st.data())
def test_the_transposed_convolution_is_the_transpose(case: Case, data: st.DataObject) -> None:
    rng, steps = np.random.default_rng(case["seed"]), case["steps"]
    X, K = integers(rng, *case["image"]), integers(rng, *case["kernel"])
    image, pullback = conv2d(xp, X, K, **steps)
    Y = integers(rng, *image.shape)
    # What the stride skipped at the lower and right border must be given back as output_padding.
    spans = zip(case["image"][2:], steps["padding"], steps["dilation"], case["kernel"][2:], strict=True)
    rest = [n + 2 * pad - d * (k - 1) - 1 for n, pad, d, k in spans]
    extra = tuple(r % s for r, s in zip(rest, steps["stride"], strict=True))
    value, transposed = conv_transpose2d(xp, Y, K, output_padding=extra, **steps)
    np.testing.assert_array_equal(value, pullback(Y)[0])
    Y_bar, K_bar = transposed(X)
    np.testing.assert_array_equal(Y_bar, image)
    np.testing.assert_array_equal(K_bar, pullback(Y)[1])


def test_a_three_by_three_kernel_over_a_four_by_four_image_is_a_matrix_of_four_by_sixteen() -> None:
    K = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    C = unrolled(xp, K, (1, 4, 4))
    assert C.shape == (4, 16)
    np.testing.assert_array_equal(C[0], [1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(C[3], [0, 0, 0, 0, 0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"groups": 2}, "does not fit an image of 3 channels"), ({"dilation": 4}, "does not fit into an image")],
)
def test_what_does_not_fit_is_said_in_numbers(parameters: dict[str, int], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        conv2d(xp, np.ones((1, 3, 5, 5)), np.ones((2, 3, 3, 3)), **parameters)


def test_output_padding_must_be_smaller_than_a_step() -> None:
    with pytest.raises(BadInput, match="output_padding 2"):
        conv_transpose2d(xp, np.ones((1, 1, 5, 5)), np.ones((1, 1, 3, 3)), stride=2, output_padding=2)


# --- every backend, in its own process ---------------------------------------------------------------------------


def on_backend(arguments: Case) -> Iterator[Case]:
    """Worker: run cases on a backend, ours and (where there is one) the framework's own, and send the numbers."""
    session = backends()[arguments["backend"]].open("cpu", threads=1)
    for index, (name, size, mode) in enumerate(arguments["tasks"]):
        yield {"begin": index}
        op = OPERATIONS[name]
        _, parameters = op.split(size)
        arrays = [session.to_device(a, "float32") for a in drawn(op, size)]
        function = session.function(op, parameters, "analytic", mode)
        ours = [session.to_numpy(a).tolist() for a in function(*arrays)]
        own = native(arguments["backend"], name, arrays, parameters)
        yield {"task": index, "ours": ours, "own": own and [session.to_numpy(a).tolist() for a in own]}


def drawn(op: Any, size: Case) -> list[np.ndarray]:
    """Integer inputs and a cotangent: float32 holds every sum exactly, in whichever order."""
    _, parameters = op.split(size)
    inputs = op.make_inputs(size, 0, "integers")
    return [*inputs, *op.make_cotangents([op(xp, *inputs, **parameters)[0].shape], 0, "integers")]


def native(backend: str, name: str, arrays: list[Any], parameters: Case) -> list[Any] | None:
    X, K, Y_bar = arrays
    if backend == "torch":
        import torch

        X, K = X.clone().requires_grad_(), K.clone().requires_grad_()
        Y = getattr(torch.nn.functional, name)(X, K, **parameters)
        return [Y, *torch.autograd.grad(Y, (X, K), Y_bar)]
    if backend == "jax":
        import jax

        own = jax_convolution if name == "conv2d" else jax_transpose
        Y, pullback = jax.vjp(lambda X, K: own(X, K, **parameters), X, K)
        return [Y, *pullback(Y_bar)]
    return None


def pair(numbers: Any) -> list[int]:
    return [numbers] * 2 if isinstance(numbers, int) else list(numbers)


def jax_convolution(X: Any, K: Any, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Any:
    import jax

    border = [(n, n) for n in pair(padding)]
    return jax.lax.conv_general_dilated(
        X, K, pair(stride), border, rhs_dilation=pair(dilation), feature_group_count=groups, precision="highest"
    )


def jax_transpose(X: Any, K: Any, *, output_padding: Any = 0, groups: int = 1, **steps: Any) -> Any:
    """JAX's convolution with a dilated image and the turned kernel: how a transposed convolution is written there."""
    import jax
    import jax.numpy as jnp

    stride, padding, dilation = (pair(steps.get(k, v)) for k, v in (("stride", 1), ("padding", 0), ("dilation", 1)))
    c, i, p, q = K.shape
    turned = jnp.reshape(K[:, :, ::-1, ::-1], (groups, c // groups, i, p, q)).swapaxes(1, 2)
    spans = zip((p, q), dilation, padding, pair(output_padding), strict=True)
    border = [(d * (k - 1) - pad, d * (k - 1) - pad + more) for k, d, pad, more in spans]
    return jax.lax.conv_general_dilated(
        X,
        jnp.reshape(turned, (groups * i, c // groups, p, q)),
        (1, 1),
        border,
        lhs_dilation=stride,
        rhs_dilation=dilation,
        feature_group_count=groups,
        precision="highest",
    )


def check_on(backend: str, tasks: list[tuple[str, Case, str]]) -> None:
    """Every number of ours and of the framework's own convolution is the integer that NumPy has."""
    target = "tests.multigrad.test_convolution:on_backend"
    answers = list(worker.run(target, {"backend": backend, "tasks": tasks}))
    deaths = [a for a in answers if isinstance(a, worker.Death)]
    assert not deaths
    compared = 0
    for answer in (a for a in answers if isinstance(a, dict) and "task" in a):
        name, size, _ = tasks[answer["task"]]
        op = OPERATIONS[name]
        *inputs, cotangent = drawn(op, size)
        value, pullback = op(xp, *inputs, **op.split(size)[1])
        for way in ("ours", "own") if answer["own"] else ("ours",):
            for numbers, expected in zip(answer[way], (value, *pullback(cotangent)), strict=True):
                np.testing.assert_array_equal(np.asarray(numbers), expected)
                compared += 1
    assert compared == len(tasks) * (6 if backend in NATIVE else 3)


CHECKED = ("tiny", "channels", "strided", "dilated", "grouped")


@pytest.mark.parametrize("backend", EACH)
def test_every_backend_has_the_same_integers_as_its_own_convolution(backend: str) -> None:
    eager = [(op.name, op.size(name), "eager") for op in OPERATIONS.values() for name in CHECKED]
    compiled = "compiled" in backends()[backend].modes
    check_on(backend, eager + [("conv2d", conv2d.size("strided"), "compiled")] * compiled)


@pytest.mark.long
@pytest.mark.parametrize("backend", [b for b in HERE if "compiled" in backends()[b].modes])
def test_every_compiled_convolution_has_the_same_integers(backend: str) -> None:
    check_on(backend, [(op.name, op.size(name), "compiled") for op in OPERATIONS.values() for name in CHECKED])


def test_the_sizes_to_check_are_small_and_the_others_grow() -> None:
    for op in OPERATIONS.values():
        work = [math.prod(v for v in size.values() if isinstance(v, int)) for size in op.sizes.values()]
        assert max(work[:5]) < min(work[5:])
