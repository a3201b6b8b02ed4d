"""A torch function as an operation: the same values as torch's own, the same gradient, on every framework."""

from __future__ import annotations

import functools
import inspect
import math
from pathlib import Path

import numpy as np
import pytest

import multigrad
from multigrad import BadInput, from_torch
from multigrad.backend import Unavailable, backend
from multigrad.data.standard import numpy_standard
from multigrad.namespaces import bounds, cost, dual, exact

torch = pytest.importorskip("torch", reason="torch is not installed (pip install torch)")

from torch import nn  # noqa: E402 - torch may be missing
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402 - torch may be missing
from torch.nn import functional as F  # noqa: E402, N812 - torch may be missing; its own name for it

from tests.backends import torch_references  # noqa: E402 - imports torch

REFERENCES = Path(__file__).parent / "torch_references.py"
xp = numpy_standard()


def several(values):
    return tuple(values) if isinstance(values, tuple | list) else (values,)


def drawn(*shapes):
    rng = np.random.default_rng(20)
    return tuple(torch.from_numpy(np.asarray(rng.normal(size=shape))) for shape in shapes)


@functools.cache
def namespace(name):
    """Return what computes on a framework: its namespace, and ways to its arrays and back."""
    try:
        session = backend(name).open("cpu", threads=1)
    except Unavailable as error:
        pytest.skip(str(error))
    return session.xp, session.to_device, session.to_numpy


# Values and gradients


def in_place(x, y):
    z = x.clone()
    z[1:] *= y[1:]
    z[:, 0] = x[:, 1]
    z.add_(y, alpha=2).clamp_(min=-2)
    z.t()[0].mul_(3)
    return z.exp_()


def gradient_penalty(x, w):
    point = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(torch.tanh(point @ w).sum(), point, create_graph=True)
    return ((slope.norm(dim=-1) - 1) ** 2).mean()


def straight_through(x):
    hard = (x > 0).to(x.dtype)
    return x + (hard - x).detach() * torch.sigmoid(x)


def without_recording(x):
    with torch.no_grad():
        scale = x.abs().amax(-1, keepdim=True)
    return x * x / scale


class Doubled(torch.autograd.Function):
    """A forward part that nothing records."""

    @staticmethod
    def forward(ctx, x):
        with torch.no_grad():
            y = x * x
        y.mul_(2)
        return y

    @staticmethod
    def backward(ctx, g):
        raise NotImplementedError


class Scaled(torch.autograd.Function):
    """The same in torch's other form."""

    @staticmethod
    def forward(x, factor):
        return x * x * factor

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass


KEPT = torch.tensor([True, False, True, True])
PLACES = torch.tensor([3, 0, 3])
FUNCTIONS = {
    "elementwise": (lambda x, y: torch.exp(-x.square()) * y.sigmoid() + x**3 / 7, lambda: drawn((3, 4), (3, 4))),
    "a mean": (lambda x: (x - x.mean(0)) / x.std(0), lambda: drawn((3, 4))),
    "products": (lambda a, b, c: torch.einsum("ij,jk,k->i", a, b, c), lambda: drawn((2, 3), (3, 4), (4,))),
    "linear": (F.linear, lambda: drawn((3, 4), (2, 4), (2,))),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (4,), w, b), lambda: drawn((3, 4), (4,), (4,))),
    "attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        lambda: drawn((2, 3, 4), (2, 3, 4), (2, 3, 5)),
    ),
    "convolution": (lambda x, k: F.conv2d(x, k, padding=1, stride=2), lambda: drawn((1, 2, 5, 5), (3, 2, 3, 3))),
    "softmax of several": (lambda x: tuple(x.log_softmax(-1).unbind(0)), lambda: drawn((2, 4))),
    "a dict": (lambda x: {"sum": x.sum(), "cumsum": x.cumsum(0)}, lambda: drawn((3,))),
    "written in place": (in_place, lambda: drawn((3, 4), (3, 4))),
    "a gradient inside": (
        lambda x, w: torch.func.grad(lambda a: torch.tanh(a @ w).sum())(x),
        lambda: drawn((4,), (4,)),
    ),
    "mapped": (torch.func.vmap(lambda a, b: (a * b).sum() * a), lambda: drawn((3, 4), (3, 4))),
    "a mask that is there": (lambda x: x[:, KEPT] * 2, lambda: drawn((3, 4))),
    "a mask that is made": (lambda x: x[torch.arange(12).reshape(3, 4) % 5 > 2].exp(), lambda: drawn((3, 4))),
    "places": (lambda x: x[:, PLACES].sum(0) + x.index_select(1, PLACES)[0], lambda: drawn((3, 4))),
    "a condition that is known": (lambda x: x.sin() if KEPT.any() and not KEPT.all() else x, lambda: drawn((4,))),
    "checkpoints": (
        lambda x: torch.utils.checkpoint.checkpoint(lambda a: a.sin().exp(), x, use_reentrant=False),
        lambda: drawn((4,)),
    ),
}


