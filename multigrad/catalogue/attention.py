"""Scaled dot-product attention that never holds the matrix of all scores.

The keys go by in tiles. Forward, each query keeps the largest score so far, the sum of the exponentials below it and
the sum of the values they weigh; a larger score rescales both sums. Backward, the same tiles are computed again from
that largest score and that sum. So there is one tile of scores at a time: `keys` of them for each query.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..extra.blocks import in_blocks
from ..extra.recurrence import scan
from ..ops.operation import operation

if TYPE_CHECKING:
    import numpy as np

    from ..ops.draw import Draw

CHUNKS = 4
"""Of a causal mask so many chunks of queries are cut out, each with the keys it may see: ⅝ of the work instead of ½
in the limit, and a compiler sees four bodies and not hundreds."""


@operation(
    "(b,n,d),(b,m,d),(b,m,d)->(b,n,d)",
    sizes={
        "tiny": {"b": 2, "n": 3, "m": 5, "d": 2, "keys": 2},
        "causal": {"b": 1, "n": 5, "m": 4, "d": 2, "causal": True, "keys": 2},
        "small": {"b": 8, "n": 128, "m": 128, "d": 32},
        "medium": {"b": 12, "n": 512, "m": 512, "d": 64},
        "long": {"b": 1, "n": 8192, "m": 8192, "d": 64, "causal": True},
        "large": {"b": 4, "n": 2048, "m": 2048, "d": 64},
    },
)
def attention(xp: Any, Q: Any, K: Any, V: Any, *, causal: bool = False, keys: int = 512) -> Any:
    """Scaled dot-product attention.

    For every item of the batch, with S = QKᵀ/√d and P = softmax(S) along the rows:

        Y = PV

        V̄ = PᵀȲ
        S̄ = P∘(ȲVᵀ − D)   with Dᵢ = Σⱼ Ȳᵢⱼ Yᵢⱼ
        Q̄ = S̄K/√d
        K̄ = S̄ᵀQ/√d

    Causal: query i sees the keys 0 … i. Neither S nor P is ever there as a whole, only `keys` columns of it. Smooth.

    Source: Vaswani et al., Attention is all you need (2017), eq. 1; Milakov & Gimelshein, Online normalizer
    calculation for softmax (2018), algorithm 3; Dao et al., FlashAttention (2022), algorithms 1 and 4.
    """
    views = _triangle(xp, Q, K, keys) if causal else [_View(0, Q.shape[1], (_Run(0, K.shape[1]),))]
    scale = 1 / math.sqrt(Q.shape[2])
    scaled = Q * scale  # the queries are smaller than the scores
    Y, kept = _forwards(xp, scaled, K, V, views, keys)

    def pullback(Y_bar: Any) -> Any:
        Q_bar, K_bar, V_bar = _backwards(xp, (scaled, K, V), Y_bar, kept, views, keys)
        return Q_bar * scale, K_bar, V_bar

    return Y, pullback


def _with_a_mask(draw: Draw, b: int, n: int, m: int, d: int, keys: int = 0) -> Sequence[np.ndarray]:
    mask = draw.labels(3, n, m) > 0
    mask[:, 0] |= ~mask.any(axis=1)  # a query that sees nothing is another convention in every framework
    return draw(b, n, d), draw(b, m, d), draw(b, m, d), mask


@operation(
    "(b,n,d),(b,m,d),(b,m,d),(n,m)->(b,n,d)",
    nondifferentiable=["mask"],
    inputs=_with_a_mask,
    sizes={
        "tiny": {"b": 2, "n": 3, "m": 5, "d": 2, "keys": 2},
        "small": {"b": 8, "n": 128, "m": 128, "d": 32},
        "medium": {"b": 12, "n": 512, "m": 512, "d": 64},
        "large": {"b": 4, "n": 2048, "m": 2048, "d": 64},
    },
)
def masked_attention(xp: Any, Q: Any, K: Any, V: Any, mask: Any, *, keys: int = 512) -> Any:
    """Scaled dot-product attention in which each query sees those keys where a mask is true.

    For every item of the batch, with S = QKᵀ/√d where the mask is true and −∞ elsewhere, and P = softmax(S) along the
    rows, value and gradients are those of :func:`attention`:

        Y = PV

        V̄ = PᵀȲ
        S̄ = P∘(ȲVᵀ − D)   with Dᵢ = Σⱼ Ȳᵢⱼ Yᵢⱼ
        Q̄ = S̄K/√d
        K̄ = S̄ᵀQ/√d

    A query that sees no key at all has Yᵢ = 0, and hands no gradient on. Smooth.

    Source: Vaswani et al., Attention is all you need (2017), section 3.2.3; else as for :func:`attention`.
    """
    views = [_View(0, Q.shape[1], (_Run(0, K.shape[1]),), mask[None, :, :], masked=True)]
    scale = 1 / math.sqrt(Q.shape[2])
    scaled = Q * scale
    Y, kept = _forwards(xp, scaled, K, V, views, keys)

    def pullback(Y_bar: Any) -> Any:
        Q_bar, K_bar, V_bar = _backwards(xp, (scaled, K, V), Y_bar, kept, views, keys)
        return Q_bar * scale, K_bar, V_bar

    return Y, pullback


class _Run(NamedTuple):
    """Keys that follow one another."""

    start: int
    stop: int
    places: Any = None
    """The numbers of the keys (1, 1, stop − start), where a query sees those up to its own."""


class _View(NamedTuple):
    """Queries that follow one another, and the keys that they may see."""

    start: int
    stop: int
    runs: tuple[_Run, ...]
    own: Any = None
    """What of the mask goes with the queries: their numbers (1, n, 1), or a mask (1, n, m)."""
    masked: bool = False
    """Whether it is a mask, which may hide everything."""


Tile = tuple[Any, ...]


def _triangle(xp: Any, Q: Any, K: Any, keys: int) -> list[_View]:
    """Return views of which query i sees the keys 0 … i."""
    n, m = Q.shape[1], K.shape[1]
    places = xp.arange(max(n, m), device=Q.device)
    length = max(keys, -(-n // CHUNKS), 1)
    views = []
    for start in range(0, n, length):
        stop = min(start + length, n)
        before = (_Run(0, min(start, m)),) if start else ()
        beside = (_Run(start, min(stop, m), places[None, None, start : min(stop, m)]),) if start < m else ()
        views.append(_View(start, stop, before + beside, places[None, start:stop, None]))
    return views


def _forwards(xp: Any, Q: Any, K: Any, V: Any, views: Sequence[_View], keys: int) -> tuple[Any, list[Tile]]:
    """Return Y of scaled queries, and what the backward pass of each view needs."""
    kept = [_forward(xp, Q[:, view.start : view.stop, :], K, V, view, keys) for view in views]
    return _joined(xp, [Y for Y, _, _ in kept]), kept


def _backwards(
    xp: Any, arrays: tuple[Any, Any, Any], Y_bar: Any, kept: Sequence[Tile], views: Sequence[_View], keys: int
) -> tuple[Any, Any, Any]:
    """Return the gradients by the scaled queries, K and V."""
    Q, K, V = arrays
    bars = [
        _backward(xp, Q[:, view.start : view.stop, :], K, V, Y_bar[:, view.start : view.stop, :], of_view, view, keys)
        for view, of_view in zip(views, kept, strict=True)
    ]
    Q_bars, K_bars, V_bars = zip(*bars, strict=True)
    return _joined(xp, Q_bars), _overlaid(xp, K_bars, K), _overlaid(xp, V_bars, V)


def _forward(xp: Any, Q: Any, K: Any, V: Any, view: _View, keys: int) -> tuple[Any, ...]:
    """Return Y, the largest score of each query, and 1 over the sum of the exponentials below it."""
    T = xp.matrix_transpose

    def finite(largest: Any) -> Any:
        # Where nothing has been seen, S − 0 is the −∞ that it should be, and S − largest has no value.
        return xp.where(xp.isfinite(largest), largest, 0.0) if view.masked else largest

    def of_items(Q: Any, K: Any, V: Any) -> tuple[Any, ...]:
        def of_queries(Q: Any, *own: Any) -> tuple[Any, ...]:
            def step(carry: Any, tile: Tile) -> tuple[Any, None]:
                K, V, *marks = tile
                S = _hidden(xp, Q @ T(K), view, own, marks)
                largest = xp.max(S, axis=2, keepdims=True)
                if carry is not None:
                    largest = xp.maximum(carry[0], largest)
                E = xp.exp(S - finite(largest))
                total, Y = xp.sum(E, axis=2, keepdims=True), E @ V
                if carry is not None:
                    shrunk = xp.exp(carry[0] - finite(largest))
                    total, Y = total + carry[1] * shrunk, Y + carry[2] * shrunk
                return (largest, total, Y), None

            carry: Any = None
            for run in view.runs:
                carry, _ = _over_tiles(xp, step, carry, *_tiles(view, run, [K, V], own), keys)
            largest, total, Y = carry
            weight = 1 / (xp.where(total > 0, total, 1.0) if view.masked else total)
            return Y * weight, finite(largest), weight

        return in_blocks(xp, of_queries, Q, *_own(view), axis=1, elements=K.shape[0] * keys)

    return in_blocks(xp, of_items, Q, K, V, elements=Q.shape[1] * keys)


def _backward(
    xp: Any, Q: Any, K: Any, V: Any, Y_bar: Any, kept: tuple[Any, ...], view: _View, keys: int
) -> tuple[Any, ...]:
    """Return the gradients of these queries, and what they add to those of the keys and values that they may see.

    What is subtracted from a tile, one number for each query, goes into its product as one more column.
    """
    T = xp.matrix_transpose
    d = Q.shape[2]

    def of_items(Q: Any, K: Any, V: Any, Y_bar: Any, *kept: Any) -> tuple[Any, ...]:
        one = xp.ones_like(K[:, :, :1])
        wider = [xp.concat([K, one], axis=2), xp.concat([V, one], axis=2)]

        def of_queries(Q: Any, Y_bar: Any, Y: Any, largest: Any, weight: Any, *own: Any) -> tuple[Any, ...]:
            weighed = Y_bar * weight
            D = xp.sum(weighed * Y, axis=2, keepdims=True)
            to_S, to_P_bar = xp.concat([Q, -largest], axis=2), xp.concat([weighed, -D], axis=2)

            def step(Q_bar: Any, tile: Tile) -> tuple[Any, Tile]:
                K, V, *marks = tile
                E = xp.exp(_hidden(xp, to_S @ T(K), view, own, marks))
                S_bar = E * (to_P_bar @ T(V))
                more = S_bar @ K[:, :, :d]
                return more if Q_bar is None else Q_bar + more, (T(S_bar) @ Q, T(E) @ weighed)

            Q_bar, pieces = None, []
            for run in view.runs:
                Q_bar, of_run = _over_tiles(xp, step, Q_bar, *_tiles(view, run, wider, own), keys)
                pieces += of_run
            K_bars, V_bars = zip(*pieces, strict=True)
            return Q_bar, _joined(xp, K_bars), _joined(xp, V_bars)

        arrays = (Q, Y_bar, *kept, *_own(view))
        return in_blocks(xp, of_queries, *arrays, axis=1, sums=2, elements=K.shape[0] * keys)

    return in_blocks(xp, of_items, Q, K, V, Y_bar, *kept, elements=Q.shape[1] * keys)


def _own(view: _View) -> Tile:
    return () if view.own is None else (view.own,)


def _hidden(xp: Any, S: Any, view: _View, own: Tile, marks: Sequence[Any]) -> Any:
    """Scores with −∞ where a query does not see a key."""
    seen = [mark if view.masked else own[0] >= mark for mark in marks]
    return xp.where(seen[0], S, -math.inf) if seen else S


def _tiles(view: _View, run: _Run, arrays: Sequence[Any], own: Tile) -> tuple[Tile, tuple[int, ...]]:
    """Return the arrays of a run of keys, and the axis of the keys in each."""
    cut = tuple(x[:, run.start : run.stop, :] for x in arrays)
    places = () if run.places is None else (run.places,)
    cut += (own[0][:, :, run.start : run.stop],) if view.masked else places
    return cut, (1, 1, 2)[: len(cut)]


def _over_tiles(
    xp: Any, step: Callable[[Any, Tile], Any], carry: Any, arrays: Tile, axes: tuple[int, ...], length: int
) -> tuple[Any, list[Any]]:
    """Run a step over tiles of so many keys, the last of which may be shorter; return the carry and the outputs.

    Where there is no carry yet, the first tile makes it.
    """
    total, start, outputs = arrays[0].shape[axes[0]], 0, []

    def tile(stop: int) -> Tile:
        return tuple(
            x[:, start:stop, :] if axis == 1 else x[:, :, start:stop] for x, axis in zip(arrays, axes, strict=True)
        )

    def alone(length: int) -> None:
        nonlocal carry, start
        if length:
            carry, output = step(carry, tile(start + length))
            start += length
            outputs.append(output)

    first = min(length, total) if carry is None else 0
    count, rest = divmod(total - first, length)
    alone(first)
    if count > 1:
        stop = start + count * length
        stacked = tuple(_stacked(xp, x, axis, count) for x, axis in zip(tile(stop), axes, strict=True))
        carry, found = scan(xp, step, carry, stacked)
        outputs.append(None if found is None else tuple(_unstacked(xp, x) for x in found))
        start = stop
    else:
        alone(count * length)
    alone(rest)
    return carry, outputs


def _stacked(xp: Any, x: Any, axis: int, count: int) -> Any:
    """Cut an axis into so many pieces, which become the first axis."""
    shape = (*x.shape[:axis], count, x.shape[axis] // count, *x.shape[axis + 1 :])
    order = (axis, *range(axis), *range(axis + 1, 4))
    return xp.permute_dims(xp.reshape(x, shape), order)


def _unstacked(xp: Any, x: Any) -> Any:
    """Join pieces (count, b, length, d) to (b, count·length, d)."""
    count, b, length, d = x.shape
    return xp.reshape(xp.permute_dims(x, (1, 0, 2, 3)), (b, count * length, d))


def _joined(xp: Any, pieces: Sequence[Any]) -> Any:
    return pieces[0] if len(pieces) == 1 else xp.concat(list(pieces), axis=1)


def _overlaid(xp: Any, parts: Sequence[Any], whole: Any) -> Any:
    """Add up parts that all begin with the first key and end at different ones; nothing is added after the last."""
    ends = sorted({part.shape[1] for part in parts})
    pieces = [
        functools.reduce(operator.add, (part[:, start:stop, :] for part in parts if part.shape[1] >= stop))
        for start, stop in itertools.pairwise([0, *ends])
    ]
    after = [xp.zeros_like(whole[:, ends[-1] :, :])] if ends[-1] < whole.shape[1] else []
    return _joined(xp, [*pieces, *after])
