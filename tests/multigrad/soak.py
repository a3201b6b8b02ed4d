"""Correct evaluations raise no alarm: random seeds, sizes, regimes and dtypes, every result judged by its bound."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from multigrad.backend import backend, backends
from multigrad.backend.accumulation import accumulation
from multigrad.data.standard import numpy_standard
from multigrad.matrix.outputs import BOUNDLESS, Outputs
from multigrad.matrix.plan import Cell
from multigrad.ops.find import load_operations
from multigrad.ops.implementation import HALVES
from multigrad.ops.reach import scaled_sizes
from multigrad.ops.sizes import SMALL_ENTRIES, small_sizes
from multigrad.process import child as worker
from multigrad.process.pool import lanes
from multigrad.truth.arithmetic import Arithmetic
from multigrad.truth.case import Case, Unknown
from multigrad.truth.find import find_truth, in_arithmetic
from multigrad.truth.inputs import dtype_arrays
from multigrad.verdict.formats import FORMATS
from multigrad.verdict.judge import judge_entries
from multigrad.verdict.words import INCONCLUSIVE, OURS

if TYPE_CHECKING:
    import pandas as pd

REGIMES = ("gaussian", "integers", "kink", "wide", "cancellation", "huge", "tiny")
"""How the inputs are drawn, in turn."""

COLUMNS = ("operation", "output", "backend", "dtype", "regime", "sizes", "seed", "verdict", "ratio", "reason")


WIDE = ("float64", "float32")
"""The dtypes in which every bound is narrow enough to judge by."""


def soak(
    count: int,
    *,
    ops: Sequence[str] = (),
    names: Sequence[str] | None = None,
    dtypes: Sequence[str] = WIDE,
    seed: int = 0,
    timeout_s: float = 300.0,
) -> pd.DataFrame:
    """Evaluate correct operations so often and judge every output.

    Args:
        count: evaluations in all, shared out among the backends; one evaluation has several outputs.
        ops: catalogue names or files; none is the whole catalogue.
        names: backends; None is every one that there is on the CPU.
        dtypes: in turn, those that operation and backend have; an operation that has none of them is left out.
        seed: of everything that is drawn. Each backend draws its own.
        timeout_s: how long a backend may be silent.

    Returns:
        One row per output, with the columns ``operation``, ``output``, ``backend``, ``dtype``, ``regime``, ``sizes``,
        ``seed``, ``verdict``, ``ratio`` (largest error over bound) and ``reason``.

    Raises:
        RuntimeError: a worker died, or a backend did not open: nothing is left out in silence.
    """
    import pandas as pd

    chosen = names or [b.name for b in backends().values() if "cpu" in b.devices and b.missing("cpu") is None]
    shares = [len(range(i, count, len(chosen))) for i in range(len(chosen))]

    def work(number: int) -> list[dict[str, Any]]:
        name = chosen[number]
        arguments = {"backend": name, "count": shares[number], "ops": list(ops), "seed": seed + 1_000_000 * number}
        arguments["dtypes"] = list(dtypes)
        environment = backend(name).environment("cpu", 1, "strict")
        rows: list[dict[str, Any]] = []
        for message in worker.run(f"{__name__}:serve", arguments, environment=environment, timeout_s=timeout_s):
            if isinstance(message, worker.Death):
                raise RuntimeError(f"{name}: {message.reason}")  # noqa: TRY004 - it is no matter of types
            rows.extend(message["rows"])
        return rows

    with ThreadPoolExecutor(lanes()) as pool:
        found = [row for rows in pool.map(work, range(len(chosen))) for row in rows]
    return pd.DataFrame(found, columns=list(COLUMNS))


def serve(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Evaluate on one backend; the worker's side."""
    session = backend(arguments["backend"]).open("cpu", threads=1)
    dtypes = [d for d in arguments.get("dtypes", WIDE) if d in session.dtypes]
    if not dtypes:
        return
    probed = {d: Arithmetic.established(d, accumulation(session, d)) for d in dtypes if d in HALVES}
    for case in itertools.islice(_cases(arguments["ops"], dtypes, arguments["seed"]), arguments["count"]):
        op = load_operations([case.reference])[0]
        common = {
            "operation": op.name,
            "backend": session.backend.name,
            "dtype": case.dtype,
            "regime": case.regime,
            "sizes": case.sizes,
            "seed": case.seed,
        }
        try:
            known = find_truth(op, case)
            if case.dtype in probed:
                known = in_arithmetic(op, case, known, probed[case.dtype])
        except Unknown as error:
            yield {"rows": [{**common, "output": "*", "verdict": INCONCLUSIVE, "reason": str(error)}]}
            continue
        _, parameters = op.split(case.size)
        arrays = session.place(op, known.arrays, case.dtype)
        with np.errstate(all="ignore"):
            outputs = session.function(op, parameters, "analytic", "eager")(*arrays)
        session.wait(outputs)
        # Judged as a check judges: what excuses an entry there excuses it here.
        judged = Outputs(session, Cell(-1, "eager", "analytic"), case, op, known, None, "").rows(outputs)
        rows = [
            {**common, **{name: getattr(one.row, name) for name in ("output", "verdict", "ratio", "reason")}}
            for one in judged
        ]
        yield {"rows": rows}


