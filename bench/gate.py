"""No time without the right result: what a timed function returned, against a reference from another process.

The reference is found once for every operation, size, seed and dtype, in a worker of its own, and lies in an .npz file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigrad.operation import Operation, load_operations

if TYPE_CHECKING:
    import numpy as np

    from multigrad.backend import Array, Session


@dataclass(frozen=True)
class Passed:
    """Whether a cell may have a time."""

    verdict: str
    """One of :data:`multigrad.verdict.VERDICTS`."""
    ratio: float
    """Largest error over bound, of all outputs."""
    reason: str
    """What is wrong, with the name of the output; empty for a plain PASS."""


PROVISIONAL_ROUNDINGS = 4096
"""Roundoffs of the output's largest entry that an error may have, until the certified bounds decide."""


def inputs(op: Operation, size: Mapping[str, Any], seed: int, dtype: str) -> list[np.ndarray]:
    """Return inputs and cotangents, every number one of the dtype's, so that all backends are given the same."""
    from multigrad.formats import FORMATS

    arrays = op.make_inputs(size, seed)
    dimensions = op.check_inputs(arrays)
    given = [FORMATS[dtype].round(a) if a.dtype.kind == "f" else a for a in arrays]
    _, parameters = op.split(size)
    if all(symbol.isdigit() or symbol in dimensions for shape in op.signature.outputs for symbol in shape):
        shapes = [tuple(int(dimensions.get(s, s)) for s in shape) for shape in op.signature.outputs]
    else:
        import array_api_compat.numpy as xp

        shapes = [v.shape for v in op.forward(xp, parameters)(*given)]
    return given + [FORMATS[dtype].round(c) for c in op.make_cotangents(shapes, seed)]


def prepare(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Find the references; the side of their worker.

    ``arguments["wanted"]`` is a list of objects with ``reference``, ``size``, ``seed``, ``dtype`` and ``path``.
    """
    import array_api_compat.numpy as xp
    import numpy as np

    for i, wanted in enumerate(arguments["wanted"]):
        yield {"begin": i}
        op = load_operations([wanted["reference"]])[0]
        size = {k: tuple(v) if isinstance(v, list) else v for k, v in wanted["size"].items()}
        arrays = inputs(op, size, wanted["seed"], wanted["dtype"])
        outputs = op.analytic(xp, op.split(size)[1])(*arrays)
        named: dict[str, Any] = {f"input{n}": a for n, a in enumerate(arrays)}
        named |= {f"output{n}": np.asarray(a, dtype=np.float64) for n, a in enumerate(outputs)}
        with Path(wanted["path"]).open("wb") as file:
            np.savez(file, **named)
        yield {"end": i}


def read_inputs(path: str) -> list[np.ndarray]:
    """Return the inputs and cotangents that a reference was made for."""
    return _read(path, "input")


def _read(path: str, kind: str) -> list[np.ndarray]:
    import numpy as np

    with np.load(path) as file:
        return [file[f"{kind}{n}"] for n in range(sum(name.startswith(kind) for name in file.files))]


def passes(session: Session, op: Operation, variant: str, outputs: Sequence[Array], path: str, dtype: str) -> Passed:
    """Judge what a function returned.

    Args:
        session: where it was computed.
        op: the operation.
        variant: ``forward`` returns values only.
        outputs: values, then gradients unless it was the forward part alone.
        path: the file with the reference.
        dtype: the dtype it was computed in.
    """
    import numpy as np

    from multigrad.formats import FORMATS

    names = op.outputs[: len(op.signature.outputs)] if variant == "forward" else op.outputs
    if len(outputs) != len(names):
        return Passed("FAIL", float("inf"), f"returned {len(outputs)} arrays, wanted {len(names)}: {', '.join(names)}")
    worst = 0.0
    for name, array, true in zip(names, outputs, _read(path, "output")[: len(names)], strict=True):
        found = session.dtype_name(array)
        if found != dtype:
            return Passed("FAIL", float("inf"), f"{name} has dtype {found}, wanted {dtype}")
        got = session.to_numpy(array).astype(np.float64)
        if got.shape != true.shape:
            return Passed("FAIL", float("inf"), f"{name} has shape {got.shape}, wanted {true.shape}")
        largest = max(float(np.max(np.abs(true), initial=0.0)), 1e-30)
        allowed = PROVISIONAL_ROUNDINGS * FORMATS[dtype].unit_roundoff * largest
        error = float(np.max(np.abs(got - true), initial=0.0))
        # Written so that a NaN is not within.
        if not error <= allowed:
            return Passed(
                "FAIL", error / allowed, f"{name} is off by {error:.3g}, which is {error / allowed:.3g} × allowed"
            )
        worst = max(worst, error / allowed)
    return Passed("PASS", worst, "")
