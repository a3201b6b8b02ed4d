"""Whose fault an exception is: the operation's, or that of a framework which lacks what the operation asks for."""

from __future__ import annotations

import linecache
import traceback
import types
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.errors import WrongResult, one_line
from ..data.standard import numpy_standard
from ..verdict.judge import Judgement, worded
from ..verdict.words import FAIL, PORTABILITY, UNAVAILABLE

if TYPE_CHECKING:
    from ..ops.operation import Operation
    from .session import Session

NARROW = ("bfloat16", "float16")
"""The dtypes that frameworks leave out where they have the wider ones."""


def judge_error(
    session: Session,
    op: Operation,
    parameters: Mapping[str, Any],
    arrays: Sequence[np.ndarray],
    dtype: str,
    variant: str,
    error: Exception,
) -> Judgement:
    """Judge an exception that an operation raised on a backend.

    Args:
        session: where.
        op: the operation.
        parameters: values of its parameters.
        arrays: its inputs and cotangents, on the host.
        dtype: what was computed in.
        variant: which form of the operation.
        error: what was raised.

    Returns:
        PORTABILITY where the backend is the standard and NumPy computes it; UNAVAILABLE where the framework lacks the
        function or the dtype; else FAIL. The reason has file and line of the operation's own frame.
    """
    if isinstance(error, WrongResult):
        return worded(FAIL, str(error))
    made = session.implementation(op, variant)
    place = place_of(error, made.function if made else op.function)
    raised = f"{one_line(error)}{f' ({place})' if place else ''}"
    if session.backend.standard and made is None:
        return _nonportable(session, op, parameters, arrays, dtype, error)
    # What somebody's own code lacks is no gap of the framework.
    own = made is not None and made.origin
    reason = session.backend.cannot(error) or (None if own else _lacking(session, op, error))
    if reason is None and dtype in NARROW and _runs_wider(session, op, parameters, arrays, variant):
        reason = f"{session.backend.name} cannot do this in {dtype}, and can in wider dtypes"
    if reason is None:
        return worded(FAIL, f"raised {raised}")
    return worded(UNAVAILABLE, f"{reason.rstrip('.')}: {raised}")


def place_of(error: BaseException, function: Any) -> str:
    """Return file and line of the innermost frame of a function's own file; empty where there is none."""
    frame = _own_frame(error, function)
    return f"{Path(frame.filename).name}:{frame.lineno}" if frame else ""


def _own_frame(error: BaseException, function: Any) -> traceback.FrameSummary | None:
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    frames = traceback.extract_tb(error.__traceback__)
    return next((f for f in reversed(frames) if f.filename == file), None)


def _lacking(session: Session, op: Operation, error: Exception) -> str | None:
    """Return what a framework has not, where an exception says so that any framework may raise."""
    name = session.backend.name
    if isinstance(error, NotImplementedError):
        innermost = traceback.extract_tb(error.__traceback__)[-1:]
        own = _own_frame(error, op.function)
        return None if own in innermost else f"{name} has not implemented this"
    if isinstance(error, AttributeError) and error.name is not None:
        owner = error.obj
        if isinstance(owner, types.ModuleType):
            return f"{name} has no {owner.__name__}.{error.name}"
        if type(owner).__module__.partition(".")[0] in _modules(session):
            return f"{name}'s arrays have no .{error.name}"
    return None


def _modules(session: Session) -> set[str]:
    """Return the top-level modules that a framework's arrays are of."""
    of_arrays = type(session.to_device(np.zeros(1), session.dtypes[0])).__module__
    return {of_arrays.partition(".")[0], session.backend.module.partition(".")[0]}


def _runs_wider(
    session: Session, op: Operation, parameters: Mapping[str, Any], arrays: Sequence[np.ndarray], variant: str
) -> bool:
    """Tell whether the same function of the same numbers runs in every wider dtype that the backend has."""
    wider = [d for d in session.dtypes if d not in NARROW]
    try:
        function = session.function(op, parameters, variant, "eager")
        for dtype in wider:
            session.wait(function(*session.place(op, arrays, dtype)))
    except Exception:
        return False
    return bool(wider)


def _nonportable(
    session: Session,
    op: Operation,
    parameters: Mapping[str, Any],
    arrays: Sequence[np.ndarray],
    dtype: str,
    error: Exception,
) -> Judgement:
    """Judge what the standard refuses: not portable where NumPy computes it, else wrong everywhere."""
    place = place_of(error, op.function)
    if not _runs_on_numpy(op, parameters, arrays, dtype):
        return worded(FAIL, f"raised {one_line(error)}{f' ({place})' if place else ''}")
    frame = _own_frame(error, op.function)
    line = linecache.getline(frame.filename, frame.lineno or 0).strip() if frame else ""
    advice = session.backend.cannot(error)
    where = f"{place} `{line}`: " if place else ""
    message = one_line(error)
    # Of what has an answer the first sentence will do.
    return worded(PORTABILITY, f"{where}{advice} ({message.partition('. ')[0]})" if advice else f"{where}{message}")


def _runs_on_numpy(op: Operation, parameters: Mapping[str, Any], arrays: Sequence[np.ndarray], dtype: str) -> bool:
    xp = numpy_standard()

    given = [np.array(a, dtype=dtype if a.dtype.kind == "f" else None) for a in arrays]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            op.analytic(xp, parameters)(*given)
        except Exception:
            return False
    return True