@functools.cache
def in_torch(name):
    """Return the operation, its arrays, cotangents, and what torch makes of them: values and gradients."""
    function, draw = FUNCTIONS[name]
    tensors = draw()
    op = from_torch(function, example=tensors, name="traced")
    leaves = [t.clone().requires_grad_() for t in tensors]
    returned = function(*leaves)
    values = list(returned.values()) if isinstance(returned, dict) else list(several(returned))
    cotangents = [torch.cos(torch.arange(v.numel()) + 0.5).reshape(v.shape).to(v.dtype) for v in values]
    gradients = torch.autograd.grad(values, leaves, cotangents)
    numbers = [[t.detach().numpy() for t in each] for each in (tensors, cotangents, values, gradients)]
    return op, *numbers


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("framework", ["numpy", "torch", "jax"])
def test_values_and_gradients_are_those_of_torch(framework, name):
    op, arrays, cotangents, values, gradients = in_torch(name)
    standard, to_device, to_numpy = namespace(framework)
    value, pullback = op(standard, *map(to_device, arrays))
    found = [*several(value), *several(pullback(*map(to_device, cotangents)))]
    assert len(found) == len(values) + len(gradients)
    for ours, theirs in zip(found, [*values, *gradients], strict=True):
        np.testing.assert_allclose(to_numpy(ours), theirs, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["elementwise", "layer_norm", "attention", "written in place", "places"])
def test_the_derivative_in_ball_arithmetic_is_that_of_torch(name):
    op, arrays, cotangents, _, gradients = in_torch(name)
    directions = [np.sin(np.arange(a.size) + 1.0).reshape(a.shape) for a in arrays]

    def differentiate(*inputs):
        pushed = [exact.lift(d[None]) for d in directions]
        _, tangents = dual.directional_derivatives(lambda *i: several(op.function(dual, *i)), inputs, pushed)
        return tuple(tangents)

    tangents = exact.evaluate(differentiate, *arrays, width=1e-20).outputs
    ours = sum(float(np.sum(exact.midpoints(t)[0] * c)) for t, c in zip(tangents, cotangents, strict=True))
    theirs = sum(float(np.sum(g * d)) for g, d in zip(gradients, directions, strict=True))
    assert ours == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("name", ["elementwise", "attention", "convolution"])
def test_bounds_and_cost_follow_the_graph(name):
    op, arrays, *_ = in_torch(name)
    for bounded in several(bounds.analyse(functools.partial(op.function, bounds), *arrays, context="float32")):
        assert np.all(bounded.worst <= 1e-3 * (1 + np.abs(bounded.value)))
    with cost.counting("float32") as counters:
        results = several(op.function(cost, *map(cost.asarray, arrays)))
    assert counters.streamed_bytes > 0
    assert [r.shape for r in results] == [v.shape for v in several(op.function(xp, *arrays))]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's compiler uses what torch gives up
def test_a_compiled_function_is_the_function_that_was_compiled():
    op = from_torch(torch.compile(lambda x: x.sin() * 2), example=drawn((3,)), name="f")
    np.testing.assert_array_equal(op.function(xp, np.ones(3)), np.sin(np.ones(3)) * 2)


