"""Right gradients in the styles in which people write them are certified, and a float64 evaluation is within bounds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.special

from multigrad import operation
from multigrad.namespaces import bounds, cost, exact
from multigrad.namespaces.shared.unsupported import Unsupported
from multigrad.proof.prove import prove

OPERATIONS = {}


def written_as(signature):
    def keep(function):
        op = operation(signature)(function)
        OPERATIONS[op.name] = op
        return op

    return keep


@written_as("(n)->()")
def gelu_by_scipy(xp, x):
    cdf = 0.5 * (1 + scipy.special.erf(x / math.sqrt(2)))
    return xp.sum(x * cdf), lambda b: b * (cdf + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi))


@written_as("(n)->()")
def log_gamma_by_scipy(xp, x):
    s = x * x + 0.5
    return xp.sum(scipy.special.gammaln(s)), lambda b: b * scipy.special.digamma(s) * 2 * x


@written_as("(n)->()")
def logistic_by_scipy(xp, x):
    s = scipy.special.expit(x)
    return np.sum(s), lambda b: b * s * (1 - s)


@written_as("(n)->()")
def plain_numpy(xp, x):
    return np.mean(np.exp(x)), lambda b: b * np.exp(x) / np.size(x)


@written_as("(n)->()")
def norm_by_numpy(xp, x):
    f = np.linalg.norm(x)
    return f, lambda b: b * x / f


@written_as("(b,m,k),(b,n,k)->(b,m,n)")
def einsum(xp, A, B):
    return xp.einsum("bmk,bnk->bmn", A, B), lambda y: (
        xp.einsum("bmn,bnk->bmk", y, B),
        xp.einsum("bmk,bmn->bnk", A, y),
    )


@written_as("(n)->()")
def norm_of_order_3(xp, x):
    f = xp.linalg.vector_norm(x, ord=3)
    return f, lambda b: b * xp.sign(x) * x**2 / f**2


@written_as("(n)->()")
def largest_size(xp, x):
    f = xp.linalg.vector_norm(x, ord=math.inf)
    return f, lambda b: b * xp.sign(x) * xp.astype(xp.abs(x) == f, x.dtype)


@written_as("(n,n)->()")
def nuclear_norm(xp, X):
    U, _, Vt = xp.linalg.svd(X, full_matrices=False)
    return xp.linalg.matrix_norm(X, ord="nuc"), lambda b: b * U @ Vt


@written_as("(m,n)->()")
def rows_in_place(xp, A):
    out = xp.zeros_like(A)
    out[0, :] = A[0, :] * A[1, :]
    for i in range(1, A.shape[0]):
        out[i, :] += A[i, :] ** 2
        out[i, 0] *= 2

    def pullback(b):
        g = xp.zeros_like(A)
        g[0, :] = A[1, :]
        g[1:, :] = 2 * A[1:, :]
        g[1:, 0] *= 2
        g[1, :] += A[0, :]
        return b * g

    return xp.sum(out), pullback


@written_as("(n),(k)->(k)")
def interpolation(xp, y, t):
    n, step = y.shape[0], 4 / (y.shape[0] - 1)
    inside = xp.clip(t, -1.9, 1.9)
    i = xp.clip(xp.searchsorted(xp.linspace(-2, 2, n), inside) - 1, 0, n - 2)
    w = (inside + 2) / step - xp.astype(i, y.dtype)
    low, high = xp.take(y, i), xp.take(y, i + 1)

    def pullback(v):
        numbers = xp.arange(n)[:, None]
        left, right = (xp.astype(j[None, :] == numbers, y.dtype) for j in (i, i + 1))
        return left @ (v * (1 - w)) + right @ (v * w), v * (high - low) / step * xp.astype(xp.abs(t) < 1.9, t.dtype)

    return low * (1 - w) + high * w, pullback


@written_as("(n)->()")
def sawtooth(xp, x):
    return xp.sum((x % 0.75) ** 2), lambda b: b * 2 * (x % 0.75)


@written_as("(n)->()")
def fraction(xp, x):
    f = x - xp.floor(x)
    return xp.sum(f * f * x), lambda b: b * (2 * f * x + f * f)


@written_as("(n)->()")
def masked_sum(xp, x):
    def pullback(b):
        g = xp.zeros_like(x)
        g[x > 0.2] = 2 * b * x[x > 0.2]
        return g

    return xp.sum(x[x > 0.2] ** 2), pullback


@written_as("(n)->(n)")
def masked_write(xp, x):
    y = xp.asarray(x, copy=True)
    y[x < -1] = 0.0

    def pullback(y_bar):
        g = xp.asarray(y_bar, copy=True)
        g[x < -1] = 0.0
        return g

    return y, pullback


@written_as("()->(2,2)")
def rotation(xp, a):
    c, s = xp.cos(a), xp.sin(a)
    return xp.asarray([[c, -s], [s, c]]), lambda R: -s * R[0, 0] - c * R[0, 1] + c * R[1, 0] - s * R[1, 1]


@written_as("(n)->()")
def recurrence(xp, x):
    h = [x[0]]
    for i in range(1, x.shape[0]):
        h.append(xp.tanh(0.9 * h[-1] + x[i]))

    def pullback(b):
        g, carry = [], 0.0
        for i in reversed(range(1, len(h))):
            g.append((b + carry) * (1 - h[i] ** 2))
            carry = 0.9 * g[-1]
        return xp.stack([b + carry, *reversed(g)])

    return sum(h), pullback


@written_as("(t,d),(t,d),(t,d)->(t,d)")
def causal_attention(xp, Q, K, V):
    T, root = xp.matrix_transpose, math.sqrt(Q.shape[-1])
    rows = xp.arange(Q.shape[0])
    scores = xp.where(rows[:, None] >= rows[None, :], Q @ T(K) / root, -math.inf)
    e = xp.exp(scores - xp.max(scores, axis=-1, keepdims=True))
    P = e / xp.sum(e, axis=-1, keepdims=True)

    def pullback(Y):
        G = Y @ T(V)
        S = P * (G - xp.sum(G * P, axis=-1, keepdims=True)) / root
        return S @ K, T(S) @ Q, T(P) @ Y

    return P @ V, pullback


@written_as("(n)->()")
def student(xp, x, *, nu=3.7):
    constant = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - 0.5 * math.log(nu * math.pi)
    return xp.sum(constant - (nu + 1) / 2 * xp.log1p(x * x / nu)), lambda b: -b * (nu + 1) * x / (nu + x * x)


@written_as("(n)->()")
def table_look_up(xp, x):
    i = xp.astype(xp.floor(xp.clip(x * 2 + 4, 0, 7)), xp.int64)
    w = xp.take(xp.asarray(np.linspace(0.1, 0.9, 8)), i, axis=0)
    return xp.sum(w * x), lambda b: b * w


@written_as("(m,n)->()")
def running_products(xp, X):
    s = xp.abs(X) + 1
    c = xp.cumulative_prod(s, axis=1)
    return xp.sum(c), lambda b: b * xp.flip(xp.cumulative_sum(xp.flip(c, axis=1), axis=1), axis=1) / s * xp.sign(X)


@written_as("(m,n)->()")
def squared_distance(xp, X):
    d = X[:, None, :] - X[None, :, :]
    return xp.sum(d**2), lambda b: b * 4 * xp.sum(d, axis=1)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_right_gradient_is_certified(name):
    proof = prove(OPERATIONS[name], next(iter(OPERATIONS[name].sizes)))
    assert proof.passed, proof


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_wrong_one_is_refuted(name):
    op = OPERATIONS[name]

    def wrong(xp, *arrays):
        value, pullback = op.function(xp, *arrays)

        def off(*cotangents):
            gradients = pullback(*cotangents)
            first, *rest = gradients if isinstance(gradients, tuple) else (gradients,)
            return (1.0625 * first, *rest)

        return value, off

    proof = prove(replace(op, function=wrong), next(iter(op.sizes)))
    assert proof.kind == "refuted"


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_float64_evaluation_is_within_its_bounds(name):
    op = OPERATIONS[name]
    inputs = op.make_inputs(next(iter(op.sizes.values())), 0)
    shapes = [np.shape(v) for v in op.forward(np, {})(*inputs)]
    arrays = [*inputs, *op.make_cotangents(shapes, 0)]
    outputs = op.analytic(np, {})(*arrays)
    truth = exact.evaluate(op.analytic(exact, {}), *arrays, width=math.inf).outputs
    bounded = bounds.analyse(op.analytic(bounds, {}), *arrays, context="float64")
    for output, true, bound in zip(outputs, truth, bounded, strict=True):
        assert np.all(np.abs(output - exact.midpoints(true)) <= bound.worst)
        assert np.max(bound.worst) <= 1e-12 * np.max(np.abs(output))


@pytest.mark.parametrize("name", OPERATIONS)
def test_its_operations_are_counted_unless_a_shape_depends_on_data(name):
    op = OPERATIONS[name]
    if name.startswith("masked"):
        with pytest.raises(Unsupported, match=r"`x\[mask\]` \(test_styles\.py, line \d+\)"):
            cost.cost(op, next(iter(op.sizes.values())))
    else:
        assert cost.cost(op, next(iter(op.sizes.values()))).flops > 0
