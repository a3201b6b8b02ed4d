"""What the tests of forward mode do in a process of their own, one framework each."""

import numpy as np

from multigrad import load_operations, operation, to_jax, to_torch
from multigrad.backend import backend
from multigrad.data.errors import one_line
from multigrad.data.standard import numpy_standard
from multigrad.ops.handed_over import NAMES
from multigrad.ops.pushforward import pushed_forward, pushforward_of
from multigrad.truth.inputs import dtype_arrays
from tests.backends.handover_work import drawn, many, row


@operation("(n)->(n)", sizes={"tiny": {"n": 4}})
def planted(xp, x):
    """sin x, with a pullback and a pushforward that are visibly others: 7 ȳ x and 5 ẋ x²."""
    return xp.sin(x), lambda y_bar: 7 * y_bar * x


@planted.pushforward
def _(xp, x, x_dot):
    return 5 * x_dot * x * x


X, C = np.asarray([0.5, -1.0, 2.0, 3.0]), np.asarray([1.5, -2.0, 0.25, 3.0])
FORWARD = (5 * C * X * X).tolist()
REVERSE = (7 * C * X).tolist()
SECOND = (7 * C * C).tolist()
"""Forward mode over the pullback: the derivative of 7 C x along C."""


def ways(arguments):
    """The planted pushforward and pullback in every way a framework may call them."""
    yield from {"torch": torch_ways, "jax": jax_ways}[arguments["backend"]]()


def torch_ways():
    import torch
    from torch.autograd import forward_ad

    f, x, c = to_torch(planted), torch.tensor(X), torch.tensor(C)
    func = torch.func

    def loss(x):
        return (f(x) * c).sum()

    def dual(requires_grad=False):
        with forward_ad.dual_level():
            moved = forward_ad.make_dual(x.clone().requires_grad_(requires_grad), c)
            return forward_ad.unpack_dual(f(moved)).tangent.detach()

    stack = torch.stack([x, 2 * x]), torch.stack([c, c])
    forward = {
        "func.jvp": lambda: func.jvp(f, (x,), (c,))[1],
        "forward_ad": dual,
        "forward_ad of what requires a gradient": lambda: dual(requires_grad=True),
        "jacfwd": lambda: torch.diagonal(func.jacfwd(f)(x)) * c,
        "vmap(jvp)": lambda: func.vmap(lambda x, c: func.jvp(f, (x,), (c,))[1])(*stack)[0],
        "jvp(vmap)": lambda: func.jvp(func.vmap(f), stack[:1], stack[1:])[1][0],
        "linearize": lambda: func.linearize(f, x)[1](c),
    }
    reverse = {
        "grad": lambda: func.grad(loss)(x),
        "vmap(grad)": lambda: func.vmap(func.grad(loss))(stack[0])[0],
    }
    second = {
        "jvp(grad)": lambda: func.jvp(func.grad(loss), (x,), (c,))[1],
        "hessian": lambda: torch.diagonal(func.hessian(loss)(x)) * c,
    }
    for kind, calls in {"forward": forward, "reverse": reverse, "second": second}.items():
        for name, call in calls.items():
            yield {**row(name, call), "kind": kind}


