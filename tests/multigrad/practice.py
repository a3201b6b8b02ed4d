"""Operations as a person would write them, that no diagnosis and no repair was tuned on."""

from multigrad import operation


@operation(
    "(n,c),(n)->()",
    nondifferentiable=["y"],
    inputs=lambda draw, n, c: [draw(n, c), draw.labels(c, n)],
    sizes={"tiny": {"n": 4, "c": 3}},
)
def softmax_cross_entropy(xp, X, y):
    """Mean over a batch of −log softmax(X)[y]."""
    n, c = X.shape
    onehot = xp.astype(y[:, None] == xp.arange(c)[None, :], X.dtype)
    shifted = X - xp.max(X, axis=1, keepdims=True)
    E = xp.exp(shifted)
    S = xp.sum(E, axis=1, keepdims=True)
    P = E / S

    def pullback(f_bar):
        return f_bar * (P - onehot) / n

    return xp.sum(onehot * (xp.log(S) - shifted)) / n, pullback


@operation("(n,d),(d),(d)->(n,d)", sizes={"tiny": {"n": 3, "d": 5}})
def layer_norm(xp, X, g, b):
    """Rows made of mean 0 and variance 1, scaled and shifted."""
    mean = xp.mean(X, axis=1, keepdims=True)
    centred = X - mean
    s = xp.sqrt(xp.mean(centred * centred, axis=1, keepdims=True) + 1e-5)
    H = centred / s

    def pullback(Y_bar):
        H_bar = Y_bar * g
        inner = H_bar - xp.mean(H_bar, axis=1, keepdims=True) - H * xp.mean(H_bar * H, axis=1, keepdims=True)
        return inner / s, xp.sum(Y_bar * H, axis=0), xp.sum(Y_bar, axis=0)

    return g * H + b, pullback


@operation("(n,d),(d),(n)->()", sizes={"tiny": {"n": 6, "d": 4}})
def logistic_regression(xp, X, w, t):
    """Σ log(1 + exp(Xw)) − t·Xw."""
    z = X @ w

    def pullback(f_bar):
        p = 1 / (1 + xp.exp(-z))
        z_bar = f_bar * (p - t)
        return z_bar[:, None] * w[None, :], xp.matrix_transpose(X) @ z_bar, -f_bar * z

    return xp.sum(xp.log1p(xp.exp(z)) - t * z), pullback


@operation("(n,n),(n)->()", sizes={"tiny": {"n": 4}})
def quadratic_form(xp, A, x):
    """xᵀAx."""

    def pullback(f_bar):
        return f_bar * x[:, None] * x[None, :], f_bar * (A @ x + xp.matrix_transpose(A) @ x)

    return x @ A @ x, pullback


@operation("(m,n),(n),(m)->()", sizes={"tiny": {"m": 5, "n": 3}})
def least_squares(xp, A, x, b):
    """½‖Ax − b‖²."""
    r = A @ x - b

    def pullback(f_bar):
        r_bar = f_bar * r
        return r_bar[:, None] * x[None, :], xp.matrix_transpose(A) @ r_bar, -r_bar

    return xp.sum(r * r) / 2, pullback


@operation("(n,d),(m,d),(m,k)->(n,k)", sizes={"tiny": {"n": 3, "d": 4, "m": 5, "k": 2}})
def attention(xp, Q, K, V):
    """softmax(QKᵀ/√d) V."""
    T = xp.matrix_transpose
    scale = Q.shape[1] ** -0.5
    S = scale * (Q @ T(K))
    E = xp.exp(S - xp.max(S, axis=-1, keepdims=True))
    P = E / xp.sum(E, axis=-1, keepdims=True)

    def pullback(O_bar):
        P_bar = O_bar @ T(V)
        S_bar = P * (P_bar - xp.sum(P_bar * P, axis=-1, keepdims=True))
        return scale * (S_bar @ K), scale * (T(S_bar) @ Q), T(P) @ O_bar

    return P @ V, pullback


@operation("(n),(n),(n)->()", sizes={"tiny": {"n": 5}})
def gaussian_nll(xp, x, mu, s):
    """Σ ½(x − μ)² e^(−s) + ½ s, with s the logarithm of the variance."""
    d = x - mu
    w = xp.exp(-s)

    def pullback(f_bar):
        x_bar = f_bar * d * w
        return x_bar, -x_bar, f_bar * (1 - d * d * w) / 2

    return xp.sum(d * d * w + s) / 2, pullback


@operation("(b,m),(m,n),(b,n)->(b)", sizes={"tiny": {"b": 3, "m": 4, "n": 5}})
def bilinear(xp, X, W, Y):
    """xᵀWy for each pair of a batch."""
    T = xp.matrix_transpose
    XW = X @ W

    def pullback(f_bar):
        F = f_bar[:, None]
        return (F * Y) @ T(W), T(X) @ (F * Y), F * XW

    return xp.sum(XW * Y, axis=1), pullback


@operation("(n),(n)->()", sizes={"tiny": {"n": 9}})
def huber(xp, x, y):
    """Σ of ½d² where |d| ≤ 1 and |d| − ½ elsewhere."""
    d = x - y
    a = xp.abs(d)

    def pullback(f_bar):
        x_bar = f_bar * xp.where(a <= 1, d, xp.sign(d))
        return x_bar, -x_bar

    return xp.sum(xp.where(a <= 1, d * d / 2, a - 0.5)), pullback


@operation("(n,d),(n,d)->(n)", sizes={"tiny": {"n": 3, "d": 4}})
def cosine_similarity(xp, X, Y):
    """⟨x, y⟩ / (‖x‖‖y‖), row by row."""
    a = xp.sqrt(xp.sum(X * X, axis=1, keepdims=True))
    b = xp.sqrt(xp.sum(Y * Y, axis=1, keepdims=True))
    U = X / a
    V = Y / b
    c = xp.sum(U * V, axis=1, keepdims=True)

    def pullback(c_bar):
        C = c_bar[:, None]
        return C * (V - c * U) / a, C * (U - c * V) / b

    return c[:, 0], pullback


@operation("(n,d)->(n,d)", sizes={"tiny": {"n": 3, "d": 4}})
def l2_normalize(xp, X):
    """x / ‖x‖, row by row."""
    r = xp.sqrt(xp.sum(X * X, axis=-1, keepdims=True))
    Y = X / r

    def pullback(Y_bar):
        return (Y_bar - Y * xp.sum(Y * Y_bar, axis=-1, keepdims=True)) / r

    return Y, pullback


@operation("(n,d),(d,h),(h,k)->(n,k)", sizes={"tiny": {"n": 4, "d": 3, "h": 5, "k": 2}})
def two_layers(xp, X, W, V):
    """tanh(max(XW, 0)) V."""
    T = xp.matrix_transpose
    Z = X @ W
    H = xp.tanh(xp.maximum(Z, 0))

    def pullback(Y_bar):
        H_bar = Y_bar @ T(V)
        Z_bar = xp.where(Z > 0, H_bar * (1 - H * H), 0)
        return Z_bar @ T(W), T(X) @ Z_bar, T(H) @ Y_bar

    return H @ V, pullback
