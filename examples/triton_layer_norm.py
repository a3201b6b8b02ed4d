"""A fused layer norm in Triton, forward and backward, beside the reference that it is checked against.

    pip install "multigrad[triton]"
    multigrad check examples/triton_layer_norm.py --backend torch

Without a GPU the kernels run in Triton's interpreter.
"""

import os

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # Triton reads it where it is imported

import triton
import triton.language as tl

from multigrad import operation

EPSILON = tl.constexpr(1e-5)
ROWS, COLUMNS = 16, 64
SIZES = {"part of a block": {"m": 3, "n": 5}, "wide": {"m": 2, "n": 150}, "tall": {"m": 90, "n": 3}}


@operation("(m,n),(n),(n)->(m,n)", sizes=SIZES)
def layer_norm(xp, x, w, b):
    """Rows less their mean, divided by their standard deviation, with a weight and a bias for each column.

    y = (x − μ) / √(mean((x − μ)²) + ε) ∘ w + b with ε = 10⁻⁵; the means, μ among them, are over each row.

    Source: Ba, Kiros and Hinton, Layer Normalization, 2016, section 3. Smooth: there is no kink.
    """
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    return centred / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + 1e-5) * w + b


@triton.jit
def load(P, rows, columns, m, n, COMPUTE: tl.constexpr):
    """Load a tile of a matrix (m, n) in the dtype that is computed in, with zeros outside."""
    inside = (rows < m)[:, None] & (columns < n)[None, :]
    return tl.load(P + rows[:, None] * n + columns[None, :], mask=inside, other=0).to(COMPUTE)


@triton.jit
def load_columns(P, columns, n, COMPUTE: tl.constexpr):
    """Load a part of a vector (n) as one row, with zeros outside."""
    return tl.load(P + columns, mask=columns < n, other=0).to(COMPUTE)[None, :]


@triton.jit
def load_rows(P, rows, m):
    """Load a part of a vector (m) as one column, with zeros outside."""
    return tl.load(P + rows, mask=rows < m, other=0)[:, None]


@triton.jit
def store(P, value, rows, columns, m, n):
    """Store a tile of a matrix (m, n)."""
    inside = (rows < m)[:, None] & (columns < n)[None, :]
    tl.store(P + rows[:, None] * n + columns[None, :], rounded(value, P.dtype.element_ty), mask=inside)


@triton.jit
def rounded(value, dtype: tl.constexpr):
    """Round to nearest, ties to even, as a GPU does: Triton's interpreter cuts off what bfloat16 does not hold."""
    if dtype == tl.bfloat16:
        bits = value.to(tl.uint32, bitcast=True)
        bits += 0x7FFF + ((bits >> 16) & 1)
        return (bits >> 16).to(tl.uint16).to(tl.bfloat16, bitcast=True)
    return value.to(dtype)


