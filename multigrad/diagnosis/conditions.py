"""The conditions that a formula asks for on its way, such as Z > 0: where they hold is where a mask may be lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..ops.operation import Operation


class _Watched(np.ndarray[Any, Any]):
    """A NumPy array that writes down the conditions that are asked of it."""

    seen: list[np.ndarray]

    def __array_finalize__(self, parent: Any) -> None:
        self.seen = getattr(parent, "seen", [])

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [i.view(np.ndarray) if isinstance(i, _Watched) else i for i in inputs]
        result = getattr(ufunc, method)(*plain, **options)
        if method == "__call__" and isinstance(result, np.ndarray) and result.dtype == np.bool_:
            self.seen.append(result)
        elif method == "__call__" and ufunc in (np.maximum, np.minimum):
            self.seen.append(np.asarray(plain[0] > plain[1]))
        elif method == "__call__" and ufunc is np.abs:
            self.seen.append(np.asarray(plain[0] > 0))
        if not isinstance(result, np.ndarray):
            result = np.asarray(result)
        watched = result.view(_Watched)
        watched.seen = self.seen
        return watched


def observed_conditions(op: Operation, parameters: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Run an operation in NumPy and return the boolean arrays that it made on its way, such as Z > 0."""
    seen: list[np.ndarray] = []

    def watched(array: np.ndarray) -> _Watched:
        view = np.array(array).view(_Watched)
        view.seen = seen
        return view

    try:
        with np.errstate(all="ignore"):
            op.analytic(np, parameters)(*map(watched, arrays))
    except Exception:  # noqa: BLE001 - a formula that does not run has no conditions to show
        return []
    unique = {(c.shape, c.tobytes()): c for c in seen}
    return [np.asarray(c) for c in unique.values()]
