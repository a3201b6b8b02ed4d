"""Hand tracking: the distance of measured points from the skin of a hand whose bones are bent.

The model is ADBench's: a wrist, fingers of four bones each, and a forearm, in that order. Vertices and points lie last
in the arrays, so that every step is a matrix product or a pass over contiguous memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..data.errors import BadInput
from ..extra.scatter import scatter_add
from ..ops.draw import Draw
from ..ops.operation import operation
from .cameras import columns, dot, rotations

if TYPE_CHECKING:
    import numpy as np


def _model(draw: Draw, t: int, k: int, v: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Pose and bones, then the skin."""
    import numpy as np

    _fingers(t, k)
    # Half a normal matrix keeps the length of a vector, more or less: no chain of bones grows beyond bounds.
    bones = [draw(t), 0.5 * draw(k, 4, 4), 0.5 * draw(k, 4, 4)]
    return bones, [np.concatenate([draw(v, 3), np.ones((v, 1))], axis=1), draw(v, k)]


def _spread(draw: Draw, count: int, q: int) -> np.ndarray:
    """Draw q of a count of things, each as often as any other, in a random order."""
    import numpy as np

    if not count:
        raise BadInput("wanted a vertex and a triangle for the points to correspond to")
    return np.asarray(draw.rng.permutation(np.arange(q) % count))


def _hand(draw: Draw, t: int, k: int, v: int, q: int) -> list[np.ndarray]:
    bones, skin = _model(draw, t, k, v)
    return [*bones, *skin, draw(q, 3), _spread(draw, v, q)]


def _hand_with_triangles(draw: Draw, t: int, k: int, v: int, f: int, q: int) -> list[np.ndarray]:
    import numpy as np

    bones, skin = _model(draw, t, k, v)
    corresponding = _spread(draw, min(f, v), q)
    triangles = (np.arange(f)[:, None] + np.arange(3)) % v
    return [bones[0], draw(q, 2), *bones[1:], *skin, triangles, draw(q, 3), corresponding]


_BONES = {"t": 26, "k": 22}
"""GradBench's hand: five fingers."""


@operation(
    "(t),(k,4,4),(k,4,4),(v,4),(v,k),(q,3),(q)->(q,3)",
    nondifferentiable=("relative", "inverse", "positions", "weights", "points", "corresponding"),
    inputs=_hand,
    sizes={
        "tiny": {"t": 10, "k": 6, "v": 3, "q": 5},
        "fingers": {"t": 14, "k": 10, "v": 4, "q": 2},
        "small": {**_BONES, "v": 544, "q": 100},
        "medium": {**_BONES, "v": 544, "q": 12800},
        "big": {**_BONES, "v": 10000, "q": 100},
        "large": {**_BONES, "v": 10000, "q": 100000},
    },
    dtypes=("float64", "float32"),
)
def hand_tracking(
    xp: Any,
    theta: Any,
    relative: Any,
    inverse: Any,
    positions: Any,
    weights: Any,
    points: Any,
    corresponding: Any,
) -> Any:
    """Distances of q points from the vertices of a hand that they correspond to, by the pose θ.

    θ is a rotation ω (3), a translation τ (3), and for each finger four angles: two for its second bone (α about x, ζ
    about z), one each for the third and fourth (α about x). With B = relative, N = inverse, and A for the absolute
    transforms along the kinematic chain (the wrist, then a finger's bones, or the forearm):

        A = A_parent B Rz(ζ) Rx(α);  A_i N_i maps the hand at rest, in homogeneous coordinates, to that of bone i
        P_v = Σ_i weights[v,i] (A_i N_i x_v)₁₋₃;   r_j = points_j − R(ω) P_v − τ  with  v = corresponding[j]

    R(ω) as in :func:`bundle_adjustment`, also at ω = 0, where GradBench takes R = I below ‖ω‖ = 10⁻⁴. Pulled back:

        τ̄ = −Σ r̄_j;   p̄_v = −Σ r̄_j over the points of v;   ω̄ = Jᵀ Σ_v R P_v × p̄_v
        M̄_i = Rᵀ Σ_v weights[v,i] p̄_v x_vᵀ for A_i N_i;   Ā_i = M̄_i N_iᵀ + Ā_child (B Rz Rx)ᵀ_child
        with S = A_iᵀ Ā_i and s = (S₂₁ − S₁₂, S₀₂ − S₂₀, S₁₀ − S₀₁):   ᾱ = s₀,  ζ̄ = s₁ sin α + s₂ cos α

    The model and the points have no gradient, as in GradBench.

    Source: GradBench's ``ht`` (ADBench's, Šrajer, Kukelova, Fitzgibbon 2018); J. Taylor et al., User-specific hand
    modeling from monocular depth sequences (2014). The derivative of a rotation R about an axis is R times the
    generator of the axis. Smooth: there is no kink.
    """
    T = xp.matrix_transpose
    pose = _Pose.of(xp, theta, relative, inverse)
    at, pulled_back = _skinned(xp, pose, positions, weights, corresponding)

    def pullback(r_bar: Any) -> Any:
        return pulled_back(-columns(xp, r_bar))

    return (points - theta[3:6]) - T(at), pullback


