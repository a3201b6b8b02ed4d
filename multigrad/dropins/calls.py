"""The drop-ins themselves: gradcheck for PyTorch, check_grads for JAX, check_grad for NumPy and SciPy."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from ..backend.candidate import Candidate, function_name
from ..backend.registry import backend
from ..data.errors import BadInput
from ..ops.derived import ORDERS
from ..ops.implementation import ACCUMULATORS
from ..ops.operation import Operation
from .judge import Asked, check_candidate
from .reference import FORMS

DERIVED = {"eps", "atol", "rtol", "epsilon", "nondet_tol"}
"""What the checks of others take: steps and tolerances."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    reference: Any = None,
    *,
    accumulate: str | None = None,
    deterministic: bool = True,
    order: int = 1,
    seed: int = 0,
    raise_exception: bool = True,
    **others: Any,
) -> bool:
    """Check the backward pass of a PyTorch function, as ``torch.autograd.gradcheck`` is called.

    The gradients that autograd gives, for random cotangents, are compared with the exact derivative of the reference
    at these very inputs, each entry within the bound of an honest evaluation in their dtype. So there is no step, no
    tolerance, and no need for float64. Values, repeated calls, strides, zero cotangents and unused outputs are checked
    too. Everything runs in this process.

    Args:
        func: takes the tensors and returns a tensor or a tuple of them: ``FusedNorm.apply``, a module, a kernel.
        inputs: a tensor or a sequence of them; those that require grad are checked. Any device; float64, float32,
            bfloat16 or float16.
        reference: the same function, written plainly: ``f(*inputs)`` with torch or with NumPy, ``f(xp, *inputs)`` over
            any array namespace, an operation, the name of one in the catalogue, or ``file.py::name``. Left out, it is
            the function's own forward part.
        accumulate: ``float32``, where ``func`` stores bfloat16 or float16 and computes in float32.
        deterministic: whether the same inputs give the same bits. If not (atomic sums), they may differ within the
            bound.
        order: 2 judges the second derivative as well: autograd's derivative of the backward pass (double backward)
            against that of the reference.
        seed: of the cotangents.
        raise_exception: whether to raise what is wrong; else False is returned.
        others: none; other checks' steps and tolerances are refused in words.

    Returns:
        True, if all is right.

    Raises:
        GradientError: a gradient is wrong, or cannot be judged; the message names the mistake, with figures.
        BadInput: no input that requires grad, a forward part that cannot be traced, an order that is not judged, or
            what does not fit.
        Unavailable: torch is not here.
    """
    _refuse("gradcheck", others)
    candidate = backend("torch").candidate(func, inputs)
    if reference is None:
        reference = _primal(candidate, func)
    asked = _asked(reference, accumulate, deterministic, seed, order)
    return check_candidate(candidate, asked, raise_exception=raise_exception)


def check_grads(
    f: Callable[..., Any],
    args: Any,
    order: int = 1,
    modes: str | Iterable[str] = ("rev",),
    *,
    reference: Any = None,
    accumulate: str | None = None,
    deterministic: bool = True,
    seed: int = 0,
    **others: Any,
) -> bool:
    """Check the derivative rule of a JAX function, as ``jax.test_util.check_grads`` is called.

    What ``jax.vjp`` gives, for random cotangents, is compared with the exact derivative of the reference at these very
    arguments, each entry within the bound of an honest evaluation in their dtype. There is no step and no tolerance.

    Args:
        f: takes arrays and returns an array or a tuple of them: a ``jax.custom_vjp``, or what calls one.
        args: the arguments; those that are floating-point are differentiated.
        order: 2 judges the second derivative as well: ``jax.vjp`` of the rule against that of the reference.
        modes: ``rev``.
        reference: the same function, written plainly, as for :func:`gradcheck`. Left out, it is the function's own
            primal.
        accumulate: as for :func:`gradcheck`.
        deterministic: as for :func:`gradcheck`.
        seed: of the cotangents.
        others: none; other checks' steps and tolerances are refused in words.

    Returns:
        True, if all is right.

    Raises:
        GradientError: a gradient is wrong, or cannot be judged; the message names the mistake, with figures.
        BadInput: an order or a mode that is not judged, or what does not fit.
        Unavailable: JAX is not here.
    """
    _refuse("check_grads", others)
    if [*([modes] if isinstance(modes, str) else modes)] != ["rev"]:
        raise BadInput(f'check_grads judges reverse mode alone, found modes={modes!r}; wanted modes=("rev",)')
    jax = backend("jax")
    candidate = jax.candidate(f, args)
    if reference is None:
        reference = jax.traced(f, example=tuple(given.array for given in candidate.inputs))
    return check_candidate(candidate, _asked(reference, accumulate, deterministic, seed, order))


