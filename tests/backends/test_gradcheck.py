"""`multigrad.gradcheck` on functions of torch: called like torch's, and says why."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from multigrad import BadInput, GradientError, gradcheck, operation

torch = pytest.importorskip("torch", reason="torch is not installed (pip install torch)")
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def function(backward, forward=None):
    """Return a torch.autograd.Function of Σ x² w along the last axis with a backward pass."""

    class Weighted(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            return forward(x, w) if forward else (x * x * w).sum(-1)

    if backward is not None:
        Weighted.backward = staticmethod(lambda ctx, *g: backward(*ctx.saved_tensors, *g))
    return Weighted.apply


def right(x, w, g):
    return 2 * g[..., None] * x * w, (g[..., None] * x * x).sum(0)


def weighted(xp, x, w):
    return xp.sum(x * x * w, axis=-1)


def of_numpy(x, w):
    return torch.from_numpy((x.numpy() ** 2 * w.numpy()).sum(-1))


@operation("(m,n),(n)->(m)")
def weighted_squares(xp, x, w):
    """f = Σ x² w."""
    squares = x * x

    def pullback(f_bar):
        f_bar = xp.expand_dims(f_bar, axis=-1)
        return 2 * f_bar * x * w, xp.sum(f_bar * squares, axis=0)

    return xp.sum(squares * w, axis=-1), pullback


def drawn(dtype=torch.float64, *shapes):
    generator = torch.Generator().manual_seed(0)
    shapes = shapes or ((3, 4), (4,))
    return [torch.randn(s, dtype=torch.float64, generator=generator).to(dtype).requires_grad_() for s in shapes]


REFERENCES = {
    "a namespace": weighted,
    "NumPy": lambda x, w: np.sum(x * x * w, axis=-1),
    "torch": lambda x, w: torch.einsum("ij,ij,j->i", x, x, w),
    "either": lambda x, w: (x * x * w).sum(-1),
    "an operation": weighted_squares,
    "a pullback": weighted_squares.function,
    "a file": f"{Path(__file__)}::weighted_squares",
}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_has_many_forms(name):
    assert gradcheck(function(right), drawn(), REFERENCES[name]) is True


def test_the_forward_part_is_the_reference_where_none_is_given():
    assert gradcheck(function(right), drawn()) is True
    with pytest.raises(GradientError, match=r"∂f/∂x is 0\.5 × the true gradient"):
        gradcheck(function(lambda x, w, g: (g[..., None] * x * w, right(x, w, g)[1])), drawn())


def test_a_wrong_function_is_named_against_a_torch_reference():
    forgets = function(lambda x, w, g: (2 * g[..., None] * x, right(x, w, g)[1]))
    with pytest.raises(GradientError, match="∂f/∂x"):
        gradcheck(forgets, drawn(), lambda x, w: torch.sum(x * x * w, -1))
    with pytest.raises(GradientError, match="value is not that of the reference"):
        gradcheck(function(right), drawn(), lambda x, w: 2 * torch.sum(x * x * w, -1))


def test_a_module_is_a_reference_with_its_parameters_as_they_are():
    (x,) = drawn(torch.float32, (3, 4))
    norm = torch.nn.LayerNorm(4)
    assert gradcheck(torch.compiler.disable(norm), x, norm) is True
    with pytest.raises(GradientError, match="value is not that of the reference"):
        gradcheck(lambda x: 2 * norm(x), x, norm)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_right_function_is_true_in_every_dtype(dtype):
    assert gradcheck(function(right), drawn(dtype), weighted) is True
    assert gradcheck(function(right), drawn(dtype), lambda x, w: (x * x * w).sum(-1)) is True


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_accumulates_in_float32_is_held_to_it(dtype):
    def wider(x, w, *g):
        return tuple(r.to(dtype) for r in right(x.float(), w.float(), *(c.float() for c in g)))

    kernel = function(wider, lambda x, w: (x.float() ** 2 * w.float()).sum(-1).to(dtype))
    assert gradcheck(kernel, drawn(dtype, (3, 200), (200,)), weighted, accumulate="float32") is True
    with pytest.raises(GradientError):
        gradcheck(function(right), drawn(dtype, (3, 200), (200,)), weighted, accumulate="float32")


def test_a_single_tensor_and_a_name_of_the_catalogue_will_do():
    x = torch.tensor([[-1.5, -0.5, 0.25], [2.0, 0.125, 1.0]], requires_grad=True)
    assert gradcheck(torch.tanh, x, "tanh") is True


def test_only_inputs_that_require_grad_are_differentiated():
    x, w = drawn()
    wrong_by_w = function(lambda x, w, g: (right(x, w, g)[0], 3 * w))
    assert gradcheck(wrong_by_w, [x, w.detach()], weighted) is True
    with pytest.raises(GradientError, match="∂f/∂w"):
        gradcheck(wrong_by_w, [x, w], weighted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_usual_derivative_of_a_sigmoid_is_right_where_it_is_saturated(dtype):
    x = torch.tensor([-1.0, 0.5, 3.0, 7.0, 25.0, 60.0, 8.5], dtype=dtype, requires_grad=True)
    assert gradcheck(torch.sigmoid, x, lambda xp, x: 1 / (1 + xp.exp(-x))) is True


def test_labels_are_passed_on():
    scores = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 2, 1, 1, 0])

    def cross_entropy(xp, s, t):
        shifted = s - xp.max(s, axis=-1, keepdims=True)
        logs = shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))
        return -xp.sum(xp.take_along_axis(logs, xp.expand_dims(t, axis=-1), axis=-1)) / s.shape[0]

    assert gradcheck(torch.nn.functional.cross_entropy, (scores, labels), cross_entropy) is True


def with_x(change):
    """Return a backward pass whose gradient by x is changed."""
    return lambda x, w, g: (change(right(x, w, g)[0], x), right(x, w, g)[1])


MISTAKES = {
    "factor": (with_x(lambda d, x: 0.5 * d), "∂f/∂x is 0.5 × the true gradient"),
    "zeros": (lambda x, w, g: (0 * x, 0 * w), "∂f/∂x is zero everywhere: the term is missing"),
    "none": (lambda x, w, g: (right(x, w, g)[0], None), "∂f/∂w is zero everywhere: the term is missing"),
    "NaN": (
        with_x(lambda d, x: d * torch.where(x == x[1, 2], torch.nan, 1.0)),
        r"not finite in 1 of 12 entries, first at \[1, 2\]",
    ),
    "row": (with_x(lambda d, x: d * torch.tensor([[1.0], [1], [2]])), "one row only, number 2"),
    "cotangent": (lambda x, w, g: right(x, w, torch.ones_like(g)), "∂f/∂x"),
    "a billionth": (with_x(lambda d, x: d * (1 + 1e-9)), "a relative error of 1e-09"),
    "shape": (with_x(lambda d, x: d.T), "its backward pass raised RuntimeError: .*shape"),
    "writes": (lambda x, w, g: right(x, w.mul_(2), g), "it changes its input w"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(name):
    wrong, said = MISTAKES[name]
    with pytest.raises(GradientError, match=said):
        gradcheck(function(wrong), drawn(), weighted)
    assert gradcheck(function(wrong), drawn(), weighted, raise_exception=False) is False


def test_a_function_that_writes_into_its_input_is_named_and_the_callers_tensors_stay():
    x, w = drawn()
    before = w.detach().clone()

    def late(x, w, g):
        gradients = right(x, w, g)
        w.zero_()
        return gradients

    with pytest.raises(GradientError, match="Weighted: it changes its input w"):
        gradcheck(function(late), (x, w), weighted)
    assert torch.equal(w, before)


def test_a_backward_pass_that_keeps_one_buffer_is_named():
    buffer = {}

    def shared(x, w, g):
        for name, gradient in zip("xw", right(x, w, g), strict=True):
            buffer.setdefault(name, torch.empty_like(gradient)).copy_(gradient)
        return buffer["x"], buffer["w"]

    with pytest.raises(GradientError, match="overwrote what the first returned"):
        gradcheck(function(shared), drawn(), weighted)


def test_a_kernel_that_takes_its_inputs_for_contiguous_is_named():
    def flat(x, w):
        dense = x.as_strided(x.shape, (x.shape[1], 1))
        return (dense * dense * w).sum(-1)

    with pytest.raises(GradientError, match="it depends on strides: where inputs or cotangents are views"):
        gradcheck(function(right, flat), drawn(), weighted)


def test_a_kernel_that_refuses_views_is_right():
    def strict(x, w):
        if not x.is_contiguous():
            raise ValueError("x must be contiguous")
        return (x * x * w).sum(-1)

    assert gradcheck(function(right, strict), drawn(), weighted) is True


def test_what_is_not_repeatable_is_named_unless_it_is_meant():
    calls = itertools.count()

    def drifting(x, w, g):
        return right(x * (1 + 2.0**-52 * (next(calls) % 2)), w, g)

    with pytest.raises(GradientError, match=r"other bits in ∂f/∂x, up to .* apart; pass deterministic=False"):
        gradcheck(function(drifting), drawn(), weighted)
    assert gradcheck(function(drifting), drawn(), weighted, deterministic=False) is True


class TwoValues(torch.autograd.Function):
    strict = False

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.set_materialize_grads(False)
        return x * x, x.sum()

    @staticmethod
    def backward(ctx, squares_bar, sum_bar):
        (x,) = ctx.saved_tensors
        if TwoValues.strict:
            return 2 * x * squares_bar + sum_bar
        return (0 if squares_bar is None else 2 * x * squares_bar) + (0 if sum_bar is None else sum_bar.expand_as(x))


def test_a_value_that_is_not_used_has_no_cotangent(monkeypatch):
    (x,) = drawn(torch.float64, (5,))
    reference = lambda xp, x: (x * x, xp.sum(x))  # noqa: E731 - as short as a person writes it
    assert gradcheck(TwoValues.apply, x, reference) is True
    monkeypatch.setattr(TwoValues, "strict", True)
    with pytest.raises(GradientError, match="where value0 alone is used, its backward pass raised TypeError"):
        gradcheck(TwoValues.apply, x, reference)


def test_the_function_is_not_the_reference():
    with pytest.raises(GradientError, match="value is not that of the reference weighted: value is 2 × the true value"):
        gradcheck(function(right, lambda x, w: 2 * (x * x * w).sum(-1)), drawn(), weighted)


def test_an_output_that_does_not_depend_on_an_input_has_a_gradient_of_zeros():
    x, w = drawn()
    assert gradcheck(lambda x, w: (x * x).sum(), (x, w), lambda x, w: np.sum(x * x)) is True
    with pytest.raises(GradientError, match="∂f/∂w is zero everywhere"):
        gradcheck(lambda x, w: (x * x * w.detach()).sum(-1), (x, w), weighted)


def test_a_value_that_is_cut_from_the_graph_is_named():
    with pytest.raises(GradientError, match="∂f/∂x is zero everywhere: the term is missing"):
        gradcheck(lambda x, w: (x * x * w).sum(-1).detach(), drawn(), weighted)


def test_empty_tensors_have_empty_gradients():
    assert gradcheck(function(right), drawn(torch.float64, (0, 4), (4,)), weighted) is True


def test_views_are_taken_with_their_strides():
    (base,) = drawn(torch.float64, (4, 6))
    x = base.detach().T[::2, ::2].requires_grad_()
    assert not x.is_contiguous()
    assert gradcheck(function(right), (x, drawn(torch.float64, (2,))[0]), weighted) is True
    expanded = torch.ones(1, dtype=torch.float64).expand(2, 4).requires_grad_()
    assert gradcheck(function(right), (expanded, drawn(torch.float64, (4,))[0]), weighted) is True


BAD = {
    "a forward part that NumPy computes": (
        lambda: gradcheck(function(right, of_numpy), drawn()),
        r"Weighted asks for the value of an input \(test_gradcheck.py, line \d+\): .*; or pass reference=",
    ),
    "no gradient": (
        lambda: gradcheck(function(right), [t.detach() for t in drawn()], weighted),
        r"no input requires grad, .*write x.requires_grad_\(\)",
    ),
    "other shapes": (
        lambda: gradcheck(function(right), drawn(), lambda xp, x, w: xp.sum(x * x * w)),
        r"value of Weighted has shape \(3,\), of the reference <lambda> \(\); wanted the same function",
    ),
    "more values": (
        lambda: gradcheck(function(right), drawn(), lambda xp, x, w: (x, w)),
        "returned 1 array and the reference <lambda> 2 arrays",
    ),
    "other inputs": (lambda: gradcheck(function(right), drawn(), lambda xp, x: x), "takes x, and 2 inputs are given"),
    "an operation of other shapes": (
        lambda: gradcheck(torch.tanh, drawn()[:1], weighted_squares),
        "the reference weighted_squares: weighted_squares takes 2 inputs",
    ),
    "complex": (
        lambda: gradcheck(lambda x: x, torch.ones(2, dtype=torch.complex64, requires_grad=True), lambda x: x),
        "input 0 is complex .*wanted real numbers",
    ),
    "complex value": (lambda: gradcheck(torch.fft.fft, drawn()[1:], lambda x: x), "output 0 of .* is complex"),
    "a dict": (
        lambda: gradcheck(lambda x: {"y": x}, drawn()[:1], lambda x: x),
        "returned a dict of 'y'; wanted a tensor or a tuple of them",
    ),
    "no backward": (
        lambda: gradcheck(function(None), drawn(), weighted),
        "Weighted has no backward pass: .*write @static",
    ),
    "a number": (
        lambda: gradcheck(lambda x, n: x * n, (drawn()[0], 2), lambda x, n: x * n),
        "input 1 is a int; wanted tensors",
    ),
    "raises": (lambda: gradcheck(lambda x: x @ x, drawn()[:1], lambda x: x), "raised RuntimeError: .* at these inputs"),
    "not finite": (
        lambda: gradcheck(lambda x: x, torch.full((2,), torch.inf, requires_grad=True), lambda x: x),
        "not finite",
    ),
    "a step": (lambda: gradcheck(function(right), drawn(), weighted, eps=1e-6), "takes no eps"),
    "a reference in half of each": (
        lambda: gradcheck(function(right), drawn(), lambda x, w: torch.sum(x * x * w, -1) + np.sum(x, -1)),
        r"the reference <lambda> raised TypeError.* \(line \d+\).* write it with xp. or np. alone",
    ),
    "a torch reference with a branch": (
        lambda: gradcheck(function(right), drawn(), lambda x, w: torch.sum(x * x * w, -1) if w.sum() > 0 else -w),
        r"asks for the value of an input \(test_gradcheck.py, line \d+\)",
    ),
    "no function": (lambda: gradcheck(function(right), drawn(), 3), "the reference is int; wanted a function"),
    "no such name": (lambda: gradcheck(function(right), drawn(), "wieghted"), "wieghted"),
    "integers out": (
        lambda: gradcheck(lambda x: x.argmax(-1), drawn()[:1], lambda x: np.sum(x, axis=-1)),
        "value of .* is int64",
    ),
    "accumulate": (lambda: gradcheck(function(right), drawn(), weighted, accumulate="float64"), "wanted float32"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_that_says_what_to_do(name):
    call, said = BAD[name]
    with pytest.raises(BadInput, match=said) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_a_wrong_pullback_of_the_reference_is_refused():
    def wrong(xp, x, w):
        value, pullback = weighted_squares.function(xp, x, w)
        return value, lambda f_bar: (2 * pullback(f_bar)[0], pullback(f_bar)[1])

    with pytest.raises(BadInput, match="the pullback of the reference wrong is not the derivative"):
        gradcheck(function(right), drawn(), wrong)


def test_beyond_ball_arithmetic_the_tape_stands_in_for_a_pullback_that_nothing_certifies(monkeypatch):
    from multigrad.truth import given

    monkeypatch.setattr(given, "EXACT_FLOPS", 10)

    def doubled(xp, x, w):
        value, pullback = weighted_squares.function(xp, x, w)
        return value, lambda f_bar: tuple(2 * g for g in pullback(f_bar))

    assert gradcheck(function(right), drawn(), doubled) is True
    with pytest.raises(GradientError, match=r"∂f/∂x is 0.5 ×"):
        gradcheck(function(lambda *a: (right(*a)[0] / 2, right(*a)[1])), drawn(), doubled)


def test_it_says_nothing_where_all_is_right(capsys):
    assert gradcheck(function(right), drawn(), weighted)
    assert capsys.readouterr() == ("", "")
