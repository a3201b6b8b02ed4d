"""Every namespace, as for a CPU and as for a GPU: its hooks, its special functions, and all operations in it."""

from __future__ import annotations

import functools
import importlib
import sys
import types
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import scipy.special
from multigrad.backends import dask_backend, numpy_backend

from multigrad.backend import backends, namespace
from multigrad.data.standard import SPECIAL, numpy_standard, special_functions
from multigrad.extra.elimination import eliminated, triangular
from multigrad.extra.hooks import ATTRIBUTE, Hooks, hooks_of
from multigrad.extra.recurrence import scan
from multigrad.extra.scatter import scatter_add, scatter_along_axis, scatter_diagonal
from multigrad.namespaces import bounds, cost, dual, exact, tape
from multigrad.ops.find import operations
from multigrad.truth.inputs import dtype_arrays

RNG = np.random.default_rng(0)


def of_torch(kind: str, device: str | None = None) -> Any:
    pytest.importorskip("torch", reason="torch is not installed (pip install torch)")
    return importlib.import_module("multigrad.backends.torch_backend.namespace").array_namespace(kind, device)


def of_jax(kind: str) -> Any:
    jax = pytest.importorskip("jax", reason="jax is not installed (pip install jax)")
    jax.config.update("jax_enable_x64", True)
    return importlib.import_module("multigrad.backends.jax_backend.namespace").array_namespace(kind)


NAMESPACES: dict[str, Callable[[], Any]] = {
    "numpy": lambda: numpy_backend.array_namespace(np),
    "torch": lambda: of_torch("cpu"),
    "torch as on a GPU": lambda: of_torch("cuda", "cpu"),
    "torch's session": lambda: backends()["torch"].open("cpu").xp,
    "jax": lambda: of_jax("cpu"),
    "jax as on a GPU": lambda: of_jax("cuda"),
    "dask": lambda: dask_backend.array_namespace(pytest.importorskip("dask.array", reason="dask is not installed")),
    "strict": lambda: pytest.importorskip("array_api_strict", reason="array-api-strict is not installed"),
    "the tape over torch": lambda: tape.over(of_torch("cuda", "cpu")),
    "bounds": lambda: bounds,
    "cost": lambda: cost,
    "dual": lambda: dual,
    "exact": lambda: exact,
}
THEIRS = ("jax.lax.scan", "jax.lax.stop_gradient", "torch.diag_embed", "torch.Tensor.detach")
"""Functions of a framework that are used as hooks unchanged: they have the hook's arguments."""


def full_name(function: Any) -> str:
    """Return where a hook is defined: its module and its name."""
    for name in THEIRS:
        framework, _, rest = name.partition(".")
        owner = functools.reduce(lambda o, part: getattr(o, part, None), rest.split("."), sys.modules.get(framework))
        if function is owner:
            return name
    while isinstance(function, functools.partial) or hasattr(function, "__wrapped__"):
        function = getattr(function, "func", None) or function.__wrapped__
    return f"{function.__module__}.{function.__qualname__}"


@pytest.mark.parametrize("name", NAMESPACES)
def test_a_hook_comes_from_us(name: str) -> None:
    hooks = hooks_of(NAMESPACES[name]())
    assert isinstance(hooks, Hooks)
    names = [full_name(h) for h in (getattr(hooks, field.name) for field in fields(Hooks)) if h is not None]
    assert not [n for n in names if n not in THEIRS and not n.startswith(("multigrad.", "backends."))]
    assert bool(names) == (name not in ("strict", "exact"))


@pytest.mark.parametrize("name", [n for n in NAMESPACES if n not in ("bounds", "cost", "dual", "exact")])
def test_a_special_function_is_that_of_scipy_or_is_absent(name: str) -> None:
    xp = NAMESPACES[name]()
    x = np.array([0.25, 0.75])
    absent = []
    for function in (*SPECIAL, "trigamma", "hurwitz_zeta"):
        given = (3,) if function == "hurwitz_zeta" else ()
        own = getattr(xp, function, None)
        if own is None or not hasattr(getattr(xp, "base", xp), function):
            absent.append(function)
            continue
        wanted = special_functions(scipy.special)[function](*given, x)
        np.testing.assert_allclose(np.asarray(value(own(*given, xp.asarray(x)))), wanted, rtol=1e-12, err_msg=function)
    assert len(absent) in (0, 1, 10), absent  # torch has no gamma; Dask and strict have none of them


def value(x: Any) -> Any:
    return x.value if isinstance(x, tape.TapeArray) else x


def refuse(*arguments: Any, **options: Any) -> Any:
    raise AssertionError("a function of a framework was taken for a hook")


def foreign(xp: Any) -> Any:
    """Return a namespace in which a framework has functions of its own under the names of our hooks."""
    copy = types.ModuleType(xp.__name__)
    vars(copy).update(vars(xp))
    vars(copy).update({field.name: refuse for field in fields(Hooks)})
    return copy


A = RNG.standard_normal((2, 3, 3)) + 3 * np.eye(3)
X, B = RNG.standard_normal((40, 3)), RNG.standard_normal((2, 3, 2))
NUMBERS = RNG.integers(0, 100, 40)
ORDER = np.argsort(X, axis=0)
USES: dict[str, Callable[..., Any]] = {
    "scatter_add": lambda xp, f: scatter_add(xp, f(X), f(NUMBERS), 100),
    "scatter_along_axis": lambda xp, f: scatter_along_axis(xp, f(X), f(ORDER), axis=0),
    "scatter_diagonal": lambda xp, f: scatter_diagonal(xp, f(X)),
    "eliminated": lambda xp, f: eliminated(xp, f(A)).solve(f(B), transposed=True),
    "the determinant": lambda xp, f: eliminated(xp, f(A)).det(),
    "the adjugate": lambda xp, f: eliminated(xp, f(A)).adjugate(),
    "triangular": lambda xp, f: triangular(xp, f(A)).solve(f(B), transposed=True),
    "its inverse": lambda xp, f: triangular(xp, f(A)).inverse(),
    "scan": lambda xp, f: scan(xp, lambda c, x: (c + x, c * x), f(X[0]), f(X), reverse=True)[1],
}
COMPUTING = [n for n in NAMESPACES if n not in ("dask", "bounds", "cost", "dual", "exact", "the tape over torch")]


