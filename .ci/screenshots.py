"""Take pictures of a report's first screen, for the README: ``python .ci/screenshots.py RUN [FOLDER]``.

RUN is the folder of a run that has a ``report.html``. It needs chromium and Playwright, and no network.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

ROOT = Path(__file__).parent.parent
VIEWS: dict[str, ViewportSize] = {
    "desktop": {"width": 1280, "height": 800},
    "phone": {"width": 390, "height": 844},
}
"""The sizes of the window. What lies below is not in the picture: it shows what somebody sees at first."""


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
        for name, view in VIEWS.items():
            context = opened.new_context(viewport=view, color_scheme="light", offline=True)
            one = context.new_page()
            one.goto(page.as_uri())
            one.screenshot(path=folder / f"{name}.png")
            context.close()
        opened.close()


if __name__ == "__main__":
    main()
