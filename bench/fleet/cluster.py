"""The cluster of a fleet: its scheduler, the versions of its workers, and what they offer."""

from __future__ import annotations

import contextlib
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import multigrad
from multigrad.backend import device_kind
from multigrad.data.errors import BadInput, one_line

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 10.0
"""How long a scheduler may take to answer."""

Offers = Counter[frozenset[str]]
"""How many workers offer each set of tags."""


@contextlib.contextmanager
def connected(address: str) -> Iterator[Client]:
    """Give a client of the scheduler at an address.

    Raises:
        BadInput: Dask is not installed, the address is none, or nobody answers.
    """
    try:
        import distributed
    except ImportError as error:
        raise BadInput('a fleet needs Dask, not installed; pip install "multigrad[dask]"') from error
    if not re.fullmatch(r"(tcp|tls)://(\[[0-9a-fA-F:]+\]|[^\s/:\[\]]+):\d{1,5}", address):
        raise BadInput(f"{address!r} is no address of a scheduler; wanted tcp://host:port, as dask scheduler prints it")
    try:
        client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"no scheduler answers at {address}: {one_line(error)}; dask scheduler starts one") from error
    try:
        yield client
    finally:
        # One that has lost its scheduler has nobody to say goodbye to.
        with contextlib.suppress(OSError, TimeoutError):
            client.close(timeout=CONNECT_S)


def versions() -> dict[str, str]:
    """Return the versions that client and workers have to share, here."""
    import distributed

    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"python": python, "distributed": distributed.__version__, "multigrad": multigrad.__version__}


def agree(client: Client) -> None:
    """Make sure that scheduler and workers have the client's versions.

    Raises:
        BadInput: one has not, or a worker has no multigrad; the message names both versions.
    """
    ours = versions()
    there = client.get_versions()["scheduler"]
    check_versions(ours, {"distributed": there["packages"]["distributed"]}, "the scheduler")
    for worker, theirs in client.run(versions, on_error="return").items():
        if isinstance(theirs, BaseException):
            raise BadInput(
                f"the worker {worker} cannot run multigrad: {one_line(theirs)}; pip install "
                f'"multigrad[dask]=={ours["multigrad"]}" there'
            )
        check_versions(ours, theirs, f"the worker {worker}")


def check_versions(ours: Mapping[str, str], theirs: Mapping[str, str], who: str) -> None:
    """Make sure that somebody has our versions.

    Raises:
        BadInput: one differs; the message names both.
    """
    differ = [f"{name} {version}, here it is {ours[name]}" for name, version in theirs.items() if version != ours[name]]
    if differ:
        raise BadInput(f"{who} has {'; '.join(differ)}: install the same version in both places")


def offered(client: Client) -> Offers:
    """Return how many workers offer each set of tags."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return Counter(frozenset(tag for tag, count in w["resources"].items() if count >= 1) for w in workers)


def count_offers(offers: Offers, wanted: set[str]) -> int:
    """Return how many workers offer all of some tags."""
    return sum(count for tags, count in offers.items() if wanted <= tags)


def kind_of(device: str) -> str:
    """Return the tag of the machines that have a device."""
    return "cpu" if device_kind(device) == "cpu" else "gpu"


def tags_of(tag: str, machine: str | None) -> set[str]:
    """Return what a machine has to offer: its kind, and the name that was asked for."""
    return {tag, machine} if machine else {tag}
