"""A backend of somebody else's: a distribution of its own, installed, found by its entry point, listed and checked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "tests" / "third_party"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the distribution and install it into a folder of its own; multigrad comes from this checkout."""
    tree = shutil.copytree(SOURCE, tmp_path_factory.mktemp("source") / "tree")
    target = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*command, "--target", str(target), str(tree)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def multigrad(folder: Path, *arguments: str, found: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(p) for p in (ROOT, found) if p is not None)
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200"}
    command = [sys.executable, "-m", "multigrad.bench.cli", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8")


def test_it_is_listed_once_it_is_installed(installed: Path, tmp_path: Path) -> None:
    assert "plain-numpy" in multigrad(tmp_path, "list", found=installed).stdout
    assert "plain-numpy" not in multigrad(tmp_path, "list").stdout


def test_it_is_checked_like_any_other(installed: Path, tmp_path: Path) -> None:
    arguments = ["check", "relu_regression", "--backend", "plain-numpy"]
    arguments += ["--dtype", "float64,float32", "--csv", "matrix.csv"]
    done = multigrad(tmp_path, *arguments, found=installed)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = (tmp_path / "matrix.csv").read_text().splitlines()
    for device in ("cpu", "abacus"):
        mine = [row for row in rows if f",plain-numpy,{device}," in row]
        assert len(mine) > 10
        assert all(",PASS," in row for row in mine)


def test_its_device_has_a_name_of_its_own(installed: Path, tmp_path: Path) -> None:
    arguments = ["relu_regression", "--device", "abacus", "--dtype", "float64"]
    done = multigrad(tmp_path, "check", *arguments, "--csv", "matrix.csv", found=installed)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = (tmp_path / "matrix.csv").read_text().splitlines()[1:]
    assert {row.split(",")[2] for row in rows if ",abacus," in row} == {"plain-numpy"}
    timed = multigrad(
        tmp_path, "bench", *arguments, "--variant", "analytic", "--quick", "--csv", "t.csv", found=installed
    )
    assert timed.returncode == 0, timed.stdout + timed.stderr
    assert ",plain-numpy,abacus," in (tmp_path / "t.csv").read_text()
    without = multigrad(tmp_path, "check", *arguments)
    assert without.returncode == 3
    assert without.stderr == "multigrad: no device named 'abacus'; there are cpu, cuda, mps, xpu\n"


def test_without_it_the_name_is_unknown(tmp_path: Path) -> None:
    done = multigrad(tmp_path, "check", "relu_regression", "--backend", "plain-numpy")
    assert done.returncode == 3
    assert "no backend named 'plain-numpy'" in done.stderr


def test_one_that_does_not_load_is_unavailable_with_its_reason(installed: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(installed, tmp_path / "broken")
    (broken / "plain_numpy.py").write_text("raise RuntimeError('made for another numpy')\n")
    done = multigrad(tmp_path, "list", found=broken)
    assert done.returncode == 0, done.stderr
    assert "entry point failed to load: RuntimeError: made for another numpy" in done.stdout


def test_the_readme_shows_its_entry_point() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = (SOURCE / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    start = lines.index('[project.entry-points."multigrad.backends"]')
    assert "\n".join(lines[start : start + 2]) in readme
