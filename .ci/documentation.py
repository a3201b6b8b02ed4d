"""What the documentation site has beside the files of docs/: a hook of mkdocs.

The README and its like are pages, read where they lie. Links are written as in the repository; one to a file that is no
page makes it one, under ``source/``.
"""

from __future__ import annotations

import posixpath
import re
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "results/README.md": "results.md",
}
"""Which files outside docs/ are pages, and under which name."""
LANGUAGES = {".py": "python", ".toml": "toml", ".yml": "yaml"}
FENCE_OR_LINK = re.compile(r"^(?P<fence>`{3,}).*?^(?P=fence)$|\]\((?P<link>[^)\s]+)\)", re.DOTALL | re.MULTILINE)
WHEEL = tempfile.TemporaryDirectory()
"""Where the three folders are one package, as in the wheel, for what reads the docstrings."""


@event_priority(100)  # before the plugins read it
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Tell where the package lies."""
    package = Path(WHEEL.name) / "multigrad"
    if not package.exists():
        package.mkdir()
        for path in (*(ROOT / "multigrad").iterdir(), ROOT / "backends", ROOT / "bench"):
            (package / path.name).symlink_to(path)
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [WHEEL.name]
    # Its name keeps the offline plugin from loading the one it knows from elsewhere.
    config.extra["polyfills"] = ["iframe-worker.js"]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie elsewhere, and those of the files that pages link to."""
    for origin, name in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / origin).read_text(encoding="utf-8")))
    linked = {path for file in files.documentation_pages() for path in links(file.content_string, origin_of(file))}
    for path in sorted(path for path in linked if site_path(path).startswith("source/")):
        files.append(File.generated(config, site_path(path), content=source_page(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Point the links of a page at where their targets lie in the site."""
    origin, here = origin_of(page.file), posixpath.dirname(page.file.src_uri) or "."

    def moved(found: re.Match[str]) -> str:
        one = target(found["link"], origin)
        if one is None:
            return found[0]
        path, anchor = one
        line = re.fullmatch(r"L(\d+)", anchor)
        anchor = f"__codelineno-0-{line[1]}" if line else anchor
        return f"]({posixpath.relpath(site_path(path), here)}{'#' if anchor else ''}{anchor})"

    # A title is taken from a heading only where nothing stands before it.
    return FENCE_OR_LINK.sub(moved, re.sub(r"\A<!--.*?-->\s*", "", markdown))


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """Tell mkdocs the lines of a file, so that it checks links to them."""
    if page.file.src_uri.startswith("source/") and page.present_anchor_ids is not None:
        page.present_anchor_ids |= set(re.findall(r'id="(__codelineno-[\d-]+)"', html))
    return html


def origin_of(file: File) -> str:
    """Return where in the repository a page of the site comes from."""
    return next((origin for origin, name in PAGES.items() if name == file.src_uri), f"docs/{file.src_uri}")


def site_path(path: str) -> str:
    """Return where in the site a file of the repository lies."""
    if path in PAGES:
        return PAGES[path]
    if path.startswith("docs/") or not (ROOT / path).is_file():
        return path.removeprefix("docs/")
    return f"source/{path}.md"


def target(link: str | None, origin: str) -> tuple[str, str] | None:
    """Return the path in the repository and the anchor that a link of a page means; None if it leads elsewhere."""
    if link is None or "://" in link or link.startswith("#"):
        return None
    path, _, anchor = link.partition("#")
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), path)), anchor


def links(markdown: str, origin: str) -> list[str]:
    """Return the paths in the repository that a page links to."""
    found = (target(one["link"], origin) for one in FENCE_OR_LINK.finditer(markdown))
    return [one[0] for one in found if one]


def source_page(path: str) -> str:
    """Return the page of a file: its text, with a number at every line."""
    text = (ROOT / path).read_text(encoding="utf-8")
    fence = "`" * (1 + max(map(len, re.findall(r"`{2,}", text)), default=2))
    language = LANGUAGES.get(Path(path).suffix, "text")
    return f"---\nsearch:\n  exclude: true\n---\n\n# {path}\n\n{fence}{language} linenums='1'\n{text}{fence}\n"
