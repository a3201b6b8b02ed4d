"""Operations as a person would write them, on which no diagnosis and no repair was tuned: the rate is measured here.

What was learnt from failures was learnt on `practice.py`. Whoever tunes on these writes new ones.
"""

from multigrad import operation


@operation("(n,d),(d),(d)->(n,d)", sizes={"tiny": {"n": 5, "d": 3}})
def batch_norm(xp, X, g, b):
    """Columns made of mean 0 and variance 1 over the batch, scaled and shifted."""
    n = X.shape[0]
    centred = X - xp.sum(X, axis=0, keepdims=True) / n
    r = 1 / xp.sqrt(xp.sum(centred**2, axis=0, keepdims=True) / n + 0.001)
    H = centred * r

    def pullback(Y_bar):
        g_bar = xp.sum(Y_bar * H, axis=0)
        b_bar = xp.sum(Y_bar, axis=0)
        return g * r * (Y_bar - b_bar / n - H * g_bar / n), g_bar, b_bar

    return g * H + b, pullback


@operation("(n,d),(m,d)->(n,m)", sizes={"tiny": {"n": 3, "d": 2, "m": 4}})
def rbf_kernel(xp, X, Y):
    """exp(−½‖x − y‖²) for every pair."""
    D = X[:, None, :] - Y[None, :, :]
    K = xp.exp(-0.5 * xp.sum(D * D, axis=-1))

    def pullback(K_bar):
        weighted = (K_bar * K)[:, :, None] * D
        return -xp.sum(weighted, axis=1), xp.sum(weighted, axis=0)

    return K, pullback


@operation("(b,d),(d,h),(d,h)->(b,h)", sizes={"tiny": {"b": 3, "d": 4, "h": 2}})
def gated_unit(xp, X, W, V):
    """XW ∘ σ(XV)."""
    A = X @ W
    S = 1 / (1 + xp.exp(-(X @ V)))

    def pullback(Y_bar):
        A_bar = Y_bar * S
        B_bar = Y_bar * A * S * (1 - S)
        X_bar = A_bar @ xp.matrix_transpose(W) + B_bar @ xp.matrix_transpose(V)
        return X_bar, xp.matrix_transpose(X) @ A_bar, xp.matrix_transpose(X) @ B_bar

    return A * S, pullback


@operation("(n),(n),(n)->()", sizes={"tiny": {"n": 7}})
def triplet(xp, a, p, q):
    """Σ max(1 + (a − p)² − (a − q)², 0)."""
    u = a - p
    v = a - q
    z = 1 + u * u - v * v

    def pullback(f_bar):
        z_bar = xp.where(z > 0, f_bar, 0)
        return 2 * z_bar * (u - v), -2 * z_bar * u, 2 * z_bar * v

    return xp.sum(xp.maximum(z, 0)), pullback


@operation("(n,d),(d,d)->(n)", sizes={"tiny": {"n": 4, "d": 3}})
def mahalanobis(xp, X, M):
    """xᵀMx for each row."""
    XM = X @ M

    def pullback(f_bar):
        F = f_bar[:, None] * X
        return F @ (M + xp.matrix_transpose(M)), xp.matrix_transpose(X) @ F

    return xp.sum(XM * X, axis=1), pullback


@operation("(n),(n)->()", sizes={"tiny": {"n": 6}}, inputs=lambda draw, n: [abs(draw(n)) + 0.5, abs(draw(n)) + 0.5])
def kl_divergence(xp, p, q):
    """Σ p log(p/q) for p and q made to sum to one."""
    P = p / xp.sum(p)
    Q = q / xp.sum(q)
    L = xp.log(P / Q)
    f = xp.sum(P * L)

    def pullback(f_bar):
        p_bar = f_bar * (L - f) / xp.sum(p)
        q_bar = f_bar * (1 - P / Q) / xp.sum(q)
        return p_bar, q_bar

    return f, pullback


@operation("(m,n)->(m)", sizes={"tiny": {"m": 4, "n": 5}})
def log_sum_exp(xp, X):
    """log Σ exp(x), row by row."""
    c = xp.max(X, axis=1, keepdims=True)
    E = xp.exp(X - c)
    S = xp.sum(E, axis=1, keepdims=True)

    def pullback(f_bar):
        return f_bar[:, None] * E / S

    return xp.log(S)[:, 0] + c[:, 0], pullback


@operation("(m,r),(r,n),(m,n)->()", sizes={"tiny": {"m": 5, "r": 2, "n": 4}})
def factorisation(xp, U, V, A):
    """Mean of (UV − A)² and 0.1 times the squares of the factors."""
    R = U @ V - A
    scale = 1 / (A.shape[0] * A.shape[1])

    def pullback(f_bar):
        R_bar = 2 * scale * f_bar * R
        U_bar = R_bar @ xp.matrix_transpose(V) + 0.2 * f_bar * U
        V_bar = xp.matrix_transpose(U) @ R_bar + 0.2 * f_bar * V
        return U_bar, V_bar, -R_bar

    return scale * xp.sum(R * R) + 0.1 * (xp.sum(U * U) + xp.sum(V * V)), pullback


@operation("(b,n),(k)->(b,m)", sizes={"tiny": {"b": 2, "n": 7, "k": 3}})
def moving_filter(xp, X, w):
    """y[t] = Σ_j w[j] x[t + j]."""
    n = X.shape[1]
    k = w.shape[0]
    m = n - k + 1
    Y = w[0] * X[:, 0:m]
    for j in range(1, k):
        Y = Y + w[j] * X[:, j : j + m]

    def pullback(Y_bar):
        zeros = xp.zeros_like(X[:, : k - 1])
        padded = xp.concat([zeros, Y_bar, zeros], axis=1)
        X_bar = w[k - 1] * padded[:, 0:n]
        for j in range(1, k):
            X_bar = X_bar + w[k - 1 - j] * padded[:, j : j + n]
        w_bar = xp.stack([xp.sum(Y_bar * X[:, j : j + m]) for j in range(k)])
        return X_bar, w_bar

    return Y, pullback


@operation("(n),(n)->()", sizes={"tiny": {"n": 8}})
def smooth_hinge(xp, s, t):
    """Σ ½ max(1 − s t, 0)²."""
    h = xp.maximum(1 - s * t, 0)

    def pullback(f_bar):
        return -f_bar * h * t, -f_bar * h * s

    return xp.sum(h * h) / 2, pullback
