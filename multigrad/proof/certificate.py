"""A certificate: what was proven of which source, at which points, to how many digits; and its verification.

A certificate is a JSON file. To verify it is to repeat the proof: the source must be the one that was certified, and
every figure must come out again. A hash over the whole tells a damaged file from a changed formula.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from ..data.decode import (
    Amount,
    Count,
    Int64,
    decode,
    from_json,
    read_bytes,
)
from ..data.errors import BadInput, one_line
from ..namespaces.exact import Undecided
from ..ops.find import Operations, allowed, files_of, given_operations, load_operations
from ..ops.implementation import parts_of, with_files
from ..ops.operation import Operation
from ..ops.sizes import small_sizes
from ..ops.source import source_hash
from ..ops.text import sizes_text
from ..process import child as worker
from ..process.entry import entry_point, no_rows
from ..verdict.words import FAIL, PASS
from .prove import Proof, prove

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "multigrad certificate"
VERSION = 1

LIBRARIES = ("python-flint", "numpy")
"""What a proof is computed with."""

REPEATED = ("compared", "directions", "probability", "passed")
"""Figures that come out the same whenever the same proof is repeated; radii may change with the library."""

TRIES = 5
"""Seeds to try before a kink is an answer."""


Dimension = Annotated[int, Meta(ge=-(2**31), le=2**31)]
SizeValue = Dimension | float | bool | str | None | list[Dimension | float | bool | str | None]
"""A dimension or a parameter."""


@dataclass(frozen=True)
class Certified:
    """One gradient of one operation at one size and regime."""

    operation: str
    """Name of the operation."""
    reference: str
    """A catalogue name, or ``path.py::name`` with the path as seen from the certificate's folder."""
    source_sha256: str
    """Hash of its source, as :func:`multigrad.ops.source.source_hash` gives it."""
    output: str
    """``X_bar``, the gradient with respect to X."""
    size: Mapping[str, SizeValue]
    """Dimensions and parameters."""
    regime: str
    """How the points were drawn."""
    seed: Int64
    """The first point's seed; each further point takes the next."""
    points: Annotated[int, Meta(ge=1, le=1000)]
    """At how many points the enclosures were compared."""
    bits: Count
    """The highest precision of the balls."""
    compared: Count
    """How many pairs of enclosures were compared."""
    directions: Count | None
    """How many random directions stood in for the entries; None where every entry was compared."""
    width: Amount
    """The largest relative radius of any enclosure."""
    probability: Amount | None
    """The probability with which a wrong formula would have passed; None where nothing bounds it."""
    passed: bool
    """Whether all enclosures were narrow and overlapped, and the gradient is linear in the cotangent."""


class Content(Struct):
    """What a certificate holds, besides its format, its version and its hash."""

    certified: list[Certified]
    libraries: dict[str, str] = {}
    date: str = ""

    def __post_init__(self) -> None:
        """Make sure that there is something to verify."""
        if not self.certified:
            raise ValueError("certified is empty: it certifies nothing")


