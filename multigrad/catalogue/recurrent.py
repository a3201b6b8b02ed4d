"""Recurrent networks: GradBench's diagonal LSTM over a text, and the cells that a layer is made of.

Every sigmoid is written σ(z) = ½ + ½ tanh(z/2), which overflows nowhere; its error is a rounding of 1, also where σ is
tiny.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..data.errors import BadInput
from ..extra.recurrence import scan
from ..ops.draw import Draw
from ..ops.operation import operation

if TYPE_CHECKING:
    import numpy as np


def _text(draw: Draw, l: int, b: int, c: int) -> list[np.ndarray]:  # noqa: E741
    # With weights like these the state forgets; with weights of 3 a rounding error may grow with every character.
    return [0.5 * draw(l, 2, 4, b), draw(3, b), draw(l, 2, b), 1.0 * draw.labels(2, c, b)]


@operation(
    "(l,2,4,b),(3,b),(l,2,b),(c,b)->()",
    nondifferentiable=("X",),
    inputs=_text,
    sizes={
        "tiny": {"l": 2, "b": 2, "c": 4},
        "deep": {"l": 3, "b": 1, "c": 3},
        "small": {"l": 2, "b": 14, "c": 16},
        "medium": {"l": 2, "b": 14, "c": 256},
        "l2_c1024": {"l": 2, "b": 14, "c": 1024},
        "l4_c1024": {"l": 4, "b": 14, "c": 1024},
        "l6_c1024": {"l": 6, "b": 14, "c": 1024},
        "l2_c4096": {"l": 2, "b": 14, "c": 4096},
        "l4_c4096": {"l": 4, "b": 14, "c": 4096},
        "l6_c4096": {"l": 6, "b": 14, "c": 4096},
        "l2_c8192": {"l": 2, "b": 14, "c": 8192},
        "l4_c8192": {"l": 4, "b": 14, "c": 8192},
        "l6_c8192": {"l": 6, "b": 14, "c": 8192},
    },
    dtypes=("float64", "float32"),
)
def lstm(xp: Any, W: Any, V: Any, S: Any, X: Any) -> Any:
    """Loss per character of GradBench's LSTM, whose weight matrices are diagonal, as it predicts a text.

    Character t of the text is the row X_t of b bits; it enters the first of l layers as x = V₀∘X_t. A layer keeps a
    hidden state h and a cell state k, and has weights w = W[i,0] and biases v = W[i,1], of four rows each:

        f = σ(w₀∘x + v₀),  i = σ(w₁∘h + v₁),  o = σ(w₂∘x + v₂),  g = tanh(w₃∘h + v₃)
        k ← f∘k + i∘g,  h ← o∘tanh(k);  h is the x of the next layer, and of the last one y_t = V₁∘h + V₂

        L = −Σ_{t<c−1} ⟨X_{t+1}, y_t − λ_t⟩ / (b (c − 1))  with  λ_t = log(2 + Σ exp y_t)

    The state begins as (h, k) = S[i] and carries over from character to character. Note the 2 in λ, which GradBench has
    from ADBench. With p_t = exp(y_t − λ_t):

        ȳ_t = L̄ (p_t ΣX_{t+1} − X_{t+1}) / (b (c − 1)),  V̄₁ = Σ ȳ_t∘h_t,  V̄₂ = Σ ȳ_t;  V₁∘ȳ_t goes to the last layer's h̄

    and through a layer, with k̂ = k̄ + h̄∘o∘(1 − tanh²k) and k⁻, h⁻ for the state before:

        z̄₀ = k̂∘k⁻∘f(1 − f),  z̄₁ = k̂∘g∘i(1 − i),  z̄₂ = h̄∘tanh(k)∘o(1 − o),  z̄₃ = k̂∘i∘(1 − g²)
        x̄ = w₀∘z̄₀ + w₂∘z̄₂,  h̄⁻ = w₁∘z̄₁ + w₃∘z̄₃,  k̄⁻ = f∘k̂;  w̄ = Σ z̄∘(x or h⁻),  v̄ = Σ z̄

    Memory: the gates and states of every character are kept; JAX's autodiff needs 0.9 of it.

    Source: A. Graves, Supervised Sequence Labelling with Recurrent Neural Networks (2012), section 4.6, with diagonal
    matrices and without peepholes; the objective is GradBench's ``lstm`` (ADBench's, Šrajer, Kukelova, Fitzgibbon
    2018). Smooth: there is no kink.
    """
    l, _, _, b = W.shape  # noqa: E741
    c = X.shape[0]
    if min(l, b) < 1 or c < 2:
        raise BadInput(f"{l} layers of {b} bits and {c} characters; wanted a layer, a bit, and a character to predict")
    half_w, half_v = _halved(xp, W)
    steps = c + l - 2
    moving = xp.tril(xp.broadcast_to(xp.ones_like(V[:1, :1]), (steps, l)))[:, :, None]
    entering = xp.concat([X[:-1, :] * V[0, :], _nothing(xp, V, l - 1)], axis=0)[:, None, :]
    h, *kept = _forwards(xp, half_w, half_v, S, entering, moving > 0)
    # The outputs of the last layer are those of the steps that all layers take part in.
    top = h[l - 1 :, l - 1, :]
    y = V[1, :] * top + V[2, :]
    highest = xp.maximum(xp.max(y, axis=1, keepdims=True), 0)
    e = xp.exp(y - highest)
    total = 2 * xp.exp(-highest) + xp.sum(e, axis=1, keepdims=True)
    wanted = X[1:, :]
    bits = xp.sum(wanted, axis=1, keepdims=True)

    def pullback(L_bar: Any) -> Any:
        y_bar = (L_bar / (b * (c - 1))) * (bits * (e / total) - wanted)
        V12_bar = xp.stack([xp.sum(y_bar * top, axis=0), xp.sum(y_bar, axis=0)])
        W_bar, x_bar, S_bar = _backwards(xp, V, half_w, kept, moving, y_bar)
        V_bar = xp.concat([xp.sum(x_bar * X[:-1, :], axis=0)[None, :], V12_bar], axis=0)
        return xp.permute_dims(W_bar, (2, 0, 1, 3)), V_bar, S_bar

    return (xp.sum(bits * (highest + xp.log(total))) - xp.sum(wanted * y)) / (b * (c - 1)), pullback


def _halved(xp: Any, W: Any) -> tuple[Any, Any]:
    """Return w and v, (2, 2, l, b), as the arguments of tanh take them: halved for the three sigmoids."""
    l, _, _, b = W.shape  # noqa: E741
    w, v = (
        xp.reshape(
            xp.stack([0.5 * W[:, n, 0, :], 0.5 * W[:, n, 1, :], 0.5 * W[:, n, 2, :], W[:, n, 3, :]]), (2, 2, l, b)
        )
        for n in (0, 1)
    )
    return w, v


def _nothing(xp: Any, V: Any, *shape: int) -> Any:
    """Return zeros, (…, b). Made of V, they are where V is."""
    return xp.broadcast_to(xp.zeros_like(V[0, :]), (*shape, V.shape[1]))


def _forwards(xp: Any, half_w: Any, half_v: Any, S: Any, entering: Any, moves: Any) -> tuple[Any, ...]:
    """Run the layers over the text and return h, (x, h⁻), the tanh of the gates, k and tanh k after every step.

    Layer i is i characters behind the first one: in one step all layers move, each by a character of its own; and in
    the first steps, of which the layers above have not heard yet, those stay where they are.
    """
    _, _, l, b = half_w.shape  # noqa: E741

    def step(state: Any, x: Any) -> tuple[Any, Any]:
        (h, k), (x, moves) = state, x
        Q = xp.reshape(xp.concat([x, h[:-1, :], h], axis=0), (2, l, b))
        G = xp.tanh(half_w * Q + half_v)
        gates = 0.5 * G + 0.5
        new = xp.where(moves, gates[0, 0, ...] * k + gates[0, 1, ...] * G[1, 1, ...], k)
        T = xp.tanh(new)
        h = xp.where(moves, gates[1, 0, ...] * T, h)
        return (h, new), (h, Q, G, k, T)

    _, outputs = scan(xp, step, (S[:, 0, :], S[:, 1, :]), (entering, moves))
    return tuple(outputs)


def _backwards(xp: Any, V: Any, half_w: Any, kept: Any, moving: Any, y_bar: Any) -> tuple[Any, Any, Any]:
    """Go back through the steps and return W̄, (2, 4, l, b), the x̄ of the first layer, and S̄.

    ``kept`` is what :func:`_forwards` returns after h; ``moving`` is one where a layer moves in a step, else zero.
    """
    Q, G, k, T = kept
    steps, (_, _, l, b) = moving.shape[0], half_w.shape  # noqa: E741
    slopes = xp.reshape(moving, (steps, 1, 1, l, 1)) * (1 - G * G)
    gates = 0.5 * G + 0.5
    # From k̂ (and, in the third, from h̄) to the four arguments of tanh.
    N = xp.reshape(xp.stack([0.5 * k, 0.5 * G[:, 1, 1, ...], 0.5 * T, gates[:, 0, 1, ...]], axis=1), slopes.shape)
    N = N * slopes
    J = half_w * N
    P = gates[:, 1, 0, ...] * (1 - T * T)
    # Backwards a step is linear: from (h̄, k̄) to what goes to h, k and x of the step, as two rows of three factors.
    to_h, to_k, to_x = J[:, 0, 1, ...] + J[:, 1, 1, ...], gates[:, 0, 0, ...], J[:, 0, 0, ...]
    factors = xp.stack([to_h * P, to_k * P, to_x * P + J[:, 1, 0, ...], to_h, to_k, to_x], axis=1)
    first, cotangents = _steps_back(xp, V, xp.reshape(factors, (steps, 2, 3, l, b)), y_bar)
    # What layer i was given to begin with is met by its cotangent i steps after that of the first layer.
    S_bar = xp.stack([first[:, 0, :], *(cotangents[i - 1, :, i, :] for i in range(1, l))], axis=0)
    h_bar, k_hat = cotangents[:, 0, ...], cotangents[:, 1, ...] + P * cotangents[:, 0, ...]
    Z_bar = N * xp.reshape(xp.stack([k_hat, k_hat, h_bar, k_hat], axis=1), N.shape)
    # A product with ones: compilers are slower at sums over the first axis.
    ones = xp.ones_like(moving[:, 0, 0])
    sums = [ones @ xp.reshape(of, (steps, 4 * l * b)) for of in (Z_bar * Q[:, None, ...], Z_bar)]
    W_bar = xp.reshape(xp.stack(sums), (2, 4, l, b))
    W_bar = xp.concat([0.5 * W_bar[:, :3, ...], W_bar[:, 3:, ...]], axis=1)
    from_x = Z_bar[: y_bar.shape[0], :, 0, 0, :] * half_w[:, 0, 0, :]
    return W_bar, from_x[:, 0, :] + from_x[:, 1, :], S_bar


def _steps_back(xp: Any, V: Any, factors: Any, y_bar: Any) -> tuple[Any, Any]:
    """Run the steps backwards; return the (h̄, k̄) that is left at the beginning, and that which came to every step."""
    steps, _, _, l, b = factors.shape  # noqa: E741
    h_top = V[1, :] * y_bar
    arriving = xp.concat([_nothing(xp, V, l), h_top[:-1, :]], axis=0)[:, None, :]
    arriving = xp.concat([arriving, _nothing(xp, V, steps, l)], axis=1)

    def step_back(cotangent: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        factor, arrives = now
        both = factor * cotangent[:, None, :, :]
        R = both[0, ...] + both[1, ...]
        passed = xp.concat([R[2, 1:, :], arrives], axis=0)
        return R[:2, ...] + xp.reshape(passed, (2, l, b)), cotangent

    last = xp.concat([_nothing(xp, V, l - 1), h_top[-1:, :], _nothing(xp, V, l)], axis=0)
    first, cotangents = scan(xp, step_back, xp.reshape(last, (2, l, b)), (factors, arriving), reverse=True)
    return first, cotangents


@operation(
    "(n,d),(n,h),(n,h),(4,h,d),(4,h,h),(4,h)->(n,h),(n,h)",
    sizes={
        "tiny": {"n": 3, "d": 1, "h": 2},
        "small": {"n": 32, "d": 48, "h": 64},
        "medium": {"n": 64, "d": 128, "h": 256},
        "large": {"n": 128, "d": 512, "h": 1024},
    },
    # Through two saturating functions the bounds of 8 bits are too wide to judge anything.
    dtypes=("float64", "float32"),
)
def lstm_cell(xp: Any, X: Any, H: Any, C: Any, W: Any, U: Any, B: Any) -> Any:
    """One step of a layer of long short-term memory, for a batch of n: the next hidden state and the next cell state.

    Z_j = X W_jᵀ + H U_jᵀ + B_j for the gates j = 0 … 3, in PyTorch's order: input, forget, change, output.

        i = σ(Z₀),  f = σ(Z₁),  g = tanh(Z₂),  o = σ(Z₃);   C′ = f∘C + i∘g,  H′ = o∘tanh(C′)

    With Ĉ = C̄′ + H̄′∘o∘(1 − tanh²C′):

        Z̄₀ = Ĉ∘g∘i(1 − i),  Z̄₁ = Ĉ∘C∘f(1 − f),  Z̄₂ = Ĉ∘i∘(1 − g²),  Z̄₃ = H̄′∘tanh(C′)∘o(1 − o)
        X̄ = Σ_j Z̄_j W_j,  H̄ = Σ_j Z̄_j U_j,  C̄ = Ĉ∘f,  W̄_j = Z̄_jᵀ X,  Ū_j = Z̄_jᵀ H,  B̄_j = Σₙ Z̄_j

    The two biases of PyTorch's cell only appear as their sum, B.

    Memory: the gates are kept until the pullback returns, where eager autograd frees them on its way and needs 0.9 of
    it.

    Source: F. Gers, J. Schmidhuber and F. Cummins, Learning to forget: continual prediction with LSTM (2000), eq. 2.1
    to 2.6 without the output's squashing; the chain rule. Smooth: there is no kink.
    """
    T = xp.matrix_transpose
    h = H.shape[1]
    rows, columns = xp.reshape(W, (4 * h, X.shape[1])), xp.reshape(U, (4 * h, h))
    Z = X @ T(rows) + H @ T(columns) + xp.reshape(B, (4 * h,))
    i, f = _sigmoid(xp, Z[:, :h]), _sigmoid(xp, Z[:, h : 2 * h])
    g, o = xp.tanh(Z[:, 2 * h : 3 * h]), _sigmoid(xp, Z[:, 3 * h :])
    new = f * C + i * g
    t = xp.tanh(new)

    def pullback(H_bar: Any, C_bar: Any) -> Any:
        C_hat = C_bar + H_bar * (o * (1 - t * t))
        Z_bar = xp.concat(
            [
                C_hat * g * (i * (1 - i)),
                C_hat * C * (f * (1 - f)),
                C_hat * i * (1 - g * g),
                H_bar * t * (o * (1 - o)),
            ],
            axis=1,
        )
        return (
            Z_bar @ rows,
            Z_bar @ columns,
            C_hat * f,
            xp.reshape(T(Z_bar) @ X, W.shape),
            xp.reshape(T(Z_bar) @ H, U.shape),
            xp.reshape(xp.sum(Z_bar, axis=0), B.shape),
        )

    return (o * t, new), pullback


@operation(
    "(n,d),(n,h),(3,h,d),(3,h,h),(3,h),(3,h)->(n,h)",
    sizes={
        "tiny": {"n": 3, "d": 1, "h": 2},
        "small": {"n": 32, "d": 48, "h": 64},
        "medium": {"n": 64, "d": 128, "h": 256},
        "large": {"n": 128, "d": 512, "h": 1024},
    },
    # Through two saturating functions the bounds of 8 bits are too wide to judge anything.
    dtypes=("float64", "float32"),
)
def gru_cell(xp: Any, X: Any, H: Any, W: Any, U: Any, B: Any, A: Any) -> Any:
    """One step of a layer of gated recurrent units, for a batch of n: the next hidden state.

    P_j = X W_jᵀ + B_j and Q_j = H U_jᵀ + A_j for j = 0, 1, 2, in PyTorch's order: reset, update, new.

        r = σ(P₀ + Q₀),  z = σ(P₁ + Q₁),  m = tanh(P₂ + r∘Q₂);   H′ = (1 − z)∘m + z∘H

        P̄₂ = H̄′∘(1 − z)∘(1 − m²),  Q̄₂ = P̄₂∘r,  P̄₀ = Q̄₀ = P̄₂∘Q₂∘r(1 − r),  P̄₁ = Q̄₁ = H̄′∘(H − m)∘z(1 − z)
        X̄ = Σ_j P̄_j W_j,  H̄ = H̄′∘z + Σ_j Q̄_j U_j,  W̄_j = P̄_jᵀ X,  Ū_j = Q̄_jᵀ H,  B̄_j = Σₙ P̄_j,  Ā_j = Σₙ Q̄_j

    Source: K. Cho et al., Learning phrase representations using RNN encoder–decoder (2014), eq. 5 to 8, with the reset
    gate after the product, as cuDNN and PyTorch have it; the chain rule. Smooth: there is no kink.
    """
    T = xp.matrix_transpose
    h = H.shape[1]
    rows, columns = xp.reshape(W, (3 * h, X.shape[1])), xp.reshape(U, (3 * h, h))
    P = X @ T(rows) + xp.reshape(B, (3 * h,))
    Q = H @ T(columns) + xp.reshape(A, (3 * h,))
    gates = _sigmoid(xp, P[:, : 2 * h] + Q[:, : 2 * h])
    r, z = gates[:, :h], gates[:, h:]
    q = Q[:, 2 * h :]
    m = xp.tanh(P[:, 2 * h :] + r * q)

    def pullback(H_bar: Any) -> Any:
        m_bar = H_bar * (1 - z) * (1 - m * m)
        two = [m_bar * q * (r * (1 - r)), H_bar * (H - m) * (z * (1 - z))]
        P_bar, Q_bar = xp.concat([*two, m_bar], axis=1), xp.concat([*two, m_bar * r], axis=1)
        return (
            P_bar @ rows,
            Q_bar @ columns + H_bar * z,
            xp.reshape(T(P_bar) @ X, W.shape),
            xp.reshape(T(Q_bar) @ H, U.shape),
            xp.reshape(xp.sum(P_bar, axis=0), B.shape),
            xp.reshape(xp.sum(Q_bar, axis=0), A.shape),
        )

    return (1 - z) * m + z * H, pullback


def _sigmoid(xp: Any, z: Any) -> Any:
    return 0.5 * xp.tanh(0.5 * z) + 0.5
