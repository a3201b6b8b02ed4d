"""What does a backend accumulate halves in? The dtype says only what is stored.

Sums whose every part float32 holds exactly are asked for, in whatever order a backend adds them up. Kept in float32
each is the exact sum, rounded once. Where any part of a sum is kept in a half, that part is rounded, and not all of
many such sums come out right.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops.implementation import HALVES
from ..verdict.formats import FORMATS
from .device import mesh_shape

if TYPE_CHECKING:
    from .session import Session

LARGEST = 2**14
"""Entries of the largest array that is added up. Of larger ones, which threads or blocks may share, nothing is known:
torch 2.13 adds up 2¹⁷ halves on two threads, and stores what each has found in a half."""

SHAPE = (16, 32, 8)
"""Of the array that is added up along its axes, each in turn and two of them at once."""

MULTIPLIED = (4, LARGEST // 4, 4)
"""Rows, length and columns of products: long enough to be split along the length."""

REPEATS = 32
"""How often a question is asked whose answer is a single number: that it comes out right may be a coincidence. Of sums
of two parts, each rounded to a half, two in three come out right."""

FUNCTIONS: Mapping[str, np.ufunc] = {
    name: getattr(np, name) for name in ("divide", "exp", "expm1", "log", "log1p", "sqrt", "tanh")
}
"""Functions that are asked about at every number of the half; a quotient at as many pairs of them."""

DIVISORS = (6.0, 7.0, 10.0)
"""Single numbers by which every number of a half is divided as well."""

ONCE_ULPS = 0.51
"""The most ulps by which one rounding of a result in float32 is off, with room for eighty ulps of float32."""

EXACT_BITS = FORMATS["float32"].significand_bits
"""A sum of whole numbers is exact in float32, in any order, while the sum of the magnitudes has so many bits."""


@dataclass(frozen=True)
class Accumulation:
    """What a backend keeps in float32 of what it computes in one half: established by asking, else False."""

    products: bool = False
    """The sums in matrix products."""
    sums: bool = False
    """Sums and means along axes, and inner products."""
    chains: bool = False
    """What elementwise functions, one after the other, hand on."""
    functions: tuple[str, ...] = ()
    """The elementwise functions whose result is rounded once, by name: each is computed in a wider format."""


@dataclass(frozen=True)
class _Question:
    function: Callable[..., Any]
    """Takes arrays of the backend's and returns one."""
    arrays: tuple[np.ndarray, ...]
    exact: np.ndarray
    """The exact result, to be rounded once."""


def accumulation(session: Session, dtype: str, mode: str = "eager") -> Accumulation:
    """Ask what a backend accumulates in.

    Args:
        session: the backend.
        dtype: one of its dtypes. Only for a half there is something to ask.
        mode: ``eager``, or ``compiled``: then the questions are compiled as one function.

    Returns:
        What was established. On several devices, and in chunks, sums are split as an operation's arrays are: of that
        nothing is.
    """
    if dtype not in HALVES or mesh_shape(session.device) or session.backend.scheduler:
        return Accumulation()
    asked = _asked_compiled if mode == "compiled" else _asked
    return Accumulation(
        products=asked(session, dtype, _of_products),
        sums=asked(session, dtype, _of_sums),
        chains=asked(session, dtype, _of_chains),
        functions=tuple(f for f in FUNCTIONS if mode == "eager" and _rounds_once(session, dtype, f)),
    )


Questions = Callable[[Any, str], Iterator[_Question]]


def _asked(session: Session, dtype: str, questions: Questions) -> bool:
    """Ask one after the other, up to the first that is answered wrongly, or not at all."""
    try:
        return all(
            _right(session, dtype, q, q.function(*_placed(session, dtype, q))) for q in questions(session.xp, dtype)
        )
    except Exception:
        return False


def _asked_compiled(session: Session, dtype: str, questions: Questions) -> bool:
    every = list(questions(session.xp, dtype))
    ends = [0, *itertools.accumulate(len(q.arrays) for q in every)]

    def together(*arrays: Any) -> tuple[Any, ...]:
        return tuple(q.function(*arrays[i:j]) for q, i, j in zip(every, ends, ends[1:], strict=False))

    try:
        found = session.compile(together)(*(a for q in every for a in _placed(session, dtype, q)))
        return all(_right(session, dtype, q, one) for q, one in zip(every, found, strict=True))
    except Exception:
        return False


def _placed(session: Session, dtype: str, question: _Question) -> list[Any]:
    return [session.to_device(a, dtype) for a in question.arrays]


def _right(session: Session, dtype: str, question: _Question, found: Any) -> bool:
    session.wait([found])
    wanted = FORMATS[dtype].round(question.exact)
    return bool(np.array_equal(session.to_numpy(found).astype(np.float64), wanted))


