"""What the tests of handing over do in a process of their own, one framework each."""

import gc
import warnings
import weakref

import numpy as np

from multigrad import load_operations, operation, to_autograd, to_jax, to_torch
from multigrad.backend import backend


@operation("(n)->(n)", sizes={"tiny": {"n": 4}})
def planted(xp, x):
    """sin x, with a pullback that is visibly another one: 7 ȳ x."""

    def pullback(y_bar):
        return 7 * y_bar * x

    return xp.sin(x), pullback


X, C = np.asarray([0.5, -1.0, 2.0, 3.0]), np.asarray([1.5, -2.0, 0.25, 3.0])


def drawn(op, seed=3):
    """The smallest size of an operation: parameters, inputs, cotangents of all its values."""
    size = next(iter(op.sizes.values()))
    _, parameters = op.split(size)
    inputs = op.make_inputs(size, seed)
    values = op(backend("numpy").open("cpu").xp, *inputs, **parameters)[0]
    shapes = [np.shape(v) for v in (values if isinstance(values, tuple) else (values,))]
    return parameters, inputs, op.make_cotangents(shapes, seed)


def many(values):
    return tuple(values) if isinstance(values, tuple | list) else (values,)


def ways(arguments):
    """The planted pullback in every way a framework may call it; row by row what came out of it."""
    yield from {"torch": torch_ways, "jax": jax_ways, "numpy": autograd_ways}[arguments["backend"]]()


def torch_ways():
    import torch

    f, x, c = to_torch(planted), torch.tensor(X), torch.tensor(C)

    def leaf():
        return x.clone().requires_grad_()

    def loss(x):
        return (f(x) * c).sum()

    def by_backward(function, x=None):
        x = leaf() if x is None else x
        function(x).backward()
        return x.grad

    stacked = torch.stack([x, x])
    compiled = torch.compile(loss, fullgraph=True)
    found = {
        "backward": lambda: by_backward(loss),
        "autograd.grad": lambda: torch.autograd.grad(f(y := leaf()), y, c)[0],
        "func.grad": lambda: torch.func.grad(loss)(x),
        "func.vjp": lambda: torch.func.vjp(f, x)[1](c)[0],
        "func.jacrev": lambda: torch.diagonal(torch.func.jacrev(f)(x)) * c,
        "vmap(grad)": lambda: torch.func.vmap(torch.func.grad(loss))(stacked)[1],
        "grad(vmap)": lambda: torch.func.grad(lambda s: torch.func.vmap(loss)(s).sum())(stacked)[1],
        "backward(vmap)": lambda: by_backward(
            lambda s: torch.func.vmap(loss)(s).sum(), stacked.clone().requires_grad_()
        )[1],
        "compile": lambda: by_backward(compiled),
        "grad(compile)": lambda: torch.func.grad(torch.compile(loss))(x),
        "compile(grad)": lambda: torch.compile(torch.func.grad(loss))(x),
        "compile(backward(vmap))": lambda: by_backward(
            torch.compile(lambda s: torch.func.vmap(loss)(s).sum()), stacked.clone().requires_grad_()
        )[1],
        "checkpoint": lambda: by_backward(lambda x: torch.utils.checkpoint.checkpoint(loss, x, use_reentrant=False)),
        "save_on_cpu": lambda: by_backward(saved_elsewhere),
    }

    def saved_elsewhere(x):
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
            return loss(x)

    for name, call in found.items():
        yield row(name, call)

    class Own(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return torch.sin(x)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, y_bar):
            (x,) = ctx.saved_tensors
            return 7 * y_bar * x

    yield row(
        "torch's own, compile(grad)", lambda: torch.compile(torch.func.grad(lambda x: (Own.apply(x) * c).sum()))(x)
    )
    torch._dynamo.reset()  # it has learned above to leave this function alone
    yield row("fullgraph compile(grad)", lambda: torch.compile(torch.func.grad(loss), fullgraph=True)(x))
    yield row("forward mode", lambda: torch.func.jvp(f, (x,), (c,))[1])
    yield row("forward mode twice", lambda: torch.func.jacfwd(torch.func.jacfwd(f))(x))


