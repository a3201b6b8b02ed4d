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

from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402 - torch may be missing

from multigrad.backends.torch_backend.decompositions import decompositions  # noqa: E402 - imports torch
from multigrad.backends.torch_backend.primitives import TABLE  # noqa: E402 - imports torch
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
    traced = make_fx(torch.func.functionalize(function), decomposition_table=decompositions())(*arguments)
    traced = make_fx(torch.func.functionalize(traced))(*arguments)
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
            made = node.meta["val"]
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
    graph = Graph(
        tuple(values[n] for n in inputs),
        tuple(kind_of(a.dtype) for a in arguments),
        tuple(calls),
        tuple(constants[n] if n in constants else values[n] for n in outputs),
        tuple(kind_of(n.meta["val"].dtype) for n in outputs),
        tuple(tuple(n.meta["val"].shape) for n in outputs),
    )
    return graph


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


LOOSE = {"polygamma": 1e-8, "digamma": 1e-8}
"""How far torch's own polygamma functions are off."""


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
