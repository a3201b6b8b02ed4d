"""NumPy functions that return a loss and its gradient, as people have them: each once right and once wrong."""

import numpy as np
from scipy.special import expit, logsumexp

from multigrad import operation


def labelled(draw, m, n):
    return draw(n), draw(m, n), draw.labels(2, m)


def classified(draw, m, n):
    return draw(m, n), draw.labels(n, m)


@operation("(n),(n)->()")
def huber(xp, x, y):
    """Huber loss, f = Σ ½ r² for |r| ≤ 1 and |r| − ½ beyond, with r = x − y."""
    r = x - y
    a = xp.abs(r)
    return xp.sum(xp.where(a <= 1, 0.5 * r * r, a - 0.5))


@huber.implementation("numpy", gradients=True)
def huber_pair(x, y):
    r = x - y
    inside = np.abs(r) <= 1
    g = np.where(inside, r, np.sign(r))
    return np.sum(np.where(inside, 0.5 * r**2, np.abs(r) - 0.5)), (g, -g)


@huber.implementation("numpy", gradients=True)
def huber_mask_lost(x, y):
    return huber_pair(x, y)[0], (x - y, y - x)


@operation("(n),(m,n),(m)->()", nondifferentiable=["X", "y"])
def ridge(xp, w, X, y, *, l2=0.5):
    """Ridge regression, f = ‖Xw − y‖² + λ ‖w‖²."""
    r = X @ w - y
    return xp.sum(r * r) + l2 * xp.sum(w * w)


@ridge.implementation("numpy", gradients=True)
def ridge_pair(w, X, y, *, l2=0.5):
    r = X.dot(w) - y
    return r.dot(r) + l2 * w.dot(w), 2 * X.T.dot(r) + 2 * l2 * w


@ridge.implementation("numpy", gradients=True)
def ridge_without_the_two(w, X, y, *, l2=0.5):
    return ridge_pair(w, X, y, l2=l2)[0], X.T.dot(X.dot(w) - y) + l2 * w


@ridge.implementation("numpy", gradients=True)
def ridge_without_the_penalty(w, X, y, *, l2=0.5):
    return ridge_pair(w, X, y, l2=l2)[0], 2 * X.T.dot(X.dot(w) - y)


@operation("(n),(m,n),(m)->()", nondifferentiable=["X", "y"], inputs=labelled)
def logistic(xp, w, X, y):
    """Logistic loss, f = Σ log(1 + exp z) − y z with z = Xw."""
    z = X @ w
    return xp.sum(xp.logaddexp(xp.zeros_like(z), z) - xp.astype(y, z.dtype) * z)


@logistic.implementation("numpy", gradients=True)
def logistic_pair(w, X, y):
    y = y.astype(w.dtype)
    z = X @ w
    return np.logaddexp(0, z).sum() - y @ z, X.T @ (expit(z) - y)


@logistic.implementation("numpy", gradients=True)
def logistic_sign(w, X, y):
    loss, gradient = logistic_pair(w, X, y)
    return loss, -gradient


@logistic.implementation("numpy", gradients=True)
def logistic_wider(w, X, y):
    z = X @ w
    return np.logaddexp(0, z).sum() - y @ z, X.T @ (expit(z) - y)


@operation("(n)->()")
def log_sum_exp(xp, x):
    """f = log Σ eˣ."""
    m = xp.max(x)
    return m + xp.log(xp.sum(xp.exp(x - m)))


@log_sum_exp.implementation("numpy", gradients=True)
def log_sum_exp_pair(x):
    value = logsumexp(x)
    return value, np.exp(x - value)


@log_sum_exp.implementation("numpy", gradients=True)
def log_sum_exp_single(x):
    value, gradient = log_sum_exp_pair(x.astype(np.float32))
    return x.dtype.type(value), gradient.astype(x.dtype)


@operation("(n),(n,n),(n)->()")
def bilinear(xp, u, A, v):
    """f = uᵀ A v."""
    return xp.sum(u * (A @ v))


@bilinear.implementation("numpy", gradients=True)
def bilinear_pair(u, A, v):
    return u @ A @ v, (A @ v, np.outer(u, v), A.T @ u)


@bilinear.implementation("numpy", gradients=True)
def bilinear_transposed(u, A, v):
    return u @ A @ v, (A @ v, np.outer(v, u), A.T @ u)


@operation("(m,n),(m)->()", nondifferentiable=["labels"], inputs=classified)
def cross_entropy(xp, x, labels):
    """Mean cross-entropy of rows of logits."""
    shifted = x - xp.max(x, axis=-1, keepdims=True)
    logarithms = shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))
    chosen = labels[:, None] == xp.arange(x.shape[-1])[None, :]
    return -xp.sum(xp.where(chosen, logarithms, xp.zeros_like(x))) / x.shape[0]


def _cross_entropy(x, labels, rows):
    loss, gradient = x.dtype.type(0), np.zeros_like(x)
    for i in range(len(x)):
        loss -= (x[i, labels[i]] - logsumexp(x[i])) / len(x)
    for i in rows:
        gradient[i] = np.exp(x[i] - logsumexp(x[i])) / len(x)
        gradient[i, labels[i]] -= 1 / len(x)
    return loss, gradient


@cross_entropy.implementation("numpy", gradients=True)
def cross_entropy_loop(x, labels):
    return _cross_entropy(x, labels, range(len(x)))


@cross_entropy.implementation("numpy", gradients=True)
def cross_entropy_last_row(x, labels):
    return _cross_entropy(x, labels, range(len(x) - 1))


@operation("(m,n),(m,n)->()")
def weighted(xp, x, w):
    """f = Σ w² x."""
    return xp.sum(w * w * x)


@weighted.implementation("numpy", gradients=True)
def weighted_pair(x, w):
    return np.sum(w**2 * x), (w**2, 2 * w * x)


@weighted.implementation("numpy", gradients=True)
def weighted_in_place(x, w):
    value, gradients = weighted_pair(x, w)
    w *= w
    return value, gradients


@weighted.implementation("numpy", gradients=True)
def weighted_memory_order(x, w):
    flat = w.ravel(order="K")
    return np.dot(flat**2, x.ravel()), ((flat**2).reshape(x.shape), (2 * flat * x.ravel()).reshape(x.shape))


@weighted.implementation("numpy", gradients=True)
def weighted_at_random(x, w):
    value, (x_bar, w_bar) = weighted_pair(x, w)
    kept = np.random.default_rng().random(w.shape) > 0.5
    return value, (x_bar, np.where(kept, 2 * w_bar, 0))


@operation("(m,n)->(n,m)")
def turned(xp, x):
    """y = xᵀ."""
    return xp.matrix_transpose(x)


@turned.implementation("numpy", gradients=True)
def turned_copy(x, y_bar):
    return x.T.copy(), y_bar.T.copy()


@turned.implementation("numpy", gradients=True)
def turned_view(x, y_bar):
    return x.T, y_bar.T