@pytest.mark.parametrize("name", COMPUTING)
def test_a_framework_may_own_the_name_of_a_hook(name: str) -> None:
    xp = foreign(NAMESPACES[name]())
    for use, function in USES.items():
        found = np.asarray(function(xp, xp.asarray))
        np.testing.assert_allclose(found, function(numpy_standard(), np.asarray), 1e-11, 1e-13, err_msg=use)


def test_a_copy_of_a_namespace_has_its_hooks_unless_others_are_given() -> None:
    xp = namespace(np, Hooks(scatter_diagonal=len))
    assert hooks_of(namespace(xp, sum=max)) == Hooks(scatter_diagonal=len)
    assert hooks_of(namespace(xp, Hooks())) == Hooks()
    assert hooks_of(np) == Hooks()
    assert not any(hasattr(importlib.import_module(m), ATTRIBUTE) for m in ("numpy", "array_api_compat.numpy"))


def called(xp: Any, name: str, convert: Callable[[np.ndarray], Any]) -> tuple[Any, ...]:
    """Run an operation, its value and its pullback, at its smallest size."""
    op = operations()[name]
    size = op.size(next(iter(op.sizes)))
    return tuple(op.analytic(xp, op.split(size)[1])(*map(convert, dtype_arrays(op, size, 0, "gaussian", "float64"))))


@functools.cache
def wanted(name: str) -> tuple[np.ndarray, ...]:
    return called(NAMESPACES["numpy"](), name, np.asarray)


def compare(found: tuple[Any, ...], name: str) -> None:
    for one, right in zip(found, wanted(name), strict=True):
        np.testing.assert_allclose(np.asarray(one), right, rtol=1e-9, atol=1e-9 * np.abs(right).max(initial=1e-300))


def test_every_operation_has_the_same_values_on_torch_as_on_a_gpu() -> None:
    import torch

    xp = of_torch("cuda", "cpu")
    for name in operations():
        compare(called(xp, name, torch.tensor), name)
    assert len(operations()) >= 88


def test_no_operation_reads_a_value_or_leaves_the_device_on_torch_as_on_a_gpu() -> None:
    """A tensor of the device ``meta`` has no values: whatever asks for one raises, and so does one on the CPU."""
    import torch

    xp = of_torch("cuda", "meta")
    for name in operations():
        found = called(xp, name, functools.partial(torch.tensor, device="meta"))
        assert [tuple(f.shape) for f in found] == [w.shape for w in wanted(name)], name
        assert {f.device.type for f in found} == {"meta"}, name
    mask = torch.ones(3, device="meta") > 0
    with pytest.raises(NotImplementedError):
        mask[mask]
    with pytest.raises(RuntimeError):
        bool(mask[0])


BLOCKED = [("numpy", 77), ("torch", 77), ("torch as on a GPU", 1), ("jax", 77), ("jax as on a GPU", 1)]


@pytest.mark.parametrize(("name", "blocks"), BLOCKED)
def test_kmeans_goes_by_blocks_through_the_cache_of_a_cpu_and_a_gpu_leaves_them_out(
    name: str, blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "torch" in name:
        monkeypatch.setattr("torch.get_num_threads", lambda: 1)
    calls = []
    xp = NAMESPACES[name]()
    counting = namespace(xp, argmin=lambda *given, **how: calls.append(given) or xp.argmin(*given, **how))
    op = operations()["kmeans"]
    inputs = op.make_inputs(op.size("k1000"), 0)
    op(counting, *map(xp.asarray, inputs))
    assert len(calls) == blocks  # 10000 points and 1000 centroids; a quarter of their scores fills a block


def test_the_output_of_a_silent_step_is_where_its_carry_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from multigrad.backends.torch_backend import namespace as own

    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    outputs = []

    def of_graph(step: Any, carry: Any, xs: Any, *, reverse: bool) -> Any:
        carry, y = step(carry, xs[0])
        outputs.append(y)
        return carry, y

    xs = torch.ones((own.UNROLLED + 1, 3), device="meta")
    for carry in (xs[0], (xs[0], xs[1])):
        with torch.no_grad():
            assert own.scan(of_graph, lambda c, x: (c, None), carry, xs)[1] is None
    assert [y.device.type for y in outputs] == ["meta", "meta"]


def test_every_operation_is_traced_on_jax_as_on_a_gpu() -> None:
    xp = of_jax("cuda")
    import jax

    for name in operations():
        op = operations()[name]
        size = op.size(next(iter(op.sizes)))
        arrays = dtype_arrays(op, size, 0, "gaussian", "float64")
        found = jax.eval_shape(op.analytic(xp, op.split(size)[1]), *arrays)
        assert [f.shape for f in found] == [w.shape for w in wanted(name)], name


SCATTERS = (
    "bundle_adjustment",
    "embedding",
    "hand_tracking",
    "hand_tracking_barycentric",
    "kmeans",
    "kmeans_direction",
)


@pytest.mark.parametrize("name", SCATTERS)
def test_what_has_no_hook_on_a_gpu_has_the_same_values_on_jax(name: str) -> None:
    xp = of_jax("cuda")
    compare(called(xp, name, xp.asarray), name)
