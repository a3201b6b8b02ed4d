"""The judgement on the formula of a case: at the inputs drawn, and where that leaves it open, beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..data.standard import numpy_standard
from ..ops.operation import Operation
from ..proof.prove import prove
from ..verdict.judge import Judgement
from ..verdict.words import INCONCLUSIVE, PASS
from .case import Case, Unserved
from .draws import beside
from .formula import judge_formula, judged, without_value
from .inputs import case_arrays

xp = numpy_standard()


def judge_case(op: Operation, case: Case) -> dict[str, Judgement]:
    """Judge the hand-derived formula of a case; where that is open at the inputs drawn, beside them.

    Returns:
        What :func:`multigrad.truth.formula.judge_formula` returns; of an empty case only what is refuted.

    Raises:
        Unserved: of length 1, the forward part has no derivative.
    """
    if case.regime == "empty":
        return _of_empty(op, case)
    judgements = judge_formula(op, case)
    if case.inputs:
        return judgements
    if "*" in judgements and judgements["*"].verdict == INCONCLUSIVE:
        if case.regime == "length-1":
            raise Unserved(f"no derivative: {judgements['*'].reason}")
        beside = _noted(_judged_beside(op, case), judgements["*"].reason)
        nothing = None if beside else without_value(op, case)
        return beside or ({"*": nothing} if nothing else judgements)
    zero = {o for o in _all_zero(op, case) if o in judgements and judgements[o].verdict == PASS}
    judgements_beside = {o: j for o, j in _judged_beside(op, case).items() if o in zero} if zero else {}
    return judgements | _noted(judgements_beside, "it is zero throughout")


def _noted(judgements: Mapping[str, Judgement], why: str) -> dict[str, Judgement]:
    note = f"at inputs beside those drawn, where {why}"
    return {o: replace(j, reason=f"{j.reason}; {note}") for o, j in judgements.items()}


def _judged_beside(op: Operation, case: Case) -> dict[str, Judgement]:
    """Judge the formula at the first inputs beside the drawn ones that tell anything; none if there are none."""
    for inputs in beside(op, case):
        there = replace(op, draw=lambda draw, inputs=inputs, **size: [a.copy() for a in inputs])
        judgements = judge_formula(there, case)
        if "*" not in judgements:
            return judgements
    return {}


def _all_zero(op: Operation, case: Case) -> set[str]:
    """The gradients that are 0 in every entry, as NumPy has them: what is a multiple of the right one looks right."""
    if op.draw is None or case.regime != "gaussian":
        return set()
    _, parameters = op.split(case.size)
    try:
        with np.errstate(all="ignore"):
            outputs = op.analytic(xp, parameters)(*case_arrays(op, case))
    except Exception:  # noqa: BLE001 - then it is judged on the backends
        return set()
    count = len(op.value_names)
    return {o for o, a in zip(op.outputs[count:], outputs[count:], strict=True) if np.size(a) and not np.any(a)}


def _of_empty(op: Operation, case: Case) -> dict[str, Judgement]:
    try:
        proof = prove(op, case.size, case.seed)
    except Exception:  # noqa: BLE001 - shapes without entries are beyond what some steps of a proof can do
        return {}
    # Of a gradient without entries only the shape can be wrong.
    wrong = [g for g in proof.gradients if " has shape " in g.reason or g.disagreement > 0]
    return {op.gradient_name(g.name): judged(op, g, proof.kind) for g in wrong}
