"""Pooling of images: the largest or the mean of every window.

A window is a product of two intervals, so each pool is two in a row, along the rows and then along the columns, and a
window of p·q pixels takes p + q steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ..data.errors import BadInput
from ..ops.operation import operation
from ..ops.signature import Size

Pair = int | Sequence[int]
"""One number for both axes, or one for the rows and one for the columns."""

SIZES: dict[str, Size] = {
    "tiny": {"b": 1, "c": 2, "h": 4, "w": 4},
    "overlapping": {"b": 1, "c": 1, "h": 5, "w": 6, "window": (3, 2), "stride": (2, 1), "padding": (1, 0)},
    "sparse": {"b": 1, "c": 1, "h": 6, "w": 8, "window": 2, "stride": 3, "padding": (0, 1)},
    "small": {"b": 64, "c": 6, "h": 28, "w": 28},
    "medium": {"b": 16, "c": 64, "h": 56, "w": 56},
    "large": {"b": 8, "c": 64, "h": 112, "w": 112, "window": 3, "stride": 2, "padding": 1},
}
"""Windows side by side, overlapping, with gaps between them; LeNet, VGG, and the first pool of a ResNet."""


@operation("(b,c,h,w)->(b,c,u,v)", sizes=SIZES)
def max_pool2d(xp: Any, X: Any, *, window: Pair = 2, stride: Pair | None = None, padding: Pair = 0) -> Any:
    """The largest pixel of every window.

    With a window of p×q, stride s, and X̃ the image X inside a border of −∞:

        Y[b,c,u,v] = max X̃[b, c, s·u + i, s·v + j]   over 0 ≤ i < p, 0 ≤ j < q

        X̄[b,c,h,w] = Σ Ȳ[b,c,u,v]   over all windows whose largest pixel is (h, w)

    Of several largest pixels in a window the first one has it all: the topmost, and of those the leftmost.

    The stride is the window unless it is given; the padding is smaller than the window.

    Memory: the framed image and the largest pixels so far are kept until the pullback returns, where eager autograd
    frees them on its way and needs 0.7 of it.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning (2016), relationship 6 for the shapes;
    the subdifferential of a maximum is the hull of the gradients of what attains it.
    """
    (p, s, top), (q, t, left) = _steps(X.shape[2:], window, stride, padding)
    R, along_rows = _largest(xp, X, 3, q, t, left)
    Y, along_columns = _largest(xp, R, 2, p, s, top)

    def pullback(Y_bar: Any) -> Any:
        return along_rows(along_columns(Y_bar))

    return Y, pullback


@operation("(b,c,h,w)->(b,c,u,v)", sizes=SIZES)
def avg_pool2d(xp: Any, X: Any, *, window: Pair = 2, stride: Pair | None = None, padding: Pair = 0) -> Any:
    """The mean of every window.

    With a window of p×q, stride s, and X̃ the image X inside a border of zeros, which count:

        Y[b,c,u,v] = Σ X̃[b, c, s·u + i, s·v + j] / pq   over 0 ≤ i < p, 0 ≤ j < q

        X̄[b,c,h,w] = Σ Ȳ[b,c,u,v] / pq   over all windows that pixel (h, w) lies in

    The stride is the window unless it is given; the padding is smaller than the window.

    Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning (2016), relationship 6 for the shapes.
    Linear: there is no kink.
    """
    (p, s, top), (q, t, left) = _steps(X.shape[2:], window, stride, padding)
    R, along_rows = _total(xp, X, 3, q, t, left)
    Y, along_columns = _total(xp, R, 2, p, s, top)

    def pullback(Y_bar: Any) -> Any:
        return along_rows(along_columns(Y_bar / (p * q)))

    return Y / (p * q), pullback


Pooled = tuple[Any, Callable[[Any], Any]]
"""What an axis is pooled to, and the pullback."""


def _largest(xp: Any, X: Any, axis: int, window: int, stride: int, padding: int) -> Pooled:
    """The largest of every interval along an axis; the first of several."""
    length, taps = X.shape[axis], _taps(_framed(xp, X, axis, padding, padding, -xp.inf), axis, window, stride)
    best, before = taps[0], []
    for tap in taps[1:]:
        before.append(best)
        best = xp.maximum(best, tap)

    def shares(Y_bar: Any) -> Iterator[Any]:
        for one, tap in zip(reversed(before), reversed(taps[1:]), strict=True):
            earlier = Y_bar * xp.astype(one >= tap, Y_bar.dtype)
            # One of the two is zero, so the difference is exact.
            yield Y_bar - earlier
            Y_bar = earlier
        yield Y_bar

    def pullback(Y_bar: Any) -> Any:
        return _spread(xp, shares(Y_bar), axis, window, length, stride, padding)

    return best, pullback


def _total(xp: Any, X: Any, axis: int, window: int, stride: int, padding: int) -> Pooled:
    """The sum of every interval along an axis."""
    length, (total, *others) = X.shape[axis], _taps(_framed(xp, X, axis, padding, padding, 0), axis, window, stride)
    for tap in others:
        total = total + tap

    def pullback(Y_bar: Any) -> Any:
        return _spread(xp, [Y_bar] * window, axis, window, length, stride, padding)

    return total, pullback


def _steps(
    image: Sequence[int], window: Pair, stride: Pair | None, padding: Pair
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Window, stride and padding along the rows and along the columns of an image."""
    wide, steps, borders = _pair(window), _pair(window if stride is None else stride), _pair(padding)
    for length, pixels, border in zip(image, wide, borders, strict=True):
        if not 0 <= border < pixels or pixels > length + 2 * border:
            raise BadInput(
                f"a window of {wide} with padding {borders} does not fit an image of {tuple(image)}; wanted a padding "
                "smaller than the window, and a window no larger than the padded image"
            )
    rows, columns = zip(wide, steps, borders, strict=True)
    return rows, columns


