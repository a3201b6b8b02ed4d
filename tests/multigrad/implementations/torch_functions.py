"""Functions and modules of torch, as people have them: each once right and once wrong."""

import torch

from multigrad import operation


@operation("(m,n)->(m,n)")
def leaky(xp, x):
    """Leaky ReLU, y = x for x > 0 and 0.1 x elsewhere."""
    return xp.where(x > 0, x, 0.1 * x)


class Leaky(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, inverted):
        ctx.save_for_backward(x)
        ctx.inverted = inverted
        return torch.where(x > 0, x, 0.1 * x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        mask = x <= 0 if ctx.inverted else x > 0
        return torch.where(mask, g, 0.1 * g), None


@leaky.implementation("torch")
def leaky_function(x):
    return Leaky.apply(x, False)


@leaky.implementation("torch")
def leaky_inverted(x):
    return Leaky.apply(x, True)


@operation("(m,n),(n,n)->(m,n)")
def square_layer(xp, x, W):
    """y = x Wᵀ."""
    return x @ xp.matrix_transpose(W)


class Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, W, transposed):
        ctx.save_for_backward(x, W)
        ctx.transposed = transposed
        return x @ W.T

    @staticmethod
    def backward(ctx, g):
        x, W = ctx.saved_tensors
        return g @ W, x.T @ g if ctx.transposed else g.T @ x, None


@square_layer.implementation("torch")
def linear_function(x, W):
    return Linear.apply(x, W, False)


@square_layer.implementation("torch")
def linear_transposed(x, W):
    return Linear.apply(x, W, True)


@operation("(m,n),(m,n)->()")
def mean_square(xp, x, y):
    """f = mean((x − y)²)."""
    return xp.mean((x - y) ** 2)


class MeanSquare(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y, divided):
        ctx.save_for_backward(x, y)
        ctx.divided = divided
        return ((x - y) ** 2).mean()

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        gradient = 2 * g * (x - y) / (x.numel() if ctx.divided else 1)
        return gradient, -gradient, None


@mean_square.implementation("torch")
def mean_square_function(x, y):
    return MeanSquare.apply(x, y, True)


@mean_square.implementation("torch")
def mean_square_undivided(x, y):
    return MeanSquare.apply(x, y, False)


class OverwritesItsInput(MeanSquare):
    @staticmethod
    def forward(ctx, x, y, divided):
        ctx.save_for_backward(x, y)
        ctx.divided = divided
        value = ((x - y) ** 2).mean()
        x.sub_(y)
        return value


@mean_square.implementation("torch")
def mean_square_in_place(x, y):
    return OverwritesItsInput.apply(x, y, True)


@operation("(m,n)->(m,n)")
def standardised(xp, x):
    """Rows less their mean, over their standard deviation, with ε = 10⁻⁵ beside the variance."""
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    return centred / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + 1e-5)


class Standardised(torch.nn.Module):
    def __init__(self, *, unbiased=False, eps=1e-5):
        super().__init__()
        self.unbiased, self.eps = unbiased, eps

    def forward(self, x):
        variance = x.var(-1, keepdim=True, unbiased=self.unbiased)
        return (x - x.mean(-1, keepdim=True)) * torch.rsqrt(variance + self.eps)


@standardised.implementation("torch")
def standardised_module(x):
    return Standardised()(x)


@standardised.implementation("torch")
def standardised_unbiased(x):
    return Standardised(unbiased=True)(x)


@standardised.implementation("torch")
def standardised_epsilon(x):
    return Standardised(eps=1e-6)(x)


@operation("(m,n)->(m,n)")
def tanh(xp, x):
    """y = tanh x."""
    return xp.tanh(x)


class Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.tanh(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * (1 - y * y)


class NoGradient(Tanh):
    @staticmethod
    def backward(ctx, g):
        return torch.zeros_like(g)


class InHalf(Tanh):
    @staticmethod
    def forward(ctx, x):
        return Tanh.forward(ctx, x.half()).to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        return Tanh.backward(ctx, g.half()).to(g.dtype)


@tanh.implementation("torch")
def tanh_function(x):
    return Tanh.apply(x)


@tanh.implementation("torch")
def tanh_no_gradient(x):
    return NoGradient.apply(x)


@tanh.implementation("torch")
def tanh_in_half(x):
    return InHalf.apply(x)