def gradient(op, *arrays):
    value, pullback = op(xp, *arrays)
    return several(pullback(*(np.ones(np.shape(v)) for v in several(value))))


@pytest.mark.parametrize("function", [gradient_penalty, straight_through, without_recording], ids=lambda f: f.__name__)
def test_what_is_detached_stops_the_gradient(function):
    tensors = drawn(*((3, 4), (4,))[: len(inspect.signature(function).parameters)])
    leaves = [t.clone().requires_grad_() for t in tensors]
    wanted = torch.autograd.grad(function(*leaves).sum(), leaves, allow_unused=True, materialize_grads=True)
    found = gradient(from_torch(function, example=tensors), *(t.numpy() for t in tensors))
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("apply", [Doubled.apply, lambda x: Scaled.apply(x, 2)], ids=["doubled", "scaled"])
def test_the_forward_part_of_an_autograd_function_is_taken(apply):
    op = from_torch(apply, example=drawn((3,)), name="f")
    x = np.array([1.0, -2.0, 0.5])
    np.testing.assert_array_equal(op.function(xp, x), 2 * x * x)
    np.testing.assert_array_equal(gradient(op, x)[0], 4 * x)
    assert from_torch(Doubled.apply, "(n)->(n)").name == "Doubled"
    assert from_torch(Doubled.apply, "(n)->(n)").inputs == ("x",)


def test_a_forward_part_under_no_grad_stops_the_gradient():
    def function(x):
        with torch.no_grad():
            fixed = Doubled.apply(x)
        return Doubled.apply(x) * fixed

    np.testing.assert_array_equal(gradient(from_torch(function, "(n)->(n)"), np.ones(2))[0], [8.0, 8.0])


def test_what_is_written_without_recording_is_a_constant_of_its_own():
    mean = torch.zeros(3)

    def function(x):
        with torch.no_grad():
            scale = x.abs()
            scale[:, 0] += 1
            scale.clamp_(min=0.5)
            mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
        return x * scale + mean

    (x,) = drawn((4, 3))
    leaf = x.clone().requires_grad_()
    op = from_torch(function, example=(x,))
    assert mean.tolist() == [0, 0, 0]
    (wanted,) = torch.autograd.grad(function(leaf).sum(), leaf)
    np.testing.assert_allclose(gradient(op, x.numpy())[0], wanted.numpy(), rtol=1e-14)


