"""Hand tracking against its definition, one bone and one vertex after the other."""

from __future__ import annotations

from typing import Any

import array_api_compat.numpy as xp
import numpy as np
import pytest

from multigrad.catalogue.hands import hand_tracking, hand_tracking_barycentric
from multigrad.data.errors import BadInput

from .complex_step import gradient
from .test_cameras import turned

RNG = np.random.default_rng(0)


def about(axis: int, angle: Any) -> Any:
    R = np.eye(4, dtype=np.result_type(angle, np.float64))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    R[i, i] = R[j, j] = np.cos(angle)
    R[j, i], R[i, j] = np.sin(angle), -np.sin(angle)
    return R


def hand(theta: Any, relative: Any, inverse: Any, positions: Any, weights: Any) -> Any:
    """The posed vertices, (v, 3): ADBench's wrist, fingers of four bones, and forearm."""
    absolute = [relative[0]]
    for i in range(1, len(relative) - 1):
        finger, bone = divmod(i - 1, 4)
        angles = theta[6 + 4 * finger :]
        bent = [np.eye(4), about(2, angles[1]) @ about(0, angles[0]), about(0, angles[2]), about(0, angles[3])][bone]
        absolute.append(absolute[0 if bone == 0 else i - 1] @ relative[i] @ bent)
    absolute.append(absolute[0] @ relative[-1])
    rest = zip(positions, weights, strict=True)
    skin = [sum(w * (A @ N @ x)[:3] for w, A, N in zip(ws, absolute, inverse, strict=True)) for x, ws in rest]
    return np.stack([turned(theta[:3], p) + theta[3:6] for p in skin])


def simple(theta: Any, relative: Any, inverse: Any, positions: Any, weights: Any, points: Any, chosen: Any) -> Any:
    return points - hand(theta, relative, inverse, positions, weights)[chosen]


def barycentric(theta: Any, u: Any, *rest: Any) -> Any:
    *model, triangles, points, corresponding = rest
    a, b, c = np.moveaxis(hand(theta, *model)[triangles[corresponding]], 1, 0)
    return points - (u[:, :1] * a + u[:, 1:] * b + (1 - u[:, :1] - u[:, 1:]) * c)


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("size", ["tiny", "fingers"])
@pytest.mark.parametrize(("op", "definition"), [(hand_tracking, simple), (hand_tracking_barycentric, barycentric)])
def test_the_distances_are_those_of_the_definition(op: Any, definition: Any, size: str, zero: bool) -> None:
    arrays = op.make_inputs(op.size(size), seed=3)
    if zero:
        arrays[0][:3] = 0  # a hand that is not turned
    value, pullback = op(xp, *arrays)
    np.testing.assert_allclose(value, np.real(definition(*arrays)), rtol=1e-12, atol=1e-12)
    r_bar = RNG.standard_normal(value.shape)
    found = pullback(r_bar)
    found = found if isinstance(found, tuple) else (found,)
    assert len(found) == len(op.gradients)
    for number, one in enumerate(found):
        wanted = gradient(definition, arrays, number, r_bar)
        np.testing.assert_allclose(one, wanted, rtol=1e-11, atol=1e-12 * np.max(np.abs(wanted)))


def test_bones_that_are_not_a_hand_are_told() -> None:
    arrays = hand_tracking.make_inputs(hand_tracking.size("tiny"), seed=0)
    with pytest.raises(BadInput, match="wanted 6 \\+ 4f parameters"):
        hand_tracking(xp, arrays[0][:-1], *arrays[1:])
