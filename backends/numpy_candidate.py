"""A function of NumPy and its gradient, for :func:`multigrad.check_grad`: a pair, for one number."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from multigrad.backend.candidate import Candidate, Computed, Evaluated, Given, checked_dtype, function_name
from multigrad.data.errors import BadInput
from multigrad.diagnosis.conduct import same_bits


class NumPyCandidate(Candidate):
    """``f(x, *args)`` that returns a number and its gradient by x, at a given x."""

    wants = "one number"
    takes_cotangents = False

    def __init__(self, function: Callable[..., Any], inputs: Any) -> None:
        x, args = inputs
        x = np.asarray(x)
        x = x.astype(np.float64) if x.dtype.kind in "iu" else x  # as SciPy takes it
        checked_dtype("x0", str(x.dtype))
        self.function, self.name, self.x, self.args = function, function_name(function), x, tuple(args)
        self.inputs = [Given(x.astype(np.float64), str(x.dtype), wanted=True)]

    def evaluate(self, *, strided: bool = False) -> NumPyEvaluated:
        """Call the pair on copies of what is given."""
        return NumPyEvaluated(self, _view(self.x) if strided else self.x.copy())


class NumPyEvaluated(Evaluated):
    """One evaluation: the gradient is computed anew whenever it is asked for."""

    def __init__(self, candidate: NumPyCandidate, x: np.ndarray) -> None:
        self._candidate, self._x, self._args = candidate, x, copy.deepcopy(candidate.args)
        self._before = [a.copy() for a in self._watched()]
        self._returned: list[tuple[np.ndarray, np.ndarray]] = []
        value, self._gradient = candidate.function(x, *self._args)
        array = np.asarray(value)
        if array.dtype.kind not in "fiub" or array.size != 1:
            shape = f"shape {array.shape}" if array.dtype.kind in "fiub" else f"{type(value).__name__} {value!r:.40}"
            raise BadInput(f"{candidate.name} returned {shape}; wanted one number")
        self.values = [Computed(array.reshape(()), str(array.dtype))]

    def _watched(self) -> list[np.ndarray]:
        return [a for a in (self._x, *self._args) if isinstance(a, np.ndarray)]

    def gradients(self, cotangents: Sequence[np.ndarray | None]) -> list[Computed]:
        """Return the gradient of the first call, then that of further ones."""
        given = self._candidate.function(self._x, *self._args)[1] if self._returned else self._gradient
        array = np.asarray(given)
        if given is None or array.dtype.kind not in "fiub":
            raise BadInput(f"the gradient is {'None' if given is None else type(given).__name__}; wanted an array")
        self._returned.append((array, array.copy()))
        return [Computed(array.copy(), str(array.dtype))]

    def changed(self) -> Sequence[int]:
        """Compare the bits of x and of the arrays among the other arguments with what they were."""
        return [i for i, (a, b) in enumerate(zip(self._watched(), self._before, strict=True)) if not same_bits(a, b)]

    def overwritten(self) -> bool:
        """Whether gradients that were returned before have other bits now."""
        return not all(same_bits(array, before) for array, before in self._returned)


def _view(array: np.ndarray) -> np.ndarray:
    """Copy an array into a view: a matrix transposed, a vector as every other entry of another."""
    if array.ndim == 0:
        return array.copy()
    if array.ndim == 1:
        return np.repeat(array, 2)[::2]
    return np.swapaxes(np.ascontiguousarray(np.swapaxes(array, -1, -2)), -1, -2)
