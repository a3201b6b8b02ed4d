"""The law of the house: arrows run bench → multigrad ← backends, importing is free, nobody keeps a second list."""

from __future__ import annotations

import ast
import itertools
import os
import shutil
import subprocess
import sys
import tomllib
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from multigrad import Operation, load_operations, operations
from multigrad.backend import backends

ROOT = Path(__file__).parent.parent
PACKAGES = {"multigrad": "multigrad", "backends": "multigrad.backends", "bench": "multigrad.bench"}
FRAMEWORKS = {backend.module for backend in backends().values()} - {"numpy", "multigrad"} | {"jaxlib"}
# The one place that asks which backends exist lists the folder, and needs the package's name for it.
LISTS_A_FOLDER = {("multigrad/backend/registry.py", "multigrad.backends")}


def sources(folder: str) -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        inside = path.parent.relative_to(ROOT / folder).parts
        yield path, ".".join([PACKAGES[folder], *inside])


# The law of imports is in pyproject.toml, for import-linter: `make lint` holds the tree against it.

OFFENCES = {
    ("multigrad/proof/prove.py", "from ..truth.case import Case"): "multigrad.proof is not allowed to import",
    ("multigrad/ops/draw.py", "def f():\n    from jax import numpy"): "multigrad.ops.draw -> jax",
    ("backends/numpy_backend.py", "from bench.plan import protocol"): "backends is not allowed to import bench",
    ("bench/plan/protocol.py", "import torch.nn"): "bench.plan.protocol -> torch",
    ("bench/analysis/intervals.py", "from ..report import figures"): "bench.analysis is not allowed to import",
    (
        "bench/store/machine.py",
        "from . import schema\nfrom ..timing import gate",
    ): "bench.store is not allowed to import",
}


def test_an_import_against_the_law_is_noticed(tmp_path: Path) -> None:
    for folder in PACKAGES:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for path, statement in OFFENCES:
        with (tmp_path / path).open("a", encoding="utf-8") as file:
            file.write(f"\n{statement}\n")
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"COLUMNS": "300"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 1, done.stderr
    for (path, statement), wanted in OFFENCES.items():
        assert wanted in done.stdout, f"{path}: {statement} was not noticed in\n{done.stdout}"


def named_imports(source: str) -> Iterator[str]:
    """Yield every module that a source imports by name, ``import_module("name")``, which import-linter does not see."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.args[0].value


@pytest.mark.parametrize("folder", ["multigrad", "bench"])
def test_no_framework_and_no_backend_is_imported_by_name(folder: str) -> None:
    read, listed = 0, set()
    for path, _ in sources(folder):
        read += 1
        where = path.relative_to(ROOT).as_posix()
        for name in named_imports(path.read_text()):
            top = name.removeprefix("array_api_compat.").partition(".")[0]
            if top in FRAMEWORKS or name.startswith(("multigrad.backends", "multigrad.bench")):
                listed.add((where, name))
    assert read, f"no source was found in {folder}/"
    assert listed == (LISTS_A_FOLDER if folder == "multigrad" else set())


def test_an_import_by_name_is_noticed() -> None:
    assert [*named_imports("import importlib\ndef f():\n    importlib.import_module('torch')")] == ["torch"]


def loaded_after(code: str) -> set[str]:
    """Run code in a fresh interpreter and return the top-level modules that are loaded after it."""
    report = "import sys; print('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_importing_multigrad_brings_no_framework_not_even_numpy() -> None:
    loaded = loaded_after("import multigrad; multigrad.operations()")
    assert "multigrad" in loaded
    assert not loaded & (FRAMEWORKS | {"numpy", "pandas", "scipy", "flint"})


def test_printing_help_imports_nothing_heavy() -> None:
    loaded = loaded_after(
        "import contextlib, sys\n"
        "sys.argv = ['multigrad', '--help']\n"
        "from multigrad.bench.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main()"
    )
    assert "typer" in loaded
    assert not loaded & (FRAMEWORKS | {"numpy", "pandas", "scipy", "flint", "jinja2"})


def test_every_folder_with_sources_is_a_listed_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {package for folder in PACKAGES for _, package in sources(folder)}
    assert set(listed) == found
    for folder in PACKAGES:
        for path, _ in sources(folder):
            assert (path.parent / "__init__.py").is_file(), f"{path.parent} has sources and no __init__.py"


def test_no_file_has_a_name_that_says_nothing() -> None:
    said_nothing = {"utils", "util", "helpers", "helper", "misc", "common", "manager"}
    paths = [path for folder in PACKAGES for path, _ in sources(folder)]
    assert len(paths) > 100
    assert not [path for path in paths if path.stem in said_nothing]


def catalogue_and_examples() -> list[Operation]:
    files = sorted((ROOT / "examples" / "broken").glob("*.py"))
    examples = [str(path) for path in files if "@operation" in path.read_text(encoding="utf-8")]
    return [*operations().values(), *load_operations([str(ROOT / "examples" / "my_gradient.py"), *examples])]


@pytest.mark.parametrize("op", catalogue_and_examples(), ids=lambda op: op.name)
def test_the_docstring_of_an_operation_is_its_formula(op: Operation) -> None:
    first, *rest = op.doc.split("\n\n")
    assert first.endswith("."), "the first sentence says what the operation is"
    body = "\n\n".join(rest)
    assert "=" in body, "the formula stands below the first sentence"
    letters = unicodedata.normalize("NFD", body)  # Ē is E with a bar, whichever way it is written
    assert any(sign in letters for sign in ("∂", "\u0304", "\u0305")), "so does the formula of the gradient"
    assert any(line.strip().startswith("Source:") for line in body.splitlines()), (
        "a 'Source:' line says where it is from"
    )


@pytest.mark.parametrize("op", operations().values(), ids=operations())
def test_an_operation_of_the_catalogue_has_three_sizes_or_more(op: Operation) -> None:
    assert len(op.sizes) >= 3
    for name in op.sizes:
        dimensions, parameters = op.split(op.size(name))
        assert set(parameters) <= set(op.parameters)
        assert all(isinstance(d, int) and d > 0 for d in dimensions.values() if not isinstance(d, tuple))


def test_sizes_that_are_made_up_tell_a_matrix_from_its_transpose() -> None:
    (op,) = load_operations([str(ROOT / "examples" / "my_gradient.py")])
    (mask_lost,) = load_operations([str(ROOT / "examples" / "broken" / "mask_lost.py")])
    assert len(op.sizes) >= 3
    for name in mask_lost.sizes:
        assert all(a != b for a, b in itertools.combinations(mask_lost.size(name).values(), 2))
