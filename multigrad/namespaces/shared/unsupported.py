"""What the namespaces of proof do not know: one exception that names the call, its place, and what to write instead.

The proof of a formula that uses such a call has no verdict. That is no verdict on the formula.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

STANDARD_NAMES: Mapping[str, str] = {
    "absolute": "abs",
    "amax": "max",
    "amin": "min",
    "arccos": "acos",
    "array": "asarray",
    "tensor": "asarray",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "bitwise_not": "bitwise_invert",
    "cat": "concat",
    "clamp": "clip",
    "concatenate": "concat",
    "conjugate": "conj",
    "degrees": "rad2deg",
    "cumprod": "cumulative_prod",
    "cumsum": "cumulative_sum",
    "dot": "matmul",
    "fabs": "abs",
    "flatten": "reshape",
    "float_power": "pow",
    "fmax": "maximum",
    "fmin": "minimum",
    "gather": "take_along_axis",
    "gammaln": "lgamma",
    "invert": "bitwise_invert",
    "left_shift": "bitwise_left_shift",
    "mm": "matmul",
    "mod": "remainder",
    "permute": "permute_dims",
    "power": "pow",
    "psi": "digamma",
    "radians": "deg2rad",
    "ravel": "reshape",
    "right_shift": "bitwise_right_shift",
    "rint": "round",
    "swapaxes": "moveaxis",
    "t": "matrix_transpose",
    "transpose": "permute_dims",
    "true_divide": "divide",
    "unsqueeze": "expand_dims",
    "view": "reshape",
}
"""A function's name in NumPy, SciPy or PyTorch, where the standard has another."""

VALUES = ("bool", "complex", "cpu", "data", "detach", "float", "int", "item", "numpy", "tolist")
"""What asks an array for its value."""

NO_VALUE = "an operation never asks for a value; write `xp.where` in place of `if`, `and` and `or`"


NO_INDEX = "an index is a whole number; write `xp.astype(i, xp.int64)`"


class Unsupported(AttributeError, TypeError):
    """A call that a namespace of proof does not know. No verdict on the formula follows from it.

    It is an AttributeError, so that ``hasattr`` has its answer, and a TypeError, as Python raises for an operand that
    does not fit.
    """

    def __init__(self, call: str, advice: str, knower: str = "the proof", place: str | None = None) -> None:
        self.call = call
        """What was called, as a person writes it: ``xp.fft``, ``np.exp``, ``float(x)``."""
        self.advice = advice
        """What to write instead."""
        self.knower = knower
        """What does not know it: the proof, the error bounds or the count of operations."""
        self.place = calling_place() if place is None else place
        """File and line of the call; empty where no file of a person is on the stack."""
        where = f" ({self.place})" if self.place else ""
        super().__init__(f"`{call}`{where} is not known to {knower}: {advice}")

    def __reduce__(self) -> Any:
        return Unsupported, (self.call, self.advice, self.knower, self.place)


def calling_place() -> str:
    """Return file and line of the innermost frame outside multigrad's own machinery and the libraries it calls.

    The catalogue counts as a person's code.
    """
    frame: FrameType | None = sys._getframe(1)
    library = ""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        own = name == "multigrad" or (name.startswith("multigrad.") and not name.startswith("multigrad.catalogue."))
        if not own:
            place = f"{Path(frame.f_code.co_filename).name}, line {frame.f_lineno}"
            if not _in_library(frame.f_code.co_filename):
                return place
            library = library or place
        elif library:
            return library  # an operation that is installed among the libraries
        frame = frame.f_back
    return library


def _in_library(path: str) -> bool:
    parts = Path(path).parts
    return "site-packages" in parts or "dist-packages" in parts or path.startswith(f"{sys.base_prefix}/lib/python")


def absent(namespace: Any, prefix: str, call: str, name: str, knower: str) -> Unsupported:
    """Make what to raise for a function or method that a namespace does not have.

    Args:
        namespace: the namespace.
        prefix: how a person writes it, ``xp`` or ``xp.linalg``.
        call: what was called, as a person writes it.
        name: the name that is missing.
        knower: what does not know it.
    """
    standard = STANDARD_NAMES.get(name, name)
    advice = "write it with other functions of `xp`"
    if name in VALUES:
        advice = NO_VALUE
    elif call != f"{prefix}.{standard}" and hasattr(namespace, standard):
        advice = f"write `{prefix}.{standard}`"
    return Unsupported(call, advice, knower)


def guarded(function: Callable[..., Any], call: str, knower: str) -> Callable[..., Any]:
    """Make a function of the standard say in words which arguments it does not take.

    What the standard has by keyword alone, ``xp.sum(x, axis=0)``, may stand without it, ``xp.sum(x, 0)``, as it may in
    every framework but a strict one.
    """

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except TypeError as error:
            if isinstance(error, Unsupported) or fits(function, args, options):
                raise
            laid_out = _with_keywords(function, args, options)
            if laid_out is None:
                strange = [f"{name}=…" for name in options if name not in inspect.signature(function).parameters]
                given = f"{call}(…, {', '.join(strange)})" if strange else call
                raise Unsupported(given, "write it with the arguments of the standard", knower) from error
        return function(*laid_out[0], **laid_out[1])

    return run


def fits(function: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]) -> bool:
    """Whether a function takes these arguments."""
    try:
        inspect.signature(function).bind(*args, **options)
    except TypeError:
        return False
    except ValueError:  # a function written in C shows no signature
        return True
    return True


def _with_keywords(
    function: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]
) -> tuple[Sequence[Any], dict[str, Any]] | None:
    """Name the arguments that stand without the keyword that the standard gives them; None where that does not fit."""
    parameters = list(inspect.signature(function).parameters.values())
    count = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
    names = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    named = {**dict(zip(names, args[count:], strict=False)), **options}
    whole = len(named) == len(args[count:]) + len(options)
    return (args[:count], named) if whole and fits(function, args[:count], named) else None
