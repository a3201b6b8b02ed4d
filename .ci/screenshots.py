"""Take the pictures of a report that the documentation shows: ``python .ci/screenshots.py RUN [FOLDER]``.

RUN is the folder of a run that has a ``report.html``. It needs chromium and Playwright, and no network.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
VIEWS = (("desktop", 1280, 800, "light"), ("phone", 390, 844, "light"), ("dark", 1280, 800, "dark"))
"""What is shown: name, width, height, colours. What lies below is not in the picture, so that it stays small."""


def main() -> None:
    """Take them."""
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
        for name, width, height, colours in VIEWS:
            view = {"width": width, "height": height}
            context = opened.new_context(viewport=view, color_scheme=colours, offline=True)
            one = context.new_page()
            one.goto(page.as_uri())
            one.evaluate("multigradDrawAll()")
            # The summary, and then the first chart, each in a picture of its own.
            one.screenshot(path=folder / f"{name}.png")
            one.locator("#speed-up").scroll_into_view_if_needed()
            one.evaluate("document.getElementById('speed-up').scrollIntoView({behavior: 'instant'})")
            one.screenshot(path=folder / f"{name}-charts.png")
            context.close()
        opened.close()


if __name__ == "__main__":
    main()
