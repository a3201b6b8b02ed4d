"""Ten references as their users write them: NumPy's functions, methods, broadcasting, slices and loops."""

import numpy as np

from multigrad import operation


def spread(draw, n):
    return draw(n), np.abs(draw(n)) + 0.5


@operation("(n)->()")
def rosenbrock(xp, x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@operation("(m,n)->(m,n)")
def softmax(xp, x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1)[:, None]


@operation("(n),(m,n),(m)->()", nondifferentiable=["X", "y"])
def ridge(xp, w, X, y):
    r = X.dot(w) - y
    return r.dot(r) / len(y) + 0.1 * w.dot(w)


@operation("(m,d),(n,d)->(m,n)")
def squared_distances(xp, a, b):
    return ((a[:, np.newaxis, :] - b[np.newaxis, :, :]) ** 2).sum(-1)


@operation("(n),(n)->()", inputs=spread)
def gaussian_nll(xp, x, s):
    return np.sum(np.log(s)) + 0.5 * np.sum(np.square(x / s))


@operation("(n)->(n)")
def heat_step(xp, u):
    v = np.zeros_like(u)
    v[1:-1] = u[1:-1] + 0.1 * (u[2:] - 2 * u[1:-1] + u[:-2])
    return v


@operation("(n)->()", sizes={"tiny": {"n": 4}})
def polynomial(xp, c):
    value = 0.0 * c[0]
    for i in range(c.shape[0]):
        value = value * 0.7 + c[i]
    return value**2


@operation("(m,n)->(n,n)")
def covariance(xp, X):
    Z = X - np.mean(X, axis=0)
    return Z.T @ Z / (X.shape[0] - 1)


@operation("(n),(n)->()")
def huber(xp, x, y):
    r = np.abs(x - y)
    return np.where(r <= 1, 0.5 * r**2, r - 0.5).sum()


@operation("(m,n)->(m)")
def row_norms(xp, x):
    return np.linalg.norm(x.reshape(x.shape[0], -1), axis=1)
