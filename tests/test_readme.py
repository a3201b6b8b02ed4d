"""The README tells the truth: its files, commands, pictures and extras are there.

That its code runs and its examples end as it says is in test_blocks.py.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path

import pytest
import typer

ROOT = Path(__file__).parent.parent
TEXTS = [
    "README.md",
    "CONTRIBUTING.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("docs/*.md"))),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FOLDERS = "multigrad|backends|bench|tests|examples|\\.ci|\\.github"  # results/ is not there before the first run


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def test_the_example_is_the_file_of_that_name() -> None:
    assert blocks("python")[0] in (ROOT / "examples" / "my_gradient.py").read_text(encoding="utf-8")


def test_the_kill_matrix_is_the_one_that_was_measured() -> None:
    page = (ROOT / "docs" / "checker.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"<!-- kill_matrix -->\n(.*?)\n<!-- /kill_matrix -->", page, flags=re.DOTALL)
    assert shown == (ROOT / "results" / "kill_matrix.md").read_text(encoding="utf-8").strip()


def test_the_chart_is_of_the_committed_run_and_fresh() -> None:
    spec = importlib.util.spec_from_file_location("readme", ROOT / ".ci" / "readme.py")
    assert spec is not None
    assert spec.loader is not None
    readme = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(readme)
    run = readme.committed_run()
    (shown,) = re.findall(r"<!-- speed_up -->\n(.*?)\n<!-- /speed_up -->", README, flags=re.DOTALL)
    assert shown == readme.chart(run), "make readme writes it"
    assert run is None or readme.picture_is_fresh(run), "make readme draws it"


@pytest.mark.parametrize("name", TEXTS)
def test_every_file_that_is_mentioned_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    paths = re.findall(rf"(?<![\w/.-])((?:{FOLDERS})/[\w./-]*)(?![\w<*])", text)
    folder = (ROOT / name).parent
    for path in {*(folder / link for link in links), *(ROOT / path.rstrip(".") for path in paths)}:
        assert path.exists(), f"{name} mentions {path}, which is not there"


def test_every_extra_is_explained_and_every_explained_extra_exists() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    table = README.partition("## Extras")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)) == set(extras)


def test_every_command_is_in_the_readme_or_its_help() -> None:
    app = importlib.import_module("multigrad.bench.cli").app
    for command in typer.main.get_command(app).commands.values():  # type: ignore[attr-defined]
        assert command.help, f"{command.name} has no help"
        assert "Example: multigrad" in (command.epilog or ""), f"the help of {command.name} has no example"


def test_what_is_said_to_be_in_a_file_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+)` in `([\w/.]+\.py)`", text)
    assert named
    for symbol, path in named:
        source = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(def|class) {symbol}\b", source, flags=re.MULTILINE), f"no {symbol} in {path}"
