"""Functions of a framework as operations: traced to a graph that runs in every array namespace."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from ..ops.operation import DTYPES, Inputs, Operation
from ..ops.signature import Size
from .registry import backend


def from_jax(
    function: Callable[..., Any],
    signature: str | None = None,
    *,
    example: Any = None,
    name: str | None = None,
    nondifferentiable: Iterable[str] = (),
    sizes: Mapping[str, Size] | None = None,
    inputs: Inputs | None = None,
    dtypes: tuple[str, ...] = DTYPES,
) -> Operation:
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
        example: the arguments as a tuple: arrays, ``jax.ShapeDtypeStruct``, pytrees of them. A list of such tuples
            tells sizes apart that are equal by chance: a letter is one size in each of them. A Python float is an
            input; other numbers, conditions and text are constants. Integers and conditions (labels, masks) are not
            differentiated, and are drawn as they stand here.
        name: of the operation; left out, the variable's that it is assigned to in a file, else the function's.
        nondifferentiable: names of inputs of integers, where no example shows it.
        sizes: named sizes, smallest first; left out, that of the example, and others where the function takes them.
        inputs: draws the inputs where they must be special, see :func:`multigrad.operation`.
        dtypes: the dtypes the operation is meant for.

    Returns:
        An operation whose inputs are the arrays, by name and path, as ``params.layers.0.weight``.

    Raises:
        BadInput: what the function does cannot be traced or has no array API form; the message has file and line.
        Unavailable: JAX is not here.
    """
    caller = sys._getframe(1)
    variable = _assigned(caller)
    op = backend("jax").traced(
        function,
        signature,
        example=example,
        name=name or variable or None,
        nondifferentiable=nondifferentiable,
        sizes=sizes,
        inputs=inputs,
        dtypes=dtypes,
    )
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
