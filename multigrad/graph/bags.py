"""Sums and largest entries of rows that stand beside each other in bags."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.errors import BadInput
from ..extra.scatter import scatter_add
from .namespace import Namespace, is_known, known

Array = Any


def sums_of_bags(xp: Namespace, rows: Array, starts: Array) -> Array:
    """Return the sum of the rows of each bag; zero where a bag has none.

    Args:
        xp: the namespace.
        rows: (n, d).
        starts: integers (b), where each bag begins; it ends where the next one does.
    """
    places, first = np.arange(rows.shape[0]), xp.array(starts)
    bags = xp.sum(xp.astype(xp.array(places)[:, None] >= first[None, :], xp.int64), axis=1) - 1
    return scatter_add(xp, rows, bags, first.shape[0])


def largest_of_bags(xp: Namespace, rows: Array, starts: Array, *, kept: np.ndarray) -> Array:
    """Return the largest entry of each column in each bag; zero where a bag has none.

    Args:
        xp: the namespace.
        rows: (n, d).
        starts: integers (b), where each bag begins.
        kept: conditions (n), false where a row is left out.

    Raises:
        BadInput: where bags begin is computed.
    """
    if not is_known(starts):
        raise BadInput(
            "the largest of bags whose starts are computed has no array API form; pass the starts as they are"
        )
    ends = [*known(starts).tolist()[1:], rows.shape[0]]
    chosen = [[i for i in range(a, b) if kept[i]] for a, b in zip(known(starts).tolist(), ends, strict=True)]
    nothing = xp.zeros((rows.shape[1],), dtype=rows.dtype, device=xp.device)
    return xp.stack([xp.max(xp.take(rows, xp.array(np.array(c)), axis=0), axis=0) if c else nothing for c in chosen])
