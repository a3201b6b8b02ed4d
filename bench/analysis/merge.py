"""Several runs are read, put together into one, and written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multigrad.data.errors import BadInput

from ..store.folder import make_folder
from ..store.machine import command
from ..store.run import Run
from .combine import together
from .load import load_run, write_run


def merge(runs: Sequence[Path], out: Path) -> Run:
    """Put runs together into the new run ``out``, and return it.

    The same cell of the same machine in several runs is kept once: of those that have a time, the newest. ``run.json``
    counts in ``measured_twice`` the cells that were left out.

    Args:
        runs: their folders; merged ones too.
        out: folder of the new run.

    Raises:
        BadInput: a run cannot be read or has two sides, an operation of one's own has the name of another's, or the
            folder holds a run or cannot be written to.
    """
    folders = list(dict.fromkeys(Path(run).resolve() for run in runs))
    loaded = [load_run(folder) for folder in folders]
    for folder, run in zip(folders, loaded, strict=True):
        if run.before is not None:
            raise BadInput(f"{folder} has the times of another commit beside its own; a merged run has one side")
    _no_namesakes(folders, loaded)
    folder = Path(out)
    make_folder(folder)
    made = together(loaded, folder, {"command": command()})
    write_run(made)
    return made


def _no_namesakes(folders: Sequence[Path], runs: Sequence[Run]) -> None:
    """Raise if an operation is the catalogue's in one run and somebody's own, of the same name, in another."""
    source: dict[str, tuple[str, Path]] = {}
    for folder, run in zip(folders, runs, strict=True):
        own = run.info.get("own_operations") or {}
        for name in dict.fromkeys(run.summary["operation"]):
            first, where = source.setdefault(name, (own.get(name, "the catalogue"), folder))
            if first != own.get(name, "the catalogue"):
                raise BadInput(f"{name} is of {first} in {where} and of {own[name]} in {folder}: rename one of them")