def test_statistics_of_a_module_may_be_written_without_recording():
    class Averaging(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", torch.zeros(3))

        def forward(self, x):
            with torch.no_grad():
                self.mean.lerp_(x.mean(0), 0.1)
            return x - self.mean

    op = from_torch(Averaging(), example=drawn((4, 3)), name="averaging")
    (x,) = drawn((4, 3))
    np.testing.assert_allclose(gradient(op, np.zeros(3), x.numpy())[0], np.ones((4, 3)), rtol=1e-14)
    np.testing.assert_allclose(op.function(xp, np.zeros(3), x.numpy()), (x - 0.1 * x.mean(0)).numpy(), rtol=1e-13)


# Numbers


def test_a_constant_of_float32_does_not_spoil_float64():
    tenth, eighths = torch.tensor(0.1), torch.tensor([0.125, 0.25])

    def function(x):
        return x.float() * tenth + eighths + x.to(torch.bfloat16) * torch.tensor(0.3, dtype=torch.float16) + x.half()

    op = from_torch(function, "(2)->(2)", sizes={"only": {}})
    x = np.array([1 / 3, 2 / 3])
    np.testing.assert_array_equal(op.function(xp, x), x * 0.1 + np.array([0.125, 0.25]) + x * 0.3 + x)
    assert op.function(xp, x.astype(np.float32)).dtype == np.float32


def test_a_captured_module_of_float32_is_constant():
    layer = nn.Linear(4, 3)
    op = from_torch(lambda x: layer(x), example=drawn((2, 4)), name="f")
    (x,) = drawn((2, 4))
    np.testing.assert_allclose(op.function(xp, x.numpy()), layer.double()(x).detach().numpy(), rtol=1e-13)
    assert op.inputs == ("x",)


def test_a_mask_of_the_smallest_number_is_one_in_every_dtype():
    op = torch_references.attention
    arrays = [t.numpy() for t in drawn((4, 3), (4, 3), (4, 2))]
    with np.errstate(all="raise", under="ignore"):
        half = op.function(xp, *(a.astype(np.float32) for a in arrays))
    np.testing.assert_allclose(half, op.function(xp, *arrays), rtol=1e-5)


def test_tracing_leaves_torch_as_it_was():
    norm, counted = nn.BatchNorm1d(3), torch.zeros(2, dtype=torch.int64)

    def function(x):
        counted[0] += 1
        counted.add_(1)
        return norm(x) * counted[0]

    before = {name: value.clone() for name, value in norm.state_dict().items()}
    op = from_torch(function, example=drawn((4, 3)))
    for name, value in norm.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert counted.tolist() == [0, 0]
    assert torch.tensor(1.0).dtype == torch.float32
    (x,) = drawn((4, 3))
    np.testing.assert_allclose(op.function(xp, x.numpy()), 2 * F.batch_norm(x, None, None, training=True).numpy())


def test_keyword_arguments_with_defaults_are_parameters():
    def scaled(x, *, factor=2.0):
        return factor * x

    op = from_torch(scaled, "(n)->(n)")
    assert op.parameters == {"factor": 2.0}
    assert op.function(xp, np.ones(1), factor=3.0) == 3


def test_a_function_is_traced_once_for_each_shape():
    shapes = []

    def function(x):
        shapes.append(tuple(x.shape))
        return x.sin()

    op = from_torch(function, "(n)->(n)")
    for n in (2, 3, 2, 3):
        op.function(xp, np.ones(n))
    assert shapes == [(2,), (3,)]


AROUND = {
    "grad": lambda f, x: torch.func.grad(f)(x),
    "vmap": lambda f, x: torch.func.vmap(torch.func.grad(f))(torch.stack([x, x]))[1],
    "jvp": lambda f, x: torch.func.jvp(torch.func.grad(f), (x,), (x,))[0],
    "make_fx": lambda f, x: make_fx(torch.func.grad(f))(x)(x),
    "no_grad": lambda f, x: after(torch.no_grad, f, x),
    "inference_mode": lambda f, x: after(torch.inference_mode, f, x),
}


def after(mode, f, x):
    with mode():
        f(x)
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(f(leaf), leaf)[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's forward mode uses what torch gives up
@pytest.mark.parametrize("name", AROUND)
def test_a_trace_sees_nothing_of_what_its_caller_is_in(name):
    def function(x):
        mask = torch.tril(torch.ones(3, 3, dtype=torch.bool))
        return (torch.where(mask, x, 0.1 * torch.tensor([1.0, 2.0, 3.0])) ** 3).sum()

    standard, *_ = namespace("torch")
    (x,) = drawn((3, 3))
    op = from_torch(function, "(m,n)->()")
    found = AROUND[name](lambda x: op.function(standard, x), x)
    np.testing.assert_allclose(found, torch.func.grad(function)(x), rtol=1e-13, atol=1e-15)


def test_a_function_may_call_what_was_traced():
    standard, *_ = namespace("torch")
    inner = from_torch(torch.tanh, "(n)->(n)")
    outer = from_torch(lambda x: inner.function(standard, x) * x, "(n)->(n)", name="outer")
    np.testing.assert_allclose(outer.function(xp, np.full(2, 0.3)), np.tanh(0.3) * 0.3, rtol=1e-14)


# Names and modules


def test_every_tensor_of_a_module_is_an_input_by_its_own_name():
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2, bias=False))
    net[2].weight.requires_grad_(False)
    op = from_torch(net, example=drawn((5, 4)), name="net")
    assert op.inputs[:3] == ("0.weight", "0.bias", "1.weight")
    assert op.inputs[4:] == ("2.weight", "1.running_mean", "1.running_var", "1.num_batches_tracked", "input")
    fixed = dict(zip(op.inputs, op.differentiable, strict=True))
    assert [name for name, free in fixed.items() if not free] == list(op.inputs[4:8])
    arrays = dict(zip(op.inputs, op.make_inputs(op.size("example"), 3), strict=True))
    np.testing.assert_array_equal(arrays["2.weight"], net[2].weight.detach().double().numpy())
    assert not np.array_equal(arrays["0.weight"], net[0].weight.detach().double().numpy())
    given = {name: torch.from_numpy(np.asarray(a)) for name, a in arrays.items() if name != "input"}
    x = torch.from_numpy(arrays["input"])
    theirs = torch.func.functional_call(net, {name: t.clone() for name, t in given.items()}, (x,))
    np.testing.assert_allclose(op.function(xp, *arrays.values()), theirs.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_running_statistics_are_used_where_a_module_is_no_longer_trained():
    norm = nn.BatchNorm1d(3).eval()
    norm.running_mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    op = from_torch(norm, example=drawn((5, 3)), name="norm")
    arrays = op.make_inputs(op.size("example"), 0)
    np.testing.assert_array_equal(arrays[2], [1, 2, 3])
    w, b, *_, x = arrays
    np.testing.assert_allclose(op.function(xp, *arrays), (x - [1, 2, 3]) / np.sqrt(1 + 1e-5) * w + b, rtol=1e-13)


def test_modules_may_be_arguments():
    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(3, 2)

        def forward(self, x, *, scale=1.0):
            return self.out(x) * scale

    def loss(net, parts, x, labels):
        return F.cross_entropy(parts["head"](net(x), scale=2.0), labels) + net[0].weight.square().sum()

    net, head, labels = nn.Sequential(nn.Linear(4, 3), nn.Tanh()), Head(), torch.tensor([0, 1, 1])
    op = from_torch(loss, example=(net, {"head": head}, *drawn((3, 4)), labels))
    names = ("net.0.weight", "net.0.bias", "parts.head.out.weight", "parts.head.out.bias", "x", "labels")
    assert op.inputs == names
    arrays = op.make_inputs(op.size("example"), 0)
    leaves = [torch.from_numpy(np.asarray(a)) for a in arrays]
    for leaf in leaves[:5]:
        leaf.requires_grad_()
    hidden = torch.tanh(F.linear(leaves[4], *leaves[:2]))
    value = F.cross_entropy(2 * F.linear(hidden, *leaves[2:4]), labels) + leaves[0].square().sum()
    np.testing.assert_allclose(op.function(xp, *arrays), value.item(), rtol=1e-13)
    for ours, theirs in zip(gradient(op, *arrays), torch.autograd.grad(value, leaves[:5]), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-11, atol=1e-14)


def test_a_parameter_that_two_modules_share_is_one_input():
    net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Tanh(), nn.Linear(3, 3, bias=False))
    net[2].weight = net[0].weight
    op = from_torch(net, example=drawn((2, 3)), name="tied")
    assert op.inputs == ("0.weight", "input")
    W, x = (t.numpy() for t in drawn((3, 3), (2, 3)))
    np.testing.assert_allclose(op.function(xp, W, x), np.tanh(x @ W.T) @ W.T, rtol=1e-13)


