"""At a kink the derivative is a convention: an answer is right if it lies in the subdifferential.

The limiting gradients near a kink are sampled in ball arithmetic: the inputs are moved by about 10⁻³⁰ in random
directions, where the forward part has a derivative, and `dual` differentiates it. The hull of the samples, entry by
entry, is what the pullback at the kink itself is held against. Which element of it a framework's own autodiff returns
is its convention: :func:`conventions` shows it and judges nothing.

Source: F. H. Clarke, "Optimization and Nonsmooth Analysis", SIAM 1990, Thm 2.5.1 (the generalised gradient is the
convex hull of limits of gradients).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from .loading import entry_point, no_rows
from .operation import Operation, Size

if TYPE_CHECKING:
    import pandas as pd

NEAR_BITS = 100
"""Inputs are moved by integers below 2²⁰ times 2 to the minus this."""

CLOSE = 1e-20
"""Relative distance within which two values count as one: above what a move of 10⁻³⁰ changes."""

SAMPLES = 40
"""Limiting gradients at each point. Of two ties one of four patterns is then missed with probability 10⁻⁵."""

BITS = 500
"""Precision of the samples: the move, its square and forty digits have room."""


@dataclass(frozen=True)
class KinkProof:
    """One gradient of the pullback on a kink, beside the limiting gradients around it."""

    name: str
    """The input's."""
    compared: int
    """How many entries lie on a kink, where the limiting gradients differ."""
    outside: int
    """How many entries lie outside the subdifferential."""
    reason: str
    """The worst of those in words; empty if there is none."""

    @property
    def passed(self) -> bool:
        """Whether the pullback's every entry lies in the subdifferential."""
        return self.outside == 0


def prove_at_kink(op: Operation, size: Size, seed: int = 0, regime: str = "kink") -> list[KinkProof]:
    """Hold the pullback at inputs with many ties against the subdifferential, entry by entry.

    Args:
        op: the operation.
        size: dimensions and parameters; a small one.
        seed: of the inputs.
        regime: how the inputs are drawn.

    Returns:
        One proof for each gradient, in order. None has compared anything where no input lies on a kink.

    Raises:
        Undecided: the pullback has no value there, or the forward part no derivative nearby.
    """
    from .namespaces import exact

    _, parameters = op.split(size)
    inputs = op.make_inputs(size, seed, regime)
    forward = exact.evaluate(op.forward(exact, parameters), *inputs, width=math.inf)
    cotangents = op.make_cotangents([tuple(v.shape) for v in forward.outputs], seed, regime)
    values = len(forward.outputs)
    ours = exact.evaluate(op.analytic(exact, parameters), *inputs, *cotangents, bits=BITS, width=math.inf)
    rng = np.random.default_rng(seed)
    samples = [_limiting(op, parameters, inputs, cotangents, rng) for _ in range(SAMPLES)]
    with exact.precision(BITS):
        return [
            _compared(name, ours.outputs[values + i], [sample[i] for sample in samples])
            for i, name in enumerate(op.gradients)
        ]


def _limiting(
    op: Operation,
    parameters: Mapping[str, Any],
    inputs: Sequence[np.ndarray],
    cotangents: Sequence[np.ndarray],
    rng: np.random.Generator,
) -> list[np.ndarray]:
    """Differentiate the forward part close by; return the midpoints, as object arrays of balls."""
    from .namespaces import dual, exact

    moves = [rng.integers(-(2**20), 2**20, a.shape) for a in inputs]

    def derivative(*arrays: Any) -> tuple[Any, ...]:
        unit = exact.lift(Fraction(1, 2**NEAR_BITS))
        moved = [
            a + unit * exact.lift(m) if isinstance(a, exact.ExactArray) else a
            for a, m in zip(arrays, moves, strict=False)
        ]
        given = arrays[len(inputs) :]
        found = dual.differentiate(op, parameters, moved, given, directions=dict.fromkeys(op.gradients))
        return tuple(d.enclosure for d in found)

    outputs = exact.evaluate(derivative, *inputs, *cotangents, bits=BITS).outputs
    return [np.frompyfunc(lambda ball: ball.mid(), 1, 1)(output.elements) for output in outputs]


def _compared(name: str, ours: Any, samples: Sequence[np.ndarray]) -> KinkProof:
    shape = samples[0].shape
    if ours.shape != shape:
        return KinkProof(name, 1, 1, f"has shape {ours.shape}, wanted {shape}")
    scale = max((float(abs(v)) for v in samples[0].flat), default=0.0)
    compared, outside, worst = 0, 0, ""
    for place in np.ndindex(shape):
        found = _distinct([sample[place] for sample in samples], CLOSE * scale)
        low, high = found[0], found[-1]
        compared += len(found) > 1
        # Of many ties at once the samples miss the corners; a hull three times as wide has them.
        slack = high - low if len(found) > 4 else 0
        slack = slack + CLOSE * max(abs(low), abs(high), scale)
        middle = ours.elements[place].mid()
        if not (low - slack <= middle <= high + slack):
            outside += 1
            index = f"[{', '.join(map(str, place))}]" if place else ""
            where = "at a kink" if len(found) > 1 else "beside a kink"
            worst = worst or (
                f"{where} {float(middle):.6g} at {index or 'the only entry'} is outside the subdifferential "
                f"[{float(low):.6g}, {float(high):.6g}]"
            )
    return KinkProof(name, compared, outside, worst)


def _distinct(values: Sequence[Any], close: float) -> list[Any]:
    """Sort numbers and leave out those that are close to the one before."""
    found: list[Any] = []
    for value in sorted(values):
        if not found or value - found[-1] > close + CLOSE * abs(value):
            found.append(value)
    return found


# ── What the frameworks do ───────────────────────────────────────────────────────────────────────────────────────────


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

    from . import worker
    from .backend import backends

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
    from .backend import Unavailable, backend, one_line

    try:
        session = backend(arguments["backend"]).open(arguments["device"], threads=1)
    except Unavailable as error:
        for i in range(len(KINKS)):
            yield {"kink": i, "answer": str(error)}
        return
    for i, kink in enumerate(KINKS):
        try:
            said = _answer(session, kink)
        except Exception as error:  # noqa: BLE001 - that a framework refuses is its answer
            said = one_line(error)
        yield {"kink": i, "answer": said}


def _answer(session: Any, kink: Convention) -> str:
    def forward(*inputs: Any) -> tuple[Any, ...]:
        return (kink.forward(session.xp, *inputs),)

    differentiated = session.differentiate(forward, [True] * len(kink.inputs))
    arrays = [session.to_device(np.asarray(x, dtype=np.float64), "float64") for x in (*kink.inputs, 1.0)]
    outputs = differentiated(*arrays)
    session.wait(outputs)
    numbers = np.concatenate([np.atleast_1d(session.to_numpy(g)) for g in outputs[1:]])
    return ", ".join(f"{float(n) + 0.0:g}".replace("nan", "NaN").replace("inf", "∞").replace("-", "−") for n in numbers)
