"""How a pullback behaves: what it writes into, and what it returns when it is called again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..data.standard import numpy_standard
from ..ops.operation import Operation

xp = numpy_standard()

OnHost = Callable[[Sequence[Any]], list[np.ndarray]]
"""Waits for arrays of a backend and copies them to NumPy."""


class Conduct:
    """An operation that is evaluated once on a backend, and whose pullback is called as often as one asks.

    Args:
        op: the operation.
        parameters: its parameters.
        namespace: the backend's.
        arrays: inputs, then cotangents, on the device.
        on_host: copies arrays to NumPy.
        fresh: whether every call is given cotangents of its own.
    """

    def __init__(
        self,
        op: Operation,
        parameters: Mapping[str, Any],
        namespace: Any,
        arrays: Sequence[Any],
        on_host: OnHost,
        *,
        fresh: bool = False,
    ) -> None:
        count = len(op.inputs)
        self._on_host, self._arrays, self._fresh = on_host, arrays, fresh
        self._arrays_before = on_host(arrays)
        value, self._pullback = op(namespace, *arrays[:count], **parameters)
        self._cotangents, self._values = arrays[count:], _listed(value)
        self._values_before = on_host(self._values)
        self.gradients: list[Any] = []
        """What the first call returned, on the device."""
        self._gradients_before: list[np.ndarray] = []

    def call(self, factor: float = 1) -> list[np.ndarray]:
        """Call the pullback with a multiple of the cotangents and return the gradients."""
        lent = factor == 1 and not self._fresh
        results = _listed(self._pullback(*(self._cotangents if lent else [factor * c for c in self._cotangents])))
        copies = self._on_host(results)
        if not self.gradients:
            self.gradients, self._gradients_before = results, copies
        return copies

    @property
    def written(self) -> list[int]:
        """The numbers of the inputs and cotangents that are not what they were."""
        return self._changed(self._arrays, self._arrays_before)

    @property
    def values_written(self) -> list[int]:
        """The numbers of the values that are not what the forward part made them."""
        return self._changed(self._values, self._values_before)

    @property
    def overwritten(self) -> bool:
        """Whether a later call changed what the first returned."""
        return bool(self._changed(self.gradients, self._gradients_before))

    def _changed(self, arrays: Sequence[Any], before: Sequence[np.ndarray]) -> list[int]:
        return [i for i, (a, b) in enumerate(zip(self._on_host(arrays), before, strict=True)) if not same_bits(a, b)]


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether two arrays have the same shape and the same bits."""
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def _listed(results: Any) -> list[Any]:
    return list(results) if isinstance(results, tuple | list) else [results]


def diagnose_calls(op: Operation, parameters: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> str | None:
    """Call a pullback several times in NumPy and say what it does that no pullback may; None if it behaves.

    Args:
        op: the operation.
        parameters: its parameters.
        arrays: inputs, then cotangents.
    """
    given = [np.array(a) for a in arrays]
    try:
        with np.errstate(all="ignore"):
            conduct = Conduct(op, parameters, xp, given, lambda results: [np.array(r) for r in results], fresh=True)
            first, written = conduct.call(), conduct.written
            second, twice = conduct.call(), conduct.call(2)
    except Exception:  # noqa: BLE001 - a pullback that does not run has no behaviour to speak of
        return None
    if written:
        return f"the pullback changed its input {op.inputs[written[0]]}: it writes into an array that is not its own"
    if not all(map(same_bits, first, second)):
        return "the pullback changes from call to call: the second call with the same cotangent gives something else"
    if conduct.overwritten:
        return "a later call of the pullback overwrote what the first returned: both return the same arrays"
    if all(map(same_bits, twice, first)) and any(np.any(g[np.isfinite(g)]) for g in first):
        return "the pullback ignores the cotangent: twice the cotangent gives the same gradients"
    return None
