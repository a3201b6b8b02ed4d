"""Implementations with forward mode and vmap of their own: right ones, and one wrong one for each usual mistake.

Forward and backward passes are right in all of them.
"""

from multigrad import operation


@operation("(b,n),(n)->(b,n)", sizes={"tiny": {"b": 3, "n": 4}})
def scaled_tanh(xp, x, w):
    """y = tanh(x) ∘ w."""
    return xp.tanh(x) * w


@scaled_tanh.pushforward
def _(xp, x, w, x_dot, w_dot):
    """ẏ = (1 − t²) ∘ w ∘ ẋ + t ∘ ẇ with t = tanh x."""
    t = xp.tanh(x)
    return (1 - t * t) * w * x_dot + t * w_dot


@operation("(n,n),(n,n)->(n,n)", sizes={"tiny": {"n": 3}})
def relu_layer(xp, X, W):
    """Y = max(XW, 0)."""
    return xp.maximum(X @ W, 0)


@relu_layer.pushforward
def _(xp, X, W, X_dot, W_dot):
    """Ẏ = [XW > 0] ∘ (ẊW + XẆ)."""
    return xp.astype(X @ W > 0, X.dtype) * (X_dot @ W + X @ W_dot)


def torch_tanh(rule, x, w):
    import torch

    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            ctx.save_for_forward(x, w)
            return torch.tanh(x) * w

        @staticmethod
        def backward(ctx, y_bar):
            x, w = ctx.saved_tensors
            t = torch.tanh(x)
            return y_bar * (1 - t * t) * w, (y_bar * t).sum(0)

        @staticmethod
        def jvp(ctx, x_dot, w_dot):
            x, w = ctx.saved_tensors
            return rule(torch.tanh(x), w, x_dot, w_dot)

    return Scaled.apply(x, w)


def torch_relu(rule, X, W):
    import torch

    class Layer(torch.autograd.Function):
        @staticmethod
        def forward(X, W):
            return torch.clamp(X @ W, min=0)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, Y_bar):
            X, W = ctx.saved_tensors
            S = Y_bar * (X @ W > 0)
            return S @ W.T, X.T @ S

        @staticmethod
        def jvp(ctx, X_dot, W_dot):
            X, W = ctx.saved_tensors
            return rule((X @ W > 0).to(X.dtype), X, W, X_dot, W_dot)

    return Layer.apply(X, W)


def jax_tanh(rule, x, w):
    import jax
    import jax.numpy as jnp

    @jax.custom_jvp
    def scaled(x, w):
        return jnp.tanh(x) * w

    @scaled.defjvp
    def _(primals, tangents):
        x, w = primals
        return scaled(x, w), rule(jnp.tanh(x), w, *tangents)

    return scaled(x, w)


@scaled_tanh.implementation("torch")
def torch_right(x, w):
    return torch_tanh(lambda t, w, x_dot, w_dot: (1 - t * t) * w * x_dot + t * w_dot, x, w)


@relu_layer.implementation("torch")
def torch_layer(X, W):
    return torch_relu(lambda mask, X, W, X_dot, W_dot: mask * (X_dot @ W + X @ W_dot), X, W)


@scaled_tanh.implementation("jax")
def jax_right(x, w):
    return jax_tanh(lambda t, w, x_dot, w_dot: (1 - t * t) * w * x_dot + t * w_dot, x, w)


@scaled_tanh.implementation("torch")
def torch_factor(x, w):
    return torch_tanh(lambda t, w, x_dot, w_dot: 2 * ((1 - t * t) * w * x_dot + t * w_dot), x, w)


@scaled_tanh.implementation("torch")
def torch_sign(x, w):
    return torch_tanh(lambda t, w, x_dot, w_dot: -(1 - t * t) * w * x_dot + t * w_dot, x, w)


@scaled_tanh.implementation("torch")
def torch_ignored(x, w):
    return torch_tanh(lambda t, w, x_dot, w_dot: (1 - t * t) * w * x_dot, x, w)


@scaled_tanh.implementation("torch")
def torch_not_squared(x, w):
    return torch_tanh(lambda t, w, x_dot, w_dot: (1 - t) * w * x_dot + t * w_dot, x, w)


@relu_layer.implementation("torch")
def torch_unmasked(X, W):
    return torch_relu(lambda mask, X, W, X_dot, W_dot: X_dot @ W + X @ W_dot, X, W)


@relu_layer.implementation("torch")
def torch_transposed(X, W):
    return torch_relu(lambda mask, X, W, X_dot, W_dot: mask * (X_dot @ W.T + X @ W_dot), X, W)


