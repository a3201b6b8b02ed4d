"""A softmax in Pallas with a backward pass of its own: `multigrad check examples/pallas_softmax.py --backend jax`.

Without a GPU or TPU the kernels run in Pallas' interpreter.
"""

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

from multigrad import operation

INTERPRET = jax.default_backend() == "cpu"


@operation("(m,n)->(m,n)")
def softmax(xp, x):
    """Softmax of each row.

    y = eˣ⁻ᵐ / Σ eˣ⁻ᵐ, where m is the largest entry of the row and the sum is over the row.

    Source: Bridle, 1990. Smooth: m cancels, so where two entries are largest makes no difference.
    """
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def wide(x):
    """Return a block in the dtype that is computed in: float32 for halves."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def forward_kernel(x_ref, y_ref):
    """Compute y for one row."""
    x = wide(x_ref[...])
    e = jnp.exp(x - jnp.max(x))
    y_ref[...] = (e / jnp.sum(e)).astype(y_ref.dtype)


def backward_kernel(x_ref, y_bar_ref, x_bar_ref):
    """Compute x̄ = y (ȳ − Σ y ȳ) for one row, with y computed again."""
    x, y_bar = wide(x_ref[...]), wide(y_bar_ref[...])
    e = jnp.exp(x - jnp.max(x))
    y = e / jnp.sum(e)
    x_bar_ref[...] = (y * (y_bar - jnp.sum(y * y_bar))).astype(x_bar_ref.dtype)


def by_rows(kernel, *arrays):
    """Run a kernel on each row of matrices (m, n)."""
    m, n = arrays[0].shape
    if m == 0:
        return jnp.zeros_like(arrays[0])  # Pallas has no empty grid
    row = pl.BlockSpec((1, n), lambda i: (i, 0))
    shape = jax.ShapeDtypeStruct((m, n), arrays[0].dtype)
    call = pl.pallas_call(kernel, shape, grid=(m,), in_specs=[row] * len(arrays), out_specs=row, interpret=INTERPRET)
    return call(*arrays)


@jax.custom_vjp
def pallas_softmax(x):
    """Return the softmax of each row of x (m, n)."""
    return by_rows(forward_kernel, x)


def forward(x):
    """Return y, and x for the backward pass."""
    return pallas_softmax(x), x


def backward(x, y_bar):
    """Return x̄ (m, n)."""
    return (by_rows(backward_kernel, x, y_bar),)


pallas_softmax.defvjp(forward, backward)


@softmax.implementation("jax", accumulate="float32")
def fused(x):
    """Compute it by the kernels, in float32 where x is bfloat16 or float16."""
    return pallas_softmax(x)
