"""The action that other projects use: a valid file whose inputs are all used and whose commands exist."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "action.yml").read_text(encoding="utf-8")
ACTION: dict[str, Any] = yaml.safe_load(TEXT)
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
SCRIPTS = [step["run"] for step in STEPS if "run" in step]
COMMANDS = [line.strip() for script in SCRIPTS for line in script.splitlines() if line.strip().startswith("multigrad ")]


def used_inputs(value: Any) -> set[str]:
    return set(re.findall(r"inputs\.([\w-]+)", str(value)))


def test_it_is_what_the_schema_of_actions_wants() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions", "action.yml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_input_is_explained_and_used_and_every_used_input_exists() -> None:
    assert all(one["description"] for one in ACTION["inputs"].values())
    assert used_inputs(STEPS) == set(ACTION["inputs"])
    assert used_inputs(ACTION["outputs"]) <= set(ACTION["inputs"])


def test_no_expression_stands_in_a_script_and_every_variable_of_a_script_is_set() -> None:
    assert SCRIPTS
    for step in (step for step in STEPS if "run" in step):
        assert "${{" not in step["run"], "an input would be code"
        used = set(re.findall(r"\$\{?([A-Z_]+)", step["run"]))
        runner = {"RUNNER_TEMP", "GITHUB_ACTION_PATH", "GITHUB_STEP_SUMMARY", "PATH"}
        assert used - runner == set(step.get("env", {})) - {"GH_TOKEN"}, step["name"]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_multigrad_command_can_be_parsed(line: str) -> None:
    app = importlib.import_module("multigrad.bench.cli").app
    group = typer.main.get_command(app)
    words = shlex.split(line.partition(" || ")[0])[1:]
    with group.make_context("multigrad", list(words)) as context:
        name, command, rest = group.resolve_command(context, list(words))  # type: ignore[attr-defined]
        with command.make_context(name, rest, parent=context) as inner:
            assert inner.command is command


def test_the_commands_are_a_check_a_bench_and_a_comparison() -> None:
    assert [line.split()[1] for line in COMMANDS] == ["check", "bench", "compare"]


def test_the_extras_of_the_default_exist() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(ACTION["inputs"]["extras"]["default"].split(",")) <= set(extras)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.split()[0])
def test_bash_can_read_every_script(script: str) -> None:
    done = subprocess.run([shutil.which("bash") or "bash", "-n"], input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
