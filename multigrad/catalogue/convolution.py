"""Convolutions of images, and the matrix that a convolution is.

A convolution is one trilinear form of the image X, the kernel K and the cotangent Ȳ,

    t(X, K, Ȳ) = Σ Ȳ[b,o,u,v] K[o,c,p,q] X̃[b, c, s·u + d·p, s·v + d·q]     (X̃ is X with its border of zeros)

and everything here is a derivative of it: ∂t/∂Ȳ is the convolution, ∂t/∂X the transposed convolution, ∂t/∂K the
gradient of the kernel. Each is computed as a few large matrix products over windows of the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..data.errors import BadInput
from ..ops.operation import operation

Pair = int | Sequence[int]
"""One number for both axes, or one for the rows and one for the columns."""


@operation(
    "(b,c,h,w),(o,i,p,q)->(b,o,u,v)",
    sizes={
        "tiny": {"b": 1, "c": 1, "h": 4, "w": 4, "o": 1, "i": 1, "p": 3, "q": 3},
        "channels": {"b": 2, "c": 3, "h": 5, "w": 4, "o": 2, "i": 3, "p": 2, "q": 3, "padding": (1, 2)},
        "strided": {"b": 2, "c": 2, "h": 6, "w": 7, "o": 3, "i": 2, "p": 3, "q": 2, "stride": (2, 3), "padding": 1},
        "dilated": {"b": 1, "c": 2, "h": 7, "w": 8, "o": 2, "i": 2, "p": 3, "q": 2, "stride": 2, "dilation": (2, 3)},
        "grouped": {"b": 2, "c": 4, "h": 4, "w": 5, "o": 6, "i": 2, "p": 3, "q": 2, "padding": 1, "groups": 2},
        "small": {"b": 64, "c": 1, "h": 28, "w": 28, "o": 16, "i": 1, "p": 5, "q": 5, "padding": 2},
        "medium": {"b": 8, "c": 64, "h": 28, "w": 28, "o": 128, "i": 64, "p": 3, "q": 3, "stride": 2, "padding": 1},
        "large": {"b": 8, "c": 64, "h": 56, "w": 56, "o": 64, "i": 64, "p": 3, "q": 3, "padding": 1},
    },
)
def conv2d(xp: Any, X: Any, K: Any, *, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1, groups: int = 1) -> Any:
    """A convolution (cross-correlation) of images with a kernel.

    With stride s, dilation d and X̃ the image X inside a border of zeros:

        Y[b,o,u,v] = Σ_{c,p,q} K[o,c,p,q] X̃[b, c, s·u + d·p, s·v + d·q]

        X̄̃[b,c,h,w] = Σ K[o,c,p,q] Ȳ[b,o,u,v]   over all s·u + d·p = h, s·v + d·q = w: the transposed convolution
        K̄[o,c,p,q] = Σ_{b,u,v} Ȳ[b,o,u,v] X̃[b, c, s·u + d·p, s·v + d·q]

    X is (b, c, h, w), K is (o, c/groups, p, q), Y is (b, o, u, v) with u = ⌊(h + 2·padding − d·(p − 1) − 1)/s⌋ + 1.
    With groups, the channels are split in order, and each part of the outputs sees its part of the inputs alone.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning (2016), relationship 15;
    the gradients are the derivatives of the trilinear form ⟨Ȳ, Y(X, K)⟩. Bilinear: there is no kink.
    """
    steps = _Steps.of(X.shape[1], K.shape[0], K.shape[1], stride, padding, dilation, groups)
    shape = steps.shrunk(X.shape[2:], K.shape[2:])
    windows = _windows(xp, X, K, shape, steps)

    def pullback(Y_bar: Any) -> Any:
        return _spread(xp, Y_bar, K, X.shape[2:], steps), _correlated(xp, Y_bar, windows, K, steps)

    return _slid(xp, windows, K, shape, steps), pullback


@conv2d.pushforward
def _(
    xp: Any,
    X: Any,
    K: Any,
    X_dot: Any,
    K_dot: Any,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Any:
    """The two convolutions that the product rule has, for a convolution is bilinear.

    With Y(X, K) the convolution itself:

        Ẏ = Y(Ẋ, K) + Y(X, K̇)

    Source: the product rule; see Griewank & Walther, Evaluating Derivatives (2008), section 3.1.
    """
    steps = _Steps.of(X.shape[1], K.shape[0], K.shape[1], stride, padding, dilation, groups)
    shape = steps.shrunk(X.shape[2:], K.shape[2:])
    moved = _slid(xp, _windows(xp, X_dot, K, shape, steps), K, shape, steps)
    return moved + _slid(xp, _windows(xp, X, K, shape, steps), K_dot, shape, steps)


@operation(
    "(b,c,u,v),(c,i,p,q)->(b,o,h,w)",
    sizes={
        "tiny": {"b": 1, "c": 1, "u": 2, "v": 2, "i": 1, "p": 3, "q": 3},
        "channels": {"b": 2, "c": 3, "u": 4, "v": 3, "i": 2, "p": 2, "q": 3, "padding": (1, 2)},
        "strided": {"b": 2, "c": 2, "u": 3, "v": 4, "i": 3, "p": 3, "q": 2, "stride": (2, 3), "output_padding": (1, 2)},
        "dilated": {"b": 1, "c": 2, "u": 3, "v": 3, "i": 2, "p": 3, "q": 2, "stride": 2, "dilation": (2, 3)},
        "grouped": {"b": 2, "c": 4, "u": 4, "v": 3, "i": 3, "p": 3, "q": 2, "padding": 1, "groups": 2},
        "small": {"b": 64, "c": 16, "u": 14, "v": 14, "i": 1, "p": 4, "q": 4, "stride": 2, "padding": 1},
        "medium": {"b": 8, "c": 128, "u": 14, "v": 14, "i": 64, "p": 4, "q": 4, "stride": 2, "padding": 1},
        "large": {"b": 8, "c": 64, "u": 56, "v": 56, "i": 64, "p": 3, "q": 3, "padding": 1},
    },
)
def conv_transpose2d(
    xp: Any,
    X: Any,
    K: Any,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Any:
    """The transpose of a convolution: what :func:`conv2d` does to a cotangent.

    With stride s, dilation d and Ỹ the image Y inside a border that is cut off in the end:

        Ỹ[b,o,h,w] = Σ K[c,o,p,q] X[b,c,u,v]   over all c and s·u + d·p = h, s·v + d·q = w

        X̄[b,c,u,v] = Σ_{o,p,q} K[c,o,p,q] Ȳ̃[b, o, s·u + d·p, s·v + d·q]: the convolution of Ȳ
        K̄[c,o,p,q] = Σ_{b,u,v} X[b,c,u,v] Ȳ̃[b, o, s·u + d·p, s·v + d·q]

    X is (b, c, u, v), K is (c, o/groups, p, q), Y is (b, o, h, w) with h = (u − 1)·s − 2·padding + d·(p − 1) +
    output_padding + 1; output_padding is smaller than the stride or the dilation.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning (2016), relationship 14; the gradients
    are the derivatives of the trilinear form ⟨Ȳ, Y(X, K)⟩. Bilinear: there is no kink.
    """
    steps = _Steps.of(groups * K.shape[1], X.shape[1], K.shape[1], stride, padding, dilation, groups)
    shape = steps.grown(X.shape[2:], K.shape[2:], _pair(output_padding))

    def pullback(Y_bar: Any) -> Any:
        windows = _windows(xp, Y_bar, K, X.shape[2:], steps)
        return _slid(xp, windows, K, X.shape[2:], steps), _correlated(xp, X, windows, K, steps)

    return _spread(xp, X, K, shape, steps), pullback


def unrolled(
    xp: Any,
    K: Any,
    shape: Sequence[int],
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Any:
    """Write a convolution as a matrix C: C @ image is :func:`conv2d`, for images of one shape.

    With A_p[u,h] = [h + padding = s·u + d·p], and B_q[v,w] likewise for the columns:

        C[(o,u,v), (c,h,w)] = Σ_{p,q} K[o,c,p,q] A_p[u,h] B_q[v,w]

    Source: Dumoulin & Visin (2016), section 4.1, where C is printed for a 3×3 kernel over a 4×4 image.

    Args:
        xp: the namespace of K.
        K: the kernel, (o, c/groups, p, q), finite.
        shape: the shape of one image, (c, h, w).
        stride: as in :func:`conv2d`, like the parameters that follow.
        padding: zeros on either side of the image.
        dilation: the distance between taps.
        groups: the number of parts that the channels are split into.

    Returns:
        The matrix (o·u·v, c·h·w). Every element is an element of K or zero, exactly.
    """
    steps = _Steps.of(shape[0], K.shape[0], K.shape[1], stride, padding, dilation, groups)
    u, v = steps.shrunk(shape[1:], K.shape[2:])
    numbers = [xp.arange(n, device=K.device) for n in (*K.shape[2:], u, v, *shape[1:], groups)]
    p, q, row, column, h, w, group = numbers

    def hits(axis: int, tap: Any, out: Any, into: Any) -> Any:
        s, d = steps.stride[axis], steps.dilation[axis]
        hit = into + steps.padding[axis] == s * out[:, None] + d * tap[:, None, None]
        return xp.astype(hit, K.dtype)

    outputs = K.shape[0]
    member = xp.reshape(group, (1, -1)) == xp.arange(outputs, device=K.device)[:, None] // (outputs // groups)
    full = xp.astype(member, K.dtype)[:, :, None, None, None] * K[:, None, :, :, :]
    full = xp.reshape(full, (outputs, shape[0], *K.shape[2:]))
    C = xp.tensordot(full, hits(0, p, row, h), axes=((2,), (0,)))
    C = xp.tensordot(C, hits(1, q, column, w), axes=((2,), (0,)))
    return xp.reshape(xp.permute_dims(C, (0, 2, 4, 1, 3, 5)), (outputs * u * v, math.prod(shape)))


class _Steps(NamedTuple):
    """How a kernel goes over an image: one number each for the rows and the columns."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @classmethod
    def of(cls, into: int, out: int, depth: int, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> _Steps:
        if into != groups * depth or out % groups:
            raise BadInput(
                f"a kernel from {depth} channels to {out} in {groups} groups does not fit an image of {into} channels; "
                f"wanted {groups * depth} channels, and a number of outputs that {groups} divides"
            )
        return cls(_pair(stride), _pair(padding), _pair(dilation), groups)

    def shrunk(self, image: Sequence[int], kernel: Sequence[int]) -> tuple[int, int]:
        """Return how often the kernel fits into the image, along the rows and along the columns."""
        u, v = (
            (n + 2 * pad - d * (taps - 1) - 1) // s + 1
            for n, taps, s, pad, d in zip(image, kernel, *self[:3], strict=True)
        )
        if u < 1 or v < 1:
            how = f"dilation {self.dilation} and padding {self.padding}"
            raise BadInput(f"a kernel of {tuple(kernel)} with {how} does not fit into an image of {tuple(image)}")
        return u, v

    def grown(self, image: Sequence[int], kernel: Sequence[int], extra: Sequence[int]) -> tuple[int, int]:
        """Return the size of the image that :meth:`shrunk` would shrink to this one."""
        h, w = (
            (n - 1) * s - 2 * pad + d * (taps - 1) + more + 1
            for n, taps, more, s, pad, d in zip(image, kernel, extra, *self[:3], strict=True)
        )
        for more, s, d in zip(extra, self.stride, self.dilation, strict=True):
            if not 0 <= more < max(s, d):
                raise BadInput(f"output_padding {more} is not smaller than the stride {s} or the dilation {d}")
        if h < 1 or w < 1:
            raise BadInput(f"nothing is left of an image of {tuple(image)} after a padding of {self.padding}")
        return h, w


def _pair(numbers: Pair) -> tuple[int, int]:
    rows, columns = (numbers, numbers) if isinstance(numbers, int) else numbers
    return rows, columns


def _slid(xp: Any, windows: Sequence[Any], K: Any, shape: Sequence[int], steps: _Steps) -> Any:
    """The convolution, from the windows of the image: ∂t/∂Ȳ."""
    o, i, p, q = K.shape
    F = xp.reshape(K, (steps.groups, o // steps.groups, i, p, q))
    return xp.reshape(_product(xp, F, windows), (windows[0].shape[0], o, *shape))


def _correlated(xp: Any, Y_bar: Any, windows: Sequence[Any], K: Any, steps: _Steps) -> Any:
    """The gradient of the kernel, from the windows of the image: ∂t/∂K."""
    o, i, p, q = K.shape
    b, g, _, n = windows[0].shape
    T = xp.matrix_transpose
    Y_bar = xp.reshape(Y_bar, (b, g, o // g, n))
    if o // g > n:
        # The sum over the batch would be of matrices larger than what they are made of: the product does that sum.
        Y_bar, windows = _batch_last(xp, Y_bar), [_batch_last(xp, W) for W in windows]
    parts = [xp.sum(Y_bar @ T(W), axis=0) for W in windows]
    if len(parts) == 1:
        return xp.reshape(parts[0], (o, i, p, q))
    return xp.stack([xp.reshape(part, (o, i, q)) for part in parts], axis=2)


def _batch_last(xp: Any, x: Any) -> Any:
    b, g, k, n = x.shape
    return xp.reshape(xp.permute_dims(x, (1, 2, 0, 3)), (1, g, k, b * n))


def _spread(xp: Any, Y: Any, K: Any, shape: Sequence[int], steps: _Steps) -> Any:
    """The transposed convolution, onto an image of that shape: ∂t/∂X.

    Pixel h of the image hears from every tap p and position u with s·u + d·p = h + padding. All pixels h ≡ e (mod s)
    hear from the same taps, at positions that move by one: each such phase is a convolution of stride one.
    """
    o, i, p, q = K.shape
    b, g = Y.shape[0], steps.groups
    F = xp.permute_dims(xp.reshape(K, (g, o // g, i, p, q)), (0, 2, 1, 3, 4))
    heights = [_heard(e, 0, p, steps) for e in range(steps.stride[0])]
    widths = [_heard(e, 1, q, steps) for e in range(steps.stride[1])]
    (rows, above, below), (columns, left, right) = (
        _fit(phases, size, length, s)
        for phases, size, length, s in zip((heights, widths), shape, Y.shape[2:], steps.stride, strict=True)
    )
    Y = _padded(xp, _padded(xp, Y, 3, left, right), 2, above, below)

    def phase(taps: tuple[Sequence[int], Sequence[int]], at: tuple[Sequence[int], Sequence[int]]) -> Any:
        size = (b, g * i, rows, columns)
        if not taps[0] or not taps[1]:
            return xp.broadcast_to(xp.zeros_like(Y[:1, :1, :1, :1]), size)
        slices = (
            [slice(above + u, above + u + rows) for u in at[0]],
            [slice(left + v, left + v + columns) for v in at[1]],
        )
        chosen = F[:, :, :, _every(taps[0]), _every(taps[1])]
        # Few outputs make a thin product, and its windows are cut from many channels: there the sum is of products.
        few = i * len(taps[0]) <= o // g
        seen = _sum_of_products(xp, chosen, Y, *slices) if few else _product(xp, chosen, _cut(xp, Y, *slices, g))
        return xp.reshape(seen, size)

    phases = [[phase((row_taps, column_taps), (us, vs)) for column_taps, vs in widths] for row_taps, us in heights]
    return _interleaved(xp, phases)[:, :, : shape[0], : shape[1]]


def _heard(e: int, axis: int, taps: int, steps: _Steps) -> tuple[list[int], list[int]]:
    """Which taps the pixels e, e + s, e + 2s … hear from, and at which position pixel e hears from each."""
    s, d, start = steps.stride[axis], steps.dilation[axis], e + steps.padding[axis]
    heard = [p for p in range(taps) if (start - d * p) % s == 0]
    return heard, [(start - d * p) // s for p in heard]


def _fit(phases: Sequence[tuple[list[int], list[int]]], size: int, length: int, stride: int) -> tuple[int, int, int]:
    """How many pixels a phase has, and how many zeros must stand before and after the positions."""
    count = -(-size // stride)
    positions = [u for _, us in phases for u in us]
    return count, max(0, -min(positions)), max(0, max(positions) + count - length)


def _every(taps: Sequence[int]) -> slice:
    return slice(taps[0], taps[-1] + 1, taps[1] - taps[0] if len(taps) > 1 else 1)


def _interleaved(xp: Any, phases: Sequence[Sequence[Any]]) -> Any:
    if len(phases) == len(phases[0]) == 1:
        return phases[0][0]
    pixels = xp.stack([xp.stack(row, axis=4) for row in phases], axis=3)
    b, c, rows, down, columns, across = pixels.shape
    return xp.reshape(pixels, (b, c, rows * down, columns * across))


def _windows(xp: Any, X: Any, K: Any, shape: Sequence[int], steps: _Steps) -> list[Any]:
    """What the taps of the kernel see of the image, each as a matrix over the positions."""
    rows, columns = (
        [slice(d * tap, d * tap + s * (n - 1) + 1, s) for tap in range(taps)]
        for taps, n, s, d in zip(K.shape[2:], shape, steps.stride, steps.dilation, strict=True)
    )
    down, across = steps.padding
    X = _padded(xp, _padded(xp, X, 3, across, across), 2, down, down)
    return _cut(xp, X, rows, columns, steps.groups)


DEEP = 48
"""A matrix product whose inner dimension is at least this runs near the speed of the library."""


def _cut(xp: Any, X: Any, rows: Sequence[slice], columns: Sequence[slice], groups: int) -> list[Any]:
    """Cut windows out of an image: matrices (b, groups, channels and taps, positions), one for each row of taps.

    Windows that differ by rows only are views of one array. Where the matrices would be too shallow to multiply fast,
    there is one matrix for all rows of taps, which is a copy for each tap.
    """
    b, c = X.shape[:2]
    depth = c // groups * len(columns)
    # Counted, not left to reshape: an empty array would leave it open.
    positions = _length(rows[0]) * _length(columns[0])
    if len(rows) > 1 and depth < DEEP:
        windows = xp.stack([X[:, :, r, s] for r in rows for s in columns], axis=2)
        return [xp.reshape(windows, (b, groups, depth * len(rows), positions))]
    wide = xp.stack([X[:, :, :, s] for s in columns], axis=2)
    return [xp.reshape(wide[:, :, :, r, :], (b, groups, depth, positions)) for r in rows]


def _length(part: slice) -> int:
    return len(range(part.start, part.stop, part.step or 1))


def _product(xp: Any, F: Any, windows: Sequence[Any]) -> Any:
    """Multiply kernels (groups, out, in, p, q) with the windows they see and add up."""
    g, o, i, p, q = F.shape
    if len(windows) == 1:
        return xp.reshape(F, (g, o, i * p * q)) @ windows[0]
    total = xp.reshape(F[:, :, :, 0, :], (g, o, i * q)) @ windows[0]
    for tap, W in enumerate(windows[1:], 1):
        total = total + xp.reshape(F[:, :, :, tap, :], (g, o, i * q)) @ W
    return total


def _sum_of_products(xp: Any, F: Any, X: Any, rows: Sequence[slice], columns: Sequence[slice]) -> Any:
    """The same as :func:`_product` of cut windows: multiply the image with every tap first, then shift and add up."""
    g, o, i, p, q = F.shape
    b, _, h, w = X.shape
    taps = xp.reshape(xp.permute_dims(F, (0, 3, 4, 1, 2)), (g, p * q * o, i))
    products = xp.reshape(taps @ xp.reshape(X, (b, g, i, h * w)), (b, g, p, q, o, h, w))
    total, *others = (products[:, :, m, n, :, r, s] for m, r in enumerate(rows) for n, s in enumerate(columns))
    for product in others:
        total = total + product
    return total


def _padded(xp: Any, x: Any, axis: int, before: int, after: int) -> Any:
    """Put zeros before and after an axis (2 or 3)."""
    if not before and not after:
        return x
    one = xp.zeros_like(x[:, :, :1, :] if axis == 2 else x[:, :, :, :1])

    def zeros(count: int) -> Any:
        return xp.broadcast_to(one, (*x.shape[:axis], count, *x.shape[axis + 1 :]))

    return xp.concat([*([zeros(before)] if before else []), x, *([zeros(after)] if after else [])], axis=axis)
