"""The pytest plugin: gradients checked in a user's own tests. What it needs is imported when a test asks for it.

Loaded by the entry point ``pytest11``; ``-p no:multigrad`` leaves it out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import pandas as pd

    from multigrad.backend import Backend

OPTION = "--multigrad-backends"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that chooses the backends."""
    group = parser.getgroup("multigrad", "gradients checked by multigrad")
    group.addoption(
        OPTION,
        metavar="NAMES",
        help="backends that the fixtures `backend` and `assert_gradients` walk, such as numpy,torch; default: all",
    )


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for our ``backend`` once on each."""
    if "backend" in metafunc.fixturenames and _is_ours(metafunc):
        chosen = _chosen(metafunc.config)
        marks = {one.name: [pytest.mark.skip(reason=f"{one.name}: {why}")] for one in chosen if (why := _missing(one))}
        params = [pytest.param(one, id=one.name, marks=marks.get(one.name, ())) for one in chosen]
        metafunc.parametrize("backend", params, indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Backend:
    """Every backend in turn, a :class:`multigrad.Backend`; one that is not here is skipped, with its reason.

    ``backend.open("cpu")`` opens it in this very process and sets its threads and precision. Several frameworks in one
    process are well for right and wrong, not for timing; what ``assert_gradients`` runs has a process of its own.
    """
    chosen: Backend = request.param
    return chosen


@pytest.fixture
def assert_gradients(request: pytest.FixtureRequest) -> Callable[..., pd.DataFrame]:
    """:func:`multigrad.assert_gradients`, on the test's ``backend`` if it has one, else on the chosen ones.

    A wrong gradient raises :class:`multigrad.GradientError`, whose message is the diagnosis. Where no backend that was
    asked for is here, the test is skipped with the reasons.
    """

    def assert_gradients(ops: Any, **options: Any) -> pd.DataFrame:
        __tracebackhide__ = True
        from multigrad import matrix
        from multigrad.backend import Backend, backend

        asked = options.pop("backend", None)
        if asked is None:
            here = request.getfixturevalue("backend") if "backend" in request.fixturenames else None
            asked = here if isinstance(here, Backend) else _chosen(request.config)
        several = [asked] if isinstance(asked, str | Backend) else asked
        chosen = [one if isinstance(one, Backend) else backend(one) for one in several]
        reasons = [f"{one.name}: {why}" for one in chosen if (why := _missing(one))]
        if chosen and len(reasons) == len(chosen):
            pytest.skip("; ".join(reasons))
        try:
            return matrix.assert_gradients(ops, backend=[one.name for one in chosen], **options)
        except matrix.GradientError as error:
            # Once more from here, so that the report shows the test's own line and not how it was found out.
            raise matrix.GradientError(str(error)) from None

    return assert_gradients


def _is_ours(metafunc: pytest.Metafunc) -> bool:
    """Tell whether ``backend`` means the fixture of this file: not another of that name, nor a parameter."""
    # pytest has no public way to ask where a fixture stands.
    definitions = metafunc._arg2fixturedefs.get("backend", ())
    return bool(definitions) and definitions[-1].func.__module__ == __name__


def _chosen(config: pytest.Config) -> list[Backend]:
    from multigrad.backend import backend, backends
    from multigrad.data.errors import BadInput

    names = config.getoption(OPTION)
    try:
        return list(backends().values()) if names is None else [backend(name.strip()) for name in names.split(",")]
    except BadInput as error:
        raise pytest.UsageError(f"{OPTION}: {error}") from error


def _missing(one: Backend) -> str:
    """Return why a backend cannot be opened on any of its devices, or nothing."""
    reasons = [one.missing(device) for device in one.devices]
    return "" if None in reasons else "; ".join(dict.fromkeys(reason for reason in reasons if reason))
