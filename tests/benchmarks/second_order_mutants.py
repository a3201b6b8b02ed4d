"""Functions whose first derivative is right and whose second is wrong: edits of backward passes, as data.

Each function is written once for torch and JAX: ``m`` is ``torch`` or ``jax.numpy``, ``stop`` detaches. A mutant is one
edit of the text of a backward pass that leaves its value as it is.

``total`` and ``average`` sum and average along an axis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Written:
    """A function with a backward pass, as text."""

    shapes: Sequence[tuple[int, ...]]
    forward: str
    """The body of ``forward(m, *inputs)``."""
    backward: str
    """The body of ``backward(m, g, *inputs)``, which returns a tuple of gradients."""
    inputs: str


FUNCTIONS: Mapping[str, Written] = {
    "tanh": Written([(3, 4)], "return m.tanh(x)", "y = m.tanh(x); return (g * (1 - y * y),)", "x"),
    "silu": Written(
        [(3, 4)],
        "return x / (1 + m.exp(-x))",
        "s = 1 / (1 + m.exp(-x)); return (g * (s + x * s * (1 - s)),)",
        "x",
    ),
    "softplus": Written([(3, 4)], "return m.log(1 + m.exp(x))", "s = 1 / (1 + m.exp(-x)); return (g * s,)", "x"),
    "gelu": Written(
        [(3, 4)],
        "return 0.5 * x * (1 + m.tanh(0.75 * (x + 0.044715 * x * x * x)))",
        "t = m.tanh(0.75 * (x + 0.044715 * x * x * x)); s = 1 + 0.134145 * x * x; "
        "return (0.5 * g * (1 + t + 0.75 * x * s * (1 - t * t)),)",
        "x",
    ),
    "product": Written([(3, 4), (3, 4)], "return m.sin(x) * w", "return (g * m.cos(x) * w, g * m.sin(x))", "x, w"),
    "matmul": Written([(3, 4), (4, 4)], "return x @ w", "return (g @ w.mT, x.mT @ g)", "x, w"),
    "rms_norm": Written(
        [(3, 4), (4,)],
        "return x / m.sqrt(average(x * x, -1)[:, None] + 1e-5) * w",
        "r = 1 / m.sqrt(average(x * x, -1)[:, None] + 1e-5); n = x * r; u = g * w; "
        "return (r * (u - n * average(u * n, -1)[:, None]), total(g * n, 0))",
        "x, w",
    ),
    "layer_norm": Written(
        [(3, 5)],
        "c = x - average(x, -1)[:, None]; return c / m.sqrt(average(c * c, -1)[:, None] + 1e-5)",
        "c = x - average(x, -1)[:, None]; r = 1 / m.sqrt(average(c * c, -1)[:, None] + 1e-5); n = c * r; "
        "return (r * (g - average(g, -1)[:, None] - n * average(g * n, -1)[:, None]),)",
        "x",
    ),
    "softmax": Written(
        [(3, 4)],
        "e = m.exp(x); return e / total(e, -1)[:, None]",
        "e = m.exp(x); p = e / total(e, -1)[:, None]; return (p * (g - total(g * p, -1)[:, None]),)",
        "x",
    ),
    "logsumexp": Written(
        [(3, 4)],
        "return m.log(total(m.exp(x), -1))",
        "e = m.exp(x); p = e / total(e, -1)[:, None]; return (g[:, None] * p,)",
        "x",
    ),
    "l2_normalise": Written(
        [(3, 4)],
        "return x / m.sqrt(total(x * x, -1))[:, None]",
        "n = m.sqrt(total(x * x, -1))[:, None]; y = x / n; return ((g - y * total(g * y, -1)[:, None]) / n,)",
        "x",
    ),
    "attention": Written(
        [(3, 4), (5, 4), (5, 2)],
        "e = m.exp(q @ k.mT); return (e / total(e, -1)[:, None]) @ v",
        "e = m.exp(q @ k.mT); p = e / total(e, -1)[:, None]; t = g @ v.mT; "
        "s = p * (t - total(t * p, -1)[:, None]); return (s @ k, s.mT @ q, p.mT @ g)",
        "q, k, v",
    ),
    "quadratic": Written(
        [(4,), (4, 4)],
        "return total(x * (a @ x), 0)",
        "return (g * ((a + a.mT) @ x), g * x[:, None] * x[None, :])",
        "x, a",
    ),
}
"""The functions, by name."""

MUTANTS: Sequence[tuple[str, str, str, str]] = (
    ("tanh", "y * y", "stop(y * y)", "the saved output is detached"),
    ("tanh", "y * y", "stop(y) * y", "one of two factors is detached"),
    ("tanh", "g * (1 - y * y)", "scaled(g * (1 - y * y), 2)", "a factor 2"),
    ("tanh", "1 - y * y", "scaled(1 - y * y, -1)", "the sign"),
    ("silu", "s * (1 - s)", "stop(s * (1 - s))", "the slope of the sigmoid is detached"),
    ("silu", "x * s", "stop(x) * s", "a factor is detached"),
    ("silu", "(s + ", "(stop(s) + ", "a term is detached"),
    ("silu", "x * s", "scaled(x, 2) * s", "one term counts twice"),
    ("softplus", "g * s", "g * stop(s)", "the slope is detached: no second derivative"),
    ("softplus", "g * s", "stop(g) * s", "the cotangent is detached"),
    ("softplus", "g * s", "g * scaled(s, 0.5)", "half of the second derivative"),
    (
        "gelu",
        "0.044715 * x * x * x",
        "instead(0.044715 * x * x * x, 0.0447 * x * x * x)",
        "a constant with three digits",
    ),
    ("gelu", "0.134145 * x * x", "scaled(0.134145 * x * x, 1.0005)", "a slope in half precision"),
    ("gelu", "0.75 * x * s", "0.75 * x * stop(s)", "a term of order x² is dropped"),
    ("tanh", "y * y", "scaled(y, 1.0002) * y", "a slope that is off by 2·10⁻⁴"),
    ("product", "m.cos(x) * w", "m.cos(x) * stop(w)", "a cross-term is dropped"),
    ("product", "g * m.sin(x)", "g * m.sin(stop(x))", "the other cross-term is dropped"),
    ("product", "m.cos(x)", "stop(m.cos(x))", "a residual is detached"),
    ("product", "m.cos(x)", "instead(m.cos(x), m.sin(x))", "cos is differentiated as sin"),
    ("product", "g * m.cos(x)", "stop(g) * m.cos(x)", "the cotangent is detached in one gradient"),
    ("matmul", "g @ w.mT", "g @ stop(w).mT", "a weight from ctx without a graph"),
    ("matmul", "x.mT @ g", "stop(x).mT @ g", "an input from ctx without a graph"),
    ("matmul", "w.mT", "swapped(w).mT", "the derivative by the weight is transposed"),
    ("matmul", "x.mT @ g", "scaled(x, -1).mT @ g", "the sign of a cross-term"),
    ("rms_norm", "return (r *", "return (stop(r) *", "the reciprocal root is detached"),
    ("rms_norm", "u - n *", "u - stop(n) *", "the normalised input is detached"),
    ("rms_norm", "average(u * n", "average(stop(u) * n", "the weighted cotangent is detached"),
    ("rms_norm", "u = g * w", "u = g * stop(w)", "the weight is detached"),
    ("rms_norm", "total(g * n", "total(g * stop(n)", "a saved tensor is detached"),
    ("rms_norm", "average(x * x, -1)", "average(stop(x * x), -1)", "the root has no derivative"),
    ("layer_norm", "average(g, -1)", "average(stop(g), -1)", "a mean is detached"),
    ("layer_norm", "average(g * n", "average(g * stop(n)", "an inner product is detached"),
    ("layer_norm", "n = c * r", "n = c * stop(r)", "the deviation is detached"),
    ("softmax", "return (p *", "return (stop(p) *", "the outer probability is detached"),
    ("softmax", "total(g * p", "total(g * stop(p)", "the inner probability is detached"),
    ("softmax", "p = e / total(e, -1)[:, None]", "p = e / stop(total(e, -1))[:, None]", "the normaliser is detached"),
    ("softmax", "total(g * p", "total(scaled(g * p, 2)", "a factor 2 in one term"),
    ("logsumexp", "g[:, None] * p", "g[:, None] * stop(p)", "no second derivative"),
    ("logsumexp", "p = e / total(e, -1)[:, None]", "p = e / stop(total(e, -1))[:, None]", "−ppᵀ is missing"),
    ("l2_normalise", ") / n,)", ") / stop(n),)", "the norm is detached"),
    ("l2_normalise", "total(g * y", "total(g * stop(y)", "one of two directions is detached"),
    ("l2_normalise", "total(x * x", "total(x * stop(x)", "half of the norm's derivative"),
    ("attention", "t = g @ v.mT", "t = g @ stop(v).mT", "the values are detached"),
    ("attention", "s @ k", "s @ stop(k)", "the keys are detached"),
    ("attention", "s.mT @ q", "scaled(s, 2).mT @ q", "a factor 2 in one gradient"),
    ("attention", "p.mT @ g", "stop(p).mT @ g", "the probabilities are detached"),
    ("attention", "total(t * p", "total(t * stop(p)", "the inner probability is detached"),
    ("quadratic", "(a + a.mT)", "stop(a + a.mT)", "the matrix is detached"),
    ("quadratic", "x[None, :]", "stop(x)[None, :]", "one of two equal factors is detached"),
    ("quadratic", ") @ x)", ") @ stop(x))", "the Hessian is dropped"),
)
"""Function, what stands in its backward pass, what stands there instead, and what that is."""


def compiled(name: str, edit: tuple[str, str] | None, m: Any, stop: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Return ``forward(*inputs)`` and ``backward(g, *inputs)`` of a function, with an edit or as it is.

    Args:
        name: of the function.
        edit: what stands in its backward pass, and what stands there instead, at its first place.
        m: ``torch`` or ``jax.numpy``.
        stop: detaches.
    """
    written, body = FUNCTIONS[name], FUNCTIONS[name].backward
    if edit is not None:
        assert edit[0] in body, (name, edit)
        body = body.replace(edit[0], edit[1], 1)
    scope = {
        "m": m,
        "total": lambda x, axis: x.sum(axis),
        "average": lambda x, axis: x.mean(axis),
        "stop": stop,
        "scaled": lambda x, factor: stop(x) + factor * (x - stop(x)),
        "instead": lambda x, of: stop(x) + (of - stop(of)),
        "swapped": lambda x: stop(x) + (x - stop(x)).mT,
    }
    for kind, arguments, text in (
        ("forward", written.inputs, written.forward),
        ("backward", f"g, {written.inputs}", body),
    ):
        exec(f"def {kind}({arguments}):\n    {text}", scope)
    return scope["forward"], scope["backward"]


