"""What torch's ATen calls are in the array API standard: convolutions, pooling, sampling, bags of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from multigrad.graph.bags import largest_of_bags, sums_of_bags
from multigrad.graph.namespace import Namespace
from multigrad.graph.pooling import Sliding, largest_in_windows, mean_of_shares, mean_of_windows, shared_out
from multigrad.graph.resizing import Resized, Weights
from multigrad.graph.resizing import cubic as between_four
from multigrad.graph.resizing import linear as between_two
from multigrad.graph.sampling import Outside, cubic, sampled, smoothing, triangle
from multigrad.graph.windows import convolve

from .facts import Array, Fact, by_name


def _along(n: int, value: Sequence[int] | int, otherwise: Sequence[int] = ()) -> list[int]:
    """Return one number for each of n axes, where one may stand for all, and none for others."""
    values = [value] if isinstance(value, int) else list(value) or list(otherwise)
    return values * n if len(values) == 1 else values


def _convolved(
    xp: Namespace,
    input: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    **_: Any,
) -> Array:
    x, kernel = xp.array(input), xp.array(weight)
    n = kernel.ndim - 2
    strides, paddings, dilations, more = (_along(n, v) for v in (stride, padding, dilation, output_padding))
    if transposed:
        reach = [d * (k - 1) for d, k in zip(dilations, kernel.shape[2:], strict=True)]
        edges = [(r - p, r - p + m) for r, p, m in zip(reach, paddings, more, strict=True)]
        kernel = _turned_round(xp, kernel, groups)
        image_dilations, strides = strides, [1] * n
    else:
        edges, image_dilations = [(p, p) for p in paddings], [1] * n
    result = convolve(
        xp,
        x,
        kernel,
        strides=strides,
        padding=edges,
        image_dilations=image_dilations,
        kernel_dilations=dilations,
        groups=groups,
    )
    return result if bias is None else result + xp.reshape(xp.array(bias), (-1, *(1,) * n))


def _turned_round(xp: Namespace, kernel: Array, groups: int) -> Array:
    """Return the kernel that takes an image back to where a convolution came from."""
    c, o, *window = kernel.shape
    laid = xp.reshape(kernel, (groups, c // groups, o, *window))
    laid = xp.reshape(xp.moveaxis(laid, 2, 1), (groups * o, c // groups, *window))
    return xp.flip(laid, axis=tuple(range(2, kernel.ndim)))


def _convolved_over_time(xp: Namespace, x: Array, weight: Array, bias: Array, *, pad: int = 0, **_: Any) -> Array:
    moved, kernel = xp.permute_dims(xp.array(x), (1, 2, 0)), xp.permute_dims(xp.array(weight), (2, 1, 0))
    result = convolve(xp, moved, kernel, strides=[1], padding=[(pad, pad)], image_dilations=[1], kernel_dilations=[1])
    return xp.permute_dims(result, (2, 0, 1)) + xp.array(bias)


def _sliding(
    x: Array,
    n: int,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> list[Sliding]:
    lengths = _along(n, kernel_size)
    rows = zip(x.shape[-n:], lengths, _along(n, stride, lengths), _along(n, padding), _along(n, dilation), strict=True)
    return [Sliding(*row, whole=not ceil_mode) for row in rows]


def _mean_pooled(n: int) -> Fact:
    def fact(
        xp: Namespace,
        x: Array,
        *,
        kernel_size: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0,),
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
        **_: Any,
    ) -> Array:
        windows = _sliding(x, n, kernel_size, stride, padding, (1,), ceil_mode)
        return mean_of_windows(xp, xp.array(x), windows, padding_counts=count_include_pad, divisor=divisor_override)

    return fact


def _max_pooled(n: int) -> Fact:
    def fact(
        xp: Namespace,
        x: Array,
        *,
        kernel_size: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0,),
        dilation: Sequence[int] = (1,),
        ceil_mode: bool = False,
        **_: Any,
    ) -> tuple[Array, Array]:
        windows = _sliding(x, n, kernel_size, stride, padding, dilation, ceil_mode)
        return largest_in_windows(xp, xp.array(x), [w.places() for w in windows])

    return fact


def _max_shared_out(n: int) -> Fact:
    def fact(xp: Namespace, x: Array, *, output_size: Sequence[int], **_: Any) -> tuple[Array, Array]:
        x = xp.array(x)
        counts = _along(n, output_size)
        return largest_in_windows(
            xp, x, [shared_out(size, count) for size, count in zip(x.shape[-n:], counts, strict=True)]
        )

    return fact


def _mean_shared_out(n: int) -> Fact:
    def fact(xp: Namespace, x: Array, *, output_size: Sequence[int], **_: Any) -> Array:
        return mean_of_shares(xp, xp.array(x), _along(n, output_size))

    return fact


INTERPOLATIONS = ("linear", "nearest")
OUTSIDE: tuple[Outside, ...] = ("zeros", "border", "reflection")
"""What torch's numbers stand for."""


def _sampled(
    xp: Namespace,
    x: Array,
    grid: Array,
    *,
    interpolation_mode: int = 0,
    padding_mode: int = 0,
    align_corners: bool = False,
    **_: Any,
) -> Array:
    return sampled(
        xp,
        xp.array(x),
        xp.array(grid),
        nearest=INTERPOLATIONS[interpolation_mode] == "nearest",
        outside=OUTSIDE[padding_mode],
        corners=align_corners,
    )


