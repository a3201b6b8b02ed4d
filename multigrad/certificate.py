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
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, Struct

from .decode import Amount, Count, Int64, decode, from_json, read_bytes
from .operation import BadInput, Operation, Operations, given_operations, load_operations
from .verdict import FAIL, PASS

if TYPE_CHECKING:
    import pandas as pd

    from .proof import Proof

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
    """Hash of its source, as :func:`multigrad.mutation.source_hash` gives it."""
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


def write_certificate(
    path: str | os.PathLike[str],
    ops: Operations = None,
    *,
    seed: int = 0,
    regimes: Sequence[str] = ("gaussian",),
    points: int = 2,
) -> pd.DataFrame:
    """Prove operations at every small size and write what was proven.

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

    from .truth import small_sizes

    found: list[Certified] = []
    folder = Path(path).resolve().parent
    for op in given_operations(ops):
        if not op.reference:
            raise BadInput(f"{op.name} is defined inside a function; a certificate needs one that can be found again")
        for name in small_sizes(op):
            for regime in regimes:
                found += _certified(op, op.size(name), _try(op, op.size(name), seed, regime, points), folder)
    passed = [asdict(c) for c in found if c.passed]
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
    aside.write_text(text + "\n", encoding="utf-8")
    aside.replace(path)
    return pd.DataFrame([asdict(c) for c in found])


def _try(op: Operation, size: Mapping[str, Any], seed: int, regime: str, points: int) -> Proof:
    from .namespaces.exact import Undecided
    from .proof import prove

    for attempt in range(TRIES):
        try:
            return prove(op, size, seed + attempt * points, regime, points=points)
        except Undecided as error:
            reason = str(error)
    raise BadInput(f"{op.name}: no certificate at {dict(size)}, for at {TRIES} draws {reason}")


def _certified(op: Operation, size: Mapping[str, Any], proof: Proof, folder: Path) -> Iterator[Certified]:
    from .mutation import source_hash

    for gradient in proof.gradients:
        yield Certified(
            operation=op.name,
            reference=_seen_from(folder, op.reference),
            source_sha256=source_hash(op),
            output=f"{gradient.name}_bar",
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
    path, mark, name = reference.partition("::")
    return f"{Path(os.path.relpath(path, folder)).as_posix()}{mark}{name}" if mark else reference


def _digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def verify(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Repeat what a certificate says.

    Args:
        path: a file that :func:`write_certificate` wrote.

    Returns:
        One row for each thing certified, with ``operation``, ``output``, ``sizes``, ``regime``, ``verdict`` (PASS or
        FAIL) and ``reason``: what has changed, in one line. A file whose own hash is wrong has a first row for that.

    Raises:
        BadInput: the file cannot be read, or is no certificate.
    """
    import pandas as pd

    described, content = _read(path)
    rows = []
    if content.pop("sha256", None) != _digest(content):
        reason = "the certificate was changed after it was written: its hash is not that of its content"
        rows.append(_answer("*", "*", "", "", reason))
    proofs: dict[str, Any] = {}
    rows += [_verified(one, Path(path).resolve().parent, proofs) for one in described.certified]
    return pd.DataFrame(rows)


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
    names = ("operation", "output", "sizes", "regime", "verdict", "reason")
    return dict(zip(names, (operation, output, sizes, regime, verdict, reason), strict=True))


def _verified(one: Certified, folder: Path, proofs: dict[str, Any]) -> dict[str, str]:
    from .truth import sizes_text

    try:
        reason = _difference(one, folder, proofs)
    except BadInput as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - whatever a changed formula raises, it is not what was certified
        lines = str(error).strip().splitlines()
        reason = f"the proof raised {type(error).__name__}: {lines[0] if lines else ''}"
    return _answer(one.operation, one.output, sizes_text(one.size), one.regime, reason)


def _difference(one: Certified, folder: Path, proofs: dict[str, Any]) -> str:
    """Say what has changed, or nothing."""
    from .mutation import source_hash
    from .proof import prove

    reference, mark, name = one.reference.partition("::")
    op = load_operations([f"{(folder / reference).resolve()}{mark}{name}" if mark else reference])[0]
    changed = source_hash(op) != one.source_sha256
    size = {k: tuple(v) if isinstance(v, list) else v for k, v in one.size.items()}
    key = json.dumps([one.reference, one.size, one.regime, one.seed, one.points], sort_keys=True)
    if key not in proofs:
        proofs[key] = prove(op, size, one.seed, one.regime, points=one.points)
    found = {c.output: c for c in _certified(op, size, proofs[key], folder)}.get(one.output)
    if found is None:
        return f"{op.name} has no gradient {one.output} any more"
    after = "the source has changed" if changed else "the source is the same"
    if not found.passed:
        return f"{after}, and the proof fails: {proofs[key].kind}"
    if changed:
        return "the source has changed since; the proof holds for the new one: write the certificate again"
    for figure in REPEATED:
        then, now = getattr(one, figure), getattr(found, figure)
        if then != now:
            return f"the certificate says {figure} {then}, the proof gives {now}: forged, or other libraries"
    return ""
