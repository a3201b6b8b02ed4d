"""Forward mode as an operation of its own: what judges a pullback judges a pushforward.

With J = ∂f/∂x at fixed inputs x, the function ȳ ↦ Jᵀȳ is linear, and its pullback takes ẋ to Jẋ: it is the pushforward
of f. So ``f.pushforward`` is the operation with the inputs (x…, ȳ…), the values x̄ = Jᵀȳ and the pullback ẋ ↦ Jẋ. Its
truth is the derivative of its forward part, which the tape makes of the forward part of f and which knows of neither
hand-derived formula. Certificates, bounds, mutants, diagnoses and relations (⟨Jv, u⟩ = ⟨v, Jᵀu⟩ above all) are those of
any operation.

An operation without a hand-derived pushforward has the transpose of its pullback, by the tape.

Source: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 3.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..data.errors import BadInput
from ..data.standard import numpy_standard
from .draw import Regime
from .evaluate import called
from .handed_over import handed_over
from .implementation import joined, parts_of
from .operation import Operation
from .program import COPY, Program
from .signature import Signature, Size

if TYPE_CHECKING:
    import numpy as np

SUFFIX = ".pushforward"
"""What the name of such an operation ends in, and its reference."""

SHELL = """
def {name}(xp, *arrays, **parameters):
    return gradients(xp, *arrays, **parameters), lambda *tangents: called(
        pushforward{copy}, xp, [*arrays[:count], *tangents], parameters
    )
"""


class _Transposed:
    """The function of such an operation: ``f(xp, *inputs, *cotangents, **parameters) -> gradients, pushforward``."""

    def __init__(self, base: Operation) -> None:
        self.base = base
        origin = base.function if base.pushed is None else base.pushed
        self.__name__, self.__doc__, self.__module__ = base.name, origin.__doc__, origin.__module__
        self.__wrapped__ = origin  # where its source stands
        for name in ("__code__", "__globals__"):
            if hasattr(origin, name):
                setattr(self, name, getattr(origin, name))

    def __call__(self, xp: Any, *arrays: Any, **parameters: Any) -> Any:
        """Return the gradients, and the pushforward where it is hand-derived."""
        inputs = arrays[: len(self.base.inputs)]
        gradients = self.gradients(xp, *arrays, **parameters)
        if self.base.pushed is None:
            return gradients

        def pushforward(*tangents: Any) -> Any:
            assert self.base.pushed is not None
            return called(self.base, self.base.pushed, xp, [*inputs, *tangents], parameters)

        return gradients, pushforward

    def gradients(self, xp: Any, *arrays: Any, **parameters: Any) -> Any:
        """Return Jᵀȳ by the pullback of the operation."""
        count = len(self.base.inputs)
        _, pullback = self.base(xp, *arrays[:count], **parameters)
        gradients = self.base.gradients_of(pullback(*arrays[count:]))
        return gradients if len(gradients) > 1 else gradients[0]

    def has_pullback(self) -> bool:
        """Tell whether the pushforward is hand-derived."""
        return self.base.pushed is not None

    @functools.cached_property
    def _multigrad_program(self) -> Program:
        """The program of the pushforward, all of which is open to edits."""
        base = self.base
        if base.pushed is None:
            raise AttributeError(f"{base.name} has no pushforward to read")
        shell = SHELL.format(name=base.name, copy=COPY)
        scope = {"gradients": self.gradients, "called": functools.partial(called, base), "count": len(base.inputs)}
        return Program.called_by(shell, "pushforward", base.pushed, base.name, scope)


@dataclass(frozen=True, eq=False)
class Pushforward(Operation):
    """The pushforward of an operation, as the pullback of ȳ ↦ Jᵀȳ."""

    of: Operation = field(kw_only=True)
    """The operation whose pushforward it is."""

    @property
    def value_names(self) -> tuple[str, ...]:
        """The names of the gradients of the operation: ``X_bar``."""
        return tuple(map(self.of.gradient_name, self.of.gradients))

    def gradient_name(self, name: str) -> str:
        """Return ``value_dot`` for the cotangent ``value_bar``: its own cotangent is the tangent J·v."""
        return f"{name.removesuffix('_bar')}_dot"

    @property
    def domain(self) -> str:
        """That of the operation."""
        return self.of.domain

    def make_inputs(self, size: Size, seed: int, regime: Regime = "gaussian") -> list[np.ndarray]:
        """Draw the inputs of the operation, as its own check does, and cotangents.

        Raises:
            BadInput: as there.
        """
        _, parameters = self.of.split(size)
        inputs = self.of.make_inputs(size, seed, regime)
        return [*inputs, *self._cotangents(inputs, parameters, seed + 1, regime)]

    @property
    def given(self) -> tuple[str, ...]:
        """The inputs of the operation: cotangents are drawn."""
        return self.of.given

    def completed(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return inputs of the operation, and cotangents."""
        inputs = self.of.completed(arrays)
        return [*inputs, *self._cotangents(inputs, self.parameters, 1, "gaussian")]

    def _cotangents(
        self, inputs: Sequence[np.ndarray], parameters: Mapping[str, Any], seed: int, regime: Regime
    ) -> list[np.ndarray]:
        import numpy as np

        with np.errstate(all="ignore"):
            values = self.of.forward(numpy_standard(), parameters)(*inputs)
        return self.of.make_cotangents([np.shape(v) for v in values], seed, regime)

    def forward(self, xp: Any, parameters: Mapping[str, Any]) -> Callable[..., tuple[Any, ...]]:
        """Return ``f(*inputs, *cotangents) -> gradients`` by the tape, which knows of no hand-derived formula."""
        tape = importlib.import_module("..namespaces.tape", __package__)  # the namespaces stand above operations
        base, over = self.of, tape.over(xp)
        function = tape.differentiated(xp, base.forward(over, parameters), base.differentiable)

        def forward(*arrays: Any) -> tuple[Any, ...]:
            gradients: tuple[Any, ...] = function(*arrays)[len(base.value_names) :]
            return gradients

        forward.__name__ = f"{base.name}_gradients"
        return forward

    def differentiated(self, session: Any, forward: Callable[[Operation], Callable[..., Any]]) -> Callable[..., Any]:
        """Return ``f(*inputs, *cotangents, *tangents) -> (*gradients, *tangents)`` by both modes of a session.

        Raises:
            Unavailable: the session has no forward mode.
        """
        function: Callable[..., Any] = session.both_modes(forward(self.of), self.of.differentiable)
        return function


