"""Bundle adjustment against the projection as GradBench defines it, one observation after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import array_api_compat.numpy as xp
import numpy as np
import pytest
import scipy.sparse
from mpmath import mp

from multigrad.backend import backends
from multigrad.catalogue.cameras import bundle_adjustment, jacobian_blocks, jacobian_csr, rotations
from multigrad.process import child as worker
from multigrad.truth.case import Case
from multigrad.truth.find import find_truth
from multigrad.verdict.judge import judge_entries
from multigrad.verdict.words import FAIL
from tests.multigrad.on_backends import EACH

from .complex_step import gradient, jacobian

RNG = np.random.default_rng(0)


def turned(omega: Any, x: Any) -> Any:
    """Rodrigues' formula with the angle itself; at zero the vector is moved by the vector product."""
    square = np.sum(omega * omega)
    if square == 0:
        return x + np.cross(omega, x)
    theta = np.sqrt(square + 0j)
    axis = omega / theta
    return x * np.cos(theta) + np.cross(axis, x) * np.sin(theta) + axis * np.sum(axis * x) * (1 - np.cos(theta))


def error(camera: Any, x: Any, w: Any, feature: Any) -> Any:
    y = turned(camera[:3], x - camera[3:6])
    u = y[:2] / y[2]
    r = np.sum(u * u)
    return w * (u * (1 + camera[9] * r + camera[10] * r * r) * camera[6] + camera[7:9] - feature)


def errors(cameras: Any, points: Any, w: Any, features: Any, seen: Any) -> Any:
    rows = [error(cameras[i], points[j], a, b) for (i, j), a, b in zip(seen, w, features, strict=True)]
    return np.stack(rows)


def views(n: int = 3, m: int = 5, p: int = 11) -> list[Any]:
    """Cameras and points as the operation draws them, with observations in no order, some of them repeated."""
    cameras, points, w, features, _ = bundle_adjustment.make_inputs({"n": n, "m": m, "p": p}, seed=4)
    return [cameras, points, w, features, np.stack([RNG.integers(0, n, p), RNG.integers(0, m, p)], axis=1)]


def close(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(np.real(found), np.real(wanted), rtol=1e-11, atol=1e-12 * np.max(np.abs(wanted)))


@pytest.mark.parametrize("zero", [False, True])
def test_bundle_adjustment_is_the_loop_over_observations(zero: bool) -> None:
    arrays = views()
    if zero:
        arrays[0][1:, :3] = 0  # two cameras that are not turned, beside one that is
        arrays[0][1:, 5] = -8.0
    (value, weight_error), pullback = bundle_adjustment(xp, *arrays)
    close(value, errors(*arrays))
    np.testing.assert_array_equal(weight_error, 1 - arrays[2] ** 2)
    e_bar, z_bar = RNG.standard_normal(value.shape), RNG.standard_normal(len(weight_error))
    cameras_bar, points_bar, w_bar = pullback(e_bar, z_bar)
    close(cameras_bar, gradient(errors, arrays, 0, e_bar))
    close(points_bar, gradient(errors, arrays, 1, e_bar))
    close(w_bar, gradient(errors, arrays, 2, e_bar) - 2 * arrays[2] * z_bar)


@pytest.mark.parametrize("angle", [1e-300, 1e-160, 1e-20, 1e-9, 1e-4, 1.0, 3.0])
def test_a_rotation_is_right_to_the_last_digits_at_every_angle(angle: float) -> None:
    axis = np.array([0.36, -0.48, 0.8])
    found = rotations(xp, (angle * axis)[:, None])
    mp.dps = 400
    w = mp.matrix([mp.mpf(float(a)) for a in angle * axis])
    K = mp.matrix([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]])
    t = mp.sqrt(sum(a * a for a in w))
    R = mp.eye(3) + mp.sin(t) / t * K + (1 - mp.cos(t)) / t**2 * K * K
    J = mp.eye(3) + (1 - mp.cos(t)) / t**2 * K + (t - mp.sin(t)) / t**3 * K * K
    np.testing.assert_allclose(found.matrix[:, :, 0], np.array(R.tolist(), dtype=float), rtol=0, atol=6e-16)
    rows = np.stack([found.pulled_back(xp, e[:, None])[:, 0] for e in np.eye(3)])
    np.testing.assert_allclose(rows, np.array(J.tolist(), dtype=float), rtol=0, atol=6e-16)
    # What is far from the diagonal is as small as the angle, and right all the same.
    for found_, wanted in ((found.matrix[1, 0, 0], R[1, 0]), (rows[1, 0], J[1, 0])):
        assert found_ == pytest.approx(float(wanted), rel=1e-14)


def test_no_rotation_at_all_has_the_derivative_of_a_vector_product() -> None:
    found = rotations(xp, np.zeros((3, 1)))
    np.testing.assert_array_equal(found.matrix[:, :, 0], np.eye(3))
    torque = RNG.standard_normal((3, 1))
    np.testing.assert_array_equal(found.pulled_back(xp, torque), torque)


def at_zero() -> list[Any]:
    arrays = views(2, 3, 4)
    arrays[0][0, :3], arrays[0][0, 5] = 0, -8.0
    return arrays