@triton.jit
def forward_kernel(X, W, B, Y, MU, R, m, n, ROWS: tl.constexpr, COLUMNS: tl.constexpr, COMPUTE: tl.constexpr):
    """Compute μ, r = 1 / √(mean((x − μ)²) + ε) and y = (x − μ) r w + b for a block of rows."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    total = tl.zeros([ROWS, COLUMNS], COMPUTE)
    for start in range(0, n, COLUMNS):
        total += load(X, rows, start + tl.arange(0, COLUMNS), m, n, COMPUTE)
    mu = (tl.sum(total, axis=1) / n)[:, None]
    squares = tl.zeros([ROWS, COLUMNS], COMPUTE)
    for start in range(0, n, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        centred = tl.where(columns[None, :] < n, load(X, rows, columns, m, n, COMPUTE) - mu, 0)
        squares += centred * centred
    r = 1 / tl.sqrt(tl.sum(squares, axis=1) / n + EPSILON)[:, None]
    store(MU, mu, rows, tl.arange(0, 1), m, 1)
    store(R, r, rows, tl.arange(0, 1), m, 1)
    for start in range(0, n, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        x_hat = (load(X, rows, columns, m, n, COMPUTE) - mu) * r
        y = x_hat * load_columns(W, columns, n, COMPUTE) + load_columns(B, columns, n, COMPUTE)
        store(Y, y, rows, columns, m, n)


@triton.jit
def input_kernel(X, W, MU, R, Y_bar, X_bar, m, n, ROWS: tl.constexpr, COLUMNS: tl.constexpr, COMPUTE: tl.constexpr):
    """Compute x̄ = r (ŷ − mean(ŷ) − x̂ mean(x̂ ŷ)) with ŷ = w ȳ and x̂ = (x − μ) r for a block of rows."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    mu, r = load_rows(MU, rows, m), load_rows(R, rows, m)
    total, products = tl.zeros([ROWS, COLUMNS], COMPUTE), tl.zeros([ROWS, COLUMNS], COMPUTE)
    for start in range(0, n, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        y_hat = load_columns(W, columns, n, COMPUTE) * load(Y_bar, rows, columns, m, n, COMPUTE)
        total += y_hat
        products += y_hat * (load(X, rows, columns, m, n, COMPUTE) - mu) * r
    mean, dot = (tl.sum(total, axis=1) / n)[:, None], (tl.sum(products, axis=1) / n)[:, None]
    for start in range(0, n, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        y_hat = load_columns(W, columns, n, COMPUTE) * load(Y_bar, rows, columns, m, n, COMPUTE)
        x_hat = (load(X, rows, columns, m, n, COMPUTE) - mu) * r
        store(X_bar, r * (y_hat - mean - x_hat * dot), rows, columns, m, n)


@triton.jit
def column_kernel(
    X, MU, R, Y_bar, W_bar, B_bar, m, n, ROWS: tl.constexpr, COLUMNS: tl.constexpr, COMPUTE: tl.constexpr
):
    """Compute w̄ = Σ x̂ ȳ and b̄ = Σ ȳ, the sums over the rows, for a block of columns."""
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    products, total = tl.zeros([ROWS, COLUMNS], COMPUTE), tl.zeros([ROWS, COLUMNS], COMPUTE)
    for start in range(0, m, ROWS):
        rows = start + tl.arange(0, ROWS)
        y_bar = load(Y_bar, rows, columns, m, n, COMPUTE)
        x_hat = (load(X, rows, columns, m, n, COMPUTE) - load_rows(MU, rows, m)) * load_rows(R, rows, m)
        products += x_hat * y_bar
        total += y_bar
    store(W_bar, tl.sum(products, axis=0)[None, :], tl.arange(0, 1), columns, 1, n)
    store(B_bar, tl.sum(total, axis=0)[None, :], tl.arange(0, 1), columns, 1, n)


def tiles(x):
    """Return the last arguments of each kernel: shape, tile, and what is computed in: float32 for halves."""
    return *x.shape, ROWS, COLUMNS, tl.float64 if x.dtype == torch.float64 else tl.float32


def normalise(x, w, b):
    """Return y (m, n), and μ and r (m) of the rows."""
    y, (mu, r) = torch.empty_like(x), x.new_empty(2, len(x), dtype=torch.promote_types(x.dtype, torch.float32))
    forward_kernel[triton.cdiv(len(x), ROWS),](x, w, b, y, mu, r, *tiles(x))
    return y, mu, r


def input_gradient(x, w, mu, r, y_bar):
    """Return x̄ (m, n)."""
    x_bar = torch.empty_like(x)
    input_kernel[triton.cdiv(len(x), ROWS),](x, w, mu, r, y_bar, x_bar, *tiles(x))
    return x_bar


def column_gradients(x, w, mu, r, y_bar):
    """Return w̄ and b̄ (n)."""
    w_bar, b_bar = torch.empty_like(w), torch.empty_like(w)
    column_kernel[triton.cdiv(len(w), COLUMNS),](x, mu, r, y_bar, w_bar, b_bar, *tiles(x))
    return w_bar, b_bar


class LayerNorm(torch.autograd.Function):
    """The layer norm of x (m, n) with weights w (n) and bias b (n)."""

    @staticmethod
    def forward(ctx, x, w, b):
        """Return y, and keep μ and r for the backward pass."""
        x, w, b = x.contiguous(), w.contiguous(), b.contiguous()
        y, mu, r = normalise(x, w, b)
        ctx.save_for_backward(x, w, mu, r)
        return y

    @staticmethod
    def backward(ctx, y_bar):
        """Return x̄, w̄ and b̄."""
        kept = (*ctx.saved_tensors, y_bar.contiguous())
        return input_gradient(*kept), *column_gradients(*kept)


@layer_norm.implementation("torch", accumulate="float32")
def fused(x, w, b):
    """Compute it by the kernels, in float32 where x is bfloat16 or float16."""
    return LayerNorm.apply(x, w, b)