def jax_ways():
    backend("jax").open("cpu")
    import jax
    import jax.numpy as jnp

    f, x, c = to_jax(planted), jnp.asarray(X), jnp.asarray(C)

    def loss(x):
        return jnp.sum(f(x) * c)

    def pushed(x, c):
        return jax.jvp(f, (x,), (c,))[1]

    def thrice(x):
        return jax.lax.scan(lambda total, _: (total + f(x) / 3, None), jnp.zeros(4), None, length=3)[0]

    stack = jnp.stack([x, 2 * x]), jnp.stack([c, c])
    forward = {
        "jvp": lambda: pushed(x, c),
        "jit(jvp)": lambda: jax.jit(pushed)(x, c),
        "jvp(jit)": lambda: jax.jvp(jax.jit(f), (x,), (c,))[1],
        "jacfwd": lambda: jnp.diagonal(jax.jacfwd(f)(x)) * c,
        "vmap(jvp)": lambda: jax.vmap(pushed)(*stack)[0],
        "jit(vmap(jvp))": lambda: jax.jit(jax.vmap(pushed))(*stack)[0],
        "jvp(vmap)": lambda: jax.jvp(jax.vmap(f), stack[:1], stack[1:])[1][0],
        "linearize": lambda: jax.linearize(f, x)[1](c),
        "jvp(scan)": lambda: jax.jvp(thrice, (x,), (c,))[1],
        "jvp(checkpoint)": lambda: jax.jvp(jax.checkpoint(f), (x,), (c,))[1],
    }
    reverse = {
        "grad": lambda: jax.grad(loss)(x),
        "jit(grad)": lambda: jax.jit(jax.grad(loss))(x),
        "vmap(grad)": lambda: jax.vmap(jax.grad(loss))(stack[0])[0],
        "grad(vmap)": lambda: jax.grad(lambda s: jnp.sum(jax.vmap(loss)(s)))(stack[0])[0],
        "transposed linearize": lambda: jax.linear_transpose(jax.linearize(f, x)[1], x)(c)[0],
        "grad(scan)": lambda: jax.grad(lambda x: jnp.sum(thrice(x) * c))(x),
    }
    second = {
        "jvp(grad)": lambda: jax.jvp(jax.grad(loss), (x,), (c,))[1],
        "grad(grad)": lambda: jax.grad(lambda x: jnp.sum(jax.grad(loss)(x) * c))(x),
        "hessian": lambda: jnp.diagonal(jax.hessian(loss)(x)) * c,
        "jit(hessian)": lambda: jnp.diagonal(jax.jit(jax.hessian(loss))(x)) * c,
    }
    for kind, calls in {"forward": forward, "reverse": reverse, "second": second}.items():
        for name, call in calls.items():
            yield {**row(name, call), "kind": kind}


def handed_over(arguments):
    """Forward mode of operations handed over, against their pushforward in NumPy; how far they are apart."""
    name = arguments["backend"]
    session = backend(name).open("cpu")
    for op in load_operations(arguments["operations"]):
        parameters, inputs, _ = drawn(op)
        rng = np.random.default_rng(0)
        tangents = [rng.normal(size=a.shape) for a, d in zip(inputs, op.differentiable, strict=True) if d]
        wanted = pushed_forward(op, numpy_standard(), inputs, tangents, parameters)
        given = [session.to_device(a, "float64" if a.dtype.kind == "f" else None) for a in inputs]
        moved = [session.to_device(t, "float64") for t in tangents]
        yield {"operation": op.name, "apart": _apart(name, op, parameters, given, moved, wanted)}


def _apart(name, op, parameters, given, moved, wanted):
    f = {"torch": to_torch, "jax": to_jax}[name](op, **parameters)

    def of_moving(*chosen):
        rest = iter(chosen)
        return many(f(*(next(rest) if d else a for a, d in zip(given, op.differentiable, strict=True))))

    chosen = tuple(a for a, d in zip(given, op.differentiable, strict=True) if d)
    if name == "torch":
        import torch

        found = torch.func.jvp(of_moving, chosen, tuple(moved))[1]
    else:
        import jax

        found = jax.jvp(of_moving, chosen, tuple(moved))[1]
    assert len(found) == len(wanted) > 0
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(found, wanted, strict=True)]
    return max(float(np.max(np.abs(a - b)) / (1 + np.max(np.abs(b)))) for a, b in pairs)


def mapped(arguments):
    """Both modes of operations handed over, mapped over a batch, against a loop; or what the framework raised."""
    name = arguments["backend"]
    session = backend(name).open("cpu")
    for op in load_operations(arguments["operations"]):
        pushed = pushforward_of(op)
        size = next(iter(op.sizes.values()))
        _, parameters = op.split(size)
        function = session.function(pushed, parameters, NAMES[name], "eager")
        items = [dtype_arrays(pushed, size, seed, "gaussian", "float64") for seed in range(3)]
        stacks = [np.stack(arrays) for arrays in zip(*items, strict=True)]

        def on_device(arrays):
            return [session.to_device(a, "float64" if a.dtype.kind == "f" else None) for a in arrays]

        found = {"operation": op.name, "apart": None, "raised": ""}
        try:
            results = [session.to_numpy(r) for r in session.batched(function)(*on_device(stacks))]
        except Exception as error:  # noqa: BLE001 - what a transform cannot follow is counted
            yield {**found, "raised": one_line(error)}
            continue
        alone = [[session.to_numpy(r) for r in function(*on_device(item))] for item in items]
        pairs = [(r[i], one[k]) for k, r in enumerate(results) for i, one in enumerate(alone)]
        assert pairs
        yield {**found, "apart": max(float(np.max(np.abs(a - b) / (1 + np.max(np.abs(b))))) for a, b in pairs)}
