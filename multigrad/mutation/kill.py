"""Who watches the checker: every mutant of every pullback, and which check kills it. Beside ours, the usual ones.

A mutant that no check of ours kills must be shown equivalent by ball arithmetic: its gradients overlap with those of
the original at many points, of many sizes, and where they differ on a kink, lie in the subdifferential there. What is
neither killed nor shown equivalent survives, and the bar is that none does.
"""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import Session, Unavailable, backend, backends
from ..data.columns import doc
from ..data.errors import BadInput
from ..diagnosis.conduct import Conduct, same_bits
from ..ops.find import Operations, given_operations, load_operations
from ..ops.operation import Operation
from ..ops.reach import reaching_sizes, scaled_sizes
from ..ops.sizes import small_sizes
from ..ops.text import derivative_name, sizes_text
from ..process import child as worker
from ..process.entry import entry_point, no_rows
from ..truth.case import Case, Truth, Unknown
from ..truth.find import find_truth
from ..truth.inputs import dtype_arrays
from ..verdict.judge import FAIL, judge
from .mutants import Mutant, mutants

if TYPE_CHECKING:
    import pandas as pd

OURS = {
    "formula": "the enclosure of the pullback does not meet that of the derivative, at a small size",
    "further sizes": "the same, where no size of the operation's own reaches: sizes derived until every line is run",
    "kink": "on a kink the gradient is outside the subdifferential",
    "number": "a backend's result is beyond the bound",
    "relations": "another result the second time, a changed input, a zero cotangent whose gradient is not zero",
    "shape and dtype": "a gradient has a wrong shape or dtype, or a backend raised",
}
"""Our checks, each with what it notices. Those below `formula` are asked about what it let pass."""

CORRECT = -1
"""The number of the operation itself, which no check may kill."""

TIMEOUT_S = 60.0
"""How long a mutant may take; one that hangs is killed by its own slowness."""

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class KillRow:
    """One mutant before one check."""

    operation: str = doc("Name of the operation.")
    mutant: int = doc("Number of the mutant; −1 is the operation itself, which no check may kill.")
    kind: str = doc("Kind of the mistake; `correct` for the operation itself.")
    line: int = doc("Line in the operation's file; 0 where the mistake is put around the pullback.")
    change: str = doc("What was changed, as source text.")
    check: str = doc("The check; ours, or another tool's.")
    backend: str = doc("Where it ran; `exact` for ball arithmetic.")
    killed: bool = doc("Whether the check noticed.")
    equivalent: bool = doc("Whether ball arithmetic shows that the mutant is as right as the original.")
    reason: str = doc("What the check said; for an equivalent mutant, how that was shown.")
    seconds: float = doc("How long the check took.")


COLUMNS = tuple(f.name for f in fields(KillRow))


@dataclass(frozen=True)
class Work:
    """What one process does: mutants of some operations before one group of checks."""

    group: str
    """``formula``, ``equivalence``, ``ours`` or ``rivals``."""
    backend: str
    items: list[tuple[str, int]]
    """Reference of an operation, number of a mutant."""