def for_torch(name: str, edit: tuple[str, str] | None = None) -> Callable[..., Any]:
    """Return a function as a torch.autograd.Function."""
    import torch

    forward_, backward_ = compiled(name, edit, torch, lambda x: x.detach() if hasattr(x, "detach") else x)

    class Made(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            ctx.save_for_backward(*inputs)
            return forward_(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return backward_(g, *ctx.saved_tensors)

    Made.__name__ = name
    function: Callable[..., Any] = Made.apply
    return function


def for_jax(name: str, edit: tuple[str, str] | None = None) -> Callable[..., Any]:
    """Return a function as a jax.custom_vjp."""
    import jax

    forward, backward = compiled(name, edit, jax.numpy, jax.lax.stop_gradient)
    function = jax.custom_vjp(lambda *inputs: forward(*inputs))
    function.defvjp(lambda *inputs: (forward(*inputs), inputs), lambda inputs, g: backward(g, *inputs))
    function.__name__ = name
    return function


def reference(name: str) -> Callable[..., Any]:
    """Return a function over any array namespace, for the drop-ins."""
    written = FUNCTIONS[name]

    def function(xp: Any, *inputs: Any) -> Any:
        scope: dict[str, Any] = {
            "m": xp,
            "total": lambda x, axis: xp.sum(x, axis=axis),
            "average": lambda x, axis: xp.mean(x, axis=axis),
        }
        exec(f"def forward({written.inputs}):\n    {written.forward}", scope)
        return scope["forward"](*inputs)

    function.__name__ = name
    # So that its inputs have names.
    scope: dict[str, Any] = {"function": function}
    exec(f"def {name}(xp, {written.inputs}):\n    return function(xp, {written.inputs})", scope)
    named: Callable[..., Any] = scope[name]
    return named
