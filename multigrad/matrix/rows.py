"""A row of the correctness matrix: its columns, what a worker tells beside them, and the row as one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from ..data.columns import doc
from ..data.errors import BadInput
from ..ops.text import derivative_name
from ..verdict.words import ALL, FAIL, FAIL_ON, UNAVAILABLE, VERDICTS, blamed

if TYPE_CHECKING:
    from ..truth.case import Case
    from ..verdict.judge import Judgement


@dataclass(frozen=True)
class MatrixRow:
    """One output of one cell of the correctness matrix."""

    operation: str = doc("Name of the operation.")
    output: str = doc(
        "`value`, or `X_bar` for the gradient with respect to X; `*` where the whole cell has one answer."
    )
    backend: str = doc("Name of the backend; `exact` for the verdict on the formula itself.")
    device: str = doc("`cpu` or `cuda`, or a mesh of such devices, as `cpu:8` or `cpu:4x2`.")
    mode: str = doc("`eager` or `compiled`.")
    variant: str = doc(
        "`analytic` (hand-derived), `autodiff` (the framework's own), `native` (its fused functions), or the name of "
        "an implementation."
    )
    dtype: str = doc("Floating-point type of inputs and outputs; `arb` for ball arithmetic.")
    regime: str = doc(
        "How the inputs were drawn, `aimed` at the branches of the formula, or `file`; or the relation that was tried; "
        "or `roundoff`, the probe."
    )
    sizes: str = doc("Dimensions and parameters, such as `m=5 k=4 n=3`.")
    verdict: str = doc("PASS, NOTE, FAIL, FINDING, PORTABILITY, INCONCLUSIVE, UNAVAILABLE or GAP.")
    ratio: float = doc("Largest error divided by its bound; above 1 is a FAIL.")
    max_abs_error: float = doc("Largest absolute error.")
    max_ulp: float = doc("Largest error in units in the last place of the true value in that dtype.")
    bitwise_equal_to_numpy: bool | None = doc(
        "Whether the analytic result on NumPy has the same bits; empty if unknown."
    )
    reason: str = doc("What is wrong, missing or worth knowing, with figures; empty for a plain PASS.")
    seed: int = doc("Seed of the inputs.")
    collectives: str = doc(
        "On a mesh, the collective operations that the compiler put in, as `all-reduce 2`, or `none`; else empty.", ""
    )
    machine: str = doc("Machine that it was computed on; empty in a run of one machine.", default="")


COLUMNS = tuple(f.name for f in fields(MatrixRow))

PROOF_DIED = "the proof died: "
"""What the reason of a row begins with whose proof died; how it died follows."""

KINK, AIMED = "kink", "aimed"
"""The regimes of a formula's rows: on its kinks, and at inputs that are drawn so that they meet its branches."""


@dataclass(frozen=True)
class JudgedRow:
    """A row on its way from the worker to the frame, with what is no column."""

    row: MatrixRow
    compared: int = 0
    """How many entries were compared."""
    digest: str = ""
    """Of the computed array; empty where there is none."""
    undiagnosed: bool = False
    """Whether the row comes once more, with the name of the mistake."""

    @property
    def identity(self) -> tuple[Any, ...]:
        """What makes a row the same one when it comes again."""
        row = self.row
        place = (row.backend, row.device, row.mode, row.variant, row.dtype)
        return row.operation, row.output, *place, row.regime, row.sizes, row.seed


def message_of(rows: Iterable[JudgedRow]) -> dict[str, Any]:
    """Return the message, a JSON object, in which a worker sends rows."""
    return {"rows": [asdict(row) for row in rows]}


def rows_of(message: Mapping[str, Any]) -> list[JudgedRow]:
    """Return the rows of a message; none where it has none."""
    return [JudgedRow(**{**row, "row": MatrixRow(**row["row"])}) for row in message.get("rows", ())]


def judged_row(
    case: Case,
    output: str,
    judgement: Judgement,
    *,
    backend: str = "exact",
    device: str = "cpu",
    mode: str = "eager",
    variant: str = "analytic",
    dtype: str = "arb",
    digest: str = "",
) -> JudgedRow:
    """Return the row of a judgement; of the formula itself unless told on which backend."""
    row = MatrixRow(
        operation=case.operation,
        output=output,
        backend=backend,
        device=device,
        mode=mode,
        variant=variant,
        dtype=dtype,
        regime=case.regime,
        sizes=case.sizes,
        verdict=blamed(judgement.verdict, variant),
        ratio=judgement.ratio,
        max_abs_error=judgement.max_abs_error,
        max_ulp=judgement.max_ulp,
        bitwise_equal_to_numpy=None,
        reason=judgement.reason,
        seed=case.seed,
    )
    return JudgedRow(row, judgement.compared, digest)


def failing(words: str | Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the verdicts that fail.

    Args:
        words: of :data:`multigrad.verdict.words.FAIL_ON`, or ``all``; commas separate them in a text.
            A FAIL always fails.

    Raises:
        BadInput: an unknown word; the message has those that there are.
    """
    verdicts = {FAIL}
    for word in words.split(",") if isinstance(words, str) else words or ():
        if word == ALL:
            verdicts |= {*FAIL_ON.values()} - {UNAVAILABLE}
        elif word in FAIL_ON:
            verdicts.add(FAIL_ON[word])
        else:
            raise BadInput(f"no verdict to fail on is named {word!r}; there are {', '.join((ALL, *FAIL_ON))}")
    return tuple(verdict for verdict in VERDICTS if verdict in verdicts)


def sentence(row: Mapping[Any, Any]) -> str:
    """Say one row in one line."""
    where = "the formula" if row["backend"] == "exact" else f"{row['backend']}/{row['device']} {row['mode']}"
    variant = "" if row["variant"] == "analytic" else f" {row['variant']}"
    where += f" of {row['machine']}" if row.get("machine") else ""
    what = row["operation"] if row["output"] == "*" else f"{row['operation']} {derivative_name(row['output'])}"
    return f"{row['verdict']} {what}{variant} on {where} {row['dtype']} {row['regime']}: {row['reason']}"
