"""The correctness matrix: every operation on every backend, each output judged and worded.

One process first finds the truth (:mod:`multigrad.truth.find`): it certifies the formulas and writes, for every case,
the inputs, the certified values and the bounds. Then every backend, in a process of its own, computes the same cases
and judges what it got.
"""

from .frame import GradientError, assert_gradients, check
from .rows import MatrixRow, failing, sentence

__all__ = ["GradientError", "MatrixRow", "assert_gradients", "check", "failing", "sentence"]