@relu_layer.implementation("torch")
def torch_swapped(X, W):
    return torch_relu(lambda mask, X, W, X_dot, W_dot: mask * (W_dot @ W + X @ X_dot), X, W)


@scaled_tanh.implementation("jax")
def jax_lost_factor(x, w):
    return jax_tanh(lambda t, w, x_dot, w_dot: (1 - t * t) * x_dot + t * w_dot, x, w)


@scaled_tanh.implementation("jax")
def jax_lost_term(x, w):
    return jax_tanh(lambda t, w, x_dot, w_dot: w * x_dot + t * w_dot, x, w)


@scaled_tanh.implementation("jax")
def jax_millionth(x, w):
    return jax_tanh(lambda t, w, x_dot, w_dot: 1.000001 * ((1 - t * t) * w * x_dot + t * w_dot), x, w)


def torch_vmapped(rule, x, w):
    import torch

    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(x, w):
            return torch.tanh(x) * w

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, y_bar):
            x, w = ctx.saved_tensors
            t = torch.tanh(x)
            return y_bar * (1 - t * t) * w, (y_bar * t).sum(-2)

        @staticmethod
        def vmap(info, in_dims, x, w):
            x, w = (a.movedim(d, 0) if d is not None else a[None] for a, d in zip((x, w), in_dims, strict=True))
            return rule(Scaled.apply, x, w), 0

    return Scaled.apply(x, w)


def jax_vmapped(rule, x, w):
    import jax
    import jax.numpy as jnp

    @jax.custom_batching.custom_vmap
    def value(x, w):
        return jnp.tanh(x) * w

    @value.def_vmap
    def _(size, batched, x, w):
        x, w = (a if b else jnp.broadcast_to(a, (size, *a.shape)) for a, b in zip((x, w), batched, strict=True))
        return rule(lambda x, w: jnp.tanh(x) * w, x, w), True

    @jax.custom_vjp  # JAX differentiates no custom_vmap backwards
    def scaled(x, w):
        return value(x, w)

    def backward(inputs, y_bar):
        x, w = inputs
        t = jnp.tanh(x)
        return y_bar * (1 - t * t) * w, (y_bar * t).sum(0)

    scaled.defvjp(lambda x, w: (value(x, w), (x, w)), backward)
    return scaled(x, w)


@scaled_tanh.implementation("torch")
def torch_vmap_right(x, w):
    return torch_vmapped(lambda f, x, w: f(x, w[:, None, :]), x, w)


@scaled_tanh.implementation("torch")
def torch_vmap_first(x, w):
    return torch_vmapped(lambda f, x, w: f(x, w[:1, None, :]), x, w)


@scaled_tanh.implementation("torch")
def torch_vmap_reversed(x, w):
    return torch_vmapped(lambda f, x, w: f(x, w[:, None, :]).flip(0), x, w)


@scaled_tanh.implementation("torch")
def torch_vmap_mean(x, w):
    return torch_vmapped(lambda f, x, w: f(x, w.mean(0)), x, w)


@scaled_tanh.implementation("jax")
def jax_vmap_right(x, w):
    return jax_vmapped(lambda f, x, w: f(x, w[:, None, :]), x, w)


@scaled_tanh.implementation("jax")
def jax_vmap_other_axis(x, w):
    return jax_vmapped(lambda f, x, w: f(x, w[:, :, None][:, : x.shape[1]]), x, w)


@scaled_tanh.implementation("jax")
def jax_vmap_repeated(x, w):
    return jax_vmapped(lambda f, x, w: 0 * x + f(x, w[:, None, :])[:1], x, w)


WRONG_JVP = {
    "torch_factor": "a factor of 2",
    "torch_sign": "the sign of one term",
    "torch_ignored": "the tangent of one input is ignored",
    "torch_not_squared": "a square is missing",
    "torch_unmasked": "a mask is missing",
    "torch_transposed": "a transpose too many",
    "torch_swapped": "two tangents are exchanged",
    "jax_lost_factor": "a factor is missing",
    "jax_lost_term": "a term is missing",
    "jax_millionth": "off by a millionth",
}
"""Implementations with a wrong rule of forward mode, and what is wrong."""

WRONG_VMAP = {
    "torch_vmap_first": "every item gets the weights of the first",
    "torch_vmap_reversed": "the items come back in reverse",
    "torch_vmap_mean": "every item gets the mean of the weights",
    "jax_vmap_other_axis": "the weights go along another axis",
    "jax_vmap_repeated": "every item gets the value of the first",
}
"""Implementations with a wrong rule of vmap, and what is wrong."""

RIGHT = ("torch_right", "torch_layer", "jax_right", "torch_vmap_right", "jax_vmap_right")
