"""Somebody's function of JAX arrays, for :func:`multigrad.check_grads`: jax.vjp calls the rule it has."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import numpy

from multigrad.backend.candidate import (
    TWICE,
    Candidate,
    Computed,
    Evaluated,
    Given,
    checked_dtype,
    function_name,
    listed,
)
from multigrad.data.errors import BadInput
from multigrad.graph.traced import traced_operation
from multigrad.ops.operation import Operation

from .gradient import gradient
from .trace import JaxTracer


class JaxCandidate(Candidate):
    """A function of arrays at given arrays. Those that are floating-point are differentiated."""

    wants = "an array or a tuple of them"
    has_strides = False

    def __init__(self, function: Callable[..., Any], inputs: Any) -> None:
        arrays = list(inputs) if isinstance(inputs, tuple | list) else [inputs]
        for i, array in enumerate(arrays):
            if isinstance(array, dict | tuple | list | str) or array is None:
                raise BadInput(
                    f"argument {i} is a {type(array).__name__}; wanted arrays: unpack it in a lambda, "
                    "lambda w, b: f({'w': w, 'b': b})"
                )
        self.arrays = [numpy.asarray(a) for a in arrays]
        self.inputs = [self._given(i, a) for i, a in enumerate(self.arrays)]
        if not any(given.wanted for given in self.inputs):
            raise BadInput("no argument is floating-point, so there is no gradient to check; write x.astype(float)")
        self.function, self.name = function, function_name(function)

    @staticmethod
    def _given(number: int, array: jax.Array) -> Given:
        wanted = bool(numpy.issubdtype(array.dtype, numpy.inexact))
        if wanted:
            checked_dtype(f"argument {number}", str(array.dtype))
        host = np.asarray(array)
        return Given(host.astype(np.float64) if wanted else host, str(array.dtype), wanted)

    def differentiated(self, cotangents: Sequence[np.ndarray]) -> JaxCandidate:
        """Return the function's pullback, which jax.vjp differentiates by arguments and cotangents."""
        values = self.evaluate().returned
        bars = [numpy.asarray(c, dtype=v.dtype) for c, v in zip(cotangents, values, strict=True)]
        candidate = JaxCandidate(gradient(self.function, [g.wanted for g in self.inputs]), [*self.arrays, *bars])
        candidate.name, candidate.backward = self.name, TWICE
        return candidate

    def evaluate(self, *, strided: bool = False) -> JaxEvaluated:
        """Call the function under jax.vjp."""
        return JaxEvaluated(self)

    def takes(self, function: Callable[..., Any]) -> bool:
        """Tell whether jax.vjp follows it, which it does not where NumPy computes."""
        with contextlib.suppress(Exception):
            return bool(JaxCandidate(function, self.arrays).evaluate().values)
        return False

    def traced(self, function: Callable[..., Any]) -> Operation:
        """Trace it; arguments stay real numbers or integers as they are here."""
        return traced_operation(JaxTracer(), function, example=tuple(given.array for given in self.inputs))


class JaxEvaluated(Evaluated):
    """One evaluation with its pullback."""

    def __init__(self, candidate: JaxCandidate) -> None:
        wanted = [given.wanted for given in candidate.inputs]

        def of_wanted(*chosen: jax.Array) -> Any:
            rest = iter(chosen)
            return candidate.function(*(next(rest) if w else a for a, w in zip(candidate.arrays, wanted, strict=True)))

        chosen = [a for a, w in zip(candidate.arrays, wanted, strict=True) if w]
        returned, self._pullback = jax.vjp(of_wanted, *chosen)
        self.returned = listed(returned, lambda v: isinstance(v, jax.Array), candidate.wants, candidate.name)
        self._tree = jax.tree_util.tree_structure(returned)
        for i, value in enumerate(self.returned):
            if numpy.issubdtype(value.dtype, numpy.inexact):
                checked_dtype(f"output {i} of {candidate.name}", str(value.dtype))
        self.values = [_computed(v) for v in self.returned]

    def gradients(self, cotangents: Sequence[np.ndarray | None]) -> list[Computed]:
        """Call the pullback."""
        bars = [_cotangent(c, v) for c, v in zip(cotangents, self.returned, strict=True)]
        return [_computed(g) for g in self._pullback(jax.tree_util.tree_unflatten(self._tree, bars))]

    def changed(self) -> Sequence[int]:
        """Nothing: arrays of JAX cannot be written to."""
        return []


def _cotangent(array: np.ndarray | None, value: jax.Array) -> Any:
    if not numpy.issubdtype(value.dtype, numpy.inexact):
        return np.zeros(value.shape, jax.dtypes.float0)
    return numpy.asarray(np.zeros(value.shape) if array is None else array, dtype=value.dtype)


def _computed(array: jax.Array) -> Computed:
    host = np.asarray(array)
    dtype = str(array.dtype)
    return Computed(host.astype(np.float32) if dtype == "bfloat16" else host, dtype)
