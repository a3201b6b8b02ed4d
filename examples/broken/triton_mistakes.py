"""Wrong on purpose: four mistakes that Triton kernels for layer norm were published with.

Each function is an implementation of the operation in examples/triton_layer_norm.py, such as `--implementation
torch=examples/broken/triton_mistakes.py::padding_counted,accumulate=float32`.
"""

import sys
from pathlib import Path

import torch

sys.path.append(str(Path(__file__).resolve().parents[1]))  # where the right one lies
from triton_layer_norm import (
    COLUMNS,
    EPSILON,
    ROWS,
    LayerNorm,
    column_gradients,
    column_kernel,
    input_gradient,
    load,
    load_columns,
    load_rows,
    normalise,
    store,
    tiles,
    tl,
    triton,
)


def wrong_axis(x, w, b):
    """Normalise the columns: the kernels are given x transposed, and w and b are applied to what they return."""
    return LayerNorm.apply(x.mT, x.new_ones(len(x)), x.new_zeros(len(x))).mT * w + b


def padding_counted(x, w, b):
    """Take the variance over whole blocks: in the last one, each column beyond n adds μ² to it."""
    return layer_norm_of(unmasked, column_gradients).apply(x, w, b)


def half_sums(x, w, b):
    """Add up w̄ and b̄ in the dtype of w, which is rounded after each row."""
    return layer_norm_of(normalise, added_in_halves).apply(x, w, b)


def last_block_lost(x, w, b):
    """Start n // COLUMNS programs for w̄ and b̄: none has the last columns where COLUMNS does not divide n."""
    return layer_norm_of(normalise, whole_blocks).apply(x, w, b)


def layer_norm_of(forward_part, sums):
    """Return the layer norm with other functions for y, μ and r, and for w̄ and b̄."""

    class Changed(LayerNorm):
        @staticmethod
        def forward(ctx, x, w, b):
            x, w, b = x.contiguous(), w.contiguous(), b.contiguous()
            y, mu, r = forward_part(x, w, b)
            ctx.save_for_backward(x, w, mu, r)
            return y

        @staticmethod
        def backward(ctx, y_bar):
            kept = (*ctx.saved_tensors, y_bar.contiguous())
            return input_gradient(*kept), *sums(*kept)

    return Changed


@triton.jit
def unmasked_kernel(X, W, B, Y, MU, R, m, n, ROWS: tl.constexpr, COLUMNS: tl.constexpr, COMPUTE: tl.constexpr):
    """Compute what the right kernel does, but for the mask of x − μ."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    total = tl.zeros([ROWS, COLUMNS], COMPUTE)
    for start in range(0, n, COLUMNS):
        total += load(X, rows, start + tl.arange(0, COLUMNS), m, n, COMPUTE)
    mu = (tl.sum(total, axis=1) / n)[:, None]
    squares = tl.zeros([ROWS, COLUMNS], COMPUTE)
    for start in range(0, n, COLUMNS):
        centred = load(X, rows, start + tl.arange(0, COLUMNS), m, n, COMPUTE) - mu
        squares += centred * centred
    r = 1 / tl.sqrt(tl.sum(squares, axis=1) / n + EPSILON)[:, None]
    store(MU, mu, rows, tl.arange(0, 1), m, 1)
    store(R, r, rows, tl.arange(0, 1), m, 1)
    for start in range(0, n, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        x_hat = (load(X, rows, columns, m, n, COMPUTE) - mu) * r
        y = x_hat * load_columns(W, columns, n, COMPUTE) + load_columns(B, columns, n, COMPUTE)
        store(Y, y, rows, columns, m, n)


def unmasked(x, w, b):
    """Return y, μ and r of the kernel that counts the padding."""
    y, (mu, r) = torch.empty_like(x), x.new_empty(2, len(x), dtype=torch.promote_types(x.dtype, torch.float32))
    unmasked_kernel[triton.cdiv(len(x), ROWS),](x, w, b, y, mu, r, *tiles(x))
    return y, mu, r


@triton.jit
def half_kernel(X, MU, R, Y_bar, W_bar, B_bar, m, n, ROWS: tl.constexpr, COLUMNS: tl.constexpr, COMPUTE: tl.constexpr):
    """Add to w̄ and b̄, where they are stored, row by row."""
    columns, first = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS), tl.arange(0, 1)
    for row in range(m):
        y_bar = load(Y_bar, first + row, columns, m, n, COMPUTE)
        x_hat = (load(X, first + row, columns, m, n, COMPUTE) - load_rows(MU, first + row, m)) * load_rows(
            R, first + row, m
        )
        store(W_bar, load(W_bar, first, columns, 1, n, COMPUTE) + x_hat * y_bar, first, columns, 1, n)
        store(B_bar, load(B_bar, first, columns, 1, n, COMPUTE) + y_bar, first, columns, 1, n)


def added_in_halves(x, w, mu, r, y_bar):
    """Return w̄ and b̄ of the kernel that rounds after each row."""
    w_bar, b_bar = torch.zeros_like(w), torch.zeros_like(w)
    half_kernel[triton.cdiv(len(w), COLUMNS),](x, mu, r, y_bar, w_bar, b_bar, *tiles(x))
    return w_bar, b_bar


def whole_blocks(x, w, mu, r, y_bar):
    """Return w̄ and b̄ of whole blocks of columns alone."""
    w_bar, b_bar = torch.zeros_like(w), torch.zeros_like(w)
    if len(w) >= COLUMNS:
        column_kernel[len(w) // COLUMNS,](x, mu, r, y_bar, w_bar, b_bar, *tiles(x))
    return w_bar, b_bar
