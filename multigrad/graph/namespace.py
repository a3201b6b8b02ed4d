"""The namespace that facts are written against: any array API namespace, with the dtype and the device at hand."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.standard import numpy_standard
from ..extra.hooks import hooks_of


class Namespace:
    """An array namespace, and where it computes."""

    def __init__(self, standard: Any, floating: Any, device: Any) -> None:
        self.standard = standard
        self.floating = floating
        """The dtype of real numbers."""
        self.device = device

    def __getattr__(self, name: str) -> Any:
        return getattr(self.standard, name)

    @classmethod
    def of(cls, standard: Any, inputs: Sequence[Any], real: Sequence[bool]) -> Namespace:
        """Return a namespace with the dtype and the device of the first input of real numbers."""
        for x, is_real in zip(inputs, real, strict=True):
            if is_real:
                return cls(standard, x.dtype, getattr(x, "device", None))
        return cls(standard, standard.float64, None)

    def array(self, value: Any) -> Any:
        """Return an array of this namespace, where it computes; what is one already, as it is."""
        if is_number(value):
            whole = not isinstance(value, float)
            return self.standard.asarray(value, dtype=None if whole else self.floating, device=self.device)
        if not is_plain(value):
            return value
        if not value.flags.writeable:
            value = value.copy()  # a broadcast array, which torch does not take
        dtype = self.floating if value.dtype.kind == "f" else None
        return self.standard.asarray(value, dtype=dtype, device=self.device)

    def real(self, x: Any) -> Any:
        """Return integers or conditions as real numbers."""
        return self.standard.astype(self.array(x), self.floating)

    def numeric(self, x: Any) -> Any:
        """Return conditions as 0 and 1, and numbers as they are."""
        x = self.array(x)
        return self.standard.astype(x, self.standard.int64) if self.standard.isdtype(x.dtype, "bool") else x

    def together(self, *operands: Any) -> list[Any]:
        """Return operands of one elementwise function: arrays, and Python numbers if one of them is an array."""
        plain = [x.item() if is_plain(x) and is_known(x) and x.ndim == 0 else x for x in operands]
        if all(map(is_number, plain)):
            return [self.array(x) for x in plain]
        return [x if is_number(x) else self.array(x) for x in plain]

    def is_real(self, x: Any) -> bool:
        """Tell whether something is real numbers: an array of them, or a Python float."""
        if is_number(x):
            return isinstance(x, float)
        return bool(self.standard.isdtype(x.dtype, "real floating"))

    def alike(self, *operands: Any) -> list[Any]:
        """Return operands of one kind: beside real numbers integers become real, beside integers conditions do."""
        if any(map(self.is_real, operands)):
            return [float(x) if is_number(x) else x if self.is_real(x) else self.real(x) for x in operands]
        truths = [isinstance(x, bool) if is_number(x) else self.standard.isdtype(x.dtype, "bool") for x in operands]
        if all(truths):
            return list(operands)
        return [int(x) if is_number(x) else self.numeric(x) for x in operands]

    def constant(self, x: Any) -> Any:
        """Return x as what no derivative goes through, where the namespace tells such from others."""
        own = hooks_of(self.standard).stop_gradient
        return x if own is None or is_number(x) else own(x)


@functools.cache
def on_numpy() -> Namespace:
    """Return the namespace in which what is known beforehand is computed."""
    return Namespace(numpy_standard(), np.dtype("float64"), None)


def is_number(x: Any) -> bool:
    """Tell whether something is a number of Python's."""
    return type(x) in (float, int, bool)


def is_plain(x: Any) -> bool:
    """Tell whether something is an array or a number of NumPy's."""
    return isinstance(x, (np.ndarray, np.generic))


def is_known(x: Any) -> bool:
    """Tell whether something is integers or conditions whose values are at hand."""
    if is_plain(x):
        return x.dtype.kind in "biu"
    return type(x) in (int, bool)


def known(x: Any) -> np.ndarray:
    """Return integers or conditions whose values are at hand as NumPy's own array."""
    return np.asarray(x).view(np.ndarray)
