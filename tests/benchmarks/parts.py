"""Judge a result that is too large for one place: every part where it lies, and sums over the parts from their own.

An array that is split along a dimension (:mod:`multigrad.backend.placement`) is computed part by part. An output
that is summed over that dimension is the sum of what the parts give. So each part has its own truth: its outputs are
judged by it, and of what is summed the values and bounds of the parts are added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multigrad.namespaces.bounds.model import CONFIDENCE, gamma, probable_gamma
from multigrad.ops.operation import Operation
from multigrad.truth.references import bounded
from multigrad.verdict.formats import FORMATS
from multigrad.verdict.judge import Judgement, Reference, judge


@dataclass(frozen=True)
class Part:
    """What is known where one part lies; small, whatever the size of the part."""

    judgements: Mapping[str, Judgement]
    """By output that is split: of this part of it."""
    sums: Mapping[str, Reference]
    """By output that is summed over the split dimension: what this part adds to it."""


def judge_part(
    op: Operation,
    parameters: Mapping[str, Any],
    dtype: str,
    symbol: str,
    arrays: Sequence[np.ndarray],
    found: Mapping[str, np.ndarray],
) -> Part:
    """Judge one part of the outputs by the bounds of its own rounding.

    Args:
        op: the operation.
        parameters: values of its parameters.
        dtype: what it was computed in.
        symbol: the dimension that is split.
        arrays: inputs and cotangents: this part of those that are split, the whole of the others.
        found: by name, this part of every output that has the split dimension.

    Raises:
        Unknown: a part's truth could not be found.
    """
    given = dict(zip(op.inputs, op.signature.inputs, strict=True))
    dimensions = [*op.signature.outputs, *(given[name] for name in op.gradients)]
    references = bounded(op, arrays, parameters, dtype, hull=False)
    named = list(zip(op.outputs, dimensions, references, strict=True))
    return Part(
        {name: judge(found[name], reference, dtype) for name, shape, reference in named if symbol in shape},
        {name: reference for name, shape, reference in named if symbol not in shape},
    )


def summed(references: Sequence[Reference], dtype: str) -> Reference:
    """Return the truth about a sum of parts, each computed by itself and added up in any order.

    Of n numbers, each off by its own bound, the sum is off by the sum of the bounds and by n − 1 roundings of what is
    added up (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 4.2).

    Args:
        references: of the parts; all of one shape.
        dtype: what they are added up in.
    """
    values, bounds, probable = ([getattr(r, p) for r in references] for p in ("value", "bound", "probable"))
    additions, u = len(references) - 1, FORMATS[dtype].unit_roundoff
    size = sum(np.abs(v) + b for v, b in zip(values, bounds, strict=True))
    here = gamma(additions, FORMATS["float64"].unit_roundoff) * size  # what is added up below is rounded too
    zero = np.zeros(np.shape(size))
    return Reference(
        value=np.asarray(sum(values)),
        rest=zero,
        bound=np.asarray(sum(bounds) + gamma(additions, u) * size + here),
        probable=np.asarray(sum(probable) + probable_gamma(additions, u, CONFIDENCE) * size + here),
        hull=zero,
    )
