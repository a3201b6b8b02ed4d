"""Every verdict by its name, what each means, and which of them fail."""

from __future__ import annotations

PASS, NOTE, FAIL = "PASS", "NOTE", "FAIL"
FINDING, PORTABILITY = "FINDING", "PORTABILITY"
INCONCLUSIVE, UNAVAILABLE, GAP = "INCONCLUSIVE", "UNAVAILABLE", "GAP"

VERDICTS = {
    PASS: "within what rounding usually does",
    NOTE: "within the worst-case bound, of another formula within that of inputs rounded once, but worse than usual",
    FAIL: "beyond the worst-case bound: a theorem says that this is not rounding",
    FINDING: "a form that is not yours, autodiff or native, is wrong or raises: shown, fails with --fail-on finding",
    PORTABILITY: "runs on NumPy and is outside the array API standard: shown, fails with --fail-on portability",
    INCONCLUSIVE: "the bound is too wide to judge: never a pass",
    UNAVAILABLE: "the framework, the device or the mode is not here; the reason says what to do",
    GAP: "a known gap of the backend, with its reason",
}
"""Every verdict with its meaning."""

FAIL_ON = {
    "finding": FINDING,
    "portability": PORTABILITY,
    "inconclusive": INCONCLUSIVE,
    "unavailable": UNAVAILABLE,
}
"""The verdicts that can be made to fail, by the word that does it; a FAIL always does."""

ALL = "all"
"""Every word of :data:`FAIL_ON` but ``unavailable``: a framework or a device that is not here is no fault."""

OURS = "analytic"
"""The variant that is the hand-derived formula."""

THEIRS = ("autodiff", "native")
"""The variants that a framework brings; an implementation is somebody's own."""


def blamed(verdict: str, variant: str) -> str:
    """Return the verdict on a form: what another form than the hand-derived one fails at is a FINDING about it."""
    return FINDING if verdict == FAIL and variant in THEIRS else verdict
