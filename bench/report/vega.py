"""Altair and vl-convert, which draw: whether they are here, and the script that a page needs of them."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

EXTRA = 'pip install "multigrad[report]"'


def missing() -> str:
    """Say what ``report.html`` and pictures lack, with the line that installs it; empty if they lack nothing."""
    import importlib.util

    lost = [name for name in ("altair", "vl_convert") if importlib.util.find_spec(name) is None]
    return f"report.html and pictures need {' and '.join(lost)}, not installed; {EXTRA}" if lost else ""


@cache
def bundling() -> subprocess.Popen[str]:
    """Begin to bundle the page's script, in a process of its own: it takes as long as all the rest of a report."""
    code = "import sys, vl_convert; sys.stdout.write(vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;'))"
    # -P: a file in the working directory is not imported for a package.
    return subprocess.Popen([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, text=True, encoding="utf-8")


@cache
def javascript() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script for a page, which loads nothing."""
    process = bundling()
    bundle, _ = process.communicate()
    if process.returncode:
        raise RuntimeError("vl-convert did not bundle Vega; its message stands above")
    return bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