def _smoothed(kernel: Callable[[np.ndarray], np.ndarray], reach: int) -> Fact:
    """An image that is made smaller or larger, each new entry from all those that it stands for."""

    def fact(
        xp: Namespace,
        x: Array,
        *,
        output_size: Sequence[int],
        align_corners: bool = False,
        scales_h: float | None = None,
        scales_w: float | None = None,
        **_: Any,
    ) -> Array:
        rows, columns = (
            xp.array(smoothing(n, count, _step(n, count, align_corners, scale), kernel, reach))
            for n, count, scale in zip(x.shape[-2:], output_size, (scales_h, scales_w), strict=True)
        )
        return xp.matmul(xp.matmul(rows, xp.array(x)), xp.matrix_transpose(columns))

    return fact


def _step(size: int, count: int, corners: bool, scale: float | None) -> float:
    """Return how far new entries are apart."""
    if corners:
        return (size - 1) / (count - 1) if count > 1 else 0.0
    return 1 / scale if scale else size / count


SCALES = ("scales_d", "scales_h", "scales_w")


def _axes(x: Array, n: int, corners: bool, output_size: Sequence[int], given: Mapping[str, Any]) -> list[Resized]:
    """Return the last n axes of an image and what becomes of them."""
    scales = [given.get("scales")] if n == 1 else [given.get(name) for name in SCALES[-n:]]
    return [Resized(*row) for row in zip(x.shape[-n:], output_size, [corners] * n, scales, strict=True)]


def _interpolated(n: int, weights: Weights, clipped: bool) -> Fact:
    def fact(
        xp: Namespace, x: Array, *, output_size: Sequence[int], align_corners: bool = False, **given: Any
    ) -> Array:
        x = xp.array(x)
        for axis, resized in enumerate(_axes(x, n, align_corners, output_size, given), start=x.ndim - n):
            x = resized.interpolated(xp, x, axis, weights, clipped=clipped)
        return x

    return fact


def _nearest(n: int, shift: float) -> Fact:
    def fact(xp: Namespace, x: Array, *, output_size: Sequence[int], **given: Any) -> Array:
        x = xp.array(x)
        for axis, resized in enumerate(_axes(x, n, False, output_size, given), start=x.ndim - n):
            x = xp.take(x, xp.array(resized.nearest(shift)), axis=axis)
        return x

    return fact


def _bags(
    xp: Namespace,
    weight: Array,
    indices: Array,
    offsets: Array,
    per_sample_weights: Array | None = None,
    *,
    mode: int = 0,
    include_last_offset: bool = False,
    padding_idx: int = -1,
    **_: Any,
) -> tuple[Any, ...]:
    starts = offsets[:-1] if include_last_offset else offsets
    rows = xp.take(xp.array(weight), xp.array(indices), axis=0)
    if mode == 2:
        return largest_of_bags(xp, rows, starts, kept=np.asarray(indices) != padding_idx), None, None, None
    kept = xp.real(xp.not_equal(xp.array(indices), padding_idx))
    shares = kept if per_sample_weights is None else kept * xp.array(per_sample_weights)
    total = sums_of_bags(xp, rows * shares[:, None], starts)
    if mode == 1:
        total = total / xp.maximum(sums_of_bags(xp, kept[:, None], starts), 1.0)
    return total, None, None, None


# fmt: off
WINDOWS: dict[str, Fact] = {
    "adaptive_max_pool2d":         _max_shared_out(2),
    "adaptive_max_pool3d":         _max_shared_out(3),
    "avg_pool1d":                  _mean_pooled(1),
    "avg_pool2d":                  _mean_pooled(2),
    "avg_pool3d":                  _mean_pooled(3),
    "conv_tbc":                    _convolved_over_time,
    "convolution":                 by_name(_convolved),
    "grid_sampler_3d":             _sampled,
    "max_pool2d_with_indices":     _max_pooled(2),
    "max_pool3d_with_indices":     _max_pooled(3),
    "_adaptive_avg_pool2d":        _mean_shared_out(2),
    "_adaptive_avg_pool3d":        _mean_shared_out(3),
    "upsample_bicubic2d":          _interpolated(2, between_four, clipped=False),
    "upsample_bilinear2d":         _interpolated(2, between_two, clipped=True),
    "upsample_linear1d":           _interpolated(1, between_two, clipped=True),
    "upsample_nearest1d":          _nearest(1, 0.0),
    "upsample_nearest2d":          _nearest(2, 0.0),
    "upsample_nearest3d":          _nearest(3, 0.0),
    "upsample_trilinear3d":        _interpolated(3, between_two, clipped=True),
    "_upsample_nearest_exact1d":   _nearest(1, 0.5),
    "_upsample_nearest_exact2d":   _nearest(2, 0.5),
    "_upsample_nearest_exact3d":   _nearest(3, 0.5),
    "_upsample_bicubic2d_aa":      _smoothed(cubic, 2),
    "_upsample_bilinear2d_aa":     _smoothed(triangle, 1),
    "_embedding_bag":              by_name(_bags),
    "_embedding_bag_forward_only": by_name(_bags),
}
"""What slides over an image, and sums of chosen rows."""
# fmt: on