@pytest.mark.parametrize("backend", EACH)
def test_autodiff_of_the_forward_part_has_the_gradient_at_zero_too(backend: str) -> None:
    arrays = at_zero()
    values, pullback = bundle_adjustment(xp, *arrays)
    bars = [np.ones_like(v) for v in values]
    wanted = [*values, *pullback(*bars)]
    given = [np.asarray(a).tolist() for a in (*arrays, *bars)]
    answers = list(worker.run(f"{__name__}:differentiated", {"backend": backend, "arrays": given}))
    assert answers
    for answer in answers:
        assert isinstance(answer, Mapping)
        assert len(answer["outputs"]) == len(wanted)
        for found, number in zip(answer["outputs"], wanted, strict=True):
            close(np.asarray(found), number)


def differentiated(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The worker's side: every variant that the backend has."""
    backend = backends()[arguments["backend"]]
    session = backend.open("cpu", threads=1)
    given = [np.asarray(a) for a in arguments["arrays"]]
    arrays = [session.to_device(a, "float64" if a.dtype.kind == "f" else None) for a in given]
    for variant in (v for v in backend.variants if v != "forward"):
        function = session.function(bundle_adjustment, {}, variant, "eager")
        yield {"outputs": [session.to_numpy(a).tolist() for a in function(*arrays)]}


@pytest.mark.parametrize("zero", [False, True])
def test_the_blocks_are_the_jacobian_of_each_observation(zero: bool) -> None:
    arrays = views()
    if zero:
        arrays[0][1:, :3], arrays[0][1:, 5] = 0, -8.0
    cameras, points, w, features, seen = arrays
    blocks = jacobian_blocks(xp, *arrays)
    for i, (camera, point) in enumerate(seen):
        one = cameras[camera], points[point], w[i], features[i]
        for number, found in enumerate((blocks.camera[i], blocks.point[i], blocks.weight[i][:, 0])):
            close(found, jacobian(error, one, number))
    np.testing.assert_array_equal(blocks.weight_error, -2 * w)


def test_the_sparse_jacobian_holds_the_blocks_and_is_the_transpose_of_the_pullback() -> None:
    arrays = views()
    cameras, points, w, _, seen = arrays
    n, m, p = len(cameras), len(points), len(w)
    rows, columns, values = jacobian_csr(xp, *arrays)
    matrix = scipy.sparse.csr_array((values, columns, rows), shape=(3 * p, 11 * n + 3 * m + p))
    assert matrix.nnz == 31 * p
    dense = np.zeros(matrix.shape)
    blocks = jacobian_blocks(xp, *arrays)
    for i, (camera, point) in enumerate(seen):
        two = slice(2 * i, 2 * i + 2)
        dense[two, 11 * camera : 11 * camera + 11] = blocks.camera[i]
        dense[two, 11 * n + 3 * point : 11 * n + 3 * point + 3] = blocks.point[i]
        dense[two, 11 * n + 3 * m + i] = blocks.weight[i][:, 0]
        dense[2 * p + i, 11 * n + 3 * m + i] = blocks.weight_error[i]
    np.testing.assert_array_equal(matrix.toarray(), dense)
    (value, weight_error), pullback = bundle_adjustment(xp, *arrays)
    e_bar, z_bar = RNG.standard_normal(value.shape), RNG.standard_normal(len(weight_error))
    wanted = np.concatenate([g.ravel() for g in pullback(e_bar, z_bar)])
    close(matrix.T @ np.concatenate([e_bar.ravel(), z_bar]), wanted)


def test_the_sparse_jacobian_begins_as_gradbench_s_does() -> None:
    arrays = bundle_adjustment.make_inputs({"n": 2, "m": 3, "p": 4}, seed=0)
    rows, columns, _ = jacobian_csr(xp, *arrays)
    np.testing.assert_array_equal(rows, [*range(0, 121, 15), 121, 122, 123, 124])
    first = [*range(11), 22, 23, 24, 31]
    second = [*range(11, 22), 25, 26, 27, 32]
    np.testing.assert_array_equal(columns[:60], [*first, *first, *second, *second])
    np.testing.assert_array_equal(columns[-4:], [31, 32, 33, 34])


def test_a_nan_of_an_overflow_is_no_alarm_where_a_depth_may_vanish_too() -> None:
    """Of huge cameras neither the turned depth is known nor does the torque fit into float32."""
    case = Case(
        "bundle_adjustment", "bundle_adjustment", {"n": 4, "m": 3, "p": 4}, "huge", dtype="float32", seed=3600041
    )
    known = find_truth(bundle_adjustment, case)
    arrays = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in known.arrays]
    with np.errstate(all="ignore"):
        outputs = bundle_adjustment.analytic(xp, {})(*arrays)
    references = known.outputs("analytic")
    judged = [judge_entries(o, r, "float32", "", boundless=True) for o, r in zip(outputs, references, strict=True)]
    assert np.isnan(outputs[2]).any()
    assert FAIL not in {one.verdict for one in judged}
    # What nothing excuses is found: a NaN at ordinary cameras.
    known = find_truth(bundle_adjustment, replace(case, regime="gaussian"))
    assert not any(r.excused.any() for r in known.outputs("analytic"))
