"""References: values in float64, and how far an honest evaluation in a dtype may be from them, entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..data.errors import one_line
from ..data.standard import numpy_standard
from ..namespaces import bounds
from ..ops.operation import Operation
from ..verdict.judge import Reference
from .arithmetic import Arithmetic, off_by
from .case import Unknown

xp = numpy_standard()

TIE_GROWTH = 32.0
"""How many times larger the second errors are by which ties are told from ill-conditioned steps."""


HAIR = 1e-300
"""An error that is smaller than any number computed with, and makes every tie undecided."""


LEAST = 1e-270
"""An output of no larger entries counts as one of this size: where it is 0, a hair of the inputs moves it."""


def bounded(
    op: Operation,
    arrays: Sequence[np.ndarray],
    parameters: Mapping[str, Any],
    arithmetic: str | Arithmetic,
    *,
    certain: bool = False,
    hull: bool = True,
) -> list[Reference]:
    """Evaluate the hand-derived formula in float64 with the error bounds of an arithmetic.

    Args:
        op: the operation.
        arrays: inputs, then cotangents.
        parameters: the operation's parameters.
        arithmetic: what an honest evaluation computes in; the name of a dtype, where that is all that it has.
        certain: whether the values will be replaced by certified ones; else the bounds also cover float64's own error.
        hull: whether to find, for autodiff, which entries depend on the convention at a kink.

    Raises:
        Unknown: the analysis lacks a function, or the operation raised.
    """
    function = op.analytic(bounds, parameters)
    chosen = Arithmetic.of(arithmetic)
    try:
        outputs = chosen.analyse(op, parameters, arrays)
        own = None if certain or chosen.dtype == "float64" else bounds.analyse(function, *arrays, context="float64")
        kinks = _kinks(function, arrays) if hull else [np.zeros(()) for _ in outputs]
        excused = _excused(op, parameters, arrays, outputs, chosen)
    except Exception as error:
        raise Unknown(one_line(error)) from error
    references = []
    for i, (one, kink) in enumerate(zip(outputs, kinks, strict=True)):
        # Without certified values a float64 result may be off twice: once by itself, once through the reference.
        extra = 0.0 if certain else one.worst if own is None else own[i].worst
        shape = np.broadcast_shapes(one.shape, kink.shape)
        worst, probable, moved = (np.broadcast_to(p, shape) for p in (one.worst, one.probable, kink))
        references.append(
            Reference(
                value=np.array(np.broadcast_to(one.value, shape), dtype=np.float64),
                rest=np.zeros(shape),
                bound=worst + extra,
                probable=np.minimum(probable, worst) + extra,
                hull=np.array(moved, dtype=np.float64),
                excused=np.array(np.broadcast_to(excused[i], shape)),
            )
        )
    return references


def rebounded(
    op: Operation,
    arrays: Sequence[np.ndarray],
    parameters: Mapping[str, Any],
    references: Sequence[Reference],
    arithmetic: Arithmetic,
    *,
    certain: bool = False,
) -> list[Reference]:
    """Return references with the bounds of another arithmetic; that of an output whose shape is wrong stays.

    The parameters are those of :func:`bounded`.
    """
    others = bounded(op, arrays, parameters, arithmetic, certain=certain, hull=False)
    return [
        replace(old, bound=new.bound, probable=new.probable, excused=new.excused)
        if old.value.shape == new.value.shape
        else old
        for old, new in zip(references, others, strict=True)
    ]


def _kinks(function: Callable[..., Any], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return how far another convention moves each entry of each output that lies on a kink; 0 for the others.

    Evaluated with every tie undecided, a tie moves an entry by a whole term, however near the rival is; what an
    ill-conditioned step makes of an error grows with the error. So it is evaluated twice, the second time with larger
    errors of the inputs, and without a rounding of its own.
    """
    errors = []
    for relative in (2.0**-52, 2.0**-52 * TIE_GROWTH):
        # A unit roundoff below everything: ties that two roundings hide are opened by the errors of the inputs.
        with bounds.context("float64", u=2.0**-200, underflow=0.0):
            given = (off_by(a, relative * np.abs(a) + HAIR) for a in arrays)
            outputs = [bounds.asarray(one) for one in function(*given)]
        errors.append([one.worst for one in outputs])
    hulls = []
    for near, far, one in zip(*errors, outputs, strict=True):
        whole = near > 1e-9 * float(np.max(np.abs(one.value), initial=LEAST))
        hulls.append(np.where(whole & ~(far > TIE_GROWTH / 4 * near), near, 0.0))
    return hulls


def _excused(
    op: Operation,
    parameters: Mapping[str, Any],
    arrays: Sequence[np.ndarray],
    outputs: Sequence[Any],
    arithmetic: Arithmetic,
) -> list[np.ndarray]:
    """Tell for each output which entries have no bound because an intermediate may leave the range of the format.

    They are those that have one in a format of the same precision without an end. Where an overflow makes a NaN in
    NumPy's own evaluation, all of that output that have none are: an entry whose denominator may vanish as well tells
    nobody which of the two made its NaN.
    """
    boundless = [~np.isfinite(one.worst) for one in outputs]
    # The bounds themselves are computed in float64, whose lower end counts too.
    if not any(b.any() for b in boundless) or _leaves(op, parameters, arrays, "float64", under="raise"):
        return boundless
    endless = arithmetic.analyse(op, parameters, arrays, endless=True)
    undone = _undone(op, parameters, arrays, arithmetic.computed)
    return [b & (np.isfinite(one.worst) | nan) for b, one, nan in zip(boundless, endless, undone, strict=True)]


def _undone(op: Operation, parameters: Mapping[str, Any], arrays: Sequence[np.ndarray], dtype: str) -> Sequence[bool]:
    """Tell for each output whether it has a NaN where an intermediate of NumPy's own evaluation overflows."""
    if not _leaves(op, parameters, arrays, dtype):
        return [False] * len(op.outputs)
    with np.errstate(all="ignore"):
        return [bool(np.isnan(one).any()) for one in op.analytic(xp, parameters)(*_rounded(arrays, dtype))]


def _leaves(
    op: Operation, parameters: Mapping[str, Any], arrays: Sequence[np.ndarray], dtype: str, **errors: Any
) -> bool:
    """Tell whether an intermediate of NumPy's own evaluation leaves the range of a format at its upper end."""
    try:
        with np.errstate(over="raise", **errors):
            op.analytic(xp, parameters)(*_rounded(arrays, dtype))
    except FloatingPointError:
        return True
    except Exception:  # noqa: BLE001 - its own cell says what it raised
        return False
    return False


def _rounded(arrays: Sequence[np.ndarray], dtype: str) -> list[np.ndarray]:
    """Round arrays to a format; NumPy has no bfloat16, the range of which is that of float32."""
    kind = np.dtype("float32" if dtype == "bfloat16" else dtype)
    return [a.astype(kind) if a.dtype.kind == "f" else a for a in arrays]
