"""What the tests of several folders share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest

# Tests that run side by side get a width of 80 from pytest-xdist; a terminal that is not there has none.
os.environ.pop("COLUMNS", None)

# How long a draw takes says how busy the machine is.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="module", autouse=True)
def environment() -> Iterator[None]:
    """What a framework that is opened in this process sets is no affair of the next file's processes."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless browser without a network."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("chromium is not installed (Debian: apt install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
    with sync_api.sync_playwright() as playwright:
        # No name is found anywhere: networking is off.
        opened = playwright.chromium.launch(
            executable_path=chromium, args=["--host-resolver-rules=MAP * ~NOTFOUND", "--disable-gpu", "--no-sandbox"]
        )
        yield opened
        opened.close()