def _pair(numbers: Pair) -> tuple[int, int]:
    rows, columns = (numbers, numbers) if isinstance(numbers, int) else numbers
    return rows, columns


def _part(X: Any, axis: int, part: slice) -> Any:
    return X[:, :, part, :] if axis == 2 else X[:, :, :, part]


def _framed(xp: Any, X: Any, axis: int, before: int, after: int, fill: float) -> Any:
    """Put numbers before and after an axis (2 or 3)."""
    if not before and not after:
        return X

    # full_like of a part: a tracer of JAX cannot say on which device a new array belongs.
    one = xp.full_like(_part(X, axis, slice(0, 1)), fill)

    def border(width: int) -> Any:
        return xp.broadcast_to(one, (*X.shape[:axis], width, *X.shape[axis + 1 :]))

    return xp.concat([*([border(before)] if before else []), X, *([border(after)] if after else [])], axis=axis)


def _taps(X: Any, axis: int, window: int, stride: int) -> list[Any]:
    """The first pixel of every interval, the second one of every interval, and so on."""
    last = (X.shape[axis] - window) // stride * stride
    return [_part(X, axis, slice(i, i + last + 1, stride)) for i in range(window)]


def _spread(xp: Any, parts: Iterable[Any], axis: int, window: int, length: int, stride: int, padding: int) -> Any:
    """Add the i-th part onto the i-th pixel of every interval of an axis: the transpose of :func:`_taps`.

    The parts come last one first.
    """
    phases = _phases(xp, parts, axis, window, stride)
    pixels = phases[0]
    if stride > 1:
        shape = (*pixels.shape[:axis], pixels.shape[axis] * stride, *pixels.shape[axis + 1 :])
        pixels = xp.reshape(xp.stack(phases, axis=axis + 1), shape)
    del phases  # as large as the pixels
    # A window may end before the image does, and what it saw of the border is nobody's.
    short = padding + length - pixels.shape[axis]
    pixels = _framed(xp, pixels, axis, 0, max(short, 0), 0)
    return _part(pixels, axis, slice(padding, padding + length))


def _phases(xp: Any, parts: Iterable[Any], axis: int, window: int, stride: int) -> list[Any]:
    """Add up the parts that pixels 0, s, 2s, … of an axis hear from, those that 1, s + 1, … hear from, and so on.

    Pixel j of the padded axis hears from part i of interval u where s·u + i = j. All pixels j ≡ e (mod s) hear from the
    parts i = e, e + s, …, each of them one interval later than the one before.
    """
    sums: dict[int, Any] = {}
    reach = (window - 1) // stride
    for i, part in zip(reversed(range(window)), parts, strict=True):
        later, phase = divmod(i, stride)
        moved = _framed(xp, part, axis, later, reach - later, 0)
        sums[phase] = sums[phase] + moved if phase in sums else moved
    return [sums[e] if e in sums else xp.zeros_like(sums[0]) for e in range(stride)]
