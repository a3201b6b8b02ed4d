"""What is found out about a formula at inputs that lie on its branches, beside them and far beyond them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..data.standard import numpy_standard
from ..namespaces import exact
from ..namespaces.exact import Undecided
from ..ops.text import derivative_name
from ..proof.hulls import KinkProof
from ..proof.kinks import prove_at
from ..proof.prove import prove
from ..verdict.judge import Judgement, passed, worded
from ..verdict.words import FAIL, NOTE
from .case import Case
from .draws import Start
from .formula import diagnose_formula, judge_formula
from .recorder import work
from .sites import Guard

xp = numpy_standard()

FEW_PAIRS = 3
"""Directions around a place that was aimed at: few gradients meet there."""

MOST_WORK = 3_600_000
"""Balls that a survey may handle: a second or so. It counts, so that the same inputs are tried on every machine."""

LEAST = 12.0
"""Evaluations that there are for the largest."""

POINT, HULL = 1.0, 6.0
"""What a certificate and a look at a kink take, in evaluations of forward part and pullback."""


@dataclass
class Findings:
    """What is known so far, and how much work is left to know more."""

    start: Start
    left: float
    """Evaluations of forward part and pullback that may still be made."""
    wrong: set[str] = field(default_factory=set)
    """The outputs that are wrong at the inputs drawn already."""
    failed: dict[str, str] = field(default_factory=dict)
    """What is wrong at aimed inputs, by output."""
    reached: set[str] = field(default_factory=set)
    """The branches that some inputs took."""
    on_kinks: dict[str, list[KinkProof]] = field(default_factory=dict)
    points: int = 0
    """At how many aimed inputs the formula was judged."""
    seen: set[bytes] = field(default_factory=set)

    @classmethod
    def of(cls, start: Start) -> Findings:
        """Begin with nothing found, and with the work that operations of this size may take."""
        once = work(start.op, start.parameters, start.inputs, start.cotangents, start.coordinates)
        return cls(start, max(MOST_WORK / max(once, 1), LEAST))

    def may(self, cost: float) -> bool:
        """Whether there is work left; if so it is taken."""
        self.left -= cost
        return self.left >= 0

    def explicit(self, inputs: Sequence[np.ndarray]) -> bool:
        """Whether a comparison, a maximum or an absolute value has a tie; its branches count as reached."""
        guards = self.start.guards_at(inputs, self.start.coordinates[:1])
        self.reached |= {b for g in guards for b in g.taken}
        return any(g.explicit and g.ties for g in guards)

    def smooth(self, words: str, inputs: Sequence[np.ndarray]) -> bool | None:
        """Certify the formula at inputs; None where it cannot be judged."""
        key = b"".join(np.ascontiguousarray(a).tobytes() for a in inputs)
        if key in self.seen or not self.may(POINT):
            return None
        self.seen.add(key)
        there = replace(self.start.op, draw=lambda draw, **size: [a.copy() for a in inputs])
        try:
            proof = prove(there, self.start.size, self.start.seed)
            refuted = [g for g in proof.gradients if not g.passed]
        except Undecided:
            return None
        except Exception:  # noqa: BLE001 - the judgement words it
            if not self._has_value(inputs):
                return None
            refuted = []
        else:
            if words:
                self.explicit(inputs)
            if not refuted:
                self.points += bool(words)
                return True
            undecided = [g for g in refuted if g.disagreement == 0 and g.reason.startswith("the derivative exists")]
            if undecided and self._in_numpy(inputs):
                return None
        if refuted and {there.gradient_name(g.name) for g in refuted} <= {*self.failed, *self.wrong}:
            return False  # said once; to name a mistake takes longer than to see it
        case = Case(there.reference, there.name, dict(self.start.size), "gaussian", "float64", self.start.seed)
        judgements = judge_formula(there, case)
        wrong = {o: j.reason for o, j in judgements.items() if j.verdict == FAIL and o not in self.wrong}
        with contextlib.suppress(Exception):  # the verdict stands, with its figures
            wrong |= diagnose_formula(there, case, [*wrong]) if wrong and words else {}
        for output, reason in wrong.items():
            self.failed.setdefault(output, f"{reason}; {words}{self.start.moves(inputs)}")
        self.points += bool(words)
        return not wrong

    def _has_value(self, inputs: Sequence[np.ndarray]) -> bool:
        try:
            exact.evaluate(self.start.op.forward(exact, self.start.parameters), *inputs)
        except Exception:  # noqa: BLE001 - a forward part that refuses its inputs has no gradient there
            return False
        return True

    def _in_numpy(self, inputs: Sequence[np.ndarray]) -> bool:
        """Whether the pullback gives finite numbers where ball arithmetic decides nothing."""
        with np.errstate(all="ignore"):
            try:
                outputs = self.start.op.analytic(xp, self.start.parameters)(*inputs, *self.start.cotangents)
            except Exception:  # noqa: BLE001 - then it has no numbers
                return False
        return all(bool(np.all(np.isfinite(o))) for o in outputs)

    def on(self, words: str, inputs: Sequence[np.ndarray]) -> None:
        """Hold the gradient against the subdifferential at inputs that lie on a branch."""
        if not self.may(HULL):
            return
        explicit, at = self.explicit(inputs), self.start
        try:
            proofs = prove_at(at.op, at.size, inputs, at.seed, pairs=FEW_PAIRS, explicit=explicit)
        except Exception:  # noqa: BLE001 - beside it there are points that can be judged
            return
        where = f"; {words}{at.moves(inputs)}"
        self.note([replace(p, reason=f"{p.reason}{where}") if p.reason else p for p in proofs])

    def note(self, proofs: Sequence[KinkProof]) -> None:
        """Keep proofs, one for each gradient, until all are judged together."""
        for proof in proofs:
            self.on_kinks.setdefault(self.start.op.gradient_name(proof.name), []).append(proof)

    def kinks(self) -> dict[str, Judgement]:
        """Judge each gradient that has entries on a kink, by output."""
        judgements = {}
        for output, proofs in self.on_kinks.items():
            if output in self.wrong:
                continue
            compared = sum(p.compared for p in proofs)
            outside = [p for p in proofs if not p.passed]
            real = [p for p in outside if not p.undefined]
            if outside:
                verdict, worst, ratio = (FAIL, real[0], math.inf) if real else (NOTE, outside[0], math.nan)
                reason = f"{derivative_name(output)}: {worst.reason}"
                judgements[output] = worded(verdict, reason, max(compared, 1), ratio)
            elif compared:
                reason = f"in the subdifferential at {compared} entries that lie on a kink"
                judgements[output] = passed(compared, reason)
        return judgements

    def aimed(self, guards: Sequence[Guard], *, base_is_right: bool) -> dict[str, Judgement]:
        """Judge each gradient that is wrong at aimed inputs; if none is, say for ``*`` which branches were reached."""
        judgements = {output: worded(FAIL, reason, 1, math.inf) for output, reason in self.failed.items()}
        branches = list(dict.fromkeys(b for g in guards for b in g.site.branches))
        missed = [b for b in branches if b not in self.reached]
        if not judgements and base_is_right and (self.points or branches):
            reason = f"{len(branches) - len(missed)} of {len(branches)} branches reached" if branches else "no branch"
            reason += f", certified at {self.points} aimed inputs"
            if missed:
                more = f" and {len(missed) - 3} more" if len(missed) > 3 else ""
                reason += f"; not reached: {', '.join(missed[:3])}{more}"
            judgements["*"] = passed(self.points, reason)
        return judgements
