"""An operation at given inputs on every backend that is here, each in a process of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from multigrad.backend import backends
from multigrad.ops.find import load_operations
from multigrad.process import child as worker

HERE = [b.name for b in backends().values() if b.missing("cpu") is None]

EACH = [pytest.param(name, marks=pytest.mark.long) if name == "dask" else name for name in HERE]
"""Every backend, for a test's parameters. A task of Dask takes a millisecond, whatever it computes."""

Arrays = Sequence[Any]
Found = list[np.ndarray] | str
"""Values and gradients in float64, or the name of what was raised."""


def evaluated(backend: str, tasks: Sequence[tuple[str, Arrays, Arrays]], **parameters: Any) -> list[Found]:
    """Return what is found for each (operation, inputs, cotangents), in float64 and eagerly.

    Keywords are parameters of operations: ``spectral_projector={"k": 2}``.
    """
    full = [(name, [*inputs, *bars], parameters.get(name, {}), "float64", "eager") for name, inputs, bars in tasks]
    return evaluated_as(backend, full)


def evaluated_as(backend: str, tasks: Sequence[tuple[str, Arrays, Mapping[str, Any], str, str]]) -> list[Found]:
    """Return what is found for each (operation, inputs and cotangents, parameters, dtype, mode), in one process.

    Arrays of whole numbers and of truth values stay what they are where the operation has no gradient for them.
    """
    plain = [[name, [np.asarray(a).tolist() for a in arrays], *how] for name, arrays, *how in tasks]
    answers = list(worker.run(f"{__name__}:at_work", {"backend": backend, "tasks": plain}))
    assert not [a.reason for a in answers if isinstance(a, worker.Death)]
    assert len(answers) == len(tasks)
    found: list[Found] = []
    for answer in answers:
        assert isinstance(answer, Mapping)
        found.append(answer.get("raised") or [np.asarray(a, dtype=np.float64) for a in answer["outputs"]])
    return found


def at_work(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The worker's side."""
    session = backends()[arguments["backend"]].open("cpu", threads=1)
    for name, lists, parameters, dtype, mode in arguments["tasks"]:
        (op,) = load_operations([name])
        continuous = itertools.chain(op.differentiable, itertools.repeat(True))
        arrays = [np.asarray(a, dtype=np.float64 if c else None) for a, c in zip(lists, continuous, strict=False)]
        try:
            with np.errstate(all="ignore"):
                function = session.function(op, parameters, "analytic", mode)
                outputs = function(*(session.to_device(a, dtype if a.dtype.kind == "f" else None) for a in arrays))
                yield {"outputs": [session.to_numpy(a).tolist() for a in outputs]}
        except Exception as error:  # noqa: BLE001 - what is raised is what is asked for
            yield {"raised": type(error).__name__}