def _rounds_once(session: Session, dtype: str, name: str) -> bool:
    """Compare a function with the exact one at every number of a half, as far as neither is beyond its range."""
    bits = np.arange(2**16, dtype=np.uint32)
    every: Any = (bits << 16).view(np.float32) if dtype == "bfloat16" else bits.astype(np.uint16).view(np.float16)
    x = every[np.isfinite(every)].astype(np.float64)
    given: list[tuple[Any, ...]] = [(x,)]
    if FUNCTIONS[name].nin == 2:
        # XLA may divide by what is repeated by multiplying with its reciprocal, which it rounds.
        y, rows = np.random.default_rng(0).permutation(x), x.reshape(-1, 8)
        singles = [*DIVISORS, np.asarray(DIVISORS[0]), np.full((1,), DIVISORS[0])]
        given = [(x, y), (rows, y[: len(rows), None]), *((x, number) for number in singles)]
    try:
        with np.errstate(all="ignore"):
            return all(_within_once(session, dtype, name, each) for each in given)
    except Exception:  # a backend that lacks a function fails in the cells that call it
        return False


def _within_once(session: Session, dtype: str, name: str, given: tuple[Any, ...]) -> bool:
    form = FORMATS[dtype]
    exact = FUNCTIONS[name](*given)
    placed = (session.to_device(a, dtype) if isinstance(a, np.ndarray) else a for a in given)
    found = getattr(session.xp, name)(*placed)
    session.wait([found])
    error = np.abs(session.to_numpy(found).astype(np.float64) - exact) / form.spacing(exact)
    # A framework may read a subnormal number as zero.
    smallest = math.ldexp(1.0, form.smallest_exponent)
    normal = np.logical_and.reduce([np.abs(a) >= smallest for a in np.broadcast_arrays(*given, exact)])
    inside = np.isfinite(exact) & (np.abs(exact) < form.overflow) & normal
    return bool(np.all(error[inside] <= ONCE_ULPS))


def _drawn(rng: np.random.Generator, shape: tuple[int, ...], bits: int) -> np.ndarray:
    """Draw whole numbers of so many bits and either sign, over a power of two: no sum of them leaves a half's range."""
    return np.ldexp(rng.integers(1 - 2**bits, 2**bits, shape).astype(np.float64), -bits)


def _of_sums(xp: Any, dtype: str) -> Iterator[_Question]:
    rng, most = np.random.default_rng(0), FORMATS[dtype].significand_bits

    def drawn(shape: tuple[int, ...], count: int) -> np.ndarray:
        return _drawn(rng, shape, min(most, EXACT_BITS - count.bit_length()))

    for axis in ((0,), (1,), (2,), (0, 2)):
        count = math.prod(SHAPE[a] for a in axis)
        x = drawn(SHAPE, count)
        yield _Question(functools.partial(xp.sum, axis=axis), (x,), np.sum(x, axis=axis))
    # The count is a power of two, by which to divide is no rounding.
    yield _Question(functools.partial(xp.mean, axis=(0, 2)), (x,), np.sum(x, axis=(0, 2)) / count)
    for _ in range(REPEATS):
        x, y = drawn((LARGEST,), LARGEST), drawn(SHAPE, math.prod(SHAPE))
        yield _Question(xp.sum, (x,), np.asarray(np.sum(x)))
        yield _Question(xp.sum, (y,), np.asarray(np.sum(y)))
    m, k, _ = MULTIPLIED
    # Their products are numbers of the dtype: an inner product may store them before it adds them up.
    x, y = (_drawn(rng, (m, k), min(most, EXACT_BITS - k.bit_length()) // 2) for _ in range(2))
    yield _Question(xp.vecdot, (x, y), np.sum(x * y, axis=-1))
    for _ in range(REPEATS):
        x, y = (_drawn(rng, (LARGEST,), min(most, EXACT_BITS - LARGEST.bit_length()) // 2) for _ in range(2))
        yield _Question(xp.vecdot, (x, y), np.asarray(x @ y))


def _of_products(xp: Any, dtype: str) -> Iterator[_Question]:
    rng, most = np.random.default_rng(1), FORMATS[dtype].significand_bits
    turned = xp.matrix_transpose

    def drawn(*shapes: tuple[int, ...]) -> list[np.ndarray]:
        return [_drawn(rng, shape, min(most, (EXACT_BITS - shapes[0][-1].bit_length()) // 2)) for shape in shapes]

    m, k, n = MULTIPLIED
    a, b = drawn((m, m), (m, m))
    yield _Question(xp.matmul, (a, b), a @ b)
    x, y = drawn((m, k), (k, n))
    yield _Question(xp.matmul, (x, y), x @ y)
    yield _Question(lambda a, b: turned(a) @ turned(b), (x.T, y.T), x @ y)
    yield _Question(functools.partial(xp.tensordot, axes=1), (x, y), x @ y)
    yield _Question(xp.matmul, (x[0], y), x[0] @ y)
    yield _Question(xp.matmul, (x, y[:, 0]), x @ y[:, 0])
    a, b = drawn((3, m, k), (3, k, n))
    yield _Question(xp.matmul, (a, b), a @ b)
    for _ in range(REPEATS):
        a, b = drawn((LARGEST,), (LARGEST,))
        yield _Question(xp.matmul, (a, b), np.asarray(a @ b))


def _of_chains(xp: Any, dtype: str) -> Iterator[_Question]:
    # 1 + 2⁻ᵖ has one bit more than the dtype, and 1 + 2⁻ᵖ − 1 has it again where the sum was not stored.
    x = np.ldexp(1.0 + np.arange(64.0) % 3, -FORMATS[dtype].significand_bits)
    yield _Question(lambda a: (1 + a) - 1, (x,), x)
    yield _Question(lambda a: (1 + a) * (1 - a), (x,), 1 - x * x)
