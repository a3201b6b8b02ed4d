"""The distributions from which GradBench draws the inputs of its problems.

An entry that is a problem of GradBench draws its ordinary inputs as GradBench does, from the seed of this project.

Source: GradBench (github.com/gradbench/gradbench), ``python/gradbench/gradbench/evals``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ..ops.draw import Draw

SPECIAL = ("integers", "wide", "cancellation", "kink", "huge", "tiny")
"""Regimes that say what a number is; the others change a size, a layout or one entry of ordinary numbers."""


def uniform(draw: Draw, *shape: int) -> np.ndarray:
    """Draw from [0, 1) what GradBench draws from there; where the regime is about numbers, its numbers."""
    return draw(*shape) if draw.regime in SPECIAL else draw.rng.random(shape)
