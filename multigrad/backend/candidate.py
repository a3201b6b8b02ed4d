"""A candidate: somebody's function with a gradient of its own, at inputs that are given, on the framework it is for.

A backend makes one for the drop-ins (:mod:`multigrad.dropins`). It evaluates, differentiates and copies to the host; it
judges nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ..data.errors import BadInput
from ..ops.operation import DTYPES, Operation

if TYPE_CHECKING:
    import numpy as np


TWICE = "its double backward"
"""What messages call that which differentiates a gradient."""


@dataclass(frozen=True)
class Computed:
    """One array that a framework computed, on the host."""

    array: np.ndarray
    """Its numbers; those of bfloat16 as float32."""
    dtype: str
    """What it was there, such as ``bfloat16``."""
    device: str = ""
    """Where it was; empty where there is but one place."""


@dataclass(frozen=True)
class Given:
    """One input of a candidate, on the host."""

    array: np.ndarray
    """float64 holding the dtype's numbers; what is not floating-point as it is."""
    dtype: str
    wanted: bool
    """Whether its gradient is."""
    device: str = ""
    """Where it is; empty where there is but one place."""


class Evaluated(ABC):
    """One evaluation of a candidate, whose gradient can be asked for more than once."""

    values: Sequence[Computed]
    """What the function returned."""

    @abstractmethod
    def gradients(self, cotangents: Sequence[np.ndarray | None]) -> list[Computed]:
        """Return one gradient for each input that is wanted.

        Args:
            cotangents: one float64 array for each value; None for a value that is not differentiated.

        Raises:
            Exception: whatever the candidate's own backward pass raises.
        """

    @abstractmethod
    def changed(self) -> Sequence[int]:
        """Return the numbers of the inputs that are not what they were."""

    def cut_off(self) -> Sequence[int]:
        """Return the numbers of the values that autodiff cannot follow, where that shows."""
        return ()

    def overwritten(self) -> bool:
        """Whether gradients that were returned are not what they were."""
        return False


class Candidate(ABC):
    """Somebody's function with a gradient of its own, at given inputs."""

    wants: ClassVar[str]
    """What the function may return, in words."""
    name: str
    """What messages call the function."""
    inputs: Sequence[Given]
    takes_cotangents: bool = True
    """Whether it is given a cotangent; else its gradient is that of one number, for the cotangent 1."""
    has_strides: bool = True
    """Whether the same numbers can lie in memory in another way."""

    backward: str = "its backward pass"
    """What messages call that which differentiates the function."""

    def differentiated(self, cotangents: Sequence[np.ndarray]) -> Candidate:
        """Return the gradient of the function, as the framework computes it, as a candidate at these cotangents too.

        Args:
            cotangents: one float64 array for each value; each number is one of the value's dtype.

        Raises:
            BadInput: the framework differentiates no gradient.
        """
        raise BadInput(f"{self.name} returns its gradient as numbers, which nothing differentiates; wanted order=1")

    @abstractmethod
    def evaluate(self, *, strided: bool = False) -> Evaluated:
        """Call the function on copies of the inputs.

        Args:
            strided: whether inputs, and cotangents afterwards, are views: of a transposed array, or of every other
                entry of one.

        Raises:
            BadInput: it returned something else than arrays.
            Exception: whatever the function itself raises.
        """

    def takes(self, function: Callable[..., Any]) -> bool:
        """Tell whether another function is one of the framework's own arrays, by calling it on copies of the inputs."""
        return False

    def traced(self, function: Callable[..., Any]) -> Operation:
        """Return a function of the framework's own arrays as an operation that has these inputs.

        Raises:
            BadInput: it cannot be traced, or calls what has no array API form.
        """
        raise BadInput(f"{function_name(function)} has no graph: its arrays are NumPy's")


def function_name(function: Any) -> str:
    """Return what messages call a function: ``FusedNorm.apply`` is ``FusedNorm``."""
    owner = getattr(function, "__self__", None)
    named = owner if isinstance(owner, type) else function
    return str(getattr(named, "__name__", type(function).__name__))


def checked_dtype(where: str, dtype: str) -> str:
    """Return a floating-point dtype that the project knows.

    Raises:
        BadInput: it is another.
    """
    if "complex" in dtype:
        raise BadInput(f"{where} is complex ({dtype}); wanted real numbers: give real and imaginary part by themselves")
    if dtype not in DTYPES:
        raise BadInput(f"{where} has dtype {dtype}; wanted one of {', '.join(DTYPES)}")
    return dtype


def listed(returned: Any, array: Callable[[Any], bool], wants: str, name: str) -> tuple[Any, ...]:
    """Return what a function returned as a tuple of arrays.

    Args:
        returned: what it returned.
        array: tells whether one of it is an array.
        wants: what was wanted, in words.
        name: the function's.

    Raises:
        BadInput: it is something else.
    """
    values = tuple(returned) if isinstance(returned, tuple | list) else (returned,)
    for value in values:
        if not array(value):
            raise BadInput(f"{name} returned {_described(returned)}; wanted {wants}")
    if not values:
        raise BadInput(f"{name} returned nothing; wanted {wants}")
    return values


def _described(thing: Any) -> str:
    if isinstance(thing, dict):
        return f"a dict of {', '.join(map(repr, thing)) or 'nothing'}"
    if isinstance(thing, tuple | list):
        kinds = ", ".join(dict.fromkeys(type(one).__name__ for one in thing))
        return f"a {type(thing).__name__} of {kinds or 'nothing'}"
    return "None" if thing is None else f"a {type(thing).__name__}"