RECURRENT = {
    "lstm": nn.LSTM(3, 4, batch_first=True),
    "gru": nn.GRU(3, 4),
    "transformer": nn.TransformerEncoderLayer(4, 2, 8),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_layers_of_torch_are_modules_like_others(name):
    module = RECURRENT[name].eval()
    width = 4 if name == "transformer" else 3

    def first(module, x):
        returned = module(x)
        return returned[0] if isinstance(returned, tuple) else returned

    op = from_torch(first, example=(module, *drawn((2, 3, width))), name=name)
    arrays = op.make_inputs(op.size("example"), 0)
    tensors = {n.removeprefix("module."): torch.from_numpy(a) for n, a in zip(op.inputs, arrays, strict=True)}
    x = tensors.pop("x")
    double = module.double()
    double.load_state_dict(tensors)
    np.testing.assert_allclose(op.function(xp, *arrays), first(double, x).detach().numpy(), rtol=1e-10, atol=1e-12)


def test_every_leaf_of_a_tree_is_an_input_by_its_path():
    def model(params, x, depth):
        for layer in params["layers"][:depth]:
            x = torch.tanh(x @ layer["weight"] + layer["bias"])
        return x.sum() * params["scale factor"]

    layers = [dict(zip(("weight", "bias"), drawn((4, 5), (5,)), strict=True))]
    op = from_torch(model, example=({"layers": layers, "scale factor": 0.5}, *drawn((6, 4)), 1))
    assert op.inputs == ("params.layers.0.weight", "params.layers.0.bias", "params.scale_factor", "x")
    assert op.signature.text == "(m,n),(n),(),(k,m)->()"


def test_labels_and_masks_are_not_differentiated_and_drawn_as_they_stand():
    def loss(x, t, mask):
        return (F.cross_entropy(x, t, reduction="none") * mask).sum()

    t, mask = torch.tensor([2, 0, 1]), torch.tensor([True, False, True])
    op = from_torch(loss, example=(*drawn((3, 4)), t, mask))
    assert op.differentiable == (True, False, False)
    for seed in range(3):
        _, labels, kept = op.make_inputs(op.size("example"), seed)
        np.testing.assert_array_equal(labels, t)
        np.testing.assert_array_equal(kept, mask)


def test_a_shape_may_stand_for_an_example():
    op = from_torch(torch.matmul, example=(torch.empty(3, 4, device="meta"), torch.empty(4, 2, device="meta")))
    assert op.signature.text == "(m,n),(n,k)->(m,k)"
    assert set(op.sizes) == {"tiny", "example", "small", "medium"}


def test_a_second_example_tells_sizes_apart_that_are_equal_by_chance():
    two = from_torch(torch.matmul, example=[drawn((3, 3), (3, 3)), drawn((2, 3), (3, 5))])
    assert two.signature.text == "(m,n),(n,k)->(m,k)"


# What cannot be


def branches(x):
    if x.sum() > 0:
        return x
    return -x


def asks(x):
    return x * x.mean().item()


def chooses(x):
    return x[x > 0].sum()


def leaves(x):
    return torch.from_numpy(np.tanh(x.numpy()))


def draws(x):
    return x + torch.randn(x.shape)


def drops(x):
    return F.dropout(x, 0.5)


def hides(x):
    y = x * 2
    with torch.no_grad():
        y.clamp_(min=0)
    return y


def through_an_alias(x):
    x.detach()[0].mul_(2)
    return x * x


def of_bessel(x):
    return torch.special.bessel_y0(x) + torch.special.bessel_y1(x) + torch.special.airy_ai(x)


def transformed(x):
    return torch.fft.rfft(x).abs()


@torch.library.custom_op("multigrad_tests::fused", mutates_args=())
def fused(x: torch.Tensor) -> torch.Tensor:
    return x * 2


fused.register_fake(torch.empty_like)


def of_its_own(x):
    return fused(x) + 1


REFUSED = {
    branches: ["asks for the value of an input", "test_from_torch.py, line", "torch.where"],
    asks: ["asks for the value of an input", "test_from_torch.py, line"],
    chooses: ["asks for the value of an input", "test_from_torch.py, line"],
    leaves: ["asks for the value of an input", "test_from_torch.py, line"],
    draws: ["draws random numbers", "test_from_torch.py, line", "pass them as an input"],
    drops: ["draws random numbers", "test_from_torch.py, line", ".eval()"],
    hides: ["writes into what has a derivative (test_from_torch.py, line", "under no_grad; write into a copy"],
    through_an_alias: ["writes into what has a derivative (test_from_torch.py, line", "where a tensor is detached"],
    of_bessel: [
        "calls aten.special_bessel_y0",
        "test_from_torch.py, line",
        "2 more are missing: aten.special_bessel_y1",
    ],
    transformed: ["complex numbers", "test_from_torch.py, line"],
    of_its_own: ["calls multigrad_tests.fused", "test_from_torch.py, line"],
    torch.argsort: ["returns integers"],
    lambda x: x > 0: ["returns conditions"],
    lambda x: x.reshape(7): ["cannot be traced at shapes (3,)", "test_from_torch.py, line", "RuntimeError"],
    lambda x: x.shape[0]: ["returns a int; wanted tensors of real numbers"],
    lambda x: None: ["returns nothing"],
}


@pytest.mark.parametrize("function", REFUSED, ids=lambda f: f.__name__)
def test_what_cannot_be_traced_is_said_in_one_line(function):
    with pytest.raises(BadInput) as error:
        from_torch(function, example=drawn((3,)), name="refused")
    message = str(error.value)
    assert "\n" not in message
    for part in ["refused", *REFUSED[function]]:
        assert part in message


def test_the_place_is_the_line_of_the_call():
    line = of_bessel.__code__.co_firstlineno + 1
    with pytest.raises(BadInput, match=rf"\(test_from_torch.py, line {line}\)"):
        from_torch(lambda x: of_bessel(x), example=drawn((3,)), name="f")


def test_dropout_does_nothing_where_it_is_off():
    op = from_torch(lambda x: F.dropout(x, 0.5, training=False) * 2, example=drawn((3,)), name="f")
    np.testing.assert_array_equal(op.function(xp, np.ones(3)), [2, 2, 2])


BAD = {
    "wanted a signature, or example": {},
    "is complex": {"example": (torch.ones(2, dtype=torch.complex64),)},
    "has no array": {"example": ("text",)},
    "has the layout torch.sparse_coo": {"example": (torch.eye(2).to_sparse(),)},
    "differ in more than sizes": {"example": [drawn((2,)), drawn((2, 2))]},
    "has 2 inputs": {"signature": "(n),(n)->(n)", "example": drawn((2,))},
    "holds integers, and the example has none": {"example": (torch.empty(2, dtype=torch.int64, device="meta"),)},
    "f: x.weight has no shape yet": {"example": (nn.LazyLinear(3),)},
    "nondifferentiable names 'y'": {"signature": "(n)->(n)", "nondifferentiable": "y"},
}


@pytest.mark.parametrize("part", BAD)
def test_bad_input_is_said_in_one_line(part):
    with pytest.raises(BadInput, match=part):
        from_torch(lambda x: x.sin(), name="f", **BAD[part])


def test_what_is_no_function_is_said():
    with pytest.raises(BadInput, match="wanted a function of torch; found int"):
        from_torch(3, "(n)->(n)")
    with pytest.raises(TypeError, match="unexpected keyword argument 'exmaple'"):
        from_torch(torch.sin, exmaple=())


# Certified and judged


def certified(count, **selectors):
    rows = multigrad.check(str(REFERENCES), dtype="float64", regime="gaussian", **selectors)
    assert set(rows["operation"]) == {op.name for op in multigrad.load_operations([str(REFERENCES)])}
    assert len(set(rows["operation"])) >= 8
    bad = rows[rows["verdict"].isin(["FAIL", "INCONCLUSIVE"])]
    assert bad.empty, bad[["operation", "backend", "output", "verdict", "reason"]].to_string()
    passed = rows[rows["verdict"] == "PASS"]
    assert len(passed) >= count
    return passed


@pytest.mark.long
@pytest.mark.parametrize("framework", ["numpy", "torch", "jax"])
def test_functions_of_a_file_are_certified_and_judged(framework):
    passed = certified(50, backend=framework)
    assert framework != "torch" or set(passed["variant"]) >= {"analytic", "autodiff", "fused"}


def test_an_implementation_is_judged_by_its_reference_in_torch():
    rows = multigrad.check(
        f"{REFERENCES}::rms", backend="torch", variant="fused", dtype="float64", regime="gaussian", mode="eager"
    )
    passed = rows[rows["verdict"] == "PASS"]
    assert set(passed[passed["variant"] == "fused"]["output"]) >= {"value", "x_bar", "w_bar"}


def test_a_function_that_is_not_assigned_in_a_file_is_known_here_alone():
    assert from_torch(torch.sin, "(n)->(n)").reference == ""
    assert torch_references.rms.reference == f"{REFERENCES.resolve()}::rms"
    assert math.prod(torch_references.rms.make_inputs(torch_references.rms.size("tiny"), 0)[0].shape)