@entry_point(no_rows(f.name for f in fields(Certified)))
def write_certificate(
    path: str | os.PathLike[str],
    ops: Operations = None,
    *,
    seed: int = 0,
    regimes: Sequence[str] = ("gaussian",),
    points: int = 2,
) -> pd.DataFrame:
    """Prove operations at every small size and write what was proven.

    An operation without a pullback of its own has no formula to prove, and is left out.

    Args:
        path: the JSON file.
        ops: operations, catalogue names or files; None is the whole catalogue.
        seed: of the first point.
        regimes: how the points are drawn.
        points: how many at each size.

    Returns:
        One row per gradient, size and regime, with the fields of :class:`Certified`. Those with ``passed`` alone
        stand in the file.

    Raises:
        BadInput: an operation that nobody could find again, or nothing that could be certified.
    """
    import pandas as pd

    chosen = given_operations(ops)
    for op in chosen:
        if not op.reference:
            raise BadInput(f"{op.name} is defined inside a function; a certificate needs one that can be found again")
    folder = Path(path).resolve().parent
    arguments = {"references": [op.reference for op in chosen], "seed": seed, "regimes": regimes, "points": points}
    answers = _ask("certify", arguments, [op.name for op in chosen])
    entries = [replace(c, reference=_seen_from(folder, c.reference)) for c in (Certified(**a) for a in answers)]
    passed = [asdict(c) for c in entries if c.passed]
    if not entries:
        names = ", ".join(op.name for op in chosen)
        raise BadInput(f"there is no formula to certify: {names} has no pullback of its own")
    if not passed:
        raise BadInput("nothing was certified, so there is no certificate; `multigrad check` says what is wrong")
    content = {
        "format": FORMAT,
        "version": VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "libraries": {"python": platform.python_version(), **{n: metadata.version(n) for n in LIBRARIES}},
        "certified": passed,
    }
    text = json.dumps({**content, "sha256": _digest(content)}, indent=1, ensure_ascii=False)
    aside = Path(f"{path}.part")
    aside.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    aside.replace(path)
    return pd.DataFrame([asdict(c) for c in entries])


