"""Right functions through the drop-ins raise no alarm: random operations, sizes, regimes, dtypes and references.

`python -m tests.multigrad.dropin_soak FILE [--count N] [--seconds S] [--seed S]` writes one row for each evaluation; a
file that is there already is gone on with.
"""

from __future__ import annotations

import argparse
import collections
import csv
import functools
import itertools
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

import multigrad
from multigrad import BadInput, GradientError
from multigrad.data.errors import one_line
from multigrad.ops.operation import Operation
from multigrad.ops.reach import scaled_sizes
from multigrad.ops.sizes import SMALL_ENTRIES, small_sizes
from multigrad.ops.text import sizes_text
from multigrad.truth.inputs import dtype_arrays
from tests.multigrad.dropin_forms import Vector, as_jax, as_torch, reference_of

REGIMES = ("gaussian", "integers", "kink", "wide", "cancellation", "huge", "tiny")
"""How the inputs are drawn, in turn."""

DROP_INS = ("gradcheck",) * 6 + ("check_grad",) * 3 + ("check_grads",)
"""The drop-ins, in turn; JAX compiles anew for every size."""

DTYPES = {
    "gradcheck": ("float64", "float32", "bfloat16", "float16", "bfloat16 accumulated", "float16 accumulated"),
    "check_grads": ("float64", "float32"),
    "check_grad": ("float64", "float32"),
}

RIGHT, ALARM, OPEN, REFUSED = "right", "ALARM", "cannot be judged", "refused"


@dataclass(frozen=True)
class Evaluation:
    """One right function at one place."""

    number: int
    drop_in: str
    operation: str
    sizes: str
    regime: str
    dtype: str
    reference: str
    """``with`` its pullback, or ``without``: then the tape's backward pass is another formula."""
    verdict: str
    reason: str
    seconds: float


def evaluations(seed: int = 0, names: Sequence[str] = (), first: int = 0) -> Iterator[Evaluation]:
    """Judge right functions for ever; each number stands for the same one in every run."""
    ops = [op for name, op in multigrad.operations().items() if not names or name in names]
    for number in itertools.count(first):
        rng = np.random.default_rng([seed, number])
        op = ops[int(rng.integers(len(ops)))]
        drop_in = DROP_INS[number % len(DROP_INS)]
        dtype = DTYPES[drop_in][int(rng.integers(len(DTYPES[drop_in])))]
        regime = REGIMES[int(rng.integers(len(REGIMES)))]
        sizes = _sizes(op)
        size = sizes[int(rng.integers(len(sizes)))]
        without = bool(rng.integers(2)) or drop_in == "check_grad"
        started = time.perf_counter()
        verdict, reason = _verdict(op, size, drop_in, regime, dtype, without, int(rng.integers(2**31)))
        yield Evaluation(
            number,
            drop_in,
            op.name,
            sizes_text(size),
            regime,
            dtype,
            "without" if without else "with",
            verdict,
            reason,
            time.perf_counter() - started,
        )


@functools.cache
def _sizes(op: Operation) -> list[dict[str, Any]]:
    small = [op.size(name) for name in small_sizes(op)]
    scaled = [s for s in itertools.islice(scaled_sizes(op, small), 12) if op.signature.entries(s) <= SMALL_ENTRIES]
    return [*small, *scaled]


def _verdict(
    op: Operation, size: Mapping[str, Any], drop_in: str, regime: str, dtype: str, without: bool, seed: int
) -> tuple[str, str]:
    kind = dtype.partition(" ")[0]
    drawn = f"{regime}:{kind}" if regime in ("huge", "tiny") else regime
    try:
        with np.errstate(all="ignore"):
            arrays = dtype_arrays(op, size, seed, drawn, kind)
    except Exception as error:  # noqa: BLE001 - its generator has no such inputs
        return REFUSED, one_line(error)
    _, parameters = op.split(size)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            _judge(op, parameters, drop_in, arrays, dtype, without)
    except GradientError as error:
        text = str(error).replace("\n", " | ")
        return (OPEN if all(OPEN in line for line in str(error).splitlines()) else ALARM), text
    except BadInput as error:
        return REFUSED, str(error)
    return RIGHT, ""


def _judge(
    op: Operation, parameters: Mapping[str, Any], drop_in: str, arrays: Sequence[np.ndarray], dtype: str, without: bool
) -> None:
    count = len(op.inputs)
    kind, _, accumulated = dtype.partition(" ")
    if drop_in == "gradcheck":
        import torch

        given = [
            torch.tensor(a, dtype=getattr(torch, kind) if a.dtype.kind == "f" else None, requires_grad=d)
            for a, d in zip(arrays[:count], op.differentiable, strict=True)
        ]
        function = as_torch(op, parameters, wider=bool(accumulated))
        reference = _values(reference_of(op, parameters)) if without else reference_of(op, parameters)
        multigrad.gradcheck(function, given, reference, accumulate="float32" if accumulated else None)
    elif drop_in == "check_grads":
        inputs = [a.astype(kind) if a.dtype.kind == "f" else a for a in arrays[:count]]
        chosen = [a for a, d in zip(inputs, op.differentiable, strict=True) if d]
        reference = reference_of(op, parameters, inputs)
        multigrad.check_grads(
            as_jax(op, parameters, inputs), chosen, reference=_values(reference) if without else reference
        )
    else:
        typed = [a.astype(kind) if a.dtype.kind == "f" else a for a in arrays]
        pair = Vector(op, parameters, typed[:count], typed[count:])
        multigrad.check_grad(pair.value, pair.gradient, pair.start)


def _values(reference: Any) -> Any:
    """Return a reference without its pullback."""

    def values(xp: Any, *inputs: Any) -> Any:
        return reference(xp, *inputs)[0]

    values.__name__ = reference.__name__
    return values


def counted(rows: Sequence[Evaluation]) -> str:
    """Count the verdicts, and list the alarms."""
    verdicts = collections.Counter(row.verdict for row in rows)
    lines = [f"{len(rows)} evaluations: {', '.join(f'{n} {v}' for v, n in verdicts.most_common())}"]
    lines += [
        f"{row.number} {row.drop_in} {row.operation} {row.sizes} {row.regime} {row.dtype} {row.reference}: {row.reason}"
        for row in rows
        if row.verdict == ALARM
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    kinds: dict[str, Any] = {"number": int, "seconds": float}
    rows = []
    if chosen.file.is_file():
        with chosen.file.open(newline="") as file:
            rows = [
                Evaluation(**{k: kinds.get(k, str)(v) for k, v in row.items() if k}) for row in csv.DictReader(file)
            ]
    started = time.perf_counter()
    with chosen.file.open("a", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Evaluation)])
        if not rows:
            writer.writeheader()
        for row in itertools.islice(evaluations(chosen.seed, first=len(rows)), chosen.count - len(rows)):
            rows.append(row)
            writer.writerow(asdict(replace(row, reason=row.reason[:1000])))
            file.flush()
            if time.perf_counter() - started > chosen.seconds:
                break
    print(counted(rows))  # noqa: T201 - the figures are wanted


if __name__ == "__main__":
    main()