def jax_ways():
    backend("jax").open("cpu")
    import jax
    import jax.numpy as jnp

    f, x, c = to_jax(planted), jnp.asarray(X), jnp.asarray(C)

    def loss(x):
        return jnp.sum(f(x) * c)

    def thrice(x):
        return jax.lax.scan(lambda total, _: (total + loss(x) / 3, None), 0.0, None, length=3)[0]

    stacked = jnp.stack([x, x])
    found = {
        "grad": lambda: jax.grad(loss)(x),
        "vjp": lambda: jax.vjp(f, x)[1](c)[0],
        "jacrev": lambda: jnp.diagonal(jax.jacrev(f)(x)) * c,
        "jit(grad)": lambda: jax.jit(jax.grad(loss))(x),
        "grad(jit)": lambda: jax.grad(jax.jit(loss))(x),
        "vmap(grad)": lambda: jax.vmap(jax.grad(loss))(stacked)[1],
        "jit(vmap(grad))": lambda: jax.jit(jax.vmap(jax.grad(loss)))(stacked)[1],
        "grad(vmap)": lambda: jax.grad(lambda s: jnp.sum(jax.vmap(loss)(s)))(stacked)[1],
        "grad(scan)": lambda: jax.grad(thrice)(x),
        "jit(grad(scan))": lambda: jax.jit(jax.grad(thrice))(x),
        "grad(checkpoint)": lambda: jax.grad(jax.checkpoint(loss))(x),
        "grad(cond)": lambda: jax.jit(jax.grad(lambda x: jax.lax.cond(x[0] > 0, loss, loss, x)))(x),
    }
    for name, call in found.items():
        yield row(name, call)
    yield row("forward mode", lambda: jax.jvp(f, (x,), (c,))[1])


def autograd_ways():
    import autograd
    import autograd.numpy as anp

    f = to_autograd(planted)

    def loss(x):
        return anp.sum(f(x) * C)

    yield row("grad", lambda: autograd.grad(loss)(X))
    yield row("make_vjp", lambda: autograd.make_vjp(f)(X)[0](C))
    yield row("second derivative", lambda: autograd.elementwise_grad(autograd.grad(loss))(X))


def row(name, call):
    """What a call returned, as numbers, what it raised and what it warned of."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            found, raised = np.asarray(call()).tolist(), ""
        except Exception as error:  # noqa: BLE001 - what is raised is what is asked for
            found, raised = None, f"{type(error).__name__}: {error}"
    return {"way": name, "found": found, "raised": raised, "warned": [str(w.message) for w in warned]}


def cotangents(arguments):
    """Drawn cotangents through the framework's autodiff, beside the pullback itself on the same arrays."""
    session = backend(arguments["backend"]).open("cpu", threads=1)
    for op in load_operations(arguments["operations"]):
        parameters, inputs, bars = drawn(op)
        arrays = [session.to_device(a, "float64" if a.dtype.kind == "f" else None) for a in (*inputs, *bars)]
        given, bars = arrays[: len(inputs)], arrays[len(inputs) :]
        expected = session.function(op, parameters, "analytic", "eager")(*arrays)
        try:
            found = {"torch": torch_vjp, "jax": jax_vjp}[session.backend.name](op, parameters, given, bars)
        except Exception as error:  # noqa: BLE001 - what is raised is the finding
            yield {"operation": op.name, "problem": f"{type(error).__name__}: {error}"[:400]}
            continue
        problems = []
        gradients = [g for g, d in zip(found[1], op.differentiable, strict=True) if d]
        for name, a, b in zip(op.outputs, (*many(found[0]), *gradients), expected, strict=True):
            a, b = session.to_numpy(a), session.to_numpy(b)
            if not np.array_equal(a, b, equal_nan=True):
                problems.append(f"{name} is off by {np.max(np.abs(a - b)):.3g}")
        for name, g, d in zip(op.inputs, found[1], op.differentiable, strict=True):
            if not d and not nothing(g):
                problems.append(f"{name} has a gradient: {g}")
        yield {"operation": op.name, "problem": "; ".join(problems)}


def nothing(gradient):
    return gradient is None or gradient.dtype == [("float0", "V")] or not np.any(np.asarray(gradient))


def torch_vjp(op, parameters, given, bars):
    import torch

    leaves = [a.requires_grad_() if a.is_floating_point() else a for a in given]
    values = to_torch(op, **parameters)(*leaves)
    torch.autograd.backward(many(values), bars)
    return values, [a.grad for a in leaves]


def jax_vjp(op, parameters, given, bars):
    import jax

    values, pullback = jax.vjp(to_jax(op, **parameters), *given)
    return values, pullback(tuple(bars) if isinstance(values, tuple) else bars[0])


def checked(arguments):
    """The frameworks' own checkers of gradients, first or second derivatives; what they say, or nothing."""
    name, order = arguments["backend"], arguments["order"]
    session = backend(name).open("cpu", threads=1)
    for op in load_operations(arguments["operations"]):
        parameters, inputs, _ = drawn(op)
        arrays = [session.to_device(a, "float64" if a.dtype.kind == "f" else None) for a in inputs]
        try:
            {"torch": torch_checked, "jax": jax_checked}[name](op, parameters, arrays, order)
        except Exception as error:  # noqa: BLE001 - a checker raises in many ways
            yield {"operation": op.name, "problem": f"{type(error).__name__}: {error}"[:400]}
        else:
            yield {"operation": op.name, "problem": ""}