@operation(
    "(t),(q,2),(k,4,4),(k,4,4),(v,4),(v,k),(f,3),(q,3),(q)->(q,3)",
    nondifferentiable=("relative", "inverse", "positions", "weights", "triangles", "points", "corresponding"),
    inputs=_hand_with_triangles,
    sizes={
        "tiny": {"t": 10, "k": 6, "v": 4, "f": 3, "q": 3},
        "fingers": {"t": 14, "k": 10, "v": 7, "f": 6, "q": 2},
        "small": {**_BONES, "v": 544, "f": 1084, "q": 100},
        "medium": {**_BONES, "v": 544, "f": 1084, "q": 12800},
        "big": {**_BONES, "v": 10000, "f": 1084, "q": 100},
        "large": {**_BONES, "v": 10000, "f": 1084, "q": 100000},
    },
    dtypes=("float64", "float32"),
)
def hand_tracking_barycentric(
    xp: Any,
    theta: Any,
    u: Any,
    relative: Any,
    inverse: Any,
    positions: Any,
    weights: Any,
    triangles: Any,
    points: Any,
    corresponding: Any,
) -> Any:
    """Distances of q points from points in the triangles of a hand, by the pose θ and barycentric coordinates u.

    As :func:`hand_tracking`, but point j corresponds to a point of the triangle corresponding[j], whose corners are at
    a, b and c once the hand is posed:

        r_j = points_j − τ − (u₁ a + u₂ b + (1 − u₁ − u₂) c)

        ū = (⟨a − c, e⟩, ⟨b − c, e⟩)  with  e = −r̄_j;   ā = u₁ e,  b̄ = u₂ e,  c̄ = (1 − u₁ − u₂) e

    and from the corners back to θ as there.

    Source: GradBench's ``ht`` with ``us`` (ADBench's "complicated"; Šrajer, Kukelova, Fitzgibbon 2018). Smooth: there
    is no kink.
    """
    T = xp.matrix_transpose
    q = u.shape[0]
    pose = _Pose.of(xp, theta, relative, inverse)
    corners = xp.reshape(columns(xp, xp.take(triangles, corresponding, axis=0)), (3 * q,))
    at, pulled_back = _skinned(xp, pose, positions, weights, corners)
    last = at[:, 2 * q :]
    sides = at[:, :q] - last, at[:, q : 2 * q] - last

    def pullback(r_bar: Any) -> Any:
        e = -columns(xp, r_bar)
        at_bar = xp.concat([u[:, 0] * e, u[:, 1] * e, (1 - u[:, 0] - u[:, 1]) * e], axis=1)
        u_bar = xp.stack([dot(side, e) for side in sides])
        return pulled_back(at_bar), T(u_bar)

    return (points - theta[3:6]) - T(last + u[:, 0] * sides[0] + u[:, 1] * sides[1]), pullback


def _fingers(t: int, k: int) -> int:
    fingers = (t - 6) // 4
    if fingers < 1 or t != 6 + 4 * fingers or k != 2 + 4 * fingers:
        raise BadInput(f"{t} parameters and {k} bones; wanted 6 + 4f parameters and 2 + 4f bones for f fingers")
    return fingers


