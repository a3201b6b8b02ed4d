"""Functions of a framework as operations: traced to a graph that runs in every array namespace."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, Unpack

from ..ops.operation import Operation
from .registry import backend
from .traced import Description


def from_jax(function: Callable[..., Any], signature: str | None = None, **described: Unpack[Description]) -> Operation:
    """Make an operation of a JAX function: its jaxpr, computed in any array namespace.

    ::

        rms_norm = multigrad.from_jax(reference, "(m,n),(n)->(m,n)")

    The function is traced anew for each shape, in 64 bits, and the graph computes in the dtype of its inputs. Of a
    ``custom_vjp`` or ``custom_jvp`` it is the primal. Keyword-only arguments with plain defaults are the operation's
    parameters.

    Args:
        function: takes JAX arrays, or pytrees of them, and returns arrays of real numbers.
        signature: the shapes in gufunc notation; left out, those of ``example``, where equal sizes get equal letters
            and a size of 1 stays 1.
        described: ``example``, ``name``, ``nondifferentiable``, ``sizes``, ``inputs`` and ``dtypes``, as
            :class:`multigrad.backend.traced.Description` says. An example may have ``jax.ShapeDtypeStruct`` in the
            place of arrays.

    Returns:
        An operation whose inputs are the arrays, by name and path, as ``params.layers.0.weight``.

    Raises:
        BadInput: what the function does cannot be traced or has no array API form; the message has file and line.
        Unavailable: JAX is not here.
    """
    return _traced("jax", function, signature, described, sys._getframe(1))


def from_torch(
    function: Callable[..., Any], signature: str | None = None, **described: Unpack[Description]
) -> Operation:
    """Make an operation of a torch function or module: its graph of ATen calls, computed in any array namespace.

    ::

        rms_norm = multigrad.from_torch(reference, "(m,n),(n)->(m,n)")
        layer = multigrad.from_torch(torch.nn.Linear(4, 3), example=(torch.ones(5, 4),))

    The function is traced anew for each shape, in float64, and the graph computes in the dtype of its inputs. Of an
    ``autograd.Function`` it is the forward part. What is written in place is an array of its own. Keyword-only
    arguments with plain defaults are the operation's parameters.

    Args:
        function: takes tensors, pytrees of them or modules, and returns tensors of real numbers; or a module.
        signature: as for :func:`from_jax`.
        described: as for :func:`from_jax`. An example may have tensors of the device ``meta`` for arrays of which
            the shape alone matters. In the place of a module stand its parameters and buffers. Buffers, and parameters
            that do not require grad, are not differentiated, and are drawn as they stand.

    Returns:
        An operation whose inputs are the tensors, by name and path, as ``params.weight``. Those of a module have the
        names that it gives them, as ``layers.0.weight``; they come first.

    Raises:
        BadInput: what the function does cannot be traced or has no array API form; the message has file and line.
        Unavailable: torch is not here.
    """
    return _traced("torch", function, signature, described, sys._getframe(1))


def _traced(
    framework: str, function: Callable[..., Any], signature: str | None, described: Description, caller: FrameType
) -> Operation:
    variable = _assigned(caller)
    named = Description(**described)
    named["name"] = described.get("name") or variable or None
    op = backend(framework).traced(function, signature, **named)
    # As if it was written there with def, so that another process finds it in the file.
    op.function.__module__ = str(caller.f_globals.get("__name__", ""))
    path = Path(caller.f_code.co_filename)
    found_again = variable and path.is_file()
    return _documented(replace(op, reference=f"{path.resolve()}::{op.name}" if found_again else ""))


def _documented(op: Operation) -> Operation:
    object.__setattr__(op, "__doc__", op.function.__doc__)  # so that help() shows it
    return op


def _assigned(frame: FrameType) -> str:
    """Return the name that the result of the call in progress is assigned to, where that is a module's own."""
    if frame.f_code.co_name != "<module>":
        return ""
    after = (i for i in dis.get_instructions(frame.f_code) if i.offset > frame.f_lasti)
    following = next(after, None)
    return str(following.argval) if following is not None and following.opname == "STORE_NAME" else ""
