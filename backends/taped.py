"""Autodiff for frameworks that have none: our tape, run on their arrays.

The alternative for NumPy is HIPS autograd. The tape needs no further package, runs on CuPy and array-api-strict too,
and its rules are certified.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from multigrad.backend import Session


class TapedSession(Session):
    """A session whose autodiff is the tape over its namespace."""

    @functools.cached_property
    def followed(self) -> Any:
        from multigrad.namespaces import tape

        return tape.over(self.xp)

    def gradient(self, forward: Callable[[Any], Callable[..., Any]], wanted: Sequence[bool]) -> Callable[..., Any]:
        from multigrad.namespaces import tape

        function = tape.differentiated(self.followed, forward(tape.over(self.followed)), wanted)
        count = list(wanted).count(True)
        return lambda *arrays: function(*arrays)[-count:]

    def differentiate(self, forward: Callable[..., Any], wanted: Sequence[bool]) -> Callable[..., Any]:
        from multigrad.namespaces import tape

        return tape.differentiated(self.xp, forward, wanted)
