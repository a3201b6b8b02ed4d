"""The judgement on a hand-derived formula, and the name of the mistake in one that is wrong."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..data.errors import WrongResult, one_line
from ..data.standard import numpy_standard
from ..diagnosis.conduct import diagnose_calls
from ..diagnosis.diagnose import Evidence, diagnose
from ..diagnosis.repair import repair
from ..namespaces.exact import Undecided
from ..namespaces.shared.unsupported import Unsupported
from ..ops.draw import LINE
from ..ops.operation import Operation
from ..ops.signature import default_sizes
from ..ops.text import derivative_name
from ..proof.prove import GradientProof, prove
from ..verdict.judge import Judgement, worded
from ..verdict.words import FAIL, INCONCLUSIVE, PASS, UNAVAILABLE
from .case import SMOOTH, Case, Unknown
from .certified import BASIS_ENTRIES, certified, halves, true_gradients
from .inputs import dtype_arrays

xp = numpy_standard()

NO_PULLBACK = "no pullback of its own: the truth is the derivative of the reference"
"""What stands in the place of a proof."""


def judge_formula(op: Operation, case: Case) -> dict[str, Judgement]:
    """Judge the hand-derived formula itself: its enclosure against that of the derivative of the forward part.

    An operation without a pullback of its own has no formula to judge. What is held against the derivative there is the
    tape, and a difference is a defect of ours.

    Returns:
        A judgement for each gradient, by name (``W_bar``); or one for ``*`` where the whole has one answer. A FAIL has
        its figures; :func:`diagnose_formula` names the mistake.
    """
    for one in op.made_of:
        wrong = [j.reason for j in judge_formula(one, case).values() if j.verdict == FAIL]
        if wrong:
            return {"*": worded(FAIL, f"the formula of {one.name} is wrong: {wrong[0]}")}
    size, regime = _proof_point(op, case)
    try:
        proof = prove(op, size, case.seed, regime)
    except Undecided as error:
        return {"*": worded(INCONCLUSIVE, str(error))}
    except Unsupported as error:
        return {"*": worded(UNAVAILABLE, str(error))}
    except Exception as error:  # noqa: BLE001 - whatever a person's formula raises is the verdict on it
        raised = _raised_in_numpy(op, size, case.seed, regime)
        if raised is None:
            return {"*": worded(UNAVAILABLE, f"the proof cannot follow it: {one_line(error)}")}
        return {"*": worded(FAIL, raised)}
    if not op.has_pullback:
        return {op.gradient_name(g.name): _judged_on_tape(op, g) for g in proof.gradients}
    kind = proof.kind if op.domain == LINE else f"{proof.kind}; inputs are {op.domain}: elsewhere its value is NaN"
    return {op.gradient_name(g.name): judged(op, g, kind) for g in proof.gradients}


def diagnose_formula(op: Operation, case: Case, outputs: Sequence[str]) -> dict[str, str]:
    """Name the mistake in gradients whose formula has been judged wrong.

    Args:
        op: the operation.
        case: the case in which it was judged.
        outputs: what was judged wrong: gradients (``W_bar``), or ``*`` where the pullback raises.

    Returns:
        A sentence for each output about which there is something to say.
    """
    size, regime = _proof_point(op, case)
    _, parameters = op.split(size)
    arrays = dtype_arrays(op, size, case.seed, regime, "float64")
    if "*" in outputs:
        raised = _raised_in_numpy(op, size, case.seed, regime)
        true = {name: high for name, high, _ in true_gradients(op, arrays, parameters, op.outputs)}
        change = repair(op, parameters, arrays, true) if true else None
        return {"*": f"{raised}; {change}"} if raised and change else {}
    # A pullback that misbehaves gives wrong numbers too, which would lead astray.
    calls = diagnose_calls(op, parameters, arrays)
    if calls:
        return {output: f"{derivative_name(output)}: {calls}" for output in outputs}
    true = {name: high for name, high, _ in true_gradients(op, arrays, parameters, op.outputs)}
    computed = _computed(op, arrays, parameters)
    reasons = {}
    for output in outputs:
        if output in true and output in computed:
            largest = float(np.max(np.abs(true[output]), initial=0.0))
            bound = 1e-12 * np.abs(true[output]) + 1e-15 * largest
            evidence = Evidence.of(op, size, arrays, output, computed[output], true, bound)
            if evidence.shows_an_error():
                reasons[output] = diagnose(evidence)
    change = repair(op, parameters, arrays, true) if true else None
    return {output: f"{reason}; {change}" if change else reason for output, reason in reasons.items()}


def _proof_point(op: Operation, case: Case) -> tuple[Mapping[str, Any], str]:
    """Return the size and the regime at which a case's formula is judged: a small size, an ordinary regime."""
    regime = case.drawn if case.regime in SMOOTH else "gaussian"
    if op.signature.entries(case.size) <= BASIS_ENTRIES:
        return case.size, regime
    smallest = next(iter(op.sizes.values()))
    if op.signature.entries(smallest) <= BASIS_ENTRIES:
        return smallest, regime
    # It has large sizes alone: one of our own making, if its generator can draw it.
    own = {**smallest, **default_sizes(op.signature)["tiny"]}
    try:
        op.make_inputs(own, case.seed, regime)
    except Exception:  # noqa: BLE001 - a generator refuses in many ways
        return smallest, regime
    return own, regime