def torch_checked(op, parameters, arrays, order):
    import torch

    for a, d in zip(arrays, op.differentiable, strict=True):
        a.requires_grad_(d)
    torch.manual_seed(0)
    check = torch.autograd.gradcheck if order == 1 else torch.autograd.gradgradcheck
    check(to_torch(op, **parameters), arrays, fast_mode=order == 2)


def jax_checked(op, parameters, arrays, order):
    import jax
    from jax.test_util import check_grads

    f = to_jax(op, **parameters)
    wanted = op.differentiable

    def of_wanted(*chosen):
        rest = iter(chosen)
        return f(*(next(rest) if d else a for a, d in zip(arrays, wanted, strict=True)))

    chosen = [a for a, d in zip(arrays, wanted, strict=True) if d]
    check_grads(jax.jit(of_wanted), chosen, order, modes=["rev"])


def torch_edges(arguments):
    """What a user of torch may do to a function that was handed over."""
    import torch

    f, g = to_torch(planted), to_torch("relu_regression")
    x = torch.tensor(X)
    X2, W, Y = (
        torch.tensor(a) for a in load_operations(["relu_regression"])[0].make_inputs({"m": 5, "k": 4, "n": 3}, 0)
    )

    def gradient_of_views():
        turned, wide = X2.T.contiguous().T.requires_grad_(), W.repeat_interleave(2, 1)[:, ::2].requires_grad_()
        gradients = torch.autograd.grad(g(turned, wide, Y), [turned, wide])
        plain = torch.autograd.grad(g(X2.requires_grad_(), W.requires_grad_(), Y), [X2, W])
        return [float((a - b).abs().max()) for a, b in zip(gradients, plain, strict=True)]

    def only_one_wanted():
        leaf = W.detach().clone().requires_grad_()
        g(X2.detach(), leaf, Y).backward()
        return [X2.grad is None, bool((leaf.grad != 0).any()), Y.grad is None]

    def expanded_cotangent():
        leaf = x.clone().requires_grad_()
        f(leaf).sum().backward()
        return (leaf.grad / x).tolist()

    def changed_in_place():
        leaf = x.clone().requires_grad_()
        value = f(leaf)
        with torch.no_grad():
            leaf.add_(1)
        value.sum().backward()

    def twice():
        value = f(x.clone().requires_grad_()).sum()
        value.backward(retain_graph=True)
        value.backward()
        value.backward()

    def freed():
        gc.collect()
        gc.disable()
        leaf = x.clone().requires_grad_()
        softmax = to_torch("softmax")
        abandoned = weakref.ref(softmax(leaf[None, :]))
        value = softmax(leaf[None, :])
        seen = weakref.ref(value)
        loss = value.sum()
        kept = [t for t in value.grad_fn.saved_tensors if hasattr(t, "pullback")]
        pullback = weakref.ref(kept[0].pullback)
        del kept
        alive = pullback() is not None
        loss.backward()
        gone = pullback() is None
        del value, loss
        gc.enable()
        return [alive, gone, seen() is None, abandoned() is None]

    def no_array():
        return f(X)

    def no_shape():
        return g(X2, W, Y[:, :2])

    def settings():
        before = torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.is_grad_enabled()
        to_torch("linear_map")(torch.ones(2, 3), torch.ones(3))
        return before == (torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.is_grad_enabled())

    torch.set_float32_matmul_precision("medium")
    cases = (
        gradient_of_views,
        only_one_wanted,
        expanded_cotangent,
        changed_in_place,
        twice,
        freed,
        no_array,
        no_shape,
        settings,
    )
    for case in cases:
        yield row(case.__name__, case)


def jax_edges(arguments):
    """What a user of JAX may do, who has set nothing: float32."""
    import jax
    import jax.numpy as jnp

    f = to_jax(planted)
    yield row("settings", lambda: [jax.config.jax_enable_x64, str(f(X).dtype) == "float32"])
    yield row("no_shape", lambda: f(jnp.ones((2, 2))))
    labels = load_operations(["softmax_cross_entropy"])[0].make_inputs({"n": 3, "k": 4}, 0)
    g = to_jax("softmax_cross_entropy")
    _, pullback = jax.vjp(g, *(jnp.asarray(a) for a in labels))
    yield row("labels", lambda: [str(b.dtype == jax.dtypes.float0) for b in pullback(jnp.ones(3))])
