"""The correctness matrix: every operation on every backend, each output judged and worded.

One process first finds the truth (:mod:`multigrad.truth.find`): it certifies the formulas and writes, for every case,
the inputs, the certified values and the bounds. Then every backend, in a process of its own, computes the same cases
and judges what it got.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .rows import MatrixRow, failing, sentence

if TYPE_CHECKING:
    from .frame import GradientError, assert_gradients, check

__all__ = ["GradientError", "MatrixRow", "assert_gradients", "check", "failing", "sentence"]


def __getattr__(name: str) -> Any:
    # These bring NumPy with them, and a process that measures times imports none: it reads rows only.
    if name in ("GradientError", "assert_gradients", "check"):
        return getattr(import_module(".frame", __name__), name)
    raise AttributeError(f"module 'multigrad.matrix' has no attribute {name!r}")