def without_value(op: Operation, case: Case) -> Judgement | None:
    """Return the judgement on an operation whose value is NaN in every entry; None where it has a number."""
    size, regime = _proof_point(op, case)
    _, parameters = op.split(size)
    with np.errstate(all="ignore"), contextlib.suppress(Exception):  # what it raises is said by the cells
        values = op.forward(xp, parameters)(*op.make_inputs(size, case.seed, regime))
        if any(np.size(value) and np.isnan(value).all() for value in values):
            reason = "the value is NaN in every entry: wrong, or drawn outside its domain (declare inputs=)"
            return worded(FAIL, reason)
    return None


def _raised_in_numpy(op: Operation, size: Mapping[str, Any], seed: int, regime: str) -> str | None:
    """Run an operation in NumPy and say what it raises; None if it runs."""
    _, parameters = op.split(size)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            arrays = dtype_arrays(op, size, seed, regime, "float64")
            if op.has_pullback:
                op.analytic(xp, parameters)(*arrays)
            else:
                op.forward(xp, parameters)(*arrays[: len(op.inputs)])
    except WrongResult as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - that it raises is the answer
        return f"raised {one_line(error)}"
    return None


def judged(op: Operation, gradient: GradientProof, kind: str) -> Judgement:
    """Return the judgement on a gradient; ``kind`` is what its proof is worth, in words."""
    if not gradient.passed:
        return worded(FAIL, _disagreement(op, gradient), gradient.compared, math.inf)
    how = kind if kind.startswith(("proven", "certified")) else "certified at 1 point"
    return Judgement(PASS, 0.0, 0.0, 0.0, gradient.width, gradient.compared, how)


def _judged_on_tape(op: Operation, gradient: GradientProof) -> Judgement:
    if gradient.passed:
        return replace(judged(op, gradient, ""), reason=_grounds(op))
    return worded(INCONCLUSIVE, f"a defect of multigrad, please report it: on its tape {_disagreement(op, gradient)}")


def _grounds(op: Operation) -> str:
    names = " and ".join(one.name for one in op.made_of)
    return f"the truth is the derivative of the pullback of {names}" if names else NO_PULLBACK


def _disagreement(op: Operation, gradient: GradientProof) -> str:
    name = derivative_name(op.gradient_name(gradient.name))
    if gradient.reason:
        return f"{name}: {gradient.reason}"
    if gradient.agrees:
        return f"{name} is not {'linear in the cotangent' if gradient.zero else 'zero for a zero cotangent'}"
    return f"{name} differs from the derivative by {gradient.disagreement:.3g} of its size"


def _computed(op: Operation, arrays: Sequence[np.ndarray], parameters: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return what the pullback gives, by output: from ball arithmetic, or where that has no value from NumPy."""
    try:
        balls = certified(op, arrays, parameters)
        return {output: halves(ball)[0] for output, ball in zip(op.outputs, balls, strict=True)}
    except Unknown:
        try:
            with np.errstate(all="ignore"):
                numbers = op.analytic(np, parameters)(*arrays)
        except Exception:  # noqa: BLE001 - then nothing is known of it
            return {}
        return {output: np.asarray(a, dtype=np.float64) for output, a in zip(op.outputs, numbers, strict=True)}
