"""Every block of code in the README, CONTRIBUTING and the pages of docs/ is run, or named here with a reason."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from markdown_it import MarkdownIt
from multigrad.bench.plan import study

from multigrad import Backend

ROOT = Path(__file__).parent.parent
PAGES = [
    path for path in sorted((ROOT / "docs").rglob("*.md")) if path.parent.name != "operations"
]  # those are written
TEXTS = [path.relative_to(ROOT).as_posix() for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES)]
NOT_RUN = {
    "make run": "installs from the package index",
    "make test": "installs, and is what runs this",
    "multigrad bench --study eager_against_compiled": "an hour; docs/studies.md has one that is run",
    "multigrad check layer_norm --devices 8 --backend jax --dtype float32": "the line before it, written otherwise",
    "python examples/train.py digits.npz": "tests/test_training.py runs it, in as few steps",
    "multigrad bench examples/references/jax_references.py --backend torch,jax": "minutes; mine.py below is timed",
    "multigrad check relu_regression --device cuda": "needs a GPU",
    "multigrad bench relu_regression --device cuda": "needs a GPU",
    "MULTIGRAD_REFERENCES=references multigrad bench --study small_arrays --device cuda": "needs a GPU",
    "dask scheduler": "runs until it is stopped; tests/bench/test_fleet.py has one",
    'dask worker tcp://host:8786 --nthreads 1 --resources "cpu=1"': "a machine of the fleet, as in the tests",
    'dask worker tcp://host:8786 --nthreads 1 --resources "gpu=1"': "a machine of the fleet, as in the tests",
    "multigrad run --fleet tcp://host:8786": "needs that fleet; tests/bench/test_fleet.py has one",
}
"""Console lines that are not run, each with its reason."""
PROOF = re.compile(r"Is the formula right\?.*?(?=\nAre the numbers right\?)", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code in a text."""

    where: str
    """File and line."""
    language: str
    """Empty for one that is indented."""
    title: str
    """The file that it is to be put into, if it says so."""
    source: str


