"""A run: its tables, and what ``run.json`` says of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigrad.data.decode import decode, from_json, read_bytes
from multigrad.data.errors import BadInput

from .folder import RUN
from .frames import to_frame
from .rows import SampleRow, SummaryRow
from .schema import SCHEMA, RunInfo

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Run:
    """A run, read or just measured."""

    folder: Path | None
    """Where its files lie; None if it was not to be kept."""
    info: dict[str, Any]
    """What ``run.json`` holds."""
    summary: pd.DataFrame
    """One row per cell, the columns of :class:`SummaryRow`."""
    samples: pd.DataFrame
    """One row per block, the columns of :class:`SampleRow`."""
    matrix: pd.DataFrame | None = None
    """The correctness matrix, if the run has one."""
    before: Run | None = None
    """The same cells of another commit, measured in the same rounds, if that was asked for."""

    @property
    def noise_floor(self) -> float | None:
        """Largest relative difference between the halves of an A/A pair; None without one."""
        floor: float | None = self.info.get("noise_floor")
        return floor

    @property
    def machines(self) -> Mapping[str, Mapping[str, Any]]:
        """What ``run.json`` says of each machine, by the name in the column ``machine``: empty where there is one."""
        return machines_of(self.info)


def no_run() -> Run:
    """Return a run of nothing."""
    return Run(None, {}, to_frame([], SummaryRow), to_frame([], SampleRow))


def machines_of(info: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return what a ``run.json`` says of each machine, by its name; of one that was never given a name, all."""
    return info.get("machines") or {"": info}


def read_info(folder: Path) -> dict[str, Any]:
    """Return what ``run.json`` holds.

    Raises:
        BadInput: it is not there, not JSON, or of another version.
    """
    path = Path(folder) / RUN
    if not os.path.lexists(path):
        raise BadInput(f"{folder} is no run: it has no {RUN}")
    info = from_json(path, read_bytes(path))
    if not isinstance(info, dict) or info.get("schema") != SCHEMA:
        found = info.get("schema") if isinstance(info, dict) else type(info).__name__
        raise BadInput(f"{path}: schema is {found!r:.60}; this version reads {SCHEMA}")
    decode(path, info, RunInfo)
    return info


def named(frame: pd.DataFrame, machine: str) -> pd.DataFrame:
    """Return a table of one machine's rows with the machine's name in them."""
    import pandas as pd

    return frame.assign(machine=pd.Series([machine] * len(frame), frame.index, dtype=object))
