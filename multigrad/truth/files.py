"""The truth of a case in an .npz file that every backend reads; or in a .json file why it is not known."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..verdict.judge import Reference
from .case import Truth, Unknown, Unserved


def write_truth(folder: str | os.PathLike[str], name: object, truth: Truth) -> None:
    """Write the truth of a case, whole or not at all."""
    named = {f"array{i}": a for i, a in enumerate(truth.arrays)}
    for i, r in enumerate(truth.references):
        # What is zero throughout takes no room.
        parts = {part: getattr(r, part) for part in ("value", "rest", "bound", "probable", "hull")}
        named |= {f"{part}{i}": a if part == "value" or a.any() else np.zeros(()) for part, a in parts.items()}
        named[f"excused{i}"] = r.excused if r.excused.any() else np.zeros((), dtype=np.bool_)
    named["note"] = np.array(truth.note)
    named["refuted"] = np.array(truth.refuted, dtype=np.str_)
    path = Path(folder) / f"{name}.npz"
    aside = path.with_suffix(".part")
    with aside.open("wb") as file:
        np.savez(file, **named)  # type: ignore[arg-type]  # the stubs take the names for options
    aside.rename(path)


def write_unknown(folder: str | os.PathLike[str], name: object, reason: str, *, unserved: bool = False) -> None:
    """Write why the truth of a case is not known."""
    text = json.dumps({"reason": reason, "unserved": unserved})
    (Path(folder) / f"{name}.json").write_text(text, encoding="utf-8")


def read_truth(folder: str | os.PathLike[str], name: object) -> Truth:
    """Read the truth of a case.

    Raises:
        Unserved: there is no such case.
        Unknown: it could not be found, with the reason.
    """
    unknown = Path(folder) / f"{name}.json"
    if unknown.exists():
        answer = json.loads(unknown.read_text(encoding="utf-8"))
        raise (Unserved if answer["unserved"] else Unknown)(answer["reason"])
    with np.load(Path(folder) / f"{name}.npz", allow_pickle=False) as file:
        refuted = tuple(str(output) for output in file["refuted"])
        return Truth(_arrays(file), _references(file), str(file["note"]), refuted)


def read_arrays(path: Path) -> list[np.ndarray]:
    """Read the inputs and cotangents alone."""
    with np.load(path, allow_pickle=False) as file:
        return _arrays(file)


def read_references(path: Path) -> list[Reference]:
    """Read the references alone."""
    with np.load(path, allow_pickle=False) as file:
        return _references(file)


def _arrays(file: Any) -> list[np.ndarray]:
    return [file[f"array{i}"] for i in range(_count(file, "array"))]


def _references(file: Any) -> list[Reference]:
    references = []
    for i in range(_count(file, "value")):
        value = file[f"value{i}"]
        names = ("rest", "bound", "probable", "hull", "excused")
        rest = (np.broadcast_to(file[f"{p}{i}"], value.shape) for p in names)
        references.append(Reference(value, *rest))
    return references


def _count(file: Any, kind: str) -> int:
    return sum(name.startswith(kind) for name in file.files)
