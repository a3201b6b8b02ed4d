"""Operations on a mesh of eight devices that one processor is divided into, each check in processes of its own."""

from __future__ import annotations

import functools

import pytest

from multigrad import check, operations
from multigrad.backend import backends
from multigrad.backend.placement import split_symbol
from multigrad.process.child import Death, run
from multigrad.verdict.words import (
    FAIL,
    FINDING,
    INCONCLUSIVE,
    NOTE,
    PASS,
    PORTABILITY,
    UNAVAILABLE,
)

MESHED = [b.name for b in backends().values() if b.meshes and b.missing("cpu:8") is None]
EACH = pytest.mark.parametrize("backend", MESHED)
RIGHT = {PASS, NOTE}


@functools.cache
def work(what, backend, device):
    environment = backends()[backend].environment(device, 1, "strict")
    arguments = {"backend": backend, "device": device}
    rows = list(run(f"tests.backends.session_work:{what}", arguments, environment=environment))
    deaths = [row.reason for row in rows if isinstance(row, Death)]
    assert not deaths, deaths
    return {row["operation"]: row for row in rows}


@EACH
def test_every_device_has_its_part_of_what_is_split_and_the_whole_of_what_is_not(backend):
    found = work("placed", backend, "cpu:8")
    assert found["relu_regression"]["parts"] == [[8, [2, 4]], [1, [4, 3]], [8, [2, 3]], [1, []]]
    assert found["affine"]["parts"] == [[8, [2, 4]], [1, [4, 3]], [1, [3]], [8, [2, 3]]]
    assert found["whole"]["parts"] == [[1, [12, 4]], [1, [4, 3]], [1, [12, 3]], [1, []]]
    assert all(row["devices"] == 8 for row in found.values())


@EACH
def test_a_mesh_of_two_axes_splits_two_dimensions(backend):
    found = work("placed", backend, "cpu:4x2")
    assert found["relu_regression"]["parts"] == [[8, [4, 2]], [2, [2, 3]], [4, [4, 3]], [1, []]]
    assert found["affine"]["parts"] == [[8, [4, 2]], [2, [2, 3]], [1, [3]], [4, [4, 3]]]


@EACH
def test_collectives_are_those_that_the_mathematics_needs(backend):
    found = work("placed", backend, "cpu:8")
    # The value is a sum over the rows, and so is the gradient of the matrix that all of them share.
    assert found["relu_regression"]["collectives"].startswith("all-reduce ")
    assert found["forward"]["collectives"] == "all-reduce 1"
    assert found["softplus"]["collectives"] == "none"


@EACH
def test_on_one_device_there_are_no_collectives(backend):
    assert {row["collectives"] for row in work("placed", backend, "cpu").values()} == {""}


@EACH
def test_a_process_that_began_with_fewer_devices_is_worded(backend):
    found = work("too_late", backend, "cpu")
    assert found["too late"]["said"] == "cpu:8 wants 8 devices, and JAX has 1 in this process"


@EACH
@pytest.mark.parametrize(
    ("device", "names"), [("cpu:8", ["relu_regression", "inverse"]), ("cpu:4x2", ["softmax_cross_entropy"])]
)
def test_a_few_operations_are_right_on_a_mesh(backend, device, names):
    frame = check(names, backend=backend, device=device, dtype="float32", regime=["integers", "gaussian"])
    assert_right(frame)
    ours = frame[(frame["backend"] == backend) & (frame["mode"] == "compiled")]
    assert set(ours["device"]) == {device}
    assert not (ours["collectives"] == "").any()


@EACH
def test_what_the_mesh_does_not_divide_is_whole_on_every_device_and_the_row_says_so(backend):
    frame = check("relu_regression", backend=backend, device="cpu:8", dtype="float32", regime="length-1", mode="eager")
    rows = frame[frame["backend"] == backend]
    assert set(rows["verdict"]) <= RIGHT
    assert set(rows["reason"]) == {
        "every device has the whole: m = 1 is no multiple of 8, the devices it is split among"
    }


@pytest.mark.long
@EACH
def test_the_catalogue_is_right_on_a_mesh_and_no_form_is_wrong_there_alone(backend):
    split = [op for op in operations().values() if split_symbol(op, shapes(op)) is not None]
    frame = check(split, backend=backend, device=["cpu", "cpu:8"], dtype=["float64", "float32"])
    assert_right(frame[frame["variant"] == "analytic"])
    cell = ["operation", "output", "mode", "variant", "dtype", "regime", "sizes"]
    wrong = {
        device: set(rows.loc[rows["verdict"].isin([FAIL, FINDING]), cell].itertuples(index=False, name=None))
        for device, rows in frame[frame["backend"] == backend].groupby("device")
    }
    assert wrong["cpu:8"] <= wrong["cpu"]
    ours = frame[(frame["device"] == "cpu:8") & (frame["variant"] == "analytic")]
    assert set(ours["operation"]) == {op.name for op in split}
    assert (ours["regime"] == "integers").sum() > 1000


def shapes(op):
    return [a.shape for a in op.make_inputs(next(iter(op.sizes.values())), 0)]


def assert_right(frame):
    wrong = frame[frame["verdict"].isin([FAIL, FINDING, PORTABILITY, INCONCLUSIVE])]
    assert wrong.empty, wrong[["operation", "output", "backend", "mode", "variant", "dtype", "regime", "reason"]]
    missing = frame[(frame["verdict"] == UNAVAILABLE) & (frame["backend"] != "exact")]
    assert missing.empty, missing[["operation", "reason"]]
