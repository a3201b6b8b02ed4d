"""An operation: a forward formula and its hand-derived pullback, written once against the array API standard.

Nothing here imports NumPy or a framework: reading the catalogue costs nothing.
"""

from __future__ import annotations

import functools
import inspect
import re
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..data.errors import BadInput, WrongResult
from ..data.standard import numpy_standard
from .declared import check_pushforward, check_room, function_name, names_of, parameters_of, sizes_of
from .draw import DOMAIN_DRAWS, DOMAINS, LINE, Draw, Regime
from .evaluate import evaluated, has_pullback, on_tape
from .implementation import ADDED, Implementation, joined, named_implementation, parts_of
from .signature import Signature, Size, default_sizes
from .text import described

if TYPE_CHECKING:
    import numpy as np

DTYPES = ("float64", "float32", "bfloat16", "float16")
"""The floating-point types the project knows, widest first."""

Inputs = Callable[..., "Sequence[np.ndarray]"]
Implemented = TypeVar("Implemented", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Operation:
    """A forward formula with its hand-derived pullback.

    Calling it, ``op(xp, *inputs, **parameters)``, returns ``(value, pullback)``. ``pullback(*cotangents)`` takes one
    cotangent per output and returns one gradient per differentiable input.
    """

    name: str
    function: Callable[..., Any]
    signature: Signature
    inputs: tuple[str, ...]
    """The names of the array inputs, in order."""
    differentiable: tuple[bool, ...]
    """For each input, whether the pullback returns a gradient for it."""
    parameters: Mapping[str, Any]
    """The keyword-only parameters with their defaults: plain values such as a stride, never arrays."""
    sizes: Mapping[str, Size]
    """Named sizes, smallest first: values for the signature's dimensions and for parameters."""
    draw: Inputs | None = field(default=None, repr=False)
    """Draws the inputs, ``draw(draw, **dimensions_and_parameters)``; None draws every input by the regime."""
    dtypes: tuple[str, ...] = DTYPES
    """The dtypes it is meant for."""
    reference: str = ""
    """How another process finds it: a catalogue name or ``path.py::name``; empty if it cannot be found again."""
    implementations: dict[tuple[str, str], Implementation] = field(default_factory=dict, repr=False)
    """Ways to compute it that are not ours, by backend and name."""
    namespaced: bool = True
    """Whether the function takes the array namespace first; one that does not is written with NumPy."""
    pushed: Callable[..., Any] | None = field(default=None, repr=False)
    """The hand-derived pushforward, ``f(xp, *inputs, *tangents, **parameters)``; None where it has none."""

    def __call__(self, xp: Any, *inputs: Any, **parameters: Any) -> tuple[Any, Callable[..., Any]]:
        """Return the value (a tuple of them, if there are several) and the pullback.

        A function that returns values alone gets the pullback of the tape (:mod:`multigrad.namespaces.tape`).

        Raises:
            WrongResult: the function returns something else.
        """
        value, pullback = evaluated(self, xp, inputs, parameters)
        return on_tape(self, xp)(xp, *inputs, **parameters) if pullback is None else (value, pullback)

    @functools.cached_property
    def has_pullback(self) -> bool:
        """Whether the function returns a pullback of its own.

        It is run in NumPy, at the smallest size, to find out; one that raises there is taken to have one.
        """
        size = next(iter(self.sizes.values()))
        return has_pullback(self, lambda: self.make_inputs(size, 0), self.split(size)[1])

    def implementation(
        self,
        backend: str,
        *,
        name: str | None = None,
        gradients: bool = False,
        accumulate: str | None = None,
        deterministic: bool = True,
    ) -> Callable[[Implemented], Implemented]:
        """Add a way to compute this operation on one backend; its name is the variant in every table.

        ::

            @rms_norm.implementation("torch")
            def fused(x, w):
                return FusedRMSNorm.apply(x, w)

        Args:
            backend: the backend whose arrays it takes, such as ``torch``.
            name: what tables call it; left out, the function's own name.
            gradients: whether it returns its gradients itself, ``f(*inputs, *cotangents) -> values, gradients``, or
                for one scalar value ``f(*inputs) -> value, gradients``. If not, ``f(*inputs) -> values`` is
                differentiated by the backend's autodiff, which calls the backward pass that it has.
            accumulate: ``float32``, where it stores bfloat16 or float16 and computes in float32.
            deterministic: whether the same inputs give the same bits. If not (atomic sums), they may differ from call
                to call, within the bound.

        Raises:
            BadInput: it is no function, has no name or one that is taken.
        """

        def add(function: Implemented) -> Implemented:
            made = named_implementation(
                self.name,
                backend,
                function,
                name=name,
                gradients=gradients,
                accumulate=accumulate,
                deterministic=deterministic,
            )
            key = made.backend, made.name
            if key in self.implementations and self.implementations[key].origin != made.origin:
                raise BadInput(f"{self.name} has an implementation named {made.name} on {backend} already")
            self.implementations[key] = made
            ADDED.append((self, made))
            base, others = parts_of(self.reference)
            if made.origin.partition("::")[0] != base.partition("::")[0] and made.address not in others:
                found = self.reference and made.origin
                object.__setattr__(self, "reference", joined(self.reference, made.address) if found else "")
            return function

        return add

    def pushforward(self, function: Implemented) -> Implemented:
        """Add the hand-derived pushforward, which forward mode calls: the tangents of the values, from those of inputs.

        ::

            @relu_regression.pushforward
            def _(xp, X, W, Y, X_dot, W_dot, Y_dot):
                return …

        It takes what the operation takes, then a tangent ``X_dot`` for each differentiable input ``X``, and returns one
        tangent for each value. ``multigrad check`` judges it beside the pullback, as the operation ``NAME.pushforward``
        (:mod:`multigrad.ops.pushforward`).

        Raises:
            BadInput: its parameters are others, or there is a pushforward already.
        """
        check_pushforward(self, function)
        object.__setattr__(self, "pushed", function)
        return function

    def tangents_of(self, result: Any, what: str = "") -> tuple[Any, ...]:
        """Return what a pushforward returned as a tuple of arrays, one for each value.

        Args:
            result: what was returned.
            what: what messages call it that returned it; left out, the pushforward.

        Raises:
            WrongResult: there are more or fewer, or one is no array.
        """
        return _results(result, self.value_names, what or f"{self.name}'s pushforward", "tangents")

    def differentiated(self, session: Any, forward: Callable[[Operation], Callable[..., Any]]) -> Callable[..., Any]:
        """Return ``f(*inputs, *cotangents) -> (*values, *gradients)`` by the autodiff of a session.

        Args:
            session: a :class:`multigrad.backend.Session`.
            forward: returns the forward part of an operation, as the session's autodiff follows it.

        Raises:
            Unavailable: the session has no autodiff.
        """
        function: Callable[..., Any] = session.differentiate(forward(self), self.differentiable)
        return function

    def values(self, value: Any, what: str = "") -> tuple[Any, ...]:
        """Return what the forward part returned as a tuple of arrays.

        Args:
            value: what was returned.
            what: what messages call it that returned it; left out, the operation.

        Raises:
            WrongResult: there are more or fewer than outputs in the signature, or one is no array.
        """
        return _results(value, self.value_names, f"{what or self.name}'s forward part", "values")

    def gradients_of(self, result: Any, what: str = "") -> tuple[Any, ...]:
        """Return what a pullback returned as a tuple of arrays, one for each of :attr:`gradients`.

        Args:
            result: what was returned.
            what: what messages call it that returned it; left out, the pullback.

        Raises:
            WrongResult: there are more or fewer, or one is no array.
        """
        return _results(result, self.gradients, what or f"{self.name}'s pullback", "gradients")

    @property
    def value_names(self) -> tuple[str, ...]:
        """The names of the values among :attr:`outputs`."""
        count = len(self.signature.outputs)
        return ("value",) if count == 1 else tuple(f"value{i}" for i in range(count))

    def gradient_name(self, name: str) -> str:
        """Return what the gradient by an input is called among :attr:`outputs`."""
        return f"{name}_bar"

    @property
    def doc(self) -> str:
        """The docstring: the formula, its source and its conventions."""
        return inspect.cleandoc(self.function.__doc__ or "")

    @property
    def title(self) -> str:
        """The first sentence of the docstring."""
        first = self.doc.split("\n\n")[0].replace("\n", " ")
        return re.sub(r":\w+:`~?([^`]*)`", r"\1", first)

    @property
    def gradients(self) -> tuple[str, ...]:
        """The names of the inputs that have a gradient, in the order in which the pullback returns them."""
        return tuple(n for n, d in zip(self.inputs, self.differentiable, strict=True) if d)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What is compared, by name: the values, then one ``X_bar`` for each gradient."""
        return (*self.value_names, *map(self.gradient_name, self.gradients))

    @property
    def made_of(self) -> tuple[Operation, ...]:
        """The operations on whose hand-derived formulas its own values rest; none, but for one that is derived."""
        return ()

    @property
    def catalogued(self) -> bool:
        """Whether it is the catalogue's own, of which alone something may be known by name."""
        return parts_of(self.reference)[0] == self.name

    def size(self, name: str) -> dict[str, Any]:
        """Return a named size.

        Raises:
            BadInput: there is none of that name.
        """
        if name not in self.sizes:
            raise BadInput(f"{self.name} has no size {name!r}; it has {', '.join(self.sizes)}")
        return dict(self.sizes[name])

    def split(self, size: Size) -> tuple[dict[str, int], dict[str, Any]]:
        """Split a size into the signature's dimensions and the parameters."""
        dimensions = {k: v for k, v in size.items() if k not in self.parameters}
        return dimensions, {k: v for k, v in size.items() if k in self.parameters}

    def make_inputs(self, size: Size, seed: int, regime: Regime = "gaussian") -> list[np.ndarray]:
        """Draw the inputs of a size as NumPy arrays, in order: the same ones for every backend.

        Raises:
            BadInput: the operation's own generator returned arrays that do not fit the signature.
        """
        # The operation's name takes part, so that two operations with one seed do not see the same numbers.
        return self.drawn(Draw(zlib.crc32(self.name.encode()) ^ seed, regime), size)

    def drawn(self, draw: Draw, size: Size) -> list[np.ndarray]:
        """Return the inputs of a size that a generator gives, as NumPy arrays, in order.

        Raises:
            BadInput: the operation's own generator returned arrays that do not fit the signature.
        """
        dimensions, _ = self.split(size)
        if self.draw is not None:
            arrays = self._drawn(draw, size)
        else:
            move = DOMAINS[self.domain]
            arrays = [move(draw(*(int(dimensions.get(s, s)) for s in shape))) for shape in self.signature.inputs]
        self.check_inputs(arrays)
        return arrays

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the inputs that a file of inputs holds."""
        return self.inputs

    def completed(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return all inputs, where those of :attr:`given` are these."""
        return list(arrays)

    @functools.cached_property
    def domain(self) -> str:
        """The first of :data:`DOMAINS` on which it has a value: what inputs are drawn from where it has no generator.

        It is looked for in NumPy, at the smallest size, on :data:`DOMAIN_DRAWS` drawings of inputs, the same for every
        name. Where each has a drawing whose value is NaN in some entry, it is the whole line.
        """
        xp = numpy_standard()
        import numpy as np

        if self.draw is not None:
            return LINE
        size = next(iter(self.sizes.values()))
        dimensions, parameters = self.split(size)
        draws = [Draw(seed) for seed in range(DOMAIN_DRAWS)]
        shapes = [tuple(int(dimensions.get(s, s)) for s in shape) for shape in self.signature.inputs]
        drawings = [[draw(*shape) for shape in shapes] for draw in draws]
        forward = self.forward(xp, parameters)
        for name, move in DOMAINS.items():
            try:
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    values = [value for drawn in drawings for value in forward(*map(move, drawn))]
                if not any(np.isnan(value).any() for value in values):
                    return name
            except Exception:  # noqa: BLE001 - what it raises is said where it is judged
                return LINE
        return LINE

    def _drawn(self, draw: Draw, size: Size) -> list[np.ndarray]:
        """Return what the operation's own generator gives."""
        import numpy as np

        assert self.draw is not None
        wanted = f"wanted one array for each of {', '.join(self.inputs)}"
        given: Any  # a person's function returns what it likes
        try:
            given = self.draw(draw, **size)
        except BadInput:
            raise
        except (Exception, SystemExit) as error:
            line = next(iter(str(error).strip().splitlines()), "")
            raise BadInput(f"{self.name}: inputs= raised {type(error).__name__}: {line} (at {dict(size)})") from error
        if isinstance(given, np.ndarray) and len(self.inputs) == 1 and given.ndim == len(self.signature.inputs[0]):
            given = [given]  # of a single input the array itself will do
        if not isinstance(given, Iterable) or isinstance(given, str | Mapping) or getattr(given, "shape", None) == ():
            raise BadInput(f"{self.name}: inputs= returned {type(given).__name__}; {wanted}")
        try:
            arrays = [np.asarray(a) for a in given]
        except (Exception, SystemExit) as error:
            kind = type(error).__name__
            raise BadInput(f"{self.name}: inputs= returned what is no array: {kind}; {wanted}") from error
        for name, array in zip(self.inputs, arrays, strict=False):
            if array.dtype.kind not in "fiubc":
                raise BadInput(f"{self.name}: inputs= gave {name} the dtype {array.dtype}; wanted numbers")
        return arrays

    def make_cotangents(
        self, shapes: Sequence[tuple[int, ...]], seed: int, regime: Regime = "gaussian"
    ) -> list[np.ndarray]:
        """Draw one cotangent for each output shape. Never all ones: a pullback that ignores it must be seen."""
        draw = Draw(
            zlib.crc32(f"{self.name} cotangent".encode()) ^ seed, "gaussian" if regime != "integers" else regime
        )
        cotangents = [draw(*shape) for shape in shapes]
        # A zero or a one would hide a lost factor of the cotangent when there is only one of it.
        return [c if c.size > 1 else 0 * c + (3.0 if regime == "integers" else 1.25 + abs(c)) for c in cotangents]

    def check_inputs(self, arrays: Sequence[Any]) -> dict[str, int]:
        """Check count and shapes against the signature and return the dimensions.

        Raises:
            BadInput: with the name of the input, the shape found and the shape wanted.
        """
        if len(arrays) != len(self.inputs):
            raise BadInput(
                f"{self.name} takes {len(self.inputs)} inputs ({', '.join(self.inputs)}), found {len(arrays)}"
            )
        return self.signature.bind(self.inputs, [tuple(a.shape) for a in arrays])

    def forward(self, xp: Any, parameters: Mapping[str, Any]) -> Callable[..., tuple[Any, ...]]:
        """Return ``f(*inputs) -> values``: the forward part alone."""

        def forward(*inputs: Any) -> tuple[Any, ...]:
            value, _ = evaluated(self, xp, inputs, parameters)
            return self.values(value)

        forward.__name__ = f"{self.name}_forward"
        return forward

    def followed(self, session: Any, parameters: Mapping[str, Any]) -> Callable[..., tuple[Any, ...]]:
        """Return ``f(*inputs) -> values`` as the autodiff of a backend's session follows it: the forward part."""
        return self.forward(session.followed, parameters)

    def analytic(self, xp: Any, parameters: Mapping[str, Any]) -> Callable[..., tuple[Any, ...]]:
        """Return ``f(*inputs, *cotangents) -> (*values, *gradients)``: forward part and pullback."""
        count = len(self.inputs)
        # Asked here, and not where a compiler may follow.
        pulled_back = self if self.has_pullback else on_tape(self, xp)

        def analytic(*arrays: Any) -> tuple[Any, ...]:
            value, pullback = pulled_back(xp, *arrays[:count], **parameters)
            return self.values(value) + self.gradients_of(pullback(*arrays[count:]))

        analytic.__name__ = f"{self.name}_analytic"
        return analytic


def _results(result: Any, names: Sequence[str], what: str, kind: str) -> tuple[Any, ...]:
    results = tuple(result) if isinstance(result, tuple | list) else (result,)
    wanted = f"{len(names)}: {', '.join(names)}" if len(names) > 1 else "one array"
    for name, each in zip(names, results, strict=False):
        if each is None or isinstance(each, str | bytes | Mapping) or callable(each):
            where = f", for {name}" if len(names) > 1 else ""
            raise WrongResult(f"{what} returned {described(each)}{where}; wanted {wanted}")
    if len(results) != len(names):
        raise WrongResult(f"{what} returned {len(results)} {kind}; wanted {wanted}")
    return results


def operation(
    signature: str,
    *,
    nondifferentiable: Iterable[str] = (),
    sizes: Mapping[str, Size] | None = None,
    inputs: Inputs | None = None,
    dtypes: tuple[str, ...] = DTYPES,
) -> Callable[[Callable[..., Any]], Operation]:
    """Make an :class:`Operation` of a function ``f(xp, *arrays, *, parameters)``.

    The function returns a value and its pullback, or a value alone. One that is written with NumPy takes no namespace:
    it has as many array parameters as the signature has inputs.

    Args:
        signature: the shapes in gufunc notation, ``"(m,k),(k,n)->(m,n)"``.
        nondifferentiable: names of inputs that have no gradient, such as labels.
        sizes: named sizes, smallest first; left out, three are made up from the signature.
        inputs: draws the inputs where they must be special: ``inputs(draw, **size)`` returns one NumPy array for each
            input; ``draw(m, n)`` is an array of the regime's numbers, ``draw.labels(count, n)`` are class labels.
        dtypes: the dtypes the operation is meant for.

    Raises:
        BadInput: signature, function and names do not fit each other.
    """
    parsed = Signature.parse(signature)
    without = names_of("nondifferentiable", nondifferentiable)
    kinds = names_of("dtypes", dtypes)

    def wrap(function: Callable[..., Any]) -> Operation:
        name = function_name(function)
        arguments = list(inspect.signature(function).parameters.values())
        arrays = tuple(a.name for a in arguments if a.kind in (a.POSITIONAL_OR_KEYWORD, a.POSITIONAL_ONLY))
        parameters = parameters_of(name, arguments)
        namespaced = len(arrays) != len(parsed.inputs) or arrays[0] == "xp"
        arrays = arrays[1:] if namespaced else arrays
        if len(arrays) != len(parsed.inputs):
            raise BadInput(
                f"{name}: the signature {parsed.text} has {len(parsed.inputs)} inputs, "
                f"the function has {len(arrays)} after the namespace ({', '.join(arrays) or 'none'})"
            )
        unknown = [n for n in without if n not in arrays]
        if unknown:
            raise BadInput(f"{name}: nondifferentiable names {unknown[0]!r}, which is not among {', '.join(arrays)}")
        flags = tuple(a not in without for a in arrays)
        if not any(flags):
            raise BadInput(f"{name}: no input is differentiable, so there is no gradient to check")
        for kind in kinds or ("none",):
            if kind not in DTYPES:
                raise BadInput(f"{name}: no dtype named {kind!r}; there are {', '.join(DTYPES)}")
        if inputs is not None and not callable(inputs):
            raise BadInput(f"{name}: inputs is {type(inputs).__name__}; wanted a function: inputs(draw, **size)")
        own = inputs is not None
        chosen = default_sizes(parsed) if sizes is None else sizes_of(name, parsed, sizes, parameters, drawn=own)
        for size_name, size in chosen.items():
            check_room(f"{name}: size {size_name!r}", parsed, size)
        op = Operation(
            *(name, function, parsed, arrays, flags, parameters, chosen, inputs, kinds, _reference(function)),
            namespaced=namespaced,
        )
        object.__setattr__(op, "__doc__", function.__doc__)  # so that help() shows the formula
        return op

    return wrap


def _reference(function: Callable[..., Any]) -> str:
    name = function.__name__
    if "<locals>" in function.__qualname__:
        return ""
    if function.__module__.startswith("multigrad.catalogue."):
        return name
    try:
        path = Path(inspect.getfile(function)).resolve()
    except (OSError, TypeError):
        return ""
    return f"{path}::{name}" if path.is_file() else ""
