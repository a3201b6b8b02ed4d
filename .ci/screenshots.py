"""Take the picture of a report that the README shows: ``python .ci/screenshots.py RUN [FOLDER]``.

RUN is the folder of a run that has a ``report.html``. It needs chromium and Playwright, and no network.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

ROOT = Path(__file__).parent.parent
VIEW: ViewportSize = {"width": 1280, "height": 800}
"""The size of the window. What lies below is not in the picture, so that it stays small."""


def main() -> None:
    """Take it."""
    if len(sys.argv) < 2:
        raise SystemExit("screenshots.py: no run given; python .ci/screenshots.py RUN [FOLDER]")
    page = Path(sys.argv[1]).resolve() / "report.html"
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs" / "screenshots"
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None or not page.exists():
        lost = "chromium is not installed" if browser is None else f"no file {page}; run `multigrad report` first"
        raise SystemExit(f"screenshots.py: {lost}")
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--disable-gpu", "--no-sandbox"])
        context = opened.new_context(viewport=VIEW, color_scheme="light", offline=True)
        one = context.new_page()
        one.goto(page.as_uri())
        one.evaluate("multigradDrawAll()")
        one.screenshot(path=folder / "desktop.png")
        context.close()
        opened.close()


if __name__ == "__main__":
    main()
