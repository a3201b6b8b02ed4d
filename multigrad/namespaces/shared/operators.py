"""What our arrays have in common: Python's operators and the standard's attributes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .numpy_protocols import NumpyProtocols
from .unsupported import NO_INDEX, Unsupported

Array = Any
"""An array of the namespace at hand."""

OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
}
"""Python's name of a binary operator, and the standard's function."""

COMPARISONS = {
    "less": ("lt", np.less, np.greater_equal),
    "less_equal": ("le", np.less_equal, np.greater),
    "greater": ("gt", np.greater, np.less_equal),
    "greater_equal": ("ge", np.greater_equal, np.less),
    "equal": ("eq", np.equal, np.not_equal),
    "not_equal": ("ne", np.not_equal, np.equal),
}
"""The standard's function, Python's name, what is certainly true and what is certainly false."""

WHOLE_ONLY = (
    *("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_invert", "bitwise_left_shift", "bitwise_right_shift"),
    *("isin", "unique_all", "unique_counts", "unique_inverse", "unique_values"),
)
"""Functions of NumPy that take integers and conditions alone."""

LOGICAL = ("logical_and", "logical_or", "logical_xor", "logical_not")
"""Functions of conditions."""


class Operators(NumpyProtocols):
    """What every array of ours has: Python's operators, each by its namespace's function, and the attributes."""

    __slots__ = ()
    shape: tuple[int, ...]
    __hash__ = None  # type: ignore[assignment]  # == is elementwise

    if TYPE_CHECKING:  # made from the tables above

        def __add__(self, other: Any) -> Any: ...
        def __sub__(self, other: Any) -> Any: ...
        def __mul__(self, other: Any) -> Any: ...
        def __rmul__(self, other: Any) -> Any: ...
        def __truediv__(self, other: Any) -> Any: ...
        def __pow__(self, other: Any) -> Any: ...
        def __and__(self, other: Any) -> Any: ...
        def __or__(self, other: Any) -> Any: ...
        def __xor__(self, other: Any) -> Any: ...

    def __neg__(self) -> Array:
        return self.namespace.negative(self)

    def __pos__(self) -> Array:
        return self

    def __abs__(self) -> Array:
        return self.namespace.abs(self)

    def __invert__(self) -> Array:
        return self.namespace.bitwise_invert(self)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array without dimensions has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> Array:
        return self.namespace.rearranged(lambda a: a[plain_key(key)], self)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> Any:
        """float64, the kind of number that stands here; the precision is the context's."""
        return np.dtype("float64")

    @property
    def device(self) -> str:
        """Always ``cpu``."""
        return "cpu"

    def to_device(self, device: Any, /, *, stream: Any = None) -> Array:
        """The array itself."""
        return self

    @property
    def mT(self) -> Array:
        """The last two axes exchanged."""
        return self.namespace.matrix_transpose(self)

    @property
    def T(self) -> Array:
        """The transpose of a matrix."""
        return self.namespace.permute_dims(self, tuple(reversed(range(self.ndim))))


def _operator(name: str, reflected: bool) -> Callable[[Any, Any], Any]:
    def operate(self: Operators, other: Any) -> Any:
        if isinstance(other, Operators) and other.rank > self.rank:
            return NotImplemented
        function = getattr(self.namespace, name)
        return function(other, self) if reflected else function(self, other)

    return operate


for _short, _name in OPERATORS.items():
    setattr(Operators, f"__{_short}__", _operator(_name, reflected=False))
    setattr(Operators, f"__r{_short}__", _operator(_name, reflected=True))
for _name, (_short, _, _) in COMPARISONS.items():
    setattr(Operators, f"__{_short}__", _operator(_name, reflected=False))


def plain_key(key: Any) -> Any:
    """Return an index whose arrays are NumPy's own.

    Raises:
        Unsupported: it is an array of real numbers.
    """
    if isinstance(key, Operators):
        raise Unsupported("x[real numbers]", NO_INDEX, key.knower)
    if isinstance(key, tuple):
        return tuple(plain_key(k) for k in key)
    return np.asarray(key) if isinstance(key, np.ndarray) else key
