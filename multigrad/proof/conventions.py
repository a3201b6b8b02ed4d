"""Conventions at a kink: which derivative each framework's own autodiff returns there. Facts; nothing is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import Unavailable, backend, backends
from ..data.errors import one_line
from ..process import child as worker
from ..process.entry import entry_point, no_rows

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Convention:
    """A function with a kink, and the point of it."""

    function: str
    """As a person writes it."""
    at: str
    """The kink, in words."""
    subdifferential: str
    """The right answers."""
    forward: Callable[..., Any]
    """``forward(xp, *inputs)`` that returns a number."""
    inputs: tuple[Any, ...]
    """The point."""


KINKS = (
    Convention("maximum(x, 0)", "0", "[0, 1]", lambda xp, x: xp.maximum(x, 0), (0.0,)),
    Convention("where(x > 0, x, 0)", "0", "[0, 1]", lambda xp, x: xp.where(x > 0, x, 0 * x), (0.0,)),
    Convention("clip(x, 0, 1)", "0", "[0, 1]", lambda xp, x: xp.clip(x, 0, 1), (0.0,)),
    Convention("clip(x, 0, 1)", "1", "[0, 1]", lambda xp, x: xp.clip(x, 0, 1), (1.0,)),
    Convention("abs(x)", "0", "[−1, 1]", lambda xp, x: xp.abs(x), (0.0,)),
    Convention("maximum(x, y)", "x = y", "[0, 1], sum 1", lambda xp, x, y: xp.maximum(x, y), (1.0, 1.0)),
    Convention("minimum(x, y)", "x = y", "[0, 1], sum 1", lambda xp, x, y: xp.minimum(x, y), (1.0, 1.0)),
    Convention("max(x)", "(1, 1, 0)", "[0, 1], sum 1", lambda xp, x: xp.max(x), ([1.0, 1.0, 0.0],)),
    Convention("linalg.vector_norm(x)", "(0, 0)", "‖g‖ ≤ 1", lambda xp, x: xp.linalg.vector_norm(x), ([0.0, 0.0],)),
    Convention("sqrt(sum(x²))", "(0, 0)", "‖g‖ ≤ 1", lambda xp, x: xp.sqrt(xp.sum(x * x)), ([0.0, 0.0],)),
    Convention("sqrt(x)", "0", "+∞", lambda xp, x: xp.sqrt(x), (0.0,)),
    Convention("sign(x)", "0", "none", lambda xp, x: xp.sign(x), (0.0,)),
    Convention("round(x)", "½", "none", lambda xp, x: xp.round(x), (0.5,)),
)
"""Every kink the table of conventions asks about."""


@entry_point(no_rows(("function", "at", "subdifferential")))
def conventions(device: str = "cpu") -> pd.DataFrame:
    """Return which derivative each framework's own autodiff gives at each kink.

    A table of facts: nothing here is right or wrong.

    Args:
        device: ``cpu`` or ``cuda``.

    Returns:
        One row per kink: ``function``, ``at``, ``subdifferential``, then one column per backend that has autodiff,
        named with its version. What a backend cannot say stands there in words.
    """
    import pandas as pd

    columns: dict[str, Sequence[str]] = {
        "function": [k.function for k in KINKS],
        "at": [k.at for k in KINKS],
        "subdifferential": [k.subdifferential for k in KINKS],
    }
    for name, one in backends().items():
        if "autodiff" not in one.variants or one.missing(device):
            continue
        answers = dict.fromkeys(range(len(KINKS)), "no answer")
        environment = one.environment(device, 1, "strict")
        for message in worker.run(f"{__name__}:answers", {"backend": name, "device": device}, environment=environment):
            if isinstance(message, worker.Death):
                answers |= {i: message.reason for i, a in answers.items() if a == "no answer"}
            elif "answer" in message:
                answers[message["kink"]] = message["answer"]
        columns[f"{name} {one.version()}"] = list(answers.values())
    return pd.DataFrame(columns)


def answers(arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Ask one backend's autodiff about every kink; the worker's side of :func:`conventions`."""
    try:
        session = backend(arguments["backend"]).open(arguments["device"], threads=1)
    except Unavailable as error:
        for i in range(len(KINKS)):
            yield {"kink": i, "answer": str(error)}
        return
    for i, kink in enumerate(KINKS):
        try:
            answer = _answer(session, kink)
        except Exception as error:  # noqa: BLE001 - that a framework refuses is its answer
            answer = one_line(error)
        yield {"kink": i, "answer": answer}


def _answer(session: Any, kink: Convention) -> str:
    def forward(*inputs: Any) -> tuple[Any, ...]:
        return (kink.forward(session.xp, *inputs),)

    differentiated = session.differentiate(forward, [True] * len(kink.inputs))
    arrays = [session.to_device(np.asarray(x, dtype=np.float64), "float64") for x in (*kink.inputs, 1.0)]
    outputs = differentiated(*arrays)
    session.wait(outputs)
    numbers = np.concatenate([np.atleast_1d(session.to_numpy(g)) for g in outputs[1:]])
    return ", ".join(f"{float(n) + 0.0:g}".replace("nan", "NaN").replace("inf", "∞").replace("-", "−") for n in numbers)
