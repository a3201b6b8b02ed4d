"""Five functions of the literature, written plainly in JAX; each is an operation.

`multigrad check examples/references/jax_references.py` certifies each and judges it on every backend.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve, solve_triangular

from multigrad import from_jax


def neural_ode_step(y, W, b, V, *, step=0.1):
    """y₁ = y + h/6 (k₁ + 2k₂ + 2k₃ + k₄): one step of Runge and Kutta's method along dy/dt = V tanh(W y + b).

    Chen, Rubanova, Bettencourt and Duvenaud, Neural ordinary differential equations, 2018.
    """

    def slope(y):
        return V @ jnp.tanh(W @ y + b)

    k1 = slope(y)
    k2 = slope(y + step / 2 * k1)
    k3 = slope(y + step / 2 * k2)
    k4 = slope(y + step * k3)
    return y + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def gp_log_likelihood(X, y, log_length, log_noise):
    """The likelihood log p(y | X) = −½ yᵀ(K + σ²I)⁻¹y − ½ log det(K + σ²I) − n/2 log 2π, K = exp(−½ ‖xᵢ − xⱼ‖² / ℓ²).

    By the Cholesky factor: Rasmussen and Williams, Gaussian processes for machine learning, 2006, algorithm 2.1.
    """
    n = len(y)
    squares = jnp.sum((X[:, None] - X[None]) ** 2, axis=-1)
    K = jnp.exp(-0.5 * squares * jnp.exp(-2 * log_length))
    L = jnp.linalg.cholesky(K + jnp.exp(2 * log_noise) * jnp.eye(n))
    alpha = cho_solve((L, True), y)
    return -0.5 * y @ alpha - jnp.sum(jnp.log(jnp.diagonal(L))) - n / 2 * math.log(2 * math.pi)


def kalman_log_likelihood(y, A, C, m, log_q, log_r):
    """Σₜ log N(yₜ | C mₜ⁻, C Pₜ⁻ Cᵀ + R), of the filter of xₜ = A xₜ₋₁ + N(0, Q), yₜ = C xₜ + N(0, R).

    Q and R are diagonal, of standard deviations exp(log_q) and exp(log_r), and P₀ = I. Kalman, A new approach to linear
    filtering and prediction problems, 1960.
    """
    Q, R = jnp.diag(jnp.exp(2 * log_q)), jnp.diag(jnp.exp(2 * log_r))

    def step(state, y):
        m, P = state
        m, P = A @ m, A @ P @ A.T + Q
        L = jnp.linalg.cholesky(C @ P @ C.T + R)
        white = solve_triangular(L, y - C @ m, lower=True)
        W = solve_triangular(L, C @ P, lower=True)
        log_density = -0.5 * white @ white - jnp.sum(jnp.log(jnp.diagonal(L))) - len(y) / 2 * math.log(2 * math.pi)
        return (m + W.T @ white, P - W.T @ W), log_density

    _, log_densities = jax.lax.scan(step, (m, jnp.eye(len(m))), y)
    return jnp.sum(log_densities)


def ard_kernel(X, Z, log_lengths, log_scale):
    """k(x, z) = s² exp(−½ Σᵢ (xᵢ − zᵢ)² / ℓᵢ²): a length for each axis.

    Automatic relevance determination: Rasmussen and Williams, Gaussian processes for machine learning, 2006, eq. 5.1.
    """
    differences = (X[:, None] - Z[None]) * jnp.exp(-log_lengths)
    return jnp.exp(2 * log_scale - 0.5 * jnp.sum(differences**2, axis=-1))


def spherical_harmonics(points, *, degree=3):
    """The real Yₗᵐ for l = 0 … degree and m = −l … l, at points / ‖points‖.

    Yₗᵐ = √(2 − δₘ₀) √((2l + 1)/4π · (l − m)!/(l + m)!) Qₗᵐ(z) Re (x + iy)ᵐ, and of −m with the imaginary part, where
    (l − m) Qₗᵐ = (2l − 1) z Qₗ₋₁ᵐ − (l + m − 1) Qₗ₋₂ᵐ and Qₘᵐ = (2m − 1)!!. Sloan, Efficient spherical harmonic
    evaluation, 2013.
    """
    x, y, z = jnp.moveaxis(points / jnp.linalg.norm(points, axis=-1, keepdims=True), -1, 0)
    real, imaginary = jnp.ones_like(x), jnp.zeros_like(x)
    found = {}
    for m in range(degree + 1):
        before, Q = jnp.zeros_like(z), jnp.full_like(z, math.prod(range(2 * m - 1, 0, -2)))
        for l in range(m, degree + 1):  # noqa: E741 - the formula's letter
            if l > m:
                before, Q = Q, ((2 * l - 1) * z * Q - (l + m - 1) * before) / (l - m)
            scale = math.sqrt(
                (2 - (m == 0)) * (2 * l + 1) / (4 * math.pi) * math.factorial(l - m) / math.factorial(l + m)
            )
            found[l, m] = scale * Q * real
            found[l, -m] = scale * Q * (imaginary if m else real)
        real, imaginary = x * real - y * imaginary, x * imaginary + y * real
    return jnp.stack([found[lm] for lm in sorted(found)], axis=-1)


def stable(draw, t, n, p):
    """Draw a filter whose state does not grow without bound, and whose noise is about 1."""
    return [draw(t, p), draw(n, n) / (2 * n), draw(p, n), draw(n), draw(n) / 8, draw(p) / 8]


ode = from_jax(
    neural_ode_step,
    "(n),(h,n),(h),(n,h)->(n)",
    sizes={"tiny": {"n": 4, "h": 3}, "small": {"n": 8, "h": 16}, "large": {"n": 64, "h": 256}},
)
gaussian_process = from_jax(
    gp_log_likelihood,
    "(n,d),(n),(),()->()",
    sizes={"tiny": {"n": 4, "d": 3}, "small": {"n": 24, "d": 3}, "large": {"n": 256, "d": 3}},
)
kalman_filter = from_jax(
    kalman_log_likelihood,
    "(t,p),(n,n),(p,n),(n),(n),(p)->()",
    sizes={"tiny": {"t": 10, "n": 2, "p": 1}, "small": {"t": 10, "n": 3, "p": 2}, "large": {"t": 10, "n": 32, "p": 16}},
    inputs=stable,
)
ard = from_jax(
    ard_kernel,
    "(m,d),(n,d),(d),()->(m,n)",
    sizes={
        "tiny": {"m": 5, "n": 3, "d": 4},
        "small": {"m": 24, "n": 16, "d": 3},
        "large": {"m": 512, "n": 512, "d": 8},
    },
)
harmonics = from_jax(
    spherical_harmonics, "(n,3)->(n,16)", sizes={"tiny": {"n": 3}, "small": {"n": 40}, "large": {"n": 100_000}}
)