def check_grad(
    func: Callable[..., Any],
    grad: Any,
    x0: Any,
    *args: Any,
    jac: bool = False,
    reference: Any = None,
    deterministic: bool = True,
    order: int = 1,
    **others: Any,
) -> bool:
    """Check the gradient of a NumPy function, as ``scipy.optimize.check_grad`` is called.

    ``grad(x0, *args)`` is compared with the exact derivative of ``func`` at this very point, each entry within the
    bound of an honest evaluation. ``func`` itself is the reference: its code runs on multigrad's own arrays by NumPy's
    protocols. SciPy's returns the norm of a difference and leaves the verdict to its user; this returns True or raises
    what is wrong.

    Args:
        func: ``func(x, *args)`` returns one number; with ``jac``, that and its gradient, as
            ``scipy.optimize.minimize(func, x0, args, jac=True)`` calls it.
        grad: ``grad(x, *args)`` returns the gradient. With ``jac`` it is None, or True in place of ``jac=True``.
        x0: the point, an array of float64 or float32; integers are taken for float64.
        args: passed on to both.
        jac: whether ``func`` returns the gradient as well.
        reference: another function to differentiate, ``f(x)``, in place of ``func``.
        deterministic: as for :func:`gradcheck`.
        order: 1. A gradient of NumPy's is a number, which nothing differentiates.
        others: none; other checks' steps and tolerances are refused in words.

    Returns:
        True, if all is right.

    Raises:
        GradientError: the gradient is wrong, or cannot be judged; the message names the mistake, with figures.
        BadInput: ``func`` returns no number, or uses what has no exact form; or what does not fit.
    """
    _refuse("check_grad", others)
    paired = jac or grad is True
    if not paired and not callable(grad):
        raise BadInput(f"grad is {type(grad).__name__}; wanted a function, or jac=True where func returns both")

    def pair(x: Any, *rest: Any) -> Any:
        if not paired:
            return func(x, *rest), grad(x, *rest)
        both = func(x, *rest)
        if not isinstance(both, tuple | list) or len(both) != 2:
            raise BadInput(f"{name} returned {type(both).__name__}; wanted (value, gradient), as jac=True says")
        return both

    def value(x: Any) -> Any:
        return func(x, *args)[0] if paired else func(x, *args)

    name = function_name(func)
    pair.__name__ = value.__name__ = name
    with contextlib.suppress(TypeError, ValueError):  # what is written in C shows no names
        value.__signature__ = _of_first(func)  # type: ignore[attr-defined]
    candidate = backend("numpy").candidate(pair, (x0, args))
    return check_candidate(candidate, _asked(reference or value, None, deterministic, 0, order))


def _primal(candidate: Candidate, function: Callable[..., Any]) -> Operation:
    """Return a function without its backward pass.

    Raises:
        BadInput: it cannot be traced.
    """
    try:
        return candidate.traced(function)
    except BadInput as error:
        raise BadInput(f"{error}; or pass reference=, {FORMS}") from error


def _asked(reference: Any, accumulate: str | None, deterministic: bool, seed: int, order: int) -> Asked:
    if isinstance(order, bool) or order not in ORDERS:
        raise BadInput(f"no order {order!r}; there are {', '.join(map(str, ORDERS))}")
    if accumulate is not None and accumulate not in ACCUMULATORS:
        raise BadInput(f"accumulate is {accumulate!r}; wanted {' or '.join(ACCUMULATORS)}, or nothing")
    return Asked(reference, accumulate, deterministic, seed, order)


def _of_first(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a function without its arguments after the first."""
    return inspect.Signature(list(inspect.signature(function).parameters.values())[:1])


def _refuse(name: str, others: Iterable[str]) -> None:
    for other in others:
        if other in DERIVED:
            raise BadInput(f"{name} takes no {other}: it takes no step, and its tolerance is derived; leave it out")
        raise TypeError(f"{name}() got an unexpected keyword argument {other!r}")
