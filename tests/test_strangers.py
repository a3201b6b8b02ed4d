"""The verdict on code that strangers write: the right gradients of tests/strangers pass, the wrong ones fail."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import multigrad

FOLDER = Path(__file__).parent / "strangers"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"strangers_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks its module up
    spec.loader.exec_module(module)
    return module


run = script("run")
EVERY = 12
"""CI walks one file in so many; `long` walks them all."""
FILES = [pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in run.paths()]


def test_each_right_file_has_a_wrong_one_of_its_name_that_says_its_mistake() -> None:
    names = [{path.stem for path in run.paths(kind)} for kind in ("right", "wrong")]
    assert names[0] == names[1]
    assert len(names[0]) >= 60
    assert all(path.read_text(encoding="utf-8").startswith('"""Mistake: ') for path in run.paths("wrong"))


@pytest.mark.parametrize("kind", ["right", "wrong"])
@pytest.mark.parametrize("every", [EVERY, pytest.param(1, marks=pytest.mark.long)])
def test_on_numpy_the_right_gradient_passes_and_the_wrong_one_fails(every: int, kind: str) -> None:
    walked = [path for path in run.paths()[::every] if path.parent.name == kind]
    matrix = multigrad.check([str(path) for path in walked], backend="numpy", dtype="float64")
    assert set(matrix["operation"]) == {path.stem for path in walked}
    failed = matrix[matrix["verdict"] == "FAIL"]
    assert set(failed["operation"]) == (set() if kind == "right" else set(matrix["operation"])), failed.to_string()


@pytest.mark.long
@pytest.mark.parametrize("path", FILES)
def test_on_all_backends_the_right_gradient_passes_and_the_wrong_one_fails(path: Path) -> None:
    ending = run.check(path)
    assert ending.good, ending


@pytest.mark.long
@pytest.mark.parametrize("path", run.paths("right"), ids=lambda path: path.stem)
def test_differences_alone_tell_the_right_from_the_wrong(path: Path) -> None:
    independent = script("independent")
    assert independent.mistake(path, path) == ""
    assert independent.mistake(FOLDER / "wrong" / path.name, path)
