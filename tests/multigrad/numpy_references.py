"""Ten references as their users write them: functions and methods of NumPy, slices, loops, writing in place."""

from __future__ import annotations

import numpy as np

from multigrad import operation


@operation("(n,d),(d),(n)->()")
def ridge(X, w, y):
    """Squared error of a linear model, with a penalty."""
    r = X.dot(w) - y
    return (r**2).mean() + 0.1 * np.sum(w * w)


@operation("(n,k),(n)->()", nondifferentiable=["labels"], inputs=lambda draw, n, k: [draw(n, k), draw.labels(k, n)])
def cross_entropy(logits, labels):
    """Softmax and cross-entropy; an entry of each row is picked by its label."""
    z = logits - logits.max(axis=1, keepdims=True)
    logp = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -logp[np.arange(len(labels)), labels].mean()


@operation("(n)->(n)")
def smoothed(x):
    """Moving averages, written into an array entry by entry."""
    out = np.zeros(len(x))
    for i in range(len(x)):
        out[i] = x[max(i - 1, 0) : i + 2].mean()
    return out


@operation("(n,d)->(n,n)")
def gram(X):
    """A Gaussian kernel of all pairs of rows."""
    d2 = ((X[:, None, :] - X[None, :, :]) ** 2).sum(-1)
    return np.exp(-0.5 * d2)


@operation("(n,d)->(d,d)")
def correlation(X):
    """Columns centred and scaled in place."""
    Z = X.copy()
    Z -= Z.mean(axis=0)
    Z /= np.sqrt((Z**2).mean(0) + 1e-3)
    return Z.T @ Z / Z.shape[0]


@operation("(n,n),(n)->()")
def log_density(A, x):
    """A Gaussian's log-density, by Cholesky's factor and a solution."""
    S = A @ A.T + len(x) * np.eye(len(x))
    L = np.linalg.cholesky(S)
    return -0.5 * x @ np.linalg.solve(S, x) - np.log(np.diag(L)).sum() - 0.5 * len(x) * np.log(2 * np.pi)


@operation("(b,i,j),(b,j,k)->(b)")
def contracted(A, B):
    """Einstein's summation, then all that is left of each item in a row."""
    C = np.einsum("bij,bjk->bik", A, B)
    return np.tanh(C).reshape(C.shape[0], -1).sum(axis=1)


@operation("(4,d)->(3,d)")
def picked(X):
    """Rows by index, one of them twice, and the last one."""
    rows = np.array([0, 2, 2])
    return X[rows] * X[rows[::-1], :] + X[-1]


@operation("(t,d),(d,d)->(d)")
def recurrent(x, W):
    """A loop over time."""
    h = np.zeros(x.shape[1])
    for t in range(x.shape[0]):
        h = np.tanh(x[t] + h @ W)
    return h


def _tail(a, delta):
    return delta * (a - delta / 2)


@operation("(n)->(n)")
def huber(r, *, delta=1.5):
    """The entries behind a mask written anew, by a helper."""
    a = np.abs(r)
    out = 0.5 * r**2
    mask = a > delta
    out[mask] = _tail(a[mask], delta)
    return np.where(r > 0, out, np.clip(out, 0, 3.0))


REFERENCES = [ridge, cross_entropy, smoothed, gram, correlation, log_density, contracted, picked, recurrent, huber]
