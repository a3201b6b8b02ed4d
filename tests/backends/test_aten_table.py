"""What the table of ATen calls makes of torch's functions: torch's values, and the gradient of torch's autograd."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from multigrad.data.standard import numpy_standard
from multigrad.graph.calls import Call, Constant, Graph
from multigrad.graph.evaluation import evaluate
from multigrad.namespaces import bounds, cost, dual, exact, tape

torch = pytest.importorskip("torch", reason="torch is not installed (pip install torch)")

from multigrad.backends.torch_backend.decompositions import decompositions  # noqa: E402 - imports torch
from multigrad.backends.torch_backend.primitives import TABLE  # noqa: E402 - imports torch
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402 - torch may be missing

from tests.backends import torch_functions  # noqa: E402 - imports torch

xp = numpy_standard()
LEFT_OUT = ("dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking")


def kind_of(dtype):
    return "truth" if dtype == torch.bool else "real" if dtype.is_floating_point else "whole"


def plain(value):
    if isinstance(value, torch.Tensor):
        array = value.detach().numpy()
        return array.item() if array.ndim == 0 else array
    return value


def stands_for_a_tensor(packet, name):
    schemas = [getattr(packet, overload)._schema for overload in packet.overloads()]
    return any(a.name == name and "Tensor" in str(a.type) for s in schemas for a in s.arguments)


def converted(function, arguments):
    """Convert a function as the converter does, without its messages."""
    for table in (decompositions(), {}):
        how = {"decomposition_table": table, "tracing_mode": "fake", "_allow_non_fake_inputs": True}
        function = make_fx(torch.func.functionalize(function), **how)(*arguments)
    traced = function
    traced.graph.eliminate_dead_code()
    values, kinds, calls, constants, count = {}, {}, [], {}, 0
    inputs = []
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            values[node], count = count, count + 1
            inputs.append(node)
        elif node.op == "get_attr":
            constants[node] = Constant(plain(getattr(traced, node.target)))
        elif node.op == "output":
            outputs = node.args[0] if isinstance(node.args[0], list | tuple) else (node.args[0],)
        elif "getitem" in str(node.target):
            values[node] = values[node.args[0]][node.args[1]]
        else:
            made = node.meta.get("val")
            if made is None:
                continue
            several = isinstance(made, list | tuple)
            results = tuple(range(count, count + (len(made) if several else 1)))
            values[node], count = results if several else results[0], count + len(results)
            kinds[node] = tuple(kind_of(m.dtype) for m in (made if several else (made,)) if m is not None)
            operands, options = arguments_of(node, lambda n: constants[n] if n in constants else values[n])
            if "dtype" in {a.name for a in node.target._schema.arguments} and kinds[node]:
                options["kind"] = kinds[node][0]
            name = f"aten.{node.target.overloadpacket.__name__}"
            full = f"{name}.{node.target._overloadname}"
            name = full if full in TABLE else name
            assert name in TABLE, f"{full} is not in the table"
            calls.append(Call(name, tuple(operands), results, kinds[node], options, ""))
    return Graph(
        tuple(values[n] for n in inputs),
        tuple(kind_of(a.dtype) for a in arguments),
        tuple(calls),
        tuple(constants[n] if n in constants else values[n] for n in outputs),
        tuple(kind_of(n.meta["val"].dtype) for n in outputs),
        tuple(tuple(n.meta["val"].shape) for n in outputs),
    )


def arguments_of(node, value):
    operands, options, given, optional = [], {}, [], False
    packet = node.target.overloadpacket
    for i, argument in enumerate(node.target._schema.arguments):
        name = argument.name
        x = node.args[i] if i < len(node.args) else node.kwargs.get(name, argument.default_value)
        kind = str(argument.type)
        if name in LEFT_OUT:
            continue
        if "List[" in kind and "Tensor" in kind:
            options[name] = tuple(
                None if n is None else len(operands) + sum(m is not None for m in x[:j]) for j, n in enumerate(x)
            )
            operands += [value(n) for n in x if n is not None]
        elif "Tensor" in kind:
            optional = optional or "Optional" in kind
            if x is None:
                options[name] = None
            else:
                operands.append(value(x) if isinstance(x, torch.fx.Node) else Constant(x))
                given.append(name)
        elif isinstance(x, int | float) and kind.endswith("number") and stands_for_a_tensor(packet, name):
            operands.append(Constant(x))
            given.append(name)
        else:
            options[name] = value(x) if isinstance(x, torch.fx.Node) else x
    return operands, options | ({"given": tuple(given)} if optional else {})


LOOSE = {"polygamma": 1e-8, "digamma": 1e-8, "hardsigmoid": 1e-7, "celu": 1e-7}
"""How far torch is off in float64: its polygamma functions, and constants that it has in float32."""


@functools.cache
def case(name):
    function, *arguments = torch_functions.CASES[name]

    def listed(*tensors):
        results = function(*tensors)
        return tuple(results) if isinstance(results, list | tuple) else (results,)

    return converted(listed, arguments), listed, arguments


@pytest.mark.parametrize("name", torch_functions.CASES)
def test_values_and_gradients_are_those_of_torch(name):
    graph, function, arguments = case(name)
    real = [a.dtype.is_floating_point for a in arguments]
    leaves = [a.clone().requires_grad_(r) if r else a for a, r in zip(arguments, real, strict=True)]
    wanted = function(*leaves)
    arrays = [a.numpy() for a in arguments]
    with np.errstate(all="ignore"):
        found, pullback = tape.with_pullback(
            lambda on_tape, *x: evaluate(graph, TABLE, on_tape, x), tape.over(xp), arrays, real, {}
        )
    assert len(found) == len(wanted) > 0
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.shape(ours) == tuple(theirs.shape)
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=LOOSE.get(name, 1e-12), atol=1e-13)
    moving = [w for w in wanted if w.requires_grad]
    cotangents = [torch.from_numpy(np.asarray(np.cos(np.arange(w.numel()) + 0.5)).reshape(w.shape)) for w in wanted]
    with np.errstate(all="ignore"):
        gradients = pullback(*(c.numpy() for c in cotangents))
    theirs = torch.autograd.grad(
        moving,
        [x for x in leaves if x.requires_grad],
        [c for w, c in zip(wanted, cotangents, strict=True) if w.requires_grad],
        allow_unused=True,
    )
    assert len(gradients) == len(theirs)
    for ours, expected, x in zip(gradients, theirs, [a for a in leaves if a.requires_grad], strict=True):
        expected = torch.zeros_like(x) if expected is None else expected
        np.testing.assert_allclose(ours, expected.numpy(), rtol=LOOSE.get(name, 1e-10), atol=1e-11)


# In balls, in bounds, and counted

PROVED = (
    *("gelu", "softplus", "elu", "logsigmoid", "mish", "softmax", "log_softmax", "glu", "hypot", "logaddexp", "fmod"),
    *(
        "clamp",
        "prod",
        "std_axis",
        "logsumexp",
        "cumprod",
        "cummax",
        "logcumsumexp",
        "sort",
        "topk",
        "median",
        "norm_3",
    ),
    *("roll", "diag_embed", "unfold_tensor", "split", "tril", "gather", "scatter_add", "scatter_prod", "written_row"),
    *("rows_and_labels", "integers_apart", "index_add", "index_put", "embedding", "addmm", "einsum_three", "solve"),
    *("slogdet", "cholesky", "qr", "svd", "eigh", "pinv", "solve_triangular", "lu", "matrix_exp", "cdist", "inv"),
    *("cosine_similarity", "smooth_l1_loss", "huber_loss", "bce_with_logits_weighted", "cross_entropy_smooth"),
    *("kl_div", "poisson_nll_full", "multilabel_margin_loss", "triplet_margin_loss", "batch_norm", "layer_norm"),
    *(
        "group_norm",
        "local_response_norm",
        "rms_norm",
        "attention_masked",
        "attention_causal",
        "conv1d",
        "multi_head_attention",
    ),
    *("conv_transpose2d", "fold", "avg_pool2d", "max_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"),
    *("max_unpool2d", "embedding_bag", "pad_reflect", "interpolate_bilinear", "interpolate_bicubic", "polygamma"),
    *("grid_sample_bilinear_reflection", "grid_sample_3d_bilinear_zeros", "affine_grid", "pixel_shuffle"),
)
"""Some of each kind."""


@pytest.mark.parametrize("name", PROVED)
def test_the_gradient_of_the_tape_is_that_of_dual_in_ball_arithmetic(name):
    graph, _, arguments = case(name)
    real = [a.dtype.is_floating_point for a in arguments]
    arrays = [exact.variable(a.numpy()) for a in arguments]
    rng = np.random.default_rng(3)
    with exact.precision(200):
        values, pullback = tape.with_pullback(
            lambda on_tape, *x: evaluate(graph, TABLE, on_tape, x), tape.over(exact), arrays, real, {}
        )
        cotangents = [exact.asarray(rng.standard_normal(v.shape)) for v in values]
        gradients = pullback(*cotangents)
        directions = [
            exact.asarray(rng.standard_normal((1, *a.shape))) if r else None for a, r in zip(arrays, real, strict=True)
        ]
        _, tangents = dual.directional_derivatives(lambda *x: evaluate(graph, TABLE, dual, x), arrays, directions)
        moving = [d for d in directions if d is not None]
        left = sum(exact.sum(t[0, ...] * g) for t, g in zip(tangents, cotangents, strict=True))
        right = sum(exact.sum(d[0, ...] * g) for d, g in zip(moving, gradients, strict=True))
        distance = abs(exact.midpoints(left - right))
        assert distance <= 1e-40 * (1 + abs(exact.midpoints(left)))


@pytest.mark.parametrize("name", [name for name in PROVED if name != "lu"])  # which row comes first is undecided
def test_bounds_and_cost_follow_the_graph(name):
    graph, function, arguments = case(name)
    arrays = [a.numpy() for a in arguments]

    def at(namespace, *x):
        return evaluate(graph, TABLE, namespace, x)

    for bounded in bounds.analyse(functools.partial(at, bounds), *arrays, context="float64"):
        assert np.all(bounded.worst <= 1e-9 * (1 + np.abs(bounded.value)))
    with cost.counting("float32") as counters:
        results = at(cost, *map(cost.asarray, arrays))
    assert counters.streamed_bytes > 0
    assert [tuple(r.shape) for r in results] == [tuple(v.shape) for v in function(*arguments)]