def soak_kernels(count: int, *, ops: Sequence[str] = (), seed: int = 0) -> pd.DataFrame:
    """Evaluate so often in NumPy's float32 what is stored in a half, round every output once, and judge it as that.

    Args:
        count: evaluations in all.
        ops: catalogue names or files; none is the whole catalogue.
        seed: of everything that is drawn.

    Returns:
        One row per output, with the columns of :func:`soak`.
    """
    import pandas as pd

    xp = numpy_standard()
    rows = []
    for case in itertools.islice(_cases(list(ops), HALVES, seed), count):
        op, arithmetic = load_operations([case.reference])[0], Arithmetic(case.dtype, accumulate="float32")
        common = {name: getattr(case, name) for name in ("operation", "dtype", "regime", "sizes", "seed")}
        try:
            known = in_arithmetic(op, case, find_truth(op, case), arithmetic)
        except Unknown as error:
            rows.append({**common, "output": "*", "verdict": INCONCLUSIVE, "reason": str(error)})
            continue
        given = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in known.arrays]
        with np.errstate(all="ignore"):
            outputs = op.analytic(xp, op.split(case.size)[1])(*given)
        references = known.outputs(OURS)
        for name, computed, reference in zip(op.outputs, outputs, references, strict=True):
            host = FORMATS[case.dtype].round(computed)
            judged = judge_entries(host, reference, case.dtype, "", boundless=case.regime in BOUNDLESS)
            found = {part: getattr(judged, part) for part in ("verdict", "ratio", "reason")}
            rows.append({**common, "backend": "kernel", "output": name, **found})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _cases(references: Sequence[str], dtypes: Sequence[str], seed: int) -> Iterator[Case]:
    """Draw operation, size, regime and dtype for ever, regimes and dtypes in turn."""
    rng = np.random.default_rng(seed)
    ops = [op for op in load_operations(list(references)) if op.reference and set(dtypes) & set(op.dtypes)]
    sizes = {}
    for op in ops:
        small = [op.size(name) for name in small_sizes(op)]
        scaled = [s for s in scaled_sizes(op, small) if op.signature.entries(s) <= SMALL_ENTRIES and _fits(op, s)]
        sizes[op.reference] = small + [scaled[i] for i in rng.permutation(len(scaled))[:6]]
    for number in itertools.count():
        op = ops[int(rng.integers(len(ops)))]
        usable = [d for d in dtypes if d in op.dtypes]
        size = sizes[op.reference][int(rng.integers(len(sizes[op.reference])))]
        regime = REGIMES[number % len(REGIMES)]
        yield Case(op.reference, op.name, size, regime, usable[number // len(REGIMES) % len(usable)], seed + number)


def _fits(op: Any, size: Mapping[str, Any]) -> bool:
    import array_api_compat.numpy as xp

    try:
        op.analytic(xp, op.split(size)[1])(*dtype_arrays(op, size, 0, "gaussian", "float64"))
    except Exception:  # noqa: BLE001 - a scaled size that does not fit says so in many ways
        return False
    return True


def alarms(frame: pd.DataFrame) -> str:
    """Count the verdicts, and list what a correct evaluation must never get, one line each."""
    counts = ", ".join(f"{n} {v}" for v, n in frame["verdict"].value_counts().items())
    evaluations = len(frame.drop_duplicates(["operation", "backend", "dtype", "regime", "sizes", "seed"]))
    lines = [f"{evaluations} evaluations, {len(frame)} outputs: {counts}"]
    for row in frame[frame["verdict"] == "FAIL"].to_dict("records"):
        where = f"{row['backend']} {row['dtype']} {row['regime']} {row['sizes']} seed {row['seed']}"
        lines.append(f"FAIL {row['operation']} {row['output']} on {where}: {row['reason']}")
    return "\n".join(lines)