def _ask(target: str, arguments: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Let a worker prove, for it imports and runs somebody's code, and return its answers."""
    answers: list[dict[str, Any]] = []
    for message in worker.run(f"{__name__}:{target}", arguments):
        if isinstance(message, worker.Death):
            raise BadInput(f"{names[message.task or 0]}: the proof {message.reason}")
        if "refused" in message:
            raise BadInput(message["refused"])
        answers += message.get("answers", ())
    return answers


def certify(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Prove operations at every small size; the worker's side of :func:`write_certificate`."""
    try:
        for i, reference in enumerate(arguments["references"]):
            yield {"begin": i}
            (op,) = load_operations([reference])
            for size in map(op.size, small_sizes(op)) if op.has_pullback else ():
                for regime in arguments["regimes"]:
                    proof = _try(op, size, arguments["seed"], regime, arguments["points"])
                    yield {"answers": [asdict(c) for c in _certified(op, size, proof)]}
    except BadInput as error:
        yield {"refused": str(error)}


def _try(op: Operation, size: Mapping[str, Any], seed: int, regime: str, points: int) -> Proof:
    for attempt in range(TRIES):
        try:
            return prove(op, size, seed + attempt * points, regime, points=points)
        except Undecided as error:
            reason = str(error)
    raise BadInput(f"{op.name}: no certificate at {dict(size)}, for at {TRIES} draws {reason}")


def _certified(op: Operation, size: Mapping[str, Any], proof: Proof) -> Iterator[Certified]:
    for gradient in proof.gradients:
        yield Certified(
            operation=op.name,
            reference=parts_of(op.reference)[0],
            source_sha256=source_hash(op),
            output=op.gradient_name(gradient.name),
            size=dict(size),
            regime=proof.regime,
            seed=proof.seed,
            points=proof.points,
            bits=proof.bits,
            compared=gradient.compared,
            directions=gradient.directions,
            width=gradient.width,
            probability=proof.probability,
            passed=gradient.passed,
        )


def _seen_from(folder: Path, reference: str) -> str:
    return with_files(reference, lambda path: Path(os.path.relpath(path, folder)).as_posix())


def _seen_at(folder: Path, reference: str) -> str:
    """Undo :func:`_seen_from`."""
    return with_files(reference, lambda path: str((folder / path).resolve()))


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()


VERIFIED = ("operation", "output", "sizes", "regime", "verdict", "reason")
"""The columns of what :func:`verify` returns."""


@entry_point(no_rows(VERIFIED))
def verify(path: str | os.PathLike[str], ops: Operations = None) -> pd.DataFrame:
    """Repeat what a certificate says.

    Args:
        path: a file that :func:`write_certificate` wrote.
        ops: the files of those operations that are not the catalogue's: a certificate names code, and what it names
            runs only where somebody gives it too.

    Returns:
        One row for each thing certified, with ``operation``, ``output``, ``sizes``, ``regime``, ``verdict`` (PASS or
        FAIL) and ``reason``: what has changed, in one line. A file whose own hash is wrong has a first row for that.

    Raises:
        BadInput: the file cannot be read, is no certificate, or names a file that was not given.
    """
    import pandas as pd

    described, content = _read(path)
    rows = []
    if content.pop("sha256", None) != _digest(content):
        reason = "the certificate was changed after it was written: its hash is not that of its content"
        rows.append(_answer("*", "*", "", "", reason))
    entries = described.certified
    folder, how = Path(path).resolve().parent, f"multigrad verify {path} FILE"
    references = [allowed(_seen_at(folder, one.reference), files_of(ops), str(path), how) for one in entries]
    given = [asdict(replace(one, reference=to)) for one, to in zip(entries, references, strict=True)]
    rows += _ask("repeat", {"certified": given}, [one.operation for one in entries])
    return pd.DataFrame(rows)


def repeat(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Repeat proofs; the worker's side of :func:`verify`."""
    proofs: dict[str, Any] = {}
    for i, entry in enumerate(arguments["certified"]):
        yield {"begin": i}
        yield {"answers": [_verified(Certified(**entry), proofs)]}


def read_certificate(path: str | os.PathLike[str]) -> list[Certified]:
    """Return what a certificate says, without repeating the proofs.

    Raises:
        BadInput: the file cannot be read, is no certificate, or was changed after it was written.
    """
    described, content = _read(path)
    if content.pop("sha256", None) != _digest(content):
        raise BadInput(f"{path} was changed after it was written: its hash is not that of its content; write it again")
    return described.certified


def _read(path: str | os.PathLike[str]) -> tuple[Content, dict[str, Any]]:
    """Return what a certificate says, and the same as its hash is made of it."""
    data = read_bytes(path)
    with _damage():
        content = from_json(path, data)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BadInput(f"{path} is no certificate; wanted a file that `multigrad check --certificate` wrote")
    if content.get("version") != VERSION:
        raise BadInput(f"{path} has version {content.get('version')!r:.60}; this multigrad reads version {VERSION}")
    with _damage():
        return decode(path, content, Content), content


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except BadInput as error:
        raise BadInput(f"{error}; the certificate is damaged, write it again") from error


def _answer(operation: str, output: str, sizes: str, regime: str, reason: str) -> dict[str, str]:
    verdict = FAIL if reason else PASS
    return dict(zip(VERIFIED, (operation, output, sizes, regime, verdict, reason), strict=True))


def _verified(one: Certified, proofs: dict[str, Any]) -> dict[str, str]:
    try:
        reason = _difference(one, proofs)
    except BadInput as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - whatever a changed formula raises, it is not what was certified
        reason = f"the proof raised {one_line(error)}"
    return _answer(one.operation, one.output, sizes_text(one.size), one.regime, reason)


def _difference(one: Certified, proofs: dict[str, Any]) -> str:
    """Say what has changed, or nothing."""
    op = load_operations([one.reference])[0]
    changed = source_hash(op) != one.source_sha256
    size = {k: tuple(v) if isinstance(v, list) else v for k, v in one.size.items()}
    key = json.dumps([one.reference, one.size, one.regime, one.seed, one.points], sort_keys=True)
    if key not in proofs:
        proofs[key] = prove(op, size, one.seed, one.regime, points=one.points)
    repeated = {c.output: c for c in _certified(op, size, proofs[key])}.get(one.output)
    if repeated is None:
        return f"{op.name} has no gradient {one.output} any more"
    after = "the source has changed" if changed else "the source is the same"
    if not repeated.passed:
        return f"{after}, and the proof fails: {proofs[key].kind}"
    if changed:
        return "the source has changed since; the proof holds for the new one: write the certificate again"
    for figure in REPEATED:
        then, now = getattr(one, figure), getattr(repeated, figure)
        if then != now:
            return f"the certificate says {figure} {then}, the proof gives {now}: forged, or other libraries"
    return ""
