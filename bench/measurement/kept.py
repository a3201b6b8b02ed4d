"""References that are kept in a folder from run to run: what takes a CPU minutes need not cost time on a GPU."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from multigrad.data.decode import decode, from_json, read_bytes
from multigrad.data.errors import BadInput
from multigrad.ops.find import load_operations
from multigrad.ops.source import code_hash, file_hash

from ..timing.messages import ReferenceEnded

VARIABLE = "MULTIGRAD_REFERENCES"
"""The environment variable that names the folder."""


@dataclass(frozen=True)
class Kept:
    """A folder of references. Each bears the hash of all that it depends on: a stale one is never found."""

    folder: Path
    state: str
    """Of the code that finds references."""

    @classmethod
    def chosen(cls) -> Kept | None:
        """Return the folder that the environment names, or None.

        Raises:
            BadInput: it cannot be made.
        """
        named = os.environ.get(VARIABLE)
        return cls.at(Path(named)) if named else None

    @classmethod
    def at(cls, folder: Path) -> Kept:
        """Return a folder, which is made if it is not there.

        Raises:
            BadInput: it cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot make {folder}, where references are kept: {error.strerror}") from error
        return cls(folder, code_hash())

    def take(self, question: Mapping[str, Any]) -> ReferenceEnded | None:
        """Copy a reference to where a question wants it and return what is known of it; None if it is not here.

        Args:
            question: as :func:`multigrad.bench.timing.gate.prepare` has it.

        Raises:
            BadInput: what stands beside it cannot be read.
        """
        known, truth = self._files(question)
        if not (known.exists() and truth.exists()):
            return None
        answer = decode(str(known), from_json(str(known), read_bytes(known)), ReferenceEnded)
        if not {*question["variants"]} <= {*answer.costs}:
            return None
        shutil.copyfile(truth, question["path"])
        return answer

    def keep(self, question: Mapping[str, Any], answer: ReferenceEnded) -> None:
        """Keep a reference that was found.

        Raises:
            BadInput: the folder cannot be written to.
        """
        known, truth = self._files(question)
        aside = truth.with_suffix(f".{os.getpid()}.part")
        try:
            with (
                zipfile.ZipFile(question["path"]) as found,
                zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as smaller,
            ):
                for name in found.namelist():
                    smaller.writestr(name, found.read(name))
            aside.rename(truth)
            # The file of figures comes last: where it is, the reference is whole.
            text = json.dumps({"end": 0, **{k: v for k, v in asdict(answer).items() if k != "number"}})
            aside.write_text(text, encoding="utf-8")
            aside.rename(known)
        except OSError as error:
            raise BadInput(f"cannot keep a reference in {self.folder}: {error.strerror}") from error

    def _files(self, question: Mapping[str, Any]) -> tuple[Path, Path]:
        """Return the files of a reference: figures, and arrays."""
        (op,) = load_operations([question["reference"]])
        what = {name: question[name] for name in ("size", "seed", "dtype", "precision")}
        text = json.dumps([self.state, op.name, file_hash(op), what], sort_keys=True)
        stem = f"{op.name}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"
        return self.folder / f"{stem}.json", self.folder / f"{stem}.npz"