def blocks(text: str) -> list[Block]:
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse((ROOT / text).read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block"):
            language, _, rest = token.info.partition(" ")
            title = re.search(r'title="([\w.]+)"', rest)
            line = token.map[0] + 1 if token.map else 0
            found.append(Block(f"{text}:{line}", language, title[1] if title else "", token.content))
    return found


def console_lines(block: Block) -> list[str]:
    return [line.removeprefix("$ ") for line in block.source.splitlines() if line.startswith("$ ")]


ALL = {text: blocks(text) for text in TEXTS}
LINES = [
    line for found in ALL.values() for block in found if block.language == "console" for line in console_lines(block)
]


def run(command: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "NO_COLOR": "1", **more}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8")


def console(block: Block, folder: Path) -> None:
    lines = console_lines(block)
    printed = [line for line in block.source.splitlines() if not line.startswith("$ ")]
    assert lines, "a console block without a command"
    assert not printed or len(lines) == 1, "an output belongs to one command"
    for line in lines:
        if line not in NOT_RUN:
            command(line, "\n".join(printed), folder)


def command(line: str, printed: str, folder: Path) -> None:
    """Run a line; where its output is printed, compare what is the same on every machine."""
    words = shlex.split(line, comments=True)
    program = {"multigrad": [sys.executable, "-m", "multigrad.bench.cli"], "python": [sys.executable]}[words[0]]
    done = run([*program, *words[1:], *shorter(words, printed)], folder, GITHUB_STEP_SUMMARY=str(folder / "summary.md"))
    fails = bool(re.search(r"\d FAIL", printed.splitlines()[-1])) if printed else "examples/broken/" in line
    assert done.returncode == int(fails), f"$ {line}\n{done.stdout}\n{done.stderr}"
    if printed:
        shown, said = PROOF.search(printed), PROOF.search(done.stdout)
        assert shown, f"nothing to compare in what is printed for: {line}"
        assert said
        assert tidy(shown[0]) == tidy(said[0]), "make readme writes it"


def shorter(words: list[str], printed: str) -> list[str]:
    """Return what is added so that a test is quick.

    That is one backend but for one's own gradient, no compiler, one round of one variant; and where nothing is printed
    to compare, ordinary inputs in one dtype.
    """
    if words[0] == "python":
        return []
    more = []
    everywhere = bool(printed) and "examples/my_gradient.py" in words
    if words[1] in ("bench", "run") and "--quick" not in words:
        more += ["--quick"]
    if words[1] == "bench":
        more += ["--rounds", "1"] + ([] if "--study" in words else ["--variant", "analytic"])
    if words[1] == "check" and not printed and "--inputs" not in words:
        more += ["--regime", "gaussian"] + ([] if "--dtype" in words else ["--dtype", "float32"])
    if words[1] in ("check", "bench", "run") and "--backend" not in words and not everywhere:
        more += ["--backend", "numpy"]
    if words[1] in ("check", "bench") and "--study" not in words:
        more += ["--mode", "eager"]
    return more


def tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def python(block: Block, folder: Path) -> None:
    path = folder / (block.title or f"block_{block.where.rpartition(':')[2]}.py")
    path.write_text(block.source, encoding="utf-8")
    done = run([sys.executable, "-W", f"error::DeprecationWarning:{path.stem}", path.name], folder)
    assert done.returncode == 0, done.stderr
    if "def test_" in block.source:
        plugin = ["-p", "multigrad.bench.pytest_plugin", "--multigrad-backends", "numpy"]
        done = run([sys.executable, "-m", "pytest", *plugin, path.name], folder, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
        assert re.search(r"\d+ passed", done.stdout.splitlines()[-1]), done.stdout


def toml(block: Block, folder: Path) -> None:
    """Read a study as `multigrad bench --study` does, and entry points as Python does."""
    content = tomllib.loads(block.source)
    if "question" in content:
        path = folder / (block.title or "study.toml")
        path.write_text(block.source, encoding="utf-8")
        assert study.load(path).question == content["question"]
        return
    count = 0
    for group, entries in content["project"]["entry-points"].items():
        assert group == "multigrad.backends"
        for name, value in entries.items():
            assert isinstance(EntryPoint(name, value, group).load(), Backend)
            count += 1
    assert count


def workflow(block: Block, folder: Path) -> None:
    """Put a job's steps into a workflow and read that by GitHub's schema; our action gets inputs that it has."""
    job = yaml.safe_load(block.source)
    path = folder / "workflow.yml"
    path.write_text(yaml.safe_dump({"on": "push", "jobs": {"job": {"runs-on": "ubuntu-latest", **job}}}))
    done = run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", path.name], folder
    )
    assert done.returncode == 0, done.stdout + done.stderr
    inputs = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"]
    ours = [step for step in job["steps"] if "/multigrad@" in step.get("uses", "")]
    assert ours
    assert all(set(step["with"]) <= set(inputs) for step in ours)


def tree(block: Block, folder: Path) -> None:
    """Find every folder that a listing names."""
    for line in block.source.splitlines():
        assert (ROOT / line.split()[0]).is_dir(), line


RUN: dict[str, Callable[[Block, Path], None]] = {
    "console": console,
    "python": python,
    "toml": toml,
    "yaml": workflow,
    "text": tree,
}
"""How a block of each language is run."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a reader has it: the examples are there, and somebody's backend can be imported."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.syspath_prepend(ROOT / "tests" / "third_party")
    return tmp_path


DEAR = ("docs/sharding.md",)
"""Texts whose commands start JAX on eight devices several times; tests/backends/test_sharding.py asks the same."""


@pytest.mark.parametrize(
    "text", [pytest.param(t, marks=pytest.mark.long) if t in DEAR else t for t, found in ALL.items() if found]
)
def test_every_block_runs(text: str, folder: Path) -> None:
    for block in ALL[text]:
        assert block.language in RUN, f"{block.where}: nothing runs a block of {block.language or 'indented text'!r}"
        try:
            RUN[block.language](block, folder)
        except AssertionError as error:
            raise AssertionError(f"{block.where}: {error}") from error


def test_there_are_blocks_of_every_kind_and_every_exception_is_needed() -> None:
    kinds = Counter(block.language for found in ALL.values() for block in found)
    assert set(kinds) == set(RUN)
    assert kinds["python"] >= 5
    assert kinds["console"] >= 12
    assert set(NOT_RUN) <= set(LINES)
    assert all(NOT_RUN.values())


def mentioned(text: str) -> list[str]:
    """Return the commands that a text mentions within a sentence."""
    tokens = MarkdownIt("commonmark").enable("table").parse((ROOT / text).read_text(encoding="utf-8"))
    spans = [child.content for token in tokens for child in token.children or [] if child.type == "code_inline"]
    return [span for span in spans if span.startswith(("multigrad ", "make "))]


@pytest.mark.parametrize("line", sorted({*LINES, *(span for text in TEXTS for span in mentioned(text))}))
def test_every_command_that_is_mentioned_exists(line: str) -> None:
    program, *words = shlex.split(line, comments=True)
    if program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert {word for word in words if "=" not in word} <= set(targets)
    elif program == "multigrad" and words != ["--help"]:
        app = importlib.import_module("multigrad.bench.cli").app
        group: Any = typer.main.get_command(app)
        with group.make_context("multigrad", list(words)) as context:
            _, found, rest = group.resolve_command(context, list(words))
            try:
                found.make_context(found.name, rest, parent=context).close()
            except Exception as error:  # typed loosely: which click typer brings is typer's business
                if type(error).__name__ != "MissingParameter":  # a sentence may leave out what a command needs
                    raise