class _Pose(NamedTuple):
    """The bones of a posed hand. Of every transform the fourth row, which moves no point, is left out."""

    sine: Any
    """Of α in the first joints, (f)."""
    cosine: Any
    """(f)."""
    turned: Any
    """B Rz(ζ) Rx(α) of the joints, (f, 3, 4, 4)."""
    joints: Any
    """A of the joints, (f, 3, 3, 4)."""
    maps: Any
    """A N of every bone, (k, 3, 4)."""
    inverse: Any
    """N, (k, 4, 4)."""
    whole: Any
    """The rotation ω, as a :class:`multigrad.catalogue.cameras.Rotations` of one."""

    @classmethod
    def of(cls, xp: Any, theta: Any, relative: Any, inverse: Any) -> _Pose:
        k = relative.shape[0]
        f = _fingers(theta.shape[0], k)
        angles = xp.reshape(theta[6:], (f, 4))
        z, x = angles[:, 1:2], xp.concat([angles[:, :1], angles[:, 2:]], axis=1)[:, :, None]
        sine, cosine, sine_z, cosine_z = xp.sin(x), xp.cos(x), xp.sin(z), xp.cos(z)
        B = xp.reshape(relative[1:-1, ...], (f, 4, 4, 4))
        # A rotation from the right turns columns: that about z the first two, that about x the second and third.
        first, second = B[:, 1, :, 0], B[:, 1, :, 1]
        columns = [cosine_z * first + sine_z * second, cosine_z * second - sine_z * first, B[:, 1, :, 2], B[:, 1, :, 3]]
        bent = xp.concat([xp.stack(columns, axis=-1)[:, None, ...], B[:, 2:, ...]], axis=1)
        second, third = bent[..., 1], bent[..., 2]
        columns = [bent[..., 0], cosine * second + sine * third, cosine * third - sine * second, bent[..., 3]]
        turned = xp.stack(columns, axis=-1)
        wrist = relative[0, :3, :]
        chain = [wrist @ B[:, 0, ...]]
        for n in range(3):
            chain.append(chain[-1] @ turned[:, n, ...])
        A = xp.stack(chain, axis=1)
        forearm = wrist @ relative[-1, ...]
        every = xp.concat([wrist[None, ...], xp.reshape(A, (4 * f, 3, 4)), forearm[None, ...]], axis=0)
        whole = rotations(xp, theta[:3][:, None])
        return cls(sine[:, 0, 0], cosine[:, 0, 0], turned, A[:, 1:, ...], every @ inverse, inverse, whole)

    def pulled_back(self, xp: Any, maps_bar: Any, torque: Any, translation_bar: Any) -> Any:
        """Return θ̄ from the cotangents of the maps and of τ, and from Σ R P × p̄."""
        T = xp.matrix_transpose
        f = self.sine.shape[0]
        every = xp.reshape((maps_bar @ T(self.inverse))[1:-1, ...], (f, 4, 3, 4))
        bars = [every[:, 3, ...]]
        for n in (2, 1):
            bars.insert(0, every[:, n, ...] + bars[0] @ T(self.turned[:, n, ...]))
        S = T(self.joints) @ xp.stack(bars, axis=1)
        x_bar = S[:, :, 2, 1] - S[:, :, 1, 2]
        z_bar = self.sine * (S[:, 0, 0, 2] - S[:, 0, 2, 0]) + self.cosine * (S[:, 0, 1, 0] - S[:, 0, 0, 1])
        fingers = xp.concat([x_bar[:, :1], z_bar[:, None], x_bar[:, 1:]], axis=1)
        omega_bar = self.whole.pulled_back(xp, torque[:, None])[:, 0]
        return xp.concat([omega_bar, translation_bar, xp.reshape(fingers, (4 * f,))])


Skinned = tuple[Any, Callable[[Any], Any]]
"""Points of the skin, (3, q), and the pullback to θ of their cotangent, which is also that of τ for each."""


def _skinned(xp: Any, pose: _Pose, positions: Any, weights: Any, chosen: Any) -> Skinned:
    """Turn and place the chosen vertices of the skin: R(ω) P."""
    T = xp.matrix_transpose
    # Where few vertices are asked for, they alone are posed; else each is posed once.
    few = chosen.shape[0] < positions.shape[0]
    if few:
        positions, weights = xp.take(positions, chosen, axis=0), xp.take(weights, chosen, axis=0)
    (v, k), x = weights.shape, columns(xp, positions)
    R = pose.whole.matrix[:, :, 0]
    maps = xp.reshape(xp.permute_dims(R @ pose.maps, (1, 2, 0)), (12, k))
    P = dot(xp.permute_dims(xp.reshape(maps @ T(weights), (3, 4, v)), (1, 0, 2)), x)

    def pullback(at_bar: Any) -> Any:
        P_bar = at_bar if few else columns(xp, scatter_add(xp, T(at_bar), chosen, v))
        S = P @ T(P_bar)
        torque = xp.stack([S[1, 2] - S[2, 1], S[2, 0] - S[0, 2], S[0, 1] - S[1, 0]])
        maps_bar = xp.reshape(xp.reshape(P_bar[:, None, :] * x, (12, v)) @ weights, (3, 4, k))
        maps_bar = T(R) @ xp.permute_dims(maps_bar, (2, 0, 1))
        return pose.pulled_back(xp, maps_bar, torque, xp.sum(P_bar, axis=1))

    return (P if few else xp.take(P, chosen, axis=1)), pullback
