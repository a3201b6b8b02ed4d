"""The survey of a formula's branches: inputs are aimed at them, where no drawn input would show a wrong gradient.

One evaluation in `dual` tells of every comparison, maximum, absolute value, rounding, root, logarithm and division, in
the forward part and in the pullback, how far it is from the place where it turns over, and how each input entry moves
it. By Newton's steps one entry is moved until it is there exactly, just beside it on either side, and far beyond it.
On such a place the gradient is held against the subdifferential (:mod:`multigrad.proof.kinks`), elsewhere the formula
is certified (:mod:`multigrad.proof.prove`). What an operation draws itself may lie on a set on which alone its formula
is right (a symmetric matrix, probabilities of sum 1): an entry of such an input is moved only if the formula stands a
small move of it.

Source: the idea is that of coverage-guided testing; P. Godefroid, N. Klarlund, K. Sen, "DART: directed automated random
testing", PLDI 2005.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..ops.draw import AIMED
from ..ops.operation import Operation
from ..ops.signature import Size
from ..proof.kinks import PAIRS, prove_at
from ..verdict.judge import Judgement
from .draws import Start
from .findings import HULL, Findings
from .inputs import output_shapes
from .search import Search
from .sites import Guard, Site

MOST_SITES = 12
"""Places of the source that are aimed at; the rest are counted."""

KINK_SEEDS = 3
"""Points to draw before an operation counts as one without a kink."""


@dataclass(frozen=True)
class Survey:
    """What was found on and around the branches of a formula."""

    kinks: Mapping[str, Judgement]
    """For each gradient that has entries on a kink, by output."""
    aimed: Mapping[str, Judgement]
    """For each gradient that is wrong where inputs were aimed at; and for ``*``, which branches were reached."""


def survey(op: Operation, size: Size, seed: int = 0) -> Survey:
    """Aim inputs at every branch of an operation and judge the hand-derived formula there.

    Args:
        op: the operation.
        size: dimensions and parameters; the smallest.
        seed: of what is drawn.

    Raises:
        Exception: whatever the operation raises at the inputs that it draws.
    """
    start = Start.draw(op, size, seed)
    guards = start.guards_at(start.inputs)
    findings = Findings.of(start)
    base_is_right = findings.smooth("", start.inputs) is not False
    findings.wrong, findings.failed = set(findings.failed), {}
    _at_many_ties(start, findings, KINK_SEEDS if guards else 1)
    if base_is_right:
        _aim(start, guards, findings)
    return Survey(findings.kinks(), findings.aimed(guards, base_is_right=base_is_right))


def _at_many_ties(start: Start, findings: Findings, seeds: int) -> None:
    """Hold the gradient against the subdifferential at inputs with many ties at once."""
    for seed in range(start.seed, start.seed + seeds):
        if not findings.may(HULL):
            return
        try:
            inputs = start.op.make_inputs(start.size, seed, "kink")
            explicit = findings.explicit(inputs)
            # Two directions tell whether there is a kink; many are needed to know the hull.
            for pairs in (2, PAIRS):
                proofs = prove_at(start.op, start.size, inputs, seed, "kink", pairs, explicit=explicit)
                if all(p.passed and not p.compared for p in proofs):
                    break
            else:
                findings.note(proofs)
                return
        except Exception:  # noqa: BLE001 - an operation that has no such points is not judged there
            continue


def _aim(start: Start, guards: list[Guard], findings: Findings) -> None:
    """Judge the formula at inputs of other regimes, then on, beside and beyond what is decided."""
    findings.reached |= {b for g in guards for b in g.taken}
    for regime in ("wide", *AIMED):
        _in_regime(start, findings, regime)
    search = Search(start, guards, findings)
    sites: dict[Site, list[int]] = {}
    for number, guard in enumerate(guards):
        sites.setdefault(guard.site, []).append(number)
    for numbers in list(sites.values())[:MOST_SITES]:
        for number in dict.fromkeys((numbers[0], numbers[-1])):
            search.at_guard(number)
    if any(not g.explicit for g in guards):
        search.at_zero()
    for site, numbers in sites.items():
        if not findings.reached.issuperset(site.branches):
            search.far(site, numbers)


def _in_regime(start: Start, findings: Findings, regime: str) -> None:
    try:
        inputs = start.op.make_inputs(start.size, start.seed, regime)
        output_shapes(start.op, start.size, inputs)
    except Exception:  # noqa: BLE001 - its generator has no such inputs
        return
    if all(np.all(np.isfinite(a)) for a in inputs if a.dtype.kind == "f"):
        findings.smooth(f"with inputs drawn so: {AIMED.get(regime, regime)}", inputs)
