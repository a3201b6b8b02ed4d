"""The names of `multigrad.bench`."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from multigrad import bench

API = Path(__file__).parents[2] / "docs" / "api" / "bench.md"


def test_every_name_of_the_facade_is_there_and_in_the_reference():
    names = re.findall(r"^::: multigrad\.bench\.(\w+)$", API.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(names) == bench.__all__
    for name in bench.__all__:
        assert inspect.getdoc(getattr(bench, name)), name


def test_importing_the_facade_brings_no_room_of_bench():
    code = "import sys, multigrad.bench; print(*(name for name in sys.modules if name.startswith('multigrad.bench.')))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split() == []


def test_a_name_that_the_facade_lacks_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'time'"):
        bench.time  # noqa: B018
