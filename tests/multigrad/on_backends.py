"""An operation at given inputs on every backend that is here, each in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from multigrad import worker
from multigrad.backend import backends
from multigrad.operation import load_operations

HERE = [b.name for b in backends().values() if b.missing("cpu") is None]

Arrays = Sequence[Any]


def evaluated(
    backend: str, tasks: Sequence[tuple[str, Arrays, Arrays]], **parameters: Any
) -> list[list[np.ndarray] | str]:
    """Return values and gradients in float64 for each (operation, inputs, cotangents), or the name of what it raised.

    Keywords are parameters of operations: ``spectral_projector={"k": 2}``.
    """
    named = [[name, [np.asarray(a).tolist() for a in (*inputs, *bars)]] for name, inputs, bars in tasks]
    arguments = {"backend": backend, "tasks": named, "parameters": parameters}
    answers = list(worker.run(f"{__name__}:at_work", arguments))
    assert not [a.reason for a in answers if isinstance(a, worker.Death)]
    assert len(answers) == len(tasks)
    found: list[list[np.ndarray] | str] = []
    for answer in answers:
        assert isinstance(answer, Mapping)
        found.append(answer.get("raised") or [np.asarray(a, dtype=np.float64) for a in answer["outputs"]])
    return found


def at_work(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The worker's side."""
    session = backends()[arguments["backend"]].open("cpu", threads=1)
    for name, arrays in arguments["tasks"]:
        (op,) = load_operations([name])
        function = session.function(op, arguments["parameters"].get(name, {}), "analytic", "eager")
        try:
            with np.errstate(all="ignore"):
                outputs = function(*(session.to_device(np.asarray(a, dtype=np.float64), "float64") for a in arrays))
                yield {"outputs": [session.to_numpy(a).tolist() for a in outputs]}
        except Exception as error:  # noqa: BLE001 - what is raised is what is asked for
            yield {"raised": type(error).__name__}
