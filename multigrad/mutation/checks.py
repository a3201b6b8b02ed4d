"""The checks that every mutant is put to: ours, those that show it equivalent, and the frameworks' own."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..backend.limits import Unavailable
from ..backend.registry import backend
from ..backend.session import Session
from ..data.errors import BadInput, one_line
from ..diagnosis.conduct import Conduct, same_bits
from ..ops.find import load_operations
from ..ops.operation import Operation
from ..ops.reach import reaching_sizes, scaled_sizes
from ..ops.sizes import small_sizes
from ..ops.text import derivative_name, sizes_text
from ..proof.kinks import prove_at_kink
from ..proof.prove import prove
from ..truth.case import Case, Truth, Unknown
from ..truth.find import find_truth
from ..truth.inputs import dtype_arrays
from ..verdict.judge import judge
from ..verdict.words import FAIL
from .mutants import Mutant, mutants

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


@dataclass(frozen=True)
class Answer:
    """What one check said of one mutant."""

    reference: str
    """Of the operation."""
    mutant: int
    check: str
    backend: str
    reason: str
    seconds: float
    killed: bool = False
    equivalent: bool = False


Answers = Iterator[tuple[str, str, str]]
"""The name of a check, why it kills the mutant, and how it shows it equivalent; a text is empty where it does not."""


def serve(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Put mutants to one group of checks; the worker's side."""
    group, where = arguments["group"], arguments["backend"]
    answers: Callable[[Operation, Operation], Answers]
    if where == "exact":
        answers = _formula if group == "formula" else _equivalence
    else:
        try:
            session = backend(where).open("cpu", threads=1)
        except Unavailable:
            return
        # Few frameworks have a checker, so the base class knows nothing of it.
        checkers: dict[str, Any] = getattr(session, "checkers", dict)() if group == "rivals" else {}
        if group == "rivals":
            yield {"checks": list(checkers)}
            if not checkers:
                return
        answers = functools.partial(_numbers, session) if group == "ours" else functools.partial(_rivals, checkers)
    for number, (reference, mutant) in arguments["items"].items():
        yield {"begin": int(number)}
        started = time.perf_counter()
        for check, killed, equivalent in answers(_original(reference), _mutant(reference, mutant)):
            now = time.perf_counter()
            answer = Answer(
                reference, mutant, check, where, killed or equivalent, now - started, bool(killed), bool(equivalent)
            )
            yield {"answer": asdict(answer)}
            started = now
        yield {"end": int(number)}


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
    try:
        proof = prove(op, size, seed)
    except Exception as error:  # noqa: BLE001 - whatever a mutant raises kills it
        return f"raised {one_line(error)}"
    if proof.passed:
        return ""
    for gradient in proof.gradients:
        if not gradient.agrees:
            what = gradient.reason or f"differs by {gradient.disagreement:.3g} of its size"
            return f"{derivative_name(op.gradient_name(gradient.name))} {what}"
    return "the pullback is not linear in the cotangent"


def _refuted(original: Operation, mutant: Operation, sizes: Sequence[Mapping[str, Any]]) -> str:
    for size in sizes:
        seed = _seed(original, sizes_text(size), tuple(size.items()))
        reason = "" if seed is None and mutant is not original else _refutation(mutant, size, seed or 0)
        if reason:
            return f"{reason} ({sizes_text(size)})"
    return ""


def _formula(original: Operation, mutant: Operation) -> Answers:
    reason = _refuted(original, mutant, _small(original))
    yield "formula", reason, ""


def _equivalence(original: Operation, mutant: Operation) -> Answers:
    """Try further sizes, then kinks; what passes all of it is equivalent."""
    sizes = _further(original)
    reason = _refuted(original, mutant, sizes)
    yield "further sizes", reason, ""
    if reason:
        return
    outside, on_kinks = _at_kinks(original, mutant)
    shown = f"the enclosures overlap at {len(sizes) + len(_small(original))} points of as many sizes"
    if on_kinks:
        shown = f"differs on kinks only, within the subdifferential ({on_kinks} entries); else {shown}"
    yield "kink", outside, "" if outside else f"equivalent: {shown}"


def _at_kinks(original: Operation, mutant: Operation) -> tuple[str, int]:
    """Return what is outside the subdifferential, and how many entries differ from the original's on kinks."""
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
                name = derivative_name(mutant.gradient_name(proof.name))
                return f"{name}: {proof.reason} ({sizes_text(size)})", differ
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


def _numbers(session: Session, original: Operation, mutant: Operation) -> Answers:
    """Judge a mutant's results on a backend, and how its pullback behaves."""
    dtypes = tuple(d for d in ("float64", "float32") if d in session.dtypes and d in original.dtypes)
    wrong: dict[str, str] = {}
    for text, dtype, parameters, truth in _cases(original, dtypes):
        try:
            for check, reason in _one_case(session, mutant, dtype, parameters, truth):
                wrong.setdefault(check, f"{reason} ({text})")
        except Exception as error:  # noqa: BLE001 - whatever a framework raises kills the mutant
            wrong.setdefault("shape and dtype", f"raised {type(error).__name__} ({text})")
        if wrong:
            break
    for check in ("number", "relations", "shape and dtype"):
        yield check, wrong.get(check, ""), ""


def _one_case(
    session: Session, mutant: Operation, dtype: str, parameters: Mapping[str, Any], truth: Truth
) -> Iterator[tuple[str, str]]:
    def on_host(arrays: Sequence[Any]) -> list[np.ndarray]:
        session.wait(arrays)
        return [session.to_numpy(a) for a in arrays]

    conduct = Conduct(mutant, parameters, session.xp, session.place(mutant, truth.arrays, dtype), on_host)
    first = conduct.call()
    references = truth.references[-len(mutant.gradients) :]
    for name, array, host, reference in zip(mutant.gradients, conduct.gradients, first, references, strict=True):
        what = derivative_name(mutant.gradient_name(name))
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


def _rivals(checkers: Mapping[str, Callable[..., str]], original: Operation, mutant: Operation) -> Answers:
    """Put a mutant to other tools with their defaults, at every small size until one rejects it."""
    for name, checker in checkers.items():
        reason = ""
        for size in _small(original):
            arrays = dtype_arrays(original, size, 0, "gaussian", "float64")
            reason = checker(mutant, original.split(size)[1], arrays)
            if reason:
                break
        yield name, reason, ""
