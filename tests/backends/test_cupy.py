"""CuPy's namespace without a GPU: all operations on a stand-in, which takes what CuPy takes and counts the waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from multigrad.ops.find import operations
from multigrad.process.child import Death, run
from tests.backends.cupy_stand_in import NAMES

ROOT = Path(__file__).parents[2]
LISTING = ROOT / "tests" / "backends" / "cupy_names.py"
PYTHON = "MULTIGRAD_CUPY_PYTHON"
"""A Python that has CuPy and array-api-compat, for the long test; without it one is installed."""

LARGE_SYSTEMS = {"large systems, one": 5} | {f"large systems, {n}": 15 for n in ("several", "in two dimensions")}
"""Factors that are kept wait: twice for each matrix, and once for each solution of the three."""


def work(what: str, **arguments: str) -> list[dict[str, Any]]:
    rows = list(run(f"tests.backends.cupy_work:{what}", arguments))
    deaths = [row.reason for row in rows if isinstance(row, Death)]
    assert not deaths, deaths
    return rows


def check_catalogue(**arguments: str) -> Any:
    """Check every operation, and return what was called."""
    *rows, counted = work("catalogue", **arguments)
    assert len(rows) == 3 * len(operations()) >= 3 * 88
    assert not [row for row in rows if row["waits"]]
    assert not [row for row in rows if not row["error"] < 1e-12 or row["kinds"] != ["NDArray"]]
    return counted


def check_pieces(**arguments: str) -> list[dict[str, Any]]:
    rows = work("pieces", **arguments)
    assert not [row for row in rows if not row["error"] < 1e-12]
    waits = {row["name"]: len(row["waits"]) for row in rows if row["waits"]}
    assert waits == {**LARGE_SYSTEMS, "clip of integers": 4}  # array-api-compat's own
    return rows


def test_every_operation_has_numpys_values_and_never_waits_for_the_device() -> None:
    counted = check_catalogue()
    assert counted["version"] == json.loads(NAMES.read_text())["version"]
    assert len(counted["calls"]) > 60
    assert counted["calls"]["cupyx.scipy.linalg.solve_triangular"]


def test_each_function_of_the_namespace_is_that_of_numpy_and_waits_only_where_it_says_so() -> None:
    rows = {row["name"]: row for row in check_pieces()}
    assert len(rows) > 60
    assert len(rows["clip by numbers"]["waits of array-api-compat"]) == 6
    assert len(rows["sign"]["waits of array-api-compat"]) == 1


def test_a_singular_matrix_costs_only_itself() -> None:
    large, small = work("singular")
    assert (large["kind"], small["kind"]) == ("Factors", "Standard")
    assert [bool(d) for d in large["det"]] == [True, False, True]
    assert large["finite"][::2] == [True, True]
    assert [bool(d) for d in small["det"]] == [True, False]
    assert small["finite"][0]
    assert large["adjugate"]
    assert small["adjugate"]


def test_the_stand_in_takes_nothing_that_cupy_does_not_take_and_sees_each_wait() -> None:
    rows = work("faults")
    refused = {row["name"]: row["raised"] for row in rows if "raised" in row}
    assert len(refused) >= 10
    assert all(refused.values()), refused
    waits = {row["name"]: row["waits"] for row in rows if "waits" in row}
    assert len(waits) >= 4
    assert set(waits.values()) == {1}, waits


def test_its_hooks_come_from_us() -> None:
    (row,) = work("hooks")
    assert row["attribute"] == "Hooks"
    assert set(row["hooks"]) == {"eliminated", "triangular", "scatter_along_axis", "scatter_diagonal"}
    assert {module.rpartition(".")[0] for module in row["hooks"].values()} == {"multigrad.backends.cupy_backend"}


BUILT = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
import cupy_names
cupy_names.replace_absent_libraries()
import cupy
from multigrad.backends.cupy_backend.namespace import array_namespace
xp = array_namespace(cupy)
print(cupy.__version__, xp.linalg.pinv.func.__name__, xp.__multigrad__.triangular is not None)
"""


@pytest.mark.long
def test_every_call_fits_the_real_cupy(tmp_path: Path) -> None:
    python = os.environ.get(PYTHON) or installed(tmp_path)
    said = subprocess.run([python, LISTING], capture_output=True, text=True, check=True).stdout
    names, listed, recorded = tmp_path / "names.json", json.loads(said), json.loads(NAMES.read_text())
    names.write_text(said)
    assert sum(len(members) for members in listed.values()) > 1000
    assert check_catalogue(names=str(names))["version"] == listed["version"]
    check_pieces(names=str(names))
    code = BUILT.format(root=str(ROOT), tests=str(LISTING.parent))
    built = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout
    assert built.split() == [listed["version"], "inverted_by_svd", "True"]
    if listed["version"] == recorded["version"]:
        assert listed == recorded, f"{NAMES.name} is not what {LISTING.name} writes"


def installed(folder: Path) -> str:
    """Install CuPy in an environment of its own; it is imported without a GPU."""
    venv.create(folder / "cupy", with_pip=True)
    python = str(folder / "cupy" / "bin" / "python")
    needed = ("cupy-cuda13x", "array-api-compat", "numpy", "msgspec", "scipy", "psutil", "threadpoolctl")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *needed], check=True, stdout=sys.stderr)
    return python
