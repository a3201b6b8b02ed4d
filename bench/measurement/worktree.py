"""Another commit of the same source, beside this one, so that both are measured in the same rounds."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from multigrad.data.errors import BadInput
from multigrad.ops.implementation import files_in, with_files

ROOT = Path(__file__).resolve().parent.parent.parent
"""The folder of this very multigrad."""


@dataclass(frozen=True)
class Tree:
    """A commit, checked out into a folder of its own."""

    commit: str
    folder: Path
    repository: Path
    """The checkout that it is another state of."""

    @property
    def root(self) -> Path | None:
        """Where its workers find multigrad; None in another project's repository, which this multigrad measures."""
        return self.folder if self.repository == ROOT else None

    def reference(self, reference: str) -> str:
        """Return how an operation of this side is found on the other: a file of the repository is that commit's."""

        def there(path: str) -> str:
            inside = Path(path).is_relative_to(self.repository)
            return str(self.folder / Path(path).relative_to(self.repository)) if inside else path

        return with_files(reference, there)


def repository(references: Iterable[str]) -> Path:
    """Return the checkout whose commits can be compared: that of the first operation in a file, or multigrad's own.

    Args:
        references: catalogue names, or ``path.py::name``.

    Raises:
        BadInput: it is no checkout.
    """
    files = [Path(file).resolve().parent for reference in references for file in files_in(reference)]
    folder = files[0] if files else ROOT
    return Path(_git(folder, "rev-parse", "--show-toplevel")).resolve()


def commit(repository: Path, revision: str) -> str:
    """Return the full name of a commit.

    Raises:
        BadInput: there is none of that name.
    """
    return _git(repository, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")


@contextlib.contextmanager
def checked_out(repository: Path, revision: str, scratch: Path) -> Iterator[Tree]:
    """Check a commit out below a scratch folder, and take it away in the end.

    Raises:
        BadInput: git cannot; the message is its own.
    """
    name = commit(repository, revision)
    folder = scratch / f"commit-{name[:12]}"
    _git(repository, "worktree", "add", "--detach", "--force", str(folder), name)
    try:
        yield Tree(name, folder, repository)
    finally:
        with contextlib.suppress(BadInput):
            _git(repository, "worktree", "remove", "--force", str(folder))


def _git(folder: Path, *arguments: str) -> str:
    try:
        ended = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadInput(f"git cannot be run: {error}") from error
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise BadInput(f"git {arguments[0]} in {folder}: {last}")
    return ended.stdout.strip()