@entry_point(no_rows(COLUMNS))
def kill_matrix(
    ops: Operations = None,
    *,
    backends: Sequence[str] | None = None,  # the public word for it
    rivals: bool = True,
    every: int = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Put every mutant of operations to every check and return one row for each, with the columns of :class:`KillRow`.

    Args:
        ops: operations that another process can find again, catalogue names or files; None is the whole catalogue.
        backends: names; None is every one that opens on the CPU here.
        rivals: whether the frameworks' own checkers are asked too.
        every: take every so many mutants only: a sample.
        progress: told about every finished mutant.

    Raises:
        BadInput: an unknown name, or an operation that another process cannot find.
    """
    import pandas as pd

    texts = _described(_operations(ops), every)
    items = list(texts)
    names = _present(backends)
    works = [Work("formula", "exact", items)]
    works += [Work("ours", name, items) for name in names]
    works += [Work("rivals", name, items) for name in names if rivals]
    total, count = len(items) * len(works), itertools.count(1)

    def tick(text: str) -> None:
        if progress:
            progress(next(count), total, text)

    lanes = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(max(1, lanes)) as pool:
        rows = [row for rows in pool.map(lambda w: _run(w, tick), works) for row in rows]
        killed = {(r["reference"], r["mutant"]) for r in rows if r["killed"] and r["check"] in OURS}
        pending = [item for item in items if item not in killed and item[1] != CORRECT]
        chunks = [Work("equivalence", "exact", pending[i::lanes]) for i in range(lanes) if pending[i::lanes]]
        rows += [row for rows in pool.map(lambda w: _run(w, tick), chunks) for row in rows]
    equal = {(r["reference"], r["mutant"]) for r in rows if r["equivalent"]}
    equal |= {item for item in items if item[1] == CORRECT}
    for row in rows:
        item = row["reference"], row["mutant"]
        row |= {**texts[item], "equivalent": item in equal}
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(
        ["operation", "mutant"], kind="stable", ignore_index=True
    )


def _operations(ops: Operations) -> list[Operation]:
    found = given_operations(ops)
    for op in found:
        if not op.reference:
            raise BadInput(
                f"{op.name} lies in no file, so another process cannot find it; wanted a catalogue name or file"
            )
    return found


def _described(ops: Sequence[Operation], every: int) -> dict[tuple[str, int], dict[str, Any]]:
    """Let a worker make the mutants, which compiles somebody's code, and say what each of them is."""
    texts: dict[tuple[str, int], dict[str, Any]] = {}
    arguments = {"references": [op.reference for op in ops], "every": every}
    for message in worker.run(f"{__name__}:describe", arguments):
        if isinstance(message, worker.Death):
            raise BadInput(f"no mutants of {ops[message.task or 0].name}: the process that makes them {message.reason}")
        if "refused" in message:
            raise BadInput(message["refused"])
        if "end" in message:
            texts |= {(ops[message["end"]].reference, number): text for number, text in message["texts"]}
    return texts


def describe(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Say what the mutants of operations are; the worker's side."""
    for i, reference in enumerate(arguments["references"]):
        yield {"begin": i}
        try:
            op = _original(reference)
            texts = [(CORRECT, {"operation": op.name, "kind": "correct", "line": 0, "change": ""})]
            texts += [
                (m.number, {"operation": op.name, "kind": m.kind, "line": m.line, "change": m.change})
                for m in mutants(op)[:: arguments["every"]]
            ]
        except BadInput as error:
            yield {"refused": str(error)}
            return
        yield {"end": i, "texts": texts}


def _present(names: Sequence[str] | None) -> list[str]:
    if names is not None:
        return [backend(name).name for name in names]
    return [b.name for b in backends().values() if "cpu" in b.devices and b.missing("cpu") is None]


def _run(work: Work, tick: Callable[[str], None]) -> list[dict[str, Any]]:
    """Let one process after the other work until every mutant has been before the checks."""
    rows: list[dict[str, Any]] = []
    checks = {"formula": ["formula"], "equivalence": ["further sizes"], "ours": ["number"], "rivals": []}[work.group]
    environment = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    if work.backend != "exact":
        environment = backend(work.backend).environment("cpu", 1, "strict")
    pending = list(work.items)
    while pending:
        arguments = {**asdict(work), "items": pending}
        current: list[dict[str, Any]] = []
        timeout_s = TIMEOUT_S if work.group != "equivalence" else 10 * TIMEOUT_S
        for message in worker.run(f"{__name__}:serve", arguments, environment=environment, timeout_s=timeout_s):
            if isinstance(message, worker.Death):
                lost = pending[message.task or 0]
                unsaid = [c for c in checks if c not in {r["check"] for r in current}]
                # A mutant that hangs or crashes did so before its formula: here the proof itself was too slow.
                died = work.group != "equivalence"
                rows += current + [_row(lost, c, work.backend, message.reason, 0.0, killed=died) for c in unsaid]
                pending = pending[(message.task or 0) + 1 :]
            elif "checks" in message:
                checks = message["checks"]
            elif "begin" in message:
                current = []
            elif "row" in message:
                current.append(message["row"])
            elif "end" in message:
                rows += current
                tick(f"{work.backend}: {work.group}")
                if message["end"] == len(pending) - 1:
                    pending = []
            elif "unavailable" in message:
                pending = []
        if work.group == "rivals" and not checks:
            break
    return rows


def _row(
    item: Sequence[Any],
    check: str,
    where: str,
    reason: str,
    seconds: float,
    *,
    killed: bool = True,
    equal: bool = False,
) -> dict[str, Any]:
    return {
        "reference": item[0],
        "mutant": item[1],
        "check": check,
        "backend": where,
        "killed": killed,
        "equivalent": equal,
        "reason": reason,
        "seconds": seconds,
    }


def serve(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Put mutants to one group of checks; the worker's side."""
    group, where = arguments["group"], arguments["backend"]
    answer: Callable[[Operation, Operation], Iterator[tuple[str, bool, bool, str]]]
    if where == "exact":
        answer = _formula if group == "formula" else _equivalence
    else:
        try:
            session = backend(where).open("cpu", threads=1)
        except Unavailable as error:
            yield {"unavailable": str(error)}
            return
        # Few frameworks have a checker, so the base class knows nothing of it.
        checkers: dict[str, Any] = getattr(session, "checkers", dict)() if group == "rivals" else {}
        if group == "rivals":
            yield {"checks": list(checkers)}
            if not checkers:
                return
        answer = functools.partial(_numbers, session) if group == "ours" else functools.partial(_rivals, checkers)
    for i, item in enumerate(arguments["items"]):
        yield {"begin": i}
        original, mutant = _original(item[0]), _mutant(*item)
        started = time.perf_counter()
        for check, killed, equal, reason in answer(original, mutant):
            now = time.perf_counter()
            yield {"row": _row(item, check, where, reason, now - started, killed=killed, equal=equal)}
            started = now
        yield {"end": i}


@functools.cache
def _original(reference: str) -> Operation:
    return load_operations([reference])[0]


@functools.cache
def _all_mutants(reference: str) -> list[Mutant]:
    return mutants(_original(reference))


def _mutant(reference: str, number: int) -> Operation:
    return _original(reference) if number == CORRECT else _all_mutants(reference)[number].operation


@functools.cache
def _small(op: Operation) -> list[dict[str, Any]]:
    return [op.size(name) for name in small_sizes(op)]


@functools.cache
def _further(op: Operation) -> list[dict[str, Any]]:
    """Sizes that reach more lines, then every small one with a dimension doubled or trebled."""
    reaching, _ = reaching_sizes(op, _small(op))
    scaled = itertools.islice(scaled_sizes(op, _small(op)), 60)
    return [*reaching, *(s for s in scaled if _seed(op, sizes_text(s), tuple(s.items())) is not None)]


@functools.cache
def _seed(op: Operation, _: str, size: tuple[tuple[str, Any], ...]) -> int | None:
    """The first seed at which the operation itself can be decided; None where it is not proven at all."""
    return next((seed for seed in range(5) if not _refutation(op, dict(size), seed)), None)


def _refutation(op: Operation, size: Mapping[str, Any], seed: int) -> str:
    from ..proof.prove import prove

    try:
        proof = prove(op, size, seed)
    except Exception as error:  # noqa: BLE001 - whatever a mutant raises kills it
        return f"raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if proof.passed:
        return ""
    for gradient in proof.gradients:
        if not gradient.agrees:
            what = gradient.reason or f"differs by {gradient.disagreement:.3g} of its size"
            return f"{derivative_name(gradient.name + '_bar')} {what}"
    return "the pullback is not linear in the cotangent"


def _refuted(original: Operation, mutant: Operation, sizes: Sequence[Mapping[str, Any]]) -> str:
    for size in sizes:
        seed = _seed(original, sizes_text(size), tuple(size.items()))
        reason = "" if seed is None and mutant is not original else _refutation(mutant, size, seed or 0)
        if reason:
            return f"{reason} ({sizes_text(size)})"
    return ""


def _formula(original: Operation, mutant: Operation) -> Iterator[tuple[str, bool, bool, str]]:
    reason = _refuted(original, mutant, _small(original))
    yield "formula", bool(reason), False, reason


def _equivalence(original: Operation, mutant: Operation) -> Iterator[tuple[str, bool, bool, str]]:
    """Try further sizes, then kinks; what passes all of it is equivalent."""
    sizes = _further(original)
    reason = _refuted(original, mutant, sizes)
    yield "further sizes", bool(reason), False, reason
    if reason:
        return
    outside, on_kinks = _at_kinks(original, mutant)
    shown = f"the enclosures overlap at {len(sizes) + len(_small(original))} points of as many sizes"
    if on_kinks:
        shown = f"differs on kinks only, within the subdifferential ({on_kinks} entries); else {shown}"
    yield "kink", bool(outside), not outside, outside or f"equivalent: {shown}"


def _at_kinks(original: Operation, mutant: Operation) -> tuple[str, int]:
    """Return what is outside the subdifferential, and how many entries differ from the original's on kinks."""
    from ..proof.kinks import prove_at_kink

    differ = 0
    for size, regime, seed in itertools.product(_small(original), ("kink", "integers"), range(3)):
        try:
            here = _differences(original, mutant, size, seed, regime)
            # Where the mutant gives what the original gives there is nothing to excuse.
            proofs = prove_at_kink(mutant, size, seed, regime) if here else []
        except Exception as error:  # noqa: BLE001 - the original has a value here
            return f"raised {type(error).__name__} on a kink ({sizes_text(size)})", differ
        for proof in proofs:
            if not proof.passed:
                return f"{derivative_name(proof.name + '_bar')}: {proof.reason} ({sizes_text(size)})", differ
        differ += here
    return "", differ


def _differences(original: Operation, mutant: Operation, size: Mapping[str, Any], seed: int, regime: str) -> int:
    _, parameters = original.split(size)
    with np.errstate(all="ignore"):
        try:
            arrays = dtype_arrays(original, size, seed, regime, "float64")
            right = original.analytic(np, parameters)(*arrays)
        except Exception:  # noqa: BLE001 - its generator has no such inputs: nothing to hold the mutant against
            return 0
        pairs = zip(right, mutant.analytic(np, parameters)(*arrays), strict=True)
        return sum(int(np.sum(np.abs(a - b) > 1e-9 * (1 + np.abs(a)))) for a, b in pairs)


@functools.cache
def _cases(op: Operation, dtypes: tuple[str, ...]) -> list[tuple[str, str, dict[str, Any], Truth]]:
    """The truth of every small size and dtype, at smooth points."""
    cases = []
    for size, dtype in itertools.product(_small(op), dtypes):
        case = Case(op.reference, op.name, size, "gaussian", dtype, 0)
        try:
            cases.append((f"{dtype}, {case.sizes}", dtype, op.split(size)[1], find_truth(op, case)))
        except Unknown:
            continue
    return cases


def _numbers(session: Session, original: Operation, mutant: Operation) -> Iterator[tuple[str, bool, bool, str]]:
    """Judge a mutant's results on a backend, and how its pullback behaves."""
    dtypes = tuple(d for d in ("float64", "float32") if d in session.dtypes and d in original.dtypes)
    wrong: dict[str, str] = {}
    for text, dtype, parameters, known in _cases(original, dtypes):
        try:
            for check, reason in _one_case(session, mutant, dtype, parameters, known):
                wrong.setdefault(check, f"{reason} ({text})")
        except Exception as error:  # noqa: BLE001 - whatever a framework raises kills the mutant
            wrong.setdefault("shape and dtype", f"raised {type(error).__name__} ({text})")
        if wrong:
            break
    for check in ("number", "relations", "shape and dtype"):
        yield check, check in wrong, False, wrong.get(check, "")


def _one_case(
    session: Session, mutant: Operation, dtype: str, parameters: Mapping[str, Any], known: Truth
) -> Iterator[tuple[str, str]]:
    def on_host(arrays: Sequence[Any]) -> list[np.ndarray]:
        session.wait(arrays)
        return [session.to_numpy(a) for a in arrays]

    conduct = Conduct(mutant, parameters, session.xp, session.place(mutant, known.arrays, dtype), on_host)
    first = conduct.call()
    references = known.references[-len(mutant.gradients) :]
    for name, array, host, reference in zip(mutant.gradients, conduct.gradients, first, references, strict=True):
        what = derivative_name(f"{name}_bar")
        kind = session.dtype_name(array)
        if host.shape != reference.value.shape or kind != dtype:
            yield "shape and dtype", f"{what} has shape {host.shape} and dtype {kind}"
            continue
        judgement = judge(host, reference, dtype)
        if judgement.verdict == FAIL:
            yield "number", f"{what}: {judgement.reason}"
    for sentence in misconduct(conduct, first):
        yield "relations", sentence


def misconduct(conduct: Conduct, first: Sequence[np.ndarray]) -> Iterator[str]:
    """Call a pullback again and say what should not have happened."""
    if conduct.written:
        yield f"the pullback changed array {conduct.written[0]} of its inputs"
        return
    if not all(map(same_bits, first, conduct.call())):
        yield "the second call gives something else than the first"
    if any(np.any(g) for g in conduct.call(0)):
        yield "a zero cotangent has a gradient that is not zero"
    if conduct.overwritten:
        yield "a later call overwrote what the first returned"


def _rivals(
    checkers: Mapping[str, Callable[..., str]], original: Operation, mutant: Operation
) -> Iterator[tuple[str, bool, bool, str]]:
    """Put a mutant to other tools with their defaults, at every small size until one rejects it."""
    for name, checker in checkers.items():
        reason = ""
        for size in _small(original):
            arrays = dtype_arrays(original, size, 0, "gaussian", "float64")
            reason = checker(mutant, original.split(size)[1], arrays)
            if reason:
                break
        yield name, bool(reason), False, reason


def kill_shares(frame: pd.DataFrame) -> pd.DataFrame:
    """Return for every check how many of the mutants that are not equivalent it killed, and its false alarms.

    Returns:
        One row per check, the first being all of ours together: ``check``, ``killed``, ``mutants``, ``share``; the same
        three of those mutants whose formula is wrong at a size that every tool was given, which is what all of them are
        made to notice, as ``wrong_formula_killed`` …; ``false_alarms`` (correct operations that it rejects); and
        ``seconds`` in all.
    """
    import pandas as pd

    wrong = frame[~frame["equivalent"]]
    formula = wrong[wrong["killed"] & (wrong["check"] == "formula")]
    checks = list(dict.fromkeys(frame["check"]))
    groups = {"multigrad": list(OURS)} | {c: [c] for c in OURS if c in checks}
    groups |= {c: [c] for c in checks if c not in OURS}
    rows = []
    for name, members in groups.items():
        mine = frame[frame["check"].isin(members)]
        row: dict[str, Any] = {"check": name}
        for prefix, among in (("", _identities(wrong)), ("wrong_formula_", _identities(formula))):
            killed = len(_identities(mine[mine["killed"]]) & among)
            share = killed / len(among) if among else float("nan")
            row |= {f"{prefix}killed": killed, f"{prefix}mutants": len(among), f"{prefix}share": share}
        alarms = mine[(mine["mutant"] == CORRECT) & mine["killed"]]
        rows.append(
            {**row, "false_alarms": int(alarms["operation"].nunique()), "seconds": float(mine["seconds"].sum())}
        )
    return pd.DataFrame(rows)


def _identities(frame: pd.DataFrame) -> set[tuple[Any, ...]]:
    return set(zip(frame["operation"], frame["mutant"], strict=True))


def survivors(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each mutant that is neither killed by a check of ours nor shown equivalent."""
    ours = frame[frame["check"].isin(OURS) & (frame["mutant"] != CORRECT)]
    killed = ours.groupby(["operation", "mutant"])["killed"].transform("any")
    return ours[~killed & ~ours["equivalent"]].drop_duplicates(["operation", "mutant"])


def kill_markdown(frame: pd.DataFrame) -> str:
    """Write the kill shares as a Markdown table, with a sentence on the mutants."""
    shares = kill_shares(frame)
    mutants_in_all = frame[frame["mutant"] != CORRECT][["operation", "mutant", "equivalent"]].drop_duplicates()
    lines = [
        f"{len(mutants_in_all)} mutants of {frame['operation'].nunique()} operations; "
        f"{int(mutants_in_all['equivalent'].sum())} are shown equivalent by ball arithmetic.",
        "",
        "| check | wrong gradients killed | share | of those, wrong at a size given to all | share "
        "| correct operations rejected |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in shares.to_dict("records"):
        name = f"**{row['check']}**" if row["check"] == "multigrad" else row["check"]
        name = f"of these: {name}" if row["check"] in OURS else name
        lines.append(
            f"| {name} | {row['killed']} of {row['mutants']} | {_percent(row['share'])} "
            f"| {row['wrong_formula_killed']} of {row['wrong_formula_mutants']} "
            f"| {_percent(row['wrong_formula_share'])} | {row['false_alarms']} |"
        )
    return "\n".join(lines) + "\n"


def _percent(share: float) -> str:
    # Rounded down: what is not all must not look like all.
    return f"{np.floor(1000 * share) / 10:.1f} %"
