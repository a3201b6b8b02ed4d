"""Clusters of points: the cost of k-means and the direction in which it falls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..data.errors import BadInput
from ..extra.blocks import in_blocks
from ..extra.scatter import scatter_add
from ..ops.draw import Draw
from ..ops.operation import operation
from .gradbench_problems import uniform

if TYPE_CHECKING:
    import numpy as np


def _clusters(draw: Draw, n: int, d: int, k: int) -> list[np.ndarray]:
    if n < k:
        raise BadInput(f"{n} points for {k} centroids; wanted as many points at least, of which the last are centroids")
    x = uniform(draw, n, d)
    # The last k points, so that no cluster is empty.
    return [x, x[n - k :].copy()]


SIZES = {
    "tiny": {"n": 6, "d": 2, "k": 2},
    "small": {"n": 1000, "d": 8, "k": 10},
    "k10": {"n": 10000, "d": 16, "k": 10},
    "medium": {"n": 10000, "d": 16, "k": 100},
    "k100": {"n": 10000, "d": 16, "k": 100},
    "k1000": {"n": 10000, "d": 16, "k": 1000},
}


@operation("(n,d),(k,d)->()", nondifferentiable=("x",), inputs=_clusters, sizes=SIZES, dtypes=("float64", "float32"))
def kmeans(xp: Any, x: Any, c: Any) -> Any:
    """Cost of k-means: how far n points are from the nearest of k centroids.

    f = Σᵢ min_j ‖xᵢ − c_j‖².  With a(i) the nearest centroid, n_j how many points a centroid has, and s_j their sum:

        c̄_j = 2 f̄ (n_j c_j − s_j)

    Which centroid is the nearest is found from ‖c_j‖² − 2⟨xᵢ, c_j⟩, a matrix product; the distance itself is summed
    from differences, which do not cancel. Of centroids equally near the first is the nearest; a centroid that has no
    points has a gradient of zero. x is (n, d), c is (k, d).

    Inputs are those of GradBench's generator: points uniform in [0, 1), the last k of which are the centroids.

    Source: S. Lloyd, Least squares quantization in PCM (1982), section III; GradBench's ``kmeans``. Kinks where two
    centroids are equally near: there the gradient is that of the first.
    """
    nearest = _nearest(xp, x, c)
    apart = x - xp.take(c, nearest, axis=0)

    def pullback(f_bar: Any) -> Any:
        return (-2 * f_bar) * scatter_add(xp, apart, nearest, c.shape[0])

    return xp.sum(apart * apart), pullback


@operation(
    "(n,d),(k,d)->(),(k,d)", nondifferentiable=("x",), inputs=_clusters, sizes=SIZES, dtypes=("float64", "float32")
)
def kmeans_direction(xp: Any, x: Any, c: Any) -> Any:
    """Cost of k-means and its Newton direction, from each centroid to where it is put next.

    f as :func:`kmeans`, and D = J/diag(H), entry by entry, with J = ∂f/∂c and H the second derivative, whose diagonal
    is 2 n_j in all rows of centroid j. It is one step of Lloyd's algorithm: c − D are the means of the clusters.

        D_j = c_j − s_j/n_j = Σ_{a(i)=j} (c_j − xᵢ)/n_j
        c̄_j = 2 f̄ n_j D_j + D̄_j

    A centroid that has no points stays where it is: D_j = 0 and c̄_j = 0, where J/diag(H) would be 0/0. x is (n, d), c
    and D are (k, d).

    Inputs are those of GradBench's generator: points uniform in [0, 1), the last k of which are the centroids.

    Source: L. Bottou & Y. Bengio, Convergence properties of the k-means algorithms (1995), section 2.2; GradBench's
    ``kmeans``. Kinks where two centroids are equally near: D jumps there, and both are those of the first.
    """
    k, d = c.shape
    nearest = _nearest(xp, x, c)
    apart = x - xp.take(c, nearest, axis=0)
    one = xp.ones((x.shape[0], 1), dtype=x.dtype, device=x.device)
    sums = scatter_add(xp, xp.concat([apart, one], axis=1), nearest, k)
    difference, count = sums[:, :d], sums[:, d:]
    D = -difference / xp.maximum(count, 1)

    def pullback(f_bar: Any, D_bar: Any) -> Any:
        return (-2 * f_bar) * difference + xp.astype(count > 0, c.dtype) * D_bar

    return (xp.sum(apart * apart), D), pullback


def _nearest(xp: Any, x: Any, c: Any) -> Any:
    """Return the number of the nearest centroid of each point."""
    (n, d), k = x.shape, c.shape[0]
    if min(n, d, k) < 1:
        raise BadInput(f"{n} points in {d} dimensions and {k} centroids; wanted one of each at least")
    rows = -2 * xp.matrix_transpose(c)
    squares = xp.sum(c * c, axis=1)

    def of_points(x: Any) -> tuple[Any]:
        return (xp.argmin(x @ rows + squares, axis=1),)

    # Where the scores are no larger than the points, they cost no more than the other passes over these.
    if k <= d:
        return of_points(x)[0]
    # The scores are all that is in work, so that they have the cache of four arrays to themselves.
    return in_blocks(xp, of_points, x, elements=-(-k // 4), fused=False)[0]
