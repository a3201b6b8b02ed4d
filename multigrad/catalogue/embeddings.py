"""Rows of a table, looked up by number."""

from __future__ import annotations

import math
from typing import Any

from ..extra.scatter import scatter_add
from ..ops.operation import operation


@operation(
    "(v,d),(b,n)->(b,n,d)",
    nondifferentiable=["t"],
    inputs=lambda draw, v, d, b, n: [draw(v, d), draw.labels(v, b, n)],
    sizes={
        "tiny": {"v": 5, "d": 2, "b": 2, "n": 3},
        "blocks": {"v": 67, "d": 1, "b": 3, "n": 30},
        "small": {"v": 96, "d": 32, "b": 8, "n": 64},
        "medium": {"v": 8192, "d": 128, "b": 32, "n": 128},
        "large": {"v": 32768, "d": 256, "b": 16, "n": 1024},
    },
)
def embedding(xp: Any, E: Any, t: Any) -> Any:
    """Rows of a table E, by the numbers t of the rows.

    Y[b,n,:] = E[t[b,n],:]:

        Ē[j,:] = Σ Ȳ[b,n,:] over all (b, n) with t[b,n] = j

    0 ≤ t < v; what another t gives is left to the backend.

    Source: Y = SE with S a matrix of unit rows, so Ē = SᵀȲ: :func:`multigrad.extra.scatter.scatter_add`. Linear:
    there is no kink.
    """
    (v, d), shape = E.shape, t.shape
    count = math.prod(shape)
    t = xp.reshape(t, (count,))

    def pullback(Y_bar: Any) -> Any:
        return scatter_add(xp, xp.reshape(Y_bar, (count, d)), t, v)

    return xp.reshape(xp.take(E, t, axis=0), (*shape, d)), pullback
