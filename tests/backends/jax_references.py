"""References as users of JAX write them, each an operation."""

from __future__ import annotations

import jax
import numpy as np
from jax import lax, nn
from jax import numpy as jnp

from multigrad import from_jax


def root_mean_square(x, w, *, epsilon=1e-6):
    """x divided by its root mean square, times w."""
    return x * lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + epsilon) * w


def swiglu(x, W, V):
    """A gated linear unit."""
    return nn.silu(x @ W) * (x @ V)


def rotary(x, angles):
    """Pairs of entries turned by an angle."""
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([a * jnp.cos(angles) - b * jnp.sin(angles), b * jnp.cos(angles) + a * jnp.sin(angles)], -1)


def causal_attention(q, k, v):
    """Attention to what came before."""
    scores = q @ k.T / jnp.sqrt(q.shape[-1])
    return nn.softmax(jnp.where(jnp.tri(len(q), len(k), dtype=bool), scores, -jnp.inf)) @ v


def cross_entropy(params, x, labels):
    """The loss of a small network."""
    for layer in params[:-1]:
        x = nn.gelu(x @ layer["weight"] + layer["bias"])
    logits = x @ params[-1]["weight"]
    return -jnp.mean(jnp.take_along_axis(nn.log_softmax(logits), labels[:, None], axis=1))


def smoothed(logits, labels, *, smoothing=0.1):
    """Cross-entropy with smoothed labels."""
    targets = nn.one_hot(labels, logits.shape[-1]) * (1 - smoothing) + smoothing / logits.shape[-1]
    return -jnp.sum(targets * nn.log_softmax(logits), axis=-1)


def contrasted(a, b, *, temperature=0.5):
    """InfoNCE of two views."""
    a = a / jnp.linalg.norm(a, axis=-1, keepdims=True)
    b = b / jnp.linalg.norm(b, axis=-1, keepdims=True)
    logits = a @ b.T / temperature
    return jnp.mean(nn.logsumexp(logits, axis=1) - jnp.diagonal(logits))


def evidence(mean, log_variance, x):
    """The ELBO of a Gaussian."""
    divergence = 0.5 * jnp.sum(jnp.exp(log_variance) + mean**2 - 1 - log_variance)
    return jnp.sum((x - mean) ** 2) + divergence


def kernel(x, y, scales):
    """An RBF kernel with a length for each axis."""
    distance = (x[:, None] - y[None]) / scales
    return jnp.exp(-0.5 * jnp.sum(distance**2, axis=-1))


def log_likelihood(x, y):
    """That of a Gaussian process."""
    distance = jnp.sum((x[:, None] - x[None]) ** 2, axis=-1)
    L = jnp.linalg.cholesky(jnp.exp(-0.5 * distance) + 0.5 * jnp.eye(len(x)))
    a = jax.scipy.linalg.cho_solve((L, True), y)
    return -0.5 * y @ a - jnp.sum(jnp.log(jnp.diagonal(L)))


def ode(y, W):
    """Four steps of Runge and Kutta."""

    def slope(y):
        return jnp.tanh(W @ y)

    def step(y, _):
        k1 = slope(y)
        k2 = slope(y + 0.05 * k1)
        return y + 0.1 * k2, None

    return lax.scan(step, y, None, length=4)[0]


def selective_scan(x, a, b):
    """A linear recurrence whose factor depends on the step."""

    def step(h, given):
        x, a, b = given
        h = nn.sigmoid(a) * h + b * x
        return h, h

    return lax.scan(step, jnp.zeros_like(x[0]), (x, a, b))[1]


@jax.custom_vjp
def clipped(x):
    """A value whose gradient is clipped by its own backward pass."""
    return jnp.sum(jnp.log1p(x * x))


clipped.defvjp(lambda x: (clipped(x), x), lambda x, g: (jnp.clip(g * 2 * x / (1 + x * x), -0.5, 0.5),))

LAYERS = [{"weight": np.ones((4, 3)), "bias": np.ones(3)}, {"weight": np.ones((3, 5))}]
LABELS = np.array([0, 4, 2, 2, 1, 3])

rms = from_jax(root_mean_square, "(m,n),(n)->(m,n)")
gated = from_jax(swiglu, "(m,k),(k,n),(k,n)->(m,n)")
turned = from_jax(rotary, example=(np.ones((3, 8)), np.ones((3, 4))))
attention = from_jax(causal_attention, "(n,d),(n,d),(n,e)->(n,e)")
network = from_jax(cross_entropy, example=(LAYERS, np.ones((6, 4)), LABELS))
label_smoothing = from_jax(smoothed, example=(np.ones((6, 5)), LABELS))
info_nce = from_jax(contrasted, "(n,d),(n,d)->()")
elbo = from_jax(evidence, "(n),(n),(n)->()")
rbf = from_jax(kernel, "(m,d),(n,d),(d)->(m,n)")
gaussian_process = from_jax(log_likelihood, "(n,d),(n)->()")
neural_ode = from_jax(ode, "(n),(n,n)->(n)")
state_space = from_jax(selective_scan, "(t,n),(t,n),(t,n)->(t,n)")
primal = from_jax(clipped, "(n)->()")