@functools.cache
def pushforward_of(op: Operation) -> Pushforward:
    """Return the pushforward of an operation as an operation: the pullback of ȳ ↦ Jᵀȳ.

    Its inputs are those of the operation and a cotangent ``value_bar`` for each value, which alone are differentiated;
    its values are the gradients. Implementations of the operation are its implementations by the framework's forward
    mode, and so is what ``to_torch`` and ``to_jax`` hand over.
    """
    shapes = op.signature
    given = [s for s, d in zip(shapes.inputs, op.differentiable, strict=True) if d]
    own, addresses = parts_of(op.reference)
    made = {key: one for key, one in op.implementations.items() if not one.gradients}
    return Pushforward(
        name=op.name + SUFFIX,
        function=_Transposed(op),
        signature=Signature.parse(f"{_text((*shapes.inputs, *shapes.outputs))}->{_text(given)}"),
        inputs=(*op.inputs, *(f"{name}_bar" for name in op.value_names)),
        differentiable=(*(False for _ in op.inputs), *(True for _ in op.value_names)),
        parameters=op.parameters,
        sizes=op.sizes,
        draw=op.draw,
        dtypes=op.dtypes,
        reference=joined(own + SUFFIX, *addresses) if op.reference else "",
        implementations={**made, **{(one.backend, one.name): one for one in handed_over(op)}},
        namespaced=True,
        of=op,
    )


DERIVATIVES: Mapping[str, Callable[[Operation], Operation]] = {"reverse": lambda op: op, "forward": pushforward_of}
"""What is judged of an operation, by the mode of differentiation: itself with its pullback, or its pushforward."""


def derived(ops: Iterable[Operation], derivatives: Sequence[str] | None) -> list[Operation]:
    """Return what is judged of operations, each name once.

    Args:
        ops: the operations.
        derivatives: of :data:`DERIVATIVES`; None is reverse mode, and forward mode where it is hand-derived.

    Raises:
        BadInput: a derivative that there is none of.
    """
    for name in derivatives or ():
        if name not in DERIVATIVES:
            raise BadInput(f"no derivative named {name!r}; there are {', '.join(DERIVATIVES)}")

    def of(op: Operation) -> Sequence[str]:
        by_hand = [*DERIVATIVES] if op.pushed is not None else ["reverse"]
        return by_hand if derivatives is None else derivatives

    chosen = [DERIVATIVES[name](op) for op in ops for name in of(op)]
    return list({op.name: op for op in chosen}.values())


def pushed_forward(
    op: Operation, xp: Any, inputs: Sequence[Any], tangents: Sequence[Any], parameters: Mapping[str, Any]
) -> tuple[Any, ...]:
    """Return the tangents of the values, Jẋ: by the hand-derived pushforward, or by the transpose of the pullback.

    Args:
        op: the operation.
        xp: the namespace of the arrays.
        inputs: one array for each input.
        tangents: one for each differentiable input, of its shape.
        parameters: the keyword parameters.

    Raises:
        WrongResult: the pushforward returns something else than one array for each value.
    """
    if op.pushed is not None:
        return op.tangents_of(called(op, op.pushed, xp, [*inputs, *tangents], parameters))
    values = op.forward(xp, parameters)(*inputs)
    _, pushforward = pushforward_of(op)(xp, *inputs, *map(xp.zeros_like, values), **parameters)
    return op.tangents_of(pushforward(*tangents))


def _text(shapes: Sequence[tuple[str, ...]]) -> str:
    return ",".join(f"({','.join(shape)})" for shape in shapes)
