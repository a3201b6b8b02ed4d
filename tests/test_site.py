"""The documentation site: it builds, no link leads nowhere, it asks nothing of the network, and nothing is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import multigrad
from multigrad import operations

ROOT = Path(__file__).parent.parent
BUILD = """
import logging
import sys
from mkdocs.commands.build import build
from mkdocs.config import load_config
logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
build(load_config("mkdocs.yml", docs_dir=sys.argv[1], site_dir=sys.argv[2]))
"""
pytest.importorskip("mkdocs", reason="mkdocs is not installed (pip install multigrad[docs])")


def built(docs: Path, site: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", BUILD, str(docs), str(site)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = built(ROOT / "docs", folder)
    assert done.returncode == 0, done.stderr
    return folder


@dataclass
class Seen(HTMLParser):
    """What a page refers to, loads by itself, and can be referred to."""

    path: Path
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {value for name, value in attrs if name in ("id", "name") and value}
        where = found.get("src") or found.get("href")
        if where is not None:
            (self.links if tag == "a" else self.loaded).append(where)


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Seen]:
    found = {path: Seen(path) for path in site.rglob("*.html")}
    assert len(found) > len(operations()) + 10
    return found


def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    docs = shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with (docs / "gradient.md").open("a", encoding="utf-8") as page:
        page.write("\n[a](nowhere.md) [b](training.md#nowhere) [c](../README.md#nowhere) [d](../no_file.py)\n")
        page.write("\n[e](../multigrad/catalogue/linear.py#L99999)\n\n[f][multigrad.nothing]\n")
    done = built(docs, tmp_path / "site")
    assert done.returncode != 0
    for wanted in ("nowhere.md", "training.md#nowhere", "index.md#nowhere", "no_file.py", "99999", "multigrad.nothing"):
        assert wanted in done.stderr
    assert done.stderr.count("WARNING ") == 6


def test_every_link_of_every_built_page_leads_to_a_page_and_a_place_in_it(pages: dict[Path, Seen]) -> None:
    count = 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or path.name == "404.html":  # other sites are not asked; 404 is written for a server's root
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.name} links to {link}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, f"{path.name} links to {link}"
            count += 1
    assert count > 1000


def test_no_page_loads_anything_from_elsewhere(site: Path, pages: dict[Path, Seen]) -> None:
    for path, page in pages.items():
        assert page.loaded
        elsewhere = [where for where in page.loaded if urlsplit(where).netloc]
        assert not elsewhere, f"{path.name} loads {elsewhere}"
    sheets = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", sheets)


def test_every_formula_stands_as_its_docstring_has_it(site: Path) -> None:
    for op in operations().values():
        page = (site / "operations" / f"{op.name}.html").read_text(encoding="utf-8")
        blocks = [textwrap.dedent(block) for block in re.findall(r"(?:^    .*\n?)+", op.doc, flags=re.MULTILINE)]
        shown = [unescape(re.sub("<[^>]+>", "", block)) for block in re.findall(r"<pre>.*?</pre>", page, re.DOTALL)]
        assert blocks, op.name
        for block in blocks:
            assert block.strip() in {one.strip() for one in shown}, f"{op.name}: {block}"


def test_every_operation_has_its_page_and_every_public_name_its_reference(pages: dict[Path, Seen], site: Path) -> None:
    assert {path.stem for path in (site / "operations").glob("*.html")} == {*operations(), "index"}
    anchors = pages[site / "api" / "index.html"].anchors
    for name in multigrad.__all__:
        assert {f"multigrad.{name}", f"multigrad.ops.operation.{name}"} & anchors, f"the reference lacks {name}"
    for owner in ("Session", "Backend"):
        own = {name for name in vars(getattr(multigrad, owner)) if not name.startswith("_")}
        assert {f"multigrad.{owner}.{name}" for name in own} <= anchors
    text = re.sub(r"<details.*?</details>", "", (site / "api" / "index.html").read_text("utf-8"), flags=re.DOTALL)
    assert not re.search(r":(?:func|class|meth|attr|data|mod):", text)  # but in the sources that it shows


def test_it_opens_from_a_folder_without_a_network_and_can_be_searched(browser: Any, site: Path) -> None:
    context = browser.new_context(offline=True)
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    for name in ("api/index.html", "operations/relu_regression.html", "index.html"):
        page.goto((site / name).as_uri())
        page.wait_for_load_state("networkidle")
    # The page reads its index when the field is entered, and what is in the field when a key is let go.
    query = page.locator("input[data-md-component=search-query]")
    query.focus()
    page.get_by_text("Type to start searching").wait_for(state="attached")
    query.press_sequentially("relu_regression")
    found = page.locator(".md-search-result__link").first
    found.wait_for()
    assert "operations/relu_regression.html" in (found.get_attribute("href") or "")
    context.close()
    assert asked
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))] == []
    assert complaints == []
