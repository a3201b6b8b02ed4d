"""What is shipped: one top-level package with every file of the three folders, running where no checkout is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {"multigrad": "multigrad", "backends": "multigrad/backends", "bench": "multigrad/bench"}
NOT_SHIPPED = {"ruff.toml"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution, and from that the wheel, out of a copy: setuptools would reuse an old build/."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, tree)
    run([sys.executable, "-m", "build", "--no-isolation"], tree)
    (built,) = (tree / "dist").glob("*.whl")
    assert list((tree / "dist").glob("*.tar.gz"))
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a folder of its own; what it depends on comes from this environment."""
    target = tmp_path_factory.mktemp("installed")
    run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel],
        target,
    )
    return target


def run(command: list[str | Path], folder: Path, path: Path | None = None) -> str:
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_wheel_has_one_top_level_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"multigrad"}
    assert len(top) == 2
    assert "multigrad/py.typed" in names


def test_the_wheel_has_every_file_of_the_three_folders(wheel: Path) -> None:
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = set()
    for folder, package in FOLDERS.items():
        for path in (ROOT / folder).rglob("*"):
            inside = path.relative_to(ROOT / folder)
            cached = any(part == "__pycache__" or part.startswith(".") for part in inside.parts)
            if path.is_file() and not cached and path.name not in NOT_SHIPPED:
                wanted.add(f"{package}/{inside.as_posix()}")
    assert shipped == wanted


def test_the_installed_package_is_whole_without_a_checkout(installed: Path, tmp_path: Path) -> None:
    code = (
        "import multigrad, multigrad.backends, multigrad.bench\n"
        "print(multigrad.__file__, multigrad.backends.__file__, multigrad.bench.__file__, sep='\\n')"
    )
    files = run([sys.executable, "-c", code], tmp_path, installed).split()
    assert len(files) == 3
    assert all(Path(file).is_relative_to(installed) for file in files)


def test_the_installed_package_wins_its_own_folders_inside_a_checkout(installed: Path) -> None:
    code = (
        "import multigrad\nfrom multigrad.backend import backends\n"
        "import multigrad.bench\nprint(*backends(), multigrad.__file__)"
    )
    names = run([sys.executable, "-c", code], ROOT, installed).split()
    assert "numpy" in names
    assert Path(names[-1]).is_relative_to(ROOT), "the working directory comes first on the path"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("--help", ("check", "bench", "report", "verify")),
        ("list", ("relu_regression", "conv2d", "numpy")),
        ("check --help", ("--backend", "--regime", "Example: multigrad check")),
    ],
)
def test_the_command_runs_from_an_empty_folder(
    installed: Path, tmp_path: Path, command: str, words: tuple[str, ...]
) -> None:
    said = run([sys.executable, "-m", "multigrad.bench.cli", *command.split()], tmp_path, installed)
    assert all(word in said for word in words), said
    assert not list(tmp_path.iterdir())


def test_a_check_runs_from_the_wheel_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "multigrad.bench.cli", "check", "relu_regression", "--backend", "numpy"]
    assert "PASS" in run(command, tmp_path, installed)


@pytest.mark.long
def test_the_main_job_runs_from_the_wheel_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    run([sys.executable, "-m", "multigrad.bench.cli", "run", "--quick"], tmp_path, installed)
    assert list(tmp_path.glob("results/*/*/matrix.csv"))


def test_pytest_finds_the_plugin_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(backend): assert backend.name == 'numpy'\n")
    command = [sys.executable, "-m", "pytest", "-q", "--multigrad-backends", "numpy"]
    assert "1 passed" in run(command, tmp_path, installed)
    left_out = subprocess.run(
        [*command[:4], "-p", "no:multigrad"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert "fixture 'backend' not found" in left_out.stdout
