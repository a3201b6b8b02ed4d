"""Functions of JAX with a custom_vjp, as people have them: each once right and once wrong."""

import jax
import jax.numpy as jnp

from multigrad import operation


def with_backward(forward, backward):
    """Return a function whose gradients are ``backward(inputs, cotangent)``."""
    function = jax.custom_vjp(forward)
    function.defvjp(lambda *inputs: (forward(*inputs), inputs), backward)
    return function


@operation("(m,d),(n,d)->(m,n)", sizes={"tiny": {"m": 3, "n": 4, "d": 5}})
def scores(xp, q, k):
    """Scaled products, s = q kᵀ / √d."""
    return q @ xp.matrix_transpose(k) / q.shape[-1] ** 0.5


def _scores(q, k):
    return q @ k.T / q.shape[-1] ** 0.5


scores_right = with_backward(
    _scores, lambda kept, g: (g @ kept[1] / kept[0].shape[-1] ** 0.5, g.T @ kept[0] / kept[0].shape[-1] ** 0.5)
)
scores_unscaled = with_backward(_scores, lambda kept, g: (g @ kept[1], g.T @ kept[0]))


@scores.implementation("jax")
def scores_vjp(q, k):
    return scores_right(q, k)


@scores.implementation("jax")
def scores_without_root(q, k):
    return scores_unscaled(q, k)


@operation("(n)->(n)")
def clipped(xp, x):
    """y = x, held between −1 and 1."""
    return xp.minimum(xp.maximum(x, -xp.ones_like(x)), xp.ones_like(x))


clip_right = with_backward(lambda x: jnp.clip(x, -1, 1), lambda kept, g: (jnp.where(jnp.abs(kept[0]) < 1, g, 0),))
clip_through = with_backward(lambda x: jnp.clip(x, -1, 1), lambda _, g: (g,))


@clipped.implementation("jax")
def clipped_vjp(x):
    return clip_right(x)


@clipped.implementation("jax")
def clipped_straight_through(x):
    return clip_through(x)


@operation("(m,n),(m,n)->(m,n)")
def gated(xp, a, b):
    """y = a ∘ b²."""
    return a * b * b


gate_right = with_backward(lambda a, b: a * b * b, lambda kept, g: (g * kept[1] ** 2, 2 * g * kept[0] * kept[1]))
gate_swapped = with_backward(lambda a, b: a * b * b, lambda kept, g: (2 * g * kept[0] * kept[1], g * kept[1] ** 2))


@gated.implementation("jax")
def gated_vjp(a, b):
    return gate_right(a, b)


@gated.implementation("jax")
def gated_swapped(a, b):
    return gate_swapped(a, b)


@operation("(n)->(n)")
def moved(xp, x):
    """y is x moved on by one, the last entry to the front."""
    return xp.roll(x, 1)


roll_right = with_backward(lambda x: jnp.roll(x, 1), lambda _, g: (jnp.roll(g, -1),))
roll_again = with_backward(lambda x: jnp.roll(x, 1), lambda _, g: (jnp.roll(g, 1),))


@moved.implementation("jax")
def moved_vjp(x):
    return roll_right(x)


@moved.implementation("jax")
def moved_on(x):
    return roll_again(x)
