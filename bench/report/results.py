"""What was found out about operations, read from folders of results.

Read from each folder, where it is there: ``certificates.json`` (`multigrad check --certificate`), ``matrix.csv`` or
``matrix.csv.gz`` (`multigrad check --csv`, the columns of :class:`multigrad.matrix.MatrixRow`), ``summary.csv``
(`multigrad bench`, the columns of :class:`multigrad.bench.store.rows.SummaryRow`) and the ``run.json`` beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigrad.data.errors import BadInput
from multigrad.matrix.rows import MatrixRow
from multigrad.ops.implementation import with_files
from multigrad.ops.operation import Operation
from multigrad.proof.certificate import Certified, read_certificate

from ..store.folder import MATRIX, RUN, SUMMARY
from ..store.frames import read_rows, to_frame
from ..store.rows import SummaryRow, place
from ..store.run import read_info

if TYPE_CHECKING:
    import pandas as pd


CERTIFICATES, MATRICES = "certificates.json", (MATRIX, f"{MATRIX}.gz")


@dataclass(frozen=True)
class Results:
    """What has been found out about operations."""

    certified: tuple[Certified, ...]
    matrix: pd.DataFrame
    """The columns of :class:`multigrad.matrix.MatrixRow`, ``where``, and ``own``: whether the operation is not
    the catalogue's, None where the run does not tell."""
    summary: pd.DataFrame
    """The columns of :class:`multigrad.bench.store.rows.SummaryRow`, and the same two."""
    settings: tuple[str, ...]
    """What was measured on, a sentence for each run."""

    @classmethod
    def read(cls, folders: Iterable[Path]) -> Results:
        """Read folders of results; a file that is not there is empty.

        Raises:
            BadInput: a folder is not there, or a file is damaged.
        """
        import pandas as pd

        certified: list[Certified] = []
        tables: dict[type, list[pd.DataFrame]] = {MatrixRow: [], SummaryRow: []}
        settings = []
        folders = list(folders)
        timed = sum((Path(folder) / SUMMARY).exists() for folder in folders)
        for folder in map(Path, folders):
            if not folder.is_dir():
                raise BadInput(f"no folder {folder}; wanted one with {CERTIFICATES}, {MATRIX} or {SUMMARY}")
            if (folder / CERTIFICATES).exists():
                certified += [_resolved(one, folder) for one in read_certificate(folder / CERTIFICATES)]
            for row_class, names in ((MatrixRow, MATRICES), (SummaryRow, (SUMMARY,))):
                path = next((folder / name for name in names if (folder / name).exists()), None)
                if path is not None:
                    frame = read_rows(path, row_class)
                    frame = frame.assign(own=_own(frame, folder))
                    several = row_class is SummaryRow and timed > 1
                    tables[row_class].append(frame.assign(where=_places(frame, f" ({folder.name})" if several else "")))
            if (folder / RUN).exists():
                settings.append(_setting(read_info(folder), folder.name if timed > 1 else ""))
        matrix, summary = (
            pd.concat(frames, ignore_index=True) if frames else _places_of_none(to_frame([], row_class))
            for row_class, frames in tables.items()
        )
        return cls(tuple(certified), matrix, summary, tuple(settings))

    def rows(self, frame: pd.DataFrame, op: Operation) -> pd.DataFrame:
        """Return the rows of that very operation: what is the catalogue's is not another's of its name."""
        return frame[(frame["operation"] == op.name) & (frame["own"] != op.catalogued)]


def _own(frame: pd.DataFrame, folder: Path) -> Any:
    info = read_info(folder) if (folder / RUN).exists() else {}
    names = info.get("own_operations")
    return None if names is None else frame["operation"].isin(names)


def _resolved(one: Certified, folder: Path) -> Certified:
    """Return what was certified with the reference as an operation has it; the file's is seen from its own folder."""
    return replace(one, reference=with_files(one.reference, lambda path: str((folder / path).resolve())))


def _places(frame: pd.DataFrame, suffix: str) -> list[str]:
    return [place(row) + suffix for row in frame[["backend", "device", "mode"]].to_dict("records")]


def _places_of_none(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(where=_places(frame, ""), own=None)


def _setting(info: Mapping[str, Any], name: str) -> str:
    host = info.get("host") or {}
    versions = info.get("versions") or {}
    commit = (info.get("git") or {}).get("commit") or ""
    parts = [
        f"{host.get('cpu', 'an unknown processor')}, {host.get('processors', '?')} processors",
        *host.get("gpus", []),
        ", ".join(f"{k} {v}" for k, v in versions.items() if k not in ("multigrad", "pandas", "threadpoolctl")),
        f"{str(info.get('started', ''))[:10]}{f', commit {commit[:10]}' if commit else ''}",
    ]
    return (f"{name}: " if name else "") + "; ".join(part for part in parts if part)
