"""Double backward in torch: what the drop-in and `check --order 2` say of right and wrong ones."""

from __future__ import annotations

import numpy as np
import pytest

import multigrad
from multigrad import BadInput, GradientError, gradcheck, operation
from multigrad.backend import backend
from tests.benchmarks.second_order import ALARM, RIGHT, kills, table, trials
from tests.benchmarks.second_order_mutants import FUNCTIONS, MUTANTS, for_torch, reference

torch = pytest.importorskip("torch", reason="torch is not installed (pip install torch)")

from torch.autograd import Function  # noqa: E402
from torch.autograd.function import once_differentiable  # noqa: E402


def made(backward, *, keep=None):
    """Return tanh as a Function with a backward pass, ``backward(ctx, x, g)``."""

    class Tanh(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            y = torch.tanh(x)
            if keep:
                keep(ctx, y)
            return y

    Tanh.backward = staticmethod(lambda ctx, g: backward(ctx, *ctx.saved_tensors, g))
    return Tanh


def slope(x):
    return 1 - torch.tanh(x) ** 2


def tanh(xp, x):
    return xp.tanh(x)


def drawn(dtype=torch.float64, shape=(3, 4), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype).requires_grad_()


def says(function, *inputs, of=tanh):
    with pytest.raises(GradientError) as raised:
        gradcheck(function, inputs, of, order=2)
    return str(raised.value)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("function", [torch.tanh, made(lambda ctx, x, g: g * slope(x)).apply], ids=["torch's", "own"])
def test_a_right_double_backward_passes(function, dtype):
    assert gradcheck(function, drawn(dtype), tanh, order=2)


def test_order_1_does_not_see_what_order_2_does():
    wrong = made(lambda ctx, x, g: g * (1 - ctx.y**2), keep=lambda ctx, y: setattr(ctx, "y", y.clone())).apply
    assert gradcheck(wrong, drawn(), tanh)
    assert "∂²f/∂x²·v is zero everywhere" in says(wrong, drawn())


def test_an_intermediate_on_ctx_lacks_a_term():
    class Silu(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.s = torch.sigmoid(x)
            ctx.save_for_backward(x)
            return x * ctx.s

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * (ctx.s + x * ctx.s * (1 - ctx.s))

    said = says(Silu.apply, drawn(), of=lambda xp, x: x / (1 + xp.exp(-x)))
    assert "∂²f/∂x²·v is wrong in 12 of 12 entries" in said
    assert "cuts" not in said


CUT = {
    "once_differentiable": lambda: once_differentiable(lambda ctx, x, g: g * slope(x)),
    "detach": lambda: lambda ctx, x, g: (g * slope(x)).detach(),
    "data": lambda: lambda ctx, x, g: g.data * slope(x.data),
    "NumPy": lambda: lambda ctx, x, g: torch.from_numpy(g.detach().numpy() * (1 - np.tanh(x.detach().numpy()) ** 2)),
}


@pytest.mark.parametrize("how", CUT)
def test_a_backward_pass_without_a_graph_is_named(how):
    said = says(made(CUT[how]()).apply, drawn())
    assert "∂²f/∂x²·v is zero everywhere" in said
    assert "its backward pass cuts ∂f/∂x off from its inputs: .detach(), .data, no_grad, once_differentiable" in said


def test_a_function_called_by_a_backward_pass_is_judged_with_it():
    class Slope(Function):
        @staticmethod
        def forward(ctx, x, g):
            ctx.save_for_backward(x, g)
            return g * slope(x)

        @staticmethod
        def backward(ctx, v):
            x, g = ctx.saved_tensors
            return -v * g * torch.tanh(x) * slope(x), v * slope(x)  # the 2 is lost

    said = says(made(lambda ctx, x, g: Slope.apply(x, g)).apply, drawn())
    assert "∂²f/∂x²·v is 0.5 × the true gradient: a factor 2 is missing" in said


def test_a_double_backward_that_raises_is_one_line():
    class Slope(Function):
        @staticmethod
        def forward(ctx, x, g):
            return g * slope(x)

        @staticmethod
        def backward(ctx, v):
            raise RuntimeError("no kernel for this")

    said = says(made(lambda ctx, x, g: Slope.apply(x, g)).apply, drawn())
    assert said == "Tanh: its double backward raised RuntimeError: no kernel for this"


def test_a_wrong_first_derivative_is_said_alone():
    said = says(made(lambda ctx, x, g: 2 * g * slope(x)).apply, drawn())
    assert "∂f/∂x is 2 × the true gradient" in said
    assert "∂²" not in said


def test_inputs_that_require_no_grad_are_held_fixed():
    x, w = drawn(), drawn(seed=1).detach()
    assert gradcheck(lambda x, w: torch.sin(x) * w, [x, w], lambda xp, x, w: xp.sin(x) * w, order=2)
    labels = torch.tensor([0, 2, 1])
    op = multigrad.operations()["softmax_cross_entropy"]
    assert gradcheck(multigrad.to_torch(op), [drawn(shape=(3, 4)), labels], op, order=2)


@pytest.mark.parametrize("order", [0, 3, True, "2"])
def test_another_order_is_one_clear_line(order):
    with pytest.raises(BadInput, match=r"no order .*there are 1, 2"):
        gradcheck(torch.tanh, drawn(), tanh, order=order)


@pytest.mark.parametrize("number", range(0, len(MUTANTS), 9))
def test_a_sample_of_mutants_is_killed(number):
    name, old, new, _ = MUTANTS[number]
    inputs = [drawn(shape=shape, seed=i) for i, shape in enumerate(FUNCTIONS[name].shapes)]
    assert gradcheck(for_torch(name, (old, new)), inputs, reference(name))
    assert "∂²" in (said := says(for_torch(name, (old, new)), *inputs, of=reference(name))) or "J·v" in said


def test_the_benchmark_counts_what_every_check_kills():
    rows = list(kills([m for m in MUTANTS if m[0] == "softplus"], ["autograd.Function"]))
    assert [row.killed for row in rows if not row.what] == [False, False]
    assert all(row.killed for row in rows if row.what)
    assert "| 3 of 3 | 0 of 1 |" in table(rows)


def test_operations_that_are_handed_over_raise_no_alarm():
    rows = [row for row, _ in zip(trials(seed=1, forms=["to_torch"]), range(8), strict=False)]
    assert not [row for row in rows if row.verdict == ALARM]
    assert sum(row.verdict == RIGHT for row in rows) >= 7


def test_zeros_that_autograd_keeps_without_memory_are_numbers():
    session = backend("torch").open("cpu", threads=1)
    assert session.to_numpy(torch._efficientzerotensor((2, 3))).tolist() == [[0.0] * 3] * 2
    assert gradcheck(torch.abs, drawn(), lambda xp, x: xp.abs(x), order=2)


@operation("(n)->(n)", sizes={"tiny": {"n": 3}})
def squashed(xp, x):
    """f = tanh x."""
    y = xp.tanh(x)
    return y, lambda f_bar: f_bar * (1 - y * y)


@squashed.implementation("torch")
def own(x):
    return made(lambda ctx, x, g: g * slope(x)).apply(x)


@squashed.implementation("torch")
def cut(x):
    return made(lambda ctx, x, g: (g * slope(x)).detach()).apply(x)


@squashed.implementation("torch", gradients=True)
def both(x, g):
    return torch.tanh(x), g * slope(x)


def test_the_matrix_judges_the_double_backward_of_what_is_handed_over_and_of_implementations():
    frame = multigrad.check(squashed, order=2, backend="torch", dtype="float64", regime="gaussian")
    assert "compiled" not in set(frame["mode"])
    verdicts = {name: set(rows["verdict"]) for name, rows in frame.groupby("variant")}
    assert verdicts.keys() >= {"analytic", "autodiff", "to_torch", "own", "cut"}
    assert "both" not in verdicts, "what returns its gradients itself leaves no graph"
    assert {name for name, found in verdicts.items() if "FAIL" in found} == {"cut"}
    reasons = " ".join(frame[frame["verdict"] == "FAIL"]["reason"])
    assert "∂²f/∂x²·v is zero everywhere" in reasons


def test_a_reference_in_torch_is_differentiated_twice_by_its_graph():
    def silu(x):
        return torch.nn.functional.silu(x)

    assert gradcheck(silu, drawn(), silu, order=2)
    assert gradcheck(silu, drawn(torch.float32), order=2)
