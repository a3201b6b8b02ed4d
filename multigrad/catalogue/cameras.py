"""Bundle adjustment: what cameras see of points, and the sparse Jacobian of the errors.

Arrays of observations lie with the observations last, so that every step is a pass over contiguous memory. What
depends on a camera alone, such as the sine of its angle, is computed once for each camera.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from array_api_compat import device

from ..data.errors import BadInput
from ..extra.scatter import scatter_add
from ..ops.draw import Draw
from ..ops.operation import operation

if TYPE_CHECKING:
    import numpy as np


def _views(draw: Draw, n: int, m: int, p: int) -> list[np.ndarray]:
    import numpy as np

    if not n or not m:
        raise BadInput(f"{p} observations need a camera and a point; found {n} cameras and {m} points")
    turns, points, shifts = draw(n, 3), draw(m, 3), draw(n, 3) / 8
    # Eight units behind the origin, looking at it: a point at depth zero would be seen nowhere.
    axes = rotations(np, turns.T).matrix[2, ...]
    cameras = np.concatenate([turns, shifts - 8 * axes.T, draw(n, 3), draw(n, 2) / 16], axis=1)
    # GradBench's observations go round both.
    return [cameras, points, draw(p), draw(p, 2), np.stack([np.arange(p) % n, np.arange(p) % m], axis=1)]


@operation(
    "(n,11),(m,3),(p),(p,2),(p,2)->(p,2),(p)",
    nondifferentiable=("features", "seen"),
    inputs=_views,
    sizes={
        "tiny": {"n": 2, "m": 3, "p": 4},
        "ragged": {"n": 3, "m": 2, "p": 5},
        "small": {"n": 10, "m": 500, "p": 2000},
        "ba1": {"n": 49, "m": 7776, "p": 31843},
        "ba2": {"n": 21, "m": 11315, "p": 36455},
        "ba3": {"n": 161, "m": 48126, "p": 182072},
        "ba4": {"n": 372, "m": 47423, "p": 204472},
        "ba5": {"n": 257, "m": 65132, "p": 225911},
    },
    dtypes=("float64", "float32"),
)
def bundle_adjustment(xp: Any, cameras: Any, points: Any, w: Any, features: Any, seen: Any) -> Any:
    """Weighted reprojection errors of p observations of m points by n cameras, and the errors of the weights.

    A camera is eleven numbers: rotation ω (3), centre c (3), focal length φ, principal point q (2), radial distortion κ
    (2). Observation i is of point x = points[seen[i,1]] by camera seen[i,0], at features[i] = b, with weight w:

        v = x − c,  y = R(ω) v,  u = (y₁, y₂)/y₃,  r = ‖u‖²,  ℓ = 1 + κ₁ r + κ₂ r²,  miss = φ ℓ u + q − b
        errors = w miss,  1 − w²

    R(ω) turns by θ = ‖ω‖ about ω: R = cos θ I + (sin θ/θ) [ω]× + ((1 − cos θ)/θ²) ωωᵀ. Pulled back, with ē for the
    first and z̄ for the second errors, and e = w ē:

        w̄ = ⟨miss, ē⟩ − 2 w z̄;   φ̄ = ℓ⟨e, u⟩,  q̄ = e,  κ̄ = (g r, g r²)  with  g = φ⟨e, u⟩
        ū = φ ℓ e + 2 g (κ₁ + 2 κ₂ r) u;   ȳ = (ū, −⟨ū, u⟩)/y₃;   x̄ = Rᵀ ȳ,  c̄ = −Rᵀ ȳ,  ω̄ = Jᵀ (y × ȳ)

    summed over the observations of a camera or of a point, where dR = [J dω]× R and J = (sin θ/θ) I + ((1 − cos θ)/θ²)
    [ω]× + ((θ − sin θ)/θ³) ωωᵀ is the left Jacobian of the rotations. At ω = 0 all factors have their limits (1, ½, ⅙),
    so that R = I and J = I: value and gradient are right there. A point at depth y₃ = 0 is seen at infinity.

    Source: GradBench's ``ba`` (ADBench's, Šrajer, Kukelova, Fitzgibbon 2018) for the projection; the rotation's
    derivative is J. Solà, J. Deray and D. Atchuthan, A micro Lie theory for state estimation (2018), eq. 145. Smooth
    where y₃ ≠ 0.
    """
    T = xp.matrix_transpose
    seeing = _Sight.of(xp, cameras, points, seen)
    R, u, r, l, focal, kappa = seeing.R, seeing.u, seeing.r, seeing.l, seeing.focal, seeing.kappa  # noqa: E741
    miss = seeing.miss(features, xp)

    def pullback(e_bar: Any, z_bar: Any) -> Any:
        e_bar = columns(xp, e_bar)
        e = w * e_bar
        along = dot(e, u)
        g = focal * along
        u_bar = (focal * l) * e + (2 * g * (kappa[0, :] + 2 * kappa[1, :] * r)) * u
        y12_bar = u_bar * seeing.nearness
        y_bar = xp.concat([y12_bar, -dot(y12_bar, u)[None, :]], axis=0)
        rest = xp.stack([l * along, e[0, :], e[1, :], g * r, g * r * r])
        parts = xp.concat([_cross(xp, seeing.y, y_bar), y_bar, rest], axis=0)
        sums = T(scatter_add(xp, T(parts), seen[:, 0], cameras.shape[0]))
        turning, moved = seeing.turns.pulled_back(xp, sums[:3, :]), sums[3:6, :]
        centre_bar = -dot(seeing.turns.matrix, moved)
        x_bar = scatter_add(xp, T(dot(R, y_bar)), seen[:, 1], points.shape[0])
        w_bar = dot(e_bar, miss) - 2 * w * z_bar
        return T(xp.concat([turning, centre_bar, sums[6:, :]], axis=0)), x_bar, w_bar

    return (T(w * miss), 1 - w * w), pullback


class Rotations(NamedTuple):
    """Rotations by vectors ω: the matrices, and what their derivatives are made of."""

    omega: Any
    """The axes times the angles, (3, n)."""
    matrix: Any
    """R(ω), (3, 3, n)."""
    factors: tuple[Any, Any, Any]
    """sin θ/θ, (1 − cos θ)/θ² and (θ − sin θ)/θ³, each (n)."""

    def pulled_back(self, xp: Any, torque: Any) -> Any:
        """Return Jᵀ t for t = Σ (Rv) × ȳ, (3, n): the gradient by ω of the sum of ⟨ȳ, Rv⟩."""
        a, b, c = self.factors
        along = dot(self.omega, torque)
        return a * torque + (c * along) * self.omega - b * _cross(xp, self.omega, torque)


def rotations(xp: Any, omega: Any) -> Rotations:
    """Turn vectors ω, (3, n), into rotations by the angle θ = ‖ω‖ about ω.

    The factors are functions of t = θ²: sin θ/θ = 2 (sin ½θ/θ) cos ½θ and (1 − cos θ)/θ² = 2 (sin ½θ/θ)² lose no
    digits at small angles. At t = 0 they are their Taylor polynomials 1 − t/6 and ½ − t/24, whose derivatives are right
    as well.

    Source: O. Rodrigues (1840); the half angles are W. Kahan's way to avoid the cancellation in 1 − cos θ.
    """
    t = dot(omega, omega)
    turns = t > 0
    # The root and the quotients are also evaluated where they are not chosen, and must be finite there.
    safe = xp.where(turns, t, 1)
    theta = xp.sqrt(safe)
    half = xp.sin(0.5 * theta) / theta
    a = xp.where(turns, 2 * half * xp.cos(0.5 * theta), 1 - t / 6)
    b = xp.where(turns, 2 * half * half, 0.5 - t / 24)
    c = xp.where(turns, (1 - a) / safe, 1 / 6)
    x, y, z = omega[0, :], omega[1, :], omega[2, :]
    cosine = 1 - b * t
    bx, by, bz = b * x, b * y, b * z
    ax, ay, az = a * x, a * y, a * z
    rows = [cosine + bx * x, bx * y - az, bx * z + ay]
    rows += [bx * y + az, cosine + by * y, by * z - ax]
    rows += [bx * z - ay, by * z + ax, cosine + bz * z]
    return Rotations(omega, xp.reshape(xp.stack(rows), (3, 3, omega.shape[1])), (a, b, c))


class _Sight(NamedTuple):
    """What every observation goes through, in the letters of :func:`bundle_adjustment`; observations last."""

    turns: Rotations
    """The rotation of each camera."""
    R: Any
    """(3, 3, p)."""
    y: Any
    """(3, p)."""
    nearness: Any
    """1/y₃, (p)."""
    u: Any
    """(2, p)."""
    r: Any
    """(p)."""
    l: Any  # noqa: E741
    """(p)."""
    focal: Any
    """φ, (p)."""
    centre: Any
    """q, (2, p)."""
    kappa: Any
    """(2, p)."""

    @classmethod
    def of(cls, xp: Any, cameras: Any, points: Any, seen: Any) -> _Sight:
        n, p = cameras.shape[0], seen.shape[0]
        own = columns(xp, cameras)
        turns = rotations(xp, own[:3, :])
        of = xp.take(xp.concat([xp.reshape(turns.matrix, (9, n)), own[3:, :]], axis=0), seen[:, 0], axis=1)
        R = xp.reshape(of[:9, :], (3, 3, p))
        # Subtracted before it is turned: R x − R c would cancel.
        v = xp.take(columns(xp, points), seen[:, 1], axis=1) - of[9:12, :]
        y = dot(xp.permute_dims(R, (1, 0, 2)), v)
        nearness = 1 / y[2, :]
        u = y[:2, :] * nearness
        r = dot(u, u)
        kappa = of[15:, :]
        l = 1 + r * (kappa[0, :] + r * kappa[1, :])  # noqa: E741
        return cls(turns, R, y, nearness, u, r, l, of[12, :], of[13:15, :], kappa)

    def miss(self, features: Any, xp: Any) -> Any:
        """How far the projections are from the features, (2, p)."""
        return (self.focal * self.l) * self.u + (self.centre - columns(xp, features))


def _cross(xp: Any, a: Any, b: Any) -> Any:
    """The vector products of columns, (3, n)."""
    first = a[1, :] * b[2, :] - a[2, :] * b[1, :]
    second = a[2, :] * b[0, :] - a[0, :] * b[2, :]
    return xp.stack([first, second, a[0, :] * b[1, :] - a[1, :] * b[0, :]])


def dot(a: Any, b: Any) -> Any:
    """Sum a[i]·b[i] over the first axis, which is short: term by term, which XLA fuses where it does not fuse a sum."""
    total = a[0, ...] * b[0, ...]
    for i in range(1, b.shape[0]):
        total = total + a[i, ...] * b[i, ...]
    return total


def columns(xp: Any, x: Any) -> Any:
    """Transpose (p, k), with the numbers of each column side by side: a view would hand its strides on and on."""
    return xp.stack([x[:, i] for i in range(x.shape[1])])


class Blocks(NamedTuple):
    """The Jacobian of the errors of bundle adjustment: dense blocks, one set for each observation."""

    camera: Any
    """∂(w miss)/∂camera, (p, 2, 11)."""
    point: Any
    """∂(w miss)/∂x, (p, 2, 3)."""
    weight: Any
    """∂(w miss)/∂w, (p, 2, 1)."""
    weight_error: Any
    """∂(1 − w²)/∂w, (p)."""


def jacobian_blocks(xp: Any, cameras: Any, points: Any, w: Any, features: Any, seen: Any) -> Blocks:
    """Return the blocks of the Jacobian of :func:`bundle_adjustment` that are not zero.

    With A = ∂(φℓu)/∂u = φ(ℓ I + 2(κ₁ + 2κ₂r) uuᵀ) and B = w [A, −Au]/y₃ = w ∂(φℓu)/∂y, whose rows are b:

        ∂/∂x = B R,  ∂/∂c = −B R,  ∂/∂ω: rows Jᵀ(y × b),  ∂/∂φ = w ℓ u,  ∂/∂q = w I,  ∂/∂κ = w φ u (r, r²),  ∂/∂w = miss

    Args:
        xp: the namespace of the arrays.
        cameras: (n, 11).
        points: (m, 3).
        w: (p).
        features: (p, 2).
        seen: (p, 2).
    """
    rows, weight_error = _rows(xp, cameras, points, w, features, seen)
    return Blocks(rows[:, :, :11], rows[:, :, 11:14], rows[:, :, 14:], weight_error)


def jacobian_csr(xp: Any, cameras: Any, points: Any, w: Any, features: Any, seen: Any) -> tuple[Any, Any, Any]:
    """Return the Jacobian of :func:`bundle_adjustment` as a compressed sparse row matrix, in GradBench's order.

    Its 3p rows are the 2p reprojection errors (two for each observation), then the p errors of the weights; its columns
    are 11 for each camera, 3 for each point, then the p weights.

    Args:
        xp: the namespace of the arrays.
        cameras: (n, 11).
        points: (m, 3).
        w: (p).
        features: (p, 2).
        seen: (p, 2).

    Returns:
        Where each row begins, (3p + 1); the column of each value, (31p); the values, (31p).
    """
    rows, weight_error = _rows(xp, cameras, points, w, features, seen)
    n, m, p = cameras.shape[0], points.shape[0], seen.shape[0]

    def count(*range_: int) -> Any:
        return xp.arange(*range_, dtype=seen.dtype, device=device(seen))

    weights = 11 * n + 3 * m + count(p)
    parts = [11 * seen[:, :1] + count(11), 11 * n + 3 * seen[:, 1:] + count(3), weights[:, None]]
    where = xp.broadcast_to(xp.concat(parts, axis=1)[:, None, :], (p, 2, 15))
    return (
        xp.concat([15 * count(2 * p), 30 * p + count(p + 1)]),
        xp.concat([xp.reshape(where, (30 * p,)), weights]),
        xp.concat([xp.reshape(rows, (30 * p,)), weight_error]),
    )


def _rows(xp: Any, cameras: Any, points: Any, w: Any, features: Any, seen: Any) -> tuple[Any, Any]:
    """The Jacobian's rows of two errors by camera, point and weight, (p, 2, 15), and its last p values."""
    seeing = _Sight.of(xp, cameras, points, seen)
    u, r, l, focal, kappa = seeing.u, seeing.r, seeing.l, seeing.focal, seeing.kappa  # noqa: E741
    n, p = cameras.shape[0], seen.shape[0]
    bend = 2 * focal * (kappa[0, :] + 2 * kappa[1, :] * r)
    A = xp.stack([focal * l + bend * u[0, :] * u[0, :], bend * u[0, :] * u[1, :], focal * l + bend * u[1, :] * u[1, :]])
    A = xp.stack([A[:2, :], A[1:, :]])
    B = xp.concat([A, -dot(A, u)[:, None, :]], axis=1) * (w * seeing.nearness)
    by_point = [dot(seeing.R, B[i, ...]) for i in (0, 1)]
    # The rows of J of each camera are what Jᵀ makes of the unit vectors.
    unit = xp.eye(3, dtype=w.dtype, device=device(w))
    J = xp.stack([seeing.turns.pulled_back(xp, xp.broadcast_to(unit[:, i : i + 1], (3, n))) for i in range(3)])
    J = xp.reshape(xp.take(xp.reshape(J, (9, n)), seen[:, 0], axis=1), (3, 3, p))
    turning = [dot(J, _cross(xp, seeing.y, B[i, ...])) for i in (0, 1)]
    miss, zero = seeing.miss(features, xp), 0 * w
    wu = w * u
    rows = [
        xp.concat(
            [
                turning[i],
                -by_point[i],
                xp.stack([l * wu[i, :], *((w, zero) if i == 0 else (zero, w))]),
                xp.stack([focal * r * wu[i, :], focal * r * r * wu[i, :]]),
                by_point[i],
                miss[i : i + 1, :],
            ],
            axis=0,
        )
        for i in (0, 1)
    ]
    return xp.permute_dims(xp.stack(rows), (2, 0, 1)), -2 * w
