"""Does the diagnosis name the mistake? For each kind of mutant, what the sentence must say."""

import array_api_compat.numpy as xp
import numpy as np

from multigrad.diagnosis.conduct import Conduct
from multigrad.diagnosis.diagnose import Evidence, diagnose
from multigrad.mutation.checks import misconduct
from multigrad.mutation.mutants import mutants
from multigrad.truth.case import Case
from multigrad.truth.find import find_truth
from multigrad.truth.formula import diagnose_formula, judge_formula
from multigrad.verdict.judge import judge

WORDS = {
    "double-factor": ["2 × the true", "factor"],
    "halve-factor": ["0.5 × the true"],
    "flip-sign": ["sign"],
    "zero-gradient": ["zero everywhere"],
    "relative-error": ["relative error of 1e-06"],
    "one-wrong-entry": ["one entry only"],
    "ignore-cotangent": ["cotangent"],
    "lower-precision": ["lower precision"],
    "narrow-dtype": ["lower precision", "dtype"],
    "second-call": ["call to call", "second call"],
    "change-inputs": ["changed"],
    "shared-buffer": ["overwrote"],
    "rotated": ["rotated by 180°"],
    "shifted": ["shifted by 1"],
    "reordered": ["transpose"],
    "symmetric": ["symmetric part"],
    "keep-mean": ["mean"],
    "lose-outer-product": ["rank one"],
    "wrong-row": ["one row only"],
    "wrong-block": ["one block only"],
    "not-summed": ["not summed"],
    "not-a-number": ["not finite"],
    "drop-factor": ["factor of the cotangent is missing", "a factor is missing"],
    "swap-results": ["swapped"],
    "lose-mask": ["mask"],
    "invert-mask": ["mask"],
    "invert-comparison": ["mask"],
    "drop-transpose": ["transpose"],
    "extra-transpose": ["transpose"],
    "mean-for-sum": ["factor n =", "factor c =", "factor d =", "factor m =", "factor k =", "factor b ="],
    "other-axis": ["summed over axis"],
}
"""Kind → words, one of which must stand in the sentence; kinds without words must be told the line."""


def sentence(op, mutant, size="tiny"):
    """Return what the tool says about a mutant; nothing where the formula and the numbers are right."""
    case = Case("", op.name, op.size(size), "gaussian", "float64", 0)
    judged = judge_formula(mutant.operation, case)
    wrong = {output: j.reason for output, j in judged.items() if j.verdict == "FAIL"}
    said = (wrong | diagnose_formula(mutant.operation, case, [*wrong])).values() if wrong else []
    return " | ".join(said) if said else _of_numbers(op, mutant, case)


def _of_numbers(op, mutant, case):
    known = find_truth(op, case)
    arrays = [a.copy() for a in known.arrays]
    parameters = op.split(case.size)[1]
    conduct = Conduct(mutant.operation, parameters, xp, arrays, lambda results: [np.array(r) for r in results])
    first = conduct.call()
    references = known.references[-len(op.gradients) :]
    said = [*misconduct(conduct, first)]
    for name, gradient, r in zip(op.gradients, first, references, strict=True):
        if judge(gradient, r, "float64").verdict == "FAIL":
            said.append(diagnose(Evidence(f"∂f/∂{name}", np.asarray(gradient, float), r.value, r.bound)))
    return " | ".join(said)


def is_named(mutant, said):
    """Tell whether a sentence names the mistake: in words, or by the line with the change that mends it."""
    if mutant.line and f"line {mutant.line}: with" in said:
        return True
    return any(word in said for word in WORDS.get(mutant.kind, ()))


LISTED = tuple(k for k in WORDS if k not in ("drop-factor", "narrow-dtype"))
"""The kinds that PROOF lists. A factor that is an array, a lost term and the like have no words of their own."""


def rate(ops, kinds, every=1):
    """Return how many mistakes were named, how many there were, and the sentences that missed."""
    named, missed = 0, []
    for op in ops:
        for mutant in mutants(op)[::every]:
            said = sentence(op, mutant) if kinds is None or mutant.kind in kinds else ""
            if said and is_named(mutant, said):
                named += 1
            elif said:
                missed.append(f"{op.name} {mutant.kind} line {mutant.line}: {mutant.change}\n    {said}")
    return named, named + len(missed), missed
