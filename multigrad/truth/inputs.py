"""The inputs and cotangents of a case: drawn, or read from a file, every number one of the dtype's."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..data.errors import BadInput, one_line
from ..data.npz import read_npz
from ..data.standard import numpy_standard
from ..ops.operation import Operation
from ..verdict.formats import FORMATS
from .case import DEFAULT_REGIMES, RESIZED, Case, Unserved

xp = numpy_standard()


def dtype_arrays(op: Operation, size: Mapping[str, Any], seed: int, regime: str, dtype: str) -> list[np.ndarray]:
    """Draw inputs and cotangents of a size, every floating-point number one of the dtype's."""
    return with_cotangents(op, size, op.make_inputs(size, seed, regime), seed, regime, dtype)


def with_cotangents(
    op: Operation, size: Mapping[str, Any], inputs: Sequence[np.ndarray], seed: int, regime: str, dtype: str
) -> list[np.ndarray]:
    """Round inputs to a dtype and draw the cotangents that go with them."""
    given = [FORMATS[dtype].round(a) if a.dtype.kind == "f" else np.asarray(a) for a in inputs]
    cotangents = op.make_cotangents(output_shapes(op, size, given), seed, regime)
    return given + [FORMATS[dtype].round(c) for c in cotangents]


def output_shapes(op: Operation, size: Mapping[str, Any], inputs: Sequence[np.ndarray]) -> list[tuple[int, ...]]:
    """Return the shapes of the values: by the signature, or by an evaluation where that leaves a dimension free."""
    dimensions = op.check_inputs(inputs)
    if all(s.isdigit() or s in dimensions for shape in op.signature.outputs for s in shape):
        return [tuple(int(dimensions.get(s, s)) for s in shape) for shape in op.signature.outputs]
    _, parameters = op.split(size)
    with np.errstate(all="ignore"):
        return [tuple(np.shape(v)) for v in op.forward(xp, parameters)(*inputs)]


def read_inputs(op: Operation, path: str) -> dict[str, Any]:
    """Check a file of inputs against an operation and return its size.

    Raises:
        BadInput: a name, shape or dtype that does not fit; the message says which and what was wanted.
    """
    arrays = load_inputs(op, path)
    size: dict[str, Any] = dict(op.check_inputs(arrays))
    return size


def load_inputs(op: Operation, path: str) -> list[np.ndarray]:
    """Read the inputs of an operation from an .npz file, by name.

    Raises:
        BadInput: as :func:`read_inputs`.
    """
    named = read_npz(path, op.given, op.name)
    for name, differentiable in zip(op.given, op.differentiable, strict=False):
        kind = named[name].dtype.kind
        if differentiable and kind != "f":
            raise BadInput(f"{path}: {name} has dtype {named[name].dtype}; wanted a floating-point type")
        if kind == "f":
            with np.errstate(over="ignore"):  # a wider type may hold what float64 cannot
                named[name] = named[name].astype(np.float64)
            if not np.all(np.isfinite(named[name])):
                raise BadInput(f"{path}: {name} has an entry that is not finite; there is no truth to compare with")
    try:
        arrays = op.completed([named[name] for name in op.given])
        op.check_inputs(arrays)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    return arrays


def case_arrays(op: Operation, case: Case) -> list[np.ndarray]:
    """Return inputs and cotangents of a case, drawn or from its file."""
    if case.inputs:
        return with_cotangents(op, case.size, load_inputs(op, case.inputs), case.seed, "gaussian", case.dtype)
    return dtype_arrays(op, case.size, case.seed, case.drawn, case.dtype)


def check_served(op: Operation, case: Case) -> None:
    """Ask whether an operation has a case at all: it does if inputs can be drawn and its forward part runs in NumPy.

    The mean over nothing and the variance of one number are no values to differentiate.

    Raises:
        Unserved: with what refused it.
    """
    if case.regime in DEFAULT_REGIMES or case.inputs:
        return  # every operation has these, and one that fails there is wrong
    _, parameters = op.split(case.size)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            inputs = op.make_inputs(case.size, case.seed, case.drawn)
        except Exception as error:
            raise Unserved(f"its generator has no such inputs: {one_line(error)}") from error
        if not all(np.all(np.isfinite(FORMATS[case.dtype].round(a))) for a in inputs if a.dtype.kind == "f"):
            raise Unserved(f"its generator gives inputs that are not finite in {case.dtype}")
        try:
            values = op.forward(xp, parameters)(*inputs)
        except Exception as error:
            raise Unserved(f"its forward part has no such case: {one_line(error)}") from error
        if case.regime in RESIZED:
            if not all(np.all(np.isfinite(v)) for v in values):
                raise Unserved("its forward part is not finite there")
            dimensions = op.check_inputs(inputs)
            for value, shape in zip(values, op.signature.outputs, strict=False):
                wanted = tuple(int(dimensions.get(s, s)) if s.isdigit() or s in dimensions else -1 for s in shape)
                if -1 not in wanted and np.shape(value) != wanted:
                    raise Unserved(f"its forward part has shape {np.shape(value)} there, not {wanted}")
