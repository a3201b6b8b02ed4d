"""The law of the house: arrows run bench → multigrad ← backends, importing is free, nobody keeps a second list."""

from __future__ import annotations

import ast
import itertools
import pkgutil
import subprocess
import sys
import tomllib
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from multigrad import Operation, load_operations, operations
from multigrad.backend import Backend, backends

ROOT = Path(__file__).parent.parent
PACKAGES = {"multigrad": "multigrad", "backends": "multigrad.backends", "bench": "multigrad.bench"}
FRAMEWORKS = {backend.module for backend in backends().values()} - {"numpy", "multigrad"} | {"jaxlib"}
BANNED = {
    "multigrad": FRAMEWORKS | {"distributed", "multigrad.backends", "multigrad.bench"},
    "backends": {"multigrad.bench"},
    "bench": FRAMEWORKS | {"multigrad.backends"},
}
# The one place that asks which backends exist lists the folder, and needs the package's name for it.
LISTS_THE_FOLDER = ("multigrad/backend/registry.py", "multigrad.backends")


def imports(source: str, package: str) -> Iterator[str]:
    """Yield every dotted name that a source imports, by statement or by ``import_module("name")``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.args[0].value


def offences(source: str, folder: str, package: str) -> list[str]:
    """Return the names a source imports that its folder must not."""

    def banned(name: str) -> bool:
        # array_api_compat.torch imports torch.
        name = name.removeprefix("array_api_compat.")
        return any(name == ban or name.startswith(f"{ban}.") for ban in BANNED[folder])

    return [name for name in imports(source, package) if banned(name)]


def sources(folder: str) -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / folder).rglob("*.py")):
        inside = path.parent.relative_to(ROOT / folder).parts
        yield path, ".".join([PACKAGES[folder], *inside])


@pytest.mark.parametrize("folder", PACKAGES)
def test_no_import_runs_against_the_arrows(folder: str) -> None:
    read = 0
    for path, package in sources(folder):
        read += 1
        where = path.relative_to(ROOT).as_posix()
        found = [name for name in offences(path.read_text(), folder, package) if (where, name) != LISTS_THE_FOLDER]
        assert not found, f"{where} imports {', '.join(found)}, which {folder}/ must not"
    assert read, f"no source was found in {folder}/"


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("multigrad", "import torch.nn"),
        ("multigrad", "def f():\n    from jax import numpy"),
        ("multigrad", "from . import bench"),
        ("multigrad", "from .backends.numpy_backend import BACKEND"),
        ("multigrad", "import array_api_compat.cupy as xp"),
        ("multigrad", "importlib.import_module('array_api_strict')"),
        ("backends", "from ..bench.timing import clock"),
        ("backends", "from multigrad import bench"),
        ("bench", "import cupy"),
        ("bench", "from ..backends import torch_backend"),
        ("bench", "import multigrad.backends"),
    ],
)
def test_an_import_against_the_arrows_is_noticed(folder: str, source: str) -> None:
    assert offences(source, folder, PACKAGES[folder])


@pytest.mark.parametrize(
    ("folder", "source"),
    [
        ("multigrad", "from .backend import backends"),
        ("backends", "import torch\nfrom multigrad.backend import Backend"),
        ("bench", "from multigrad.backend import backends\nfrom . import cli"),
    ],
)
def test_an_import_along_the_arrows_is_let_through(folder: str, source: str) -> None:
    assert not offences(source, folder, PACKAGES[folder])


@pytest.mark.parametrize("folder", PACKAGES)
def test_the_linter_knows_the_same_law(folder: str) -> None:
    if folder == "multigrad":
        lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    else:
        lint = tomllib.loads((ROOT / folder / "ruff.toml").read_text())["lint"]
    assert set(lint["flake8-tidy-imports"]["banned-api"]) == BANNED[folder]


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


def test_asking_which_backends_exist_imports_no_framework() -> None:
    loaded = loaded_after(
        "from multigrad.backend import backends\n"
        "for backend in backends().values():\n"
        "    [backend.missing(device) for device in backend.devices]"
    )
    assert not loaded & FRAMEWORKS


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


def test_no_backend_file_shadows_its_framework() -> None:
    names = {name for _, name, _ in pkgutil.iter_modules([str(ROOT / "backends")])}
    assert len({n for n in names if n.endswith("_backend")}) >= len(
        [b for b in backends().values() if b.module != "multigrad"]
    )
    assert all(name.endswith("_backend") or name.startswith("handover_") for name in names)


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
    assert not [path for path in paths if path.stem in said_nothing]


@pytest.mark.parametrize("backend", backends().values(), ids=backends())
def test_a_backend_describes_itself(backend: Backend) -> None:
    assert backend.install.startswith("pip install")
    assert backend.devices
    assert "forward" in backend.variants
    assert all(gap.reason.strip() and gap.raises for gap in backend.gaps)


def catalogue_and_examples() -> list[Operation]:
    examples = sorted(str(path) for path in (ROOT / "examples" / "broken").glob("*.py"))
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
