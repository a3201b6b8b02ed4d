from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for `fake_backends`, which this process and every worker must find by the same name


@pytest.fixture(autouse=True, scope="module")
def _workers_find_the_fakes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
        yield


@pytest.fixture(scope="session")
def square() -> str:
    """A small operation, as a worker finds it."""
    return f"{HERE / 'fake_operations.py'}::square"


@pytest.fixture(scope="session")
def cube() -> str:
    """Another."""
    return f"{HERE / 'fake_operations.py'}::cube"
