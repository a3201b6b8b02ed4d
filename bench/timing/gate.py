"""No time without the right result: what a timed function returned, against the truth from another process.

The truth is found once for every operation, size, seed and dtype, in a worker of its own, and lies in an .npz file: a
float64 evaluation with the worst-case and the probable error bound of every entry; see
:func:`multigrad.truth.references.bounded`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import to_builtins

from multigrad.namespaces.cost import cost
from multigrad.ops.find import load_operations
from multigrad.ops.implementation import HALVES
from multigrad.ops.operation import Operation
from multigrad.ops.text import derivative_name
from multigrad.truth.arithmetic import Arithmetic
from multigrad.truth.case import Truth
from multigrad.truth.files import read_arrays, read_references, write_truth
from multigrad.truth.inputs import dtype_arrays
from multigrad.truth.references import bounded, rebounded
from multigrad.truth.variant import judge_variant, seen_right
from multigrad.verdict.judge import Reference
from multigrad.verdict.words import (
    FAIL,
    INCONCLUSIVE,
    NOTE,
    PASS,
    UNAVAILABLE,
)

from .messages import Begun, ReferenceEnded


@dataclass(frozen=True)
class Passed:
    """Whether a cell may have a time."""

    verdict: str
    """One of :data:`multigrad.verdict.words.VERDICTS`."""
    ratio: float
    """Largest error over bound, of all outputs."""
    reason: str
    """What is wrong, with the name of the output; empty for a plain PASS."""


def prepare(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Find the references, and what the calls cost by the model; the side of their worker.

    ``arguments["wanted"]`` has, by number, objects with ``reference``, ``size``, ``seed``, ``dtype``, ``precision``,
    ``path`` and ``variants``: those whose cost is wanted.
    """
    for number, wanted in arguments["wanted"].items():
        yield to_builtins(Begun(int(number)))
        op = load_operations([wanted["reference"]])[0]
        size = {k: tuple(v) if isinstance(v, list) else v for k, v in wanted["size"].items()}
        arrays = dtype_arrays(op, size, wanted["seed"], "gaussian", wanted["dtype"])
        _, parameters = op.split(size)
        arithmetic = Arithmetic(wanted["dtype"], wanted["precision"])
        references = bounded(op, arrays, parameters, arithmetic, hull=False)
        path = Path(wanted["path"])
        write_truth(path.parent, path.stem, Truth(arrays, references))
        costs = {variant: _cost(op, size, wanted["dtype"], variant) for variant in wanted["variants"]}
        yield to_builtins(ReferenceEnded(int(number), costs, sum(a.nbytes for a in arrays)))


def _cost(op: Operation, size: Mapping[str, Any], dtype: str, variant: str) -> tuple[float, float] | None:
    """Return floating-point operations and compulsory bytes of one call, or None where there is no model."""
    try:
        model = cost(op, size, dtype, variant)
    except Exception:  # noqa: BLE001 - a model that fails costs its columns, never a time that was measured
        return None
    return float(model.flops), float(model.bytes)


class Gate:
    """Judges what the functions of one worker returned; the same bits are not judged twice.

    Args:
        judged: by digest, verdict, ratio and reason that were found before, here or in other workers of the run.
    """

    def __init__(self, judged: Mapping[str, Sequence[Any]] | None = None) -> None:
        self.judged = {key: Passed(*values) for key, values in (judged or {}).items()}

    def passes(
        self,
        op: Operation,
        parameters: Mapping[str, Any],
        variant: str,
        outputs: Sequence[np.ndarray],
        kinds: Sequence[str],
        path: str,
        dtype: str,
        accumulate: str | None = None,
    ) -> tuple[Passed, str]:
        """Judge outputs.

        Args:
            op: the operation.
            parameters: values of its parameters.
            variant: ``forward`` returns values only.
            outputs: values, then gradients unless it was the forward part alone, on the host.
            kinds: the dtypes they were computed in.
            path: the file with the reference.
            dtype: the dtype that was asked for.
            accumulate: what an implementation says that it computes halves in.

        Returns:
            What was found, and the digest of the outputs.
        """
        key = digest(outputs, variant, *kinds, Path(path).name, dtype)
        if key not in self.judged:
            arithmetic = Arithmetic(dtype, accumulate=accumulate if dtype in HALVES else None)
            self.judged[key] = _judged(op, parameters, variant, outputs, kinds, path, arithmetic)
        return self.judged[key], key


def digest(arrays: Sequence[np.ndarray], *context: str) -> str:
    """Return what is the same only for the same bits in the same shapes, and the same context."""
    hashed = hashlib.blake2b(repr(context).encode(), digest_size=16)
    for array in arrays:
        hashed.update(repr((array.shape, array.dtype.str)).encode())
        hashed.update(np.ascontiguousarray(array).data)
    return hashed.hexdigest()


def _judged(
    op: Operation,
    parameters: Mapping[str, Any],
    variant: str,
    outputs: Sequence[np.ndarray],
    kinds: Sequence[str],
    path: str,
    arithmetic: Arithmetic,
) -> Passed:
    names = op.outputs[: len(op.signature.outputs)] if variant == "forward" else op.outputs
    if len(outputs) != len(names):
        return Passed(FAIL, float("inf"), f"returned {len(outputs)} arrays, wanted {len(names)}: {', '.join(names)}")
    dtype, references = arithmetic.dtype, read_references(Path(path))

    def bounded_by(other: Arithmetic) -> Sequence[Reference]:
        return rebounded(op, read_arrays(Path(path)), parameters, references, other)

    if arithmetic.accumulate:
        references = list(bounded_by(arithmetic))
    judgements = {}
    for i, (name, array, kind, reference) in enumerate(
        zip(names, outputs, kinds, references[: len(names)], strict=True)
    ):
        if kind != dtype:
            return Passed(FAIL, float("inf"), f"{name} has dtype {kind}, wanted {dtype}")
        judgement = judge_variant(
            op, parameters, arithmetic, variant, lambda: read_arrays(Path(path)), i, array, reference
        )
        if judgement.verdict == INCONCLUSIVE and dtype in HALVES:
            judgement = seen_right(array, i, dtype, bounded_by) or judgement
        judgements[name] = judgement
    ratio = max(judgement.ratio for judgement in judgements.values())
    for verdict in (FAIL, INCONCLUSIVE, UNAVAILABLE, NOTE):
        for name, judgement in judgements.items():
            if judgement.verdict == verdict:
                return Passed(verdict, ratio, f"{derivative_name(name)}: {judgement.reason}")
    return Passed(PASS, ratio, "")
