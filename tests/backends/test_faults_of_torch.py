"""Derivatives of torch's that are wrong: what the trace says agrees with differences of torch's own values.

A fault that is mended makes its test fail, and is then taken off the list.
"""

from __future__ import annotations

import numpy as np
import pytest

from multigrad import from_torch
from multigrad.data.standard import numpy_standard
from multigrad.namespaces import exact, tape

torch = pytest.importorskip("torch", reason="torch is not installed (pip install torch)")
F = torch.nn.functional

STEP = 1e-4
FRAMES = np.log([[0.2, 0.5, 0.1], [0.3, 0.3, 0.2], [0.6, 0.1, 0.4], [0.2, 0.2, 0.2]])
TRIANGLE = np.array([[2.0, 0.0, 0.0], [0.3, 1.5, 0.0], [-0.4, 0.2, 1.0]])
SIDE = torch.tensor([[0.5], [-1.0], [2.0]], dtype=torch.float64)

WRONG = {
    # The power of two is one of integers in the backward pass, where 2⁻¹ is 0.
    "ldexp": (lambda x: torch.ldexp(x, torch.tensor([-1, -2])), np.array([1.5, 2.0])),
    # The triangle that is not read gets a gradient.
    "cholesky_solve": (lambda L: torch.cholesky_solve(SIDE, L), TRIANGLE),
    "cholesky_inverse": (lambda L: torch.cholesky_inverse(L), TRIANGLE),
    # The gradient is that for frames whose probabilities sum to 1, and sums to 0 over a frame.
    "ctc_loss": (lambda p: F.ctc_loss(p, torch.tensor([[1, 2]]), (4,), (2,)), FRAMES[:, None, :]),
}
"""Functions at points where torch's gradient is no derivative of its values."""

ROUNDED = {
    "hardsigmoid": (F.hardsigmoid, np.array([0.3])),
    "celu": (lambda x: F.celu(x, 0.7), np.array([-0.5])),
    "digamma": (torch.digamma, np.array([0.25])),
}
"""Functions whose gradient torch computes in float64 to fewer digits: constants of float32, a series that is short."""


def torchs_gradient(function, x):
    leaf = torch.tensor(x, requires_grad=True)
    value = function(leaf)
    (gradient,) = torch.autograd.grad(value, leaf, torch.ones_like(value))
    return gradient.numpy()


def traced_gradient(function, x, over):
    op = from_torch(lambda v: function(v), example=(torch.tensor(np.asarray(x)),), name="f")
    given = exact.variable(x) if over is exact else x
    value, pullback = tape.with_pullback(
        lambda on_tape, v: op.function(on_tape, v), tape.over(over), [given], [True], {}
    )
    return pullback(over.ones_like(value))[0]


def differences(function, x):
    result = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = x.copy()
            moved[place] += sign * STEP
            ends.append(float(function(torch.tensor(moved)).sum()))
        result[place] = (ends[0] - ends[1]) / (2 * STEP)
    return result


@pytest.mark.parametrize("name", WRONG)
def test_a_gradient_that_is_none_of_the_values(name):
    function, x = WRONG[name]
    wanted = differences(function, x)
    np.testing.assert_allclose(traced_gradient(function, x, numpy_standard()), wanted, atol=1e-6)
    assert np.abs(torchs_gradient(function, x) - wanted).max() > 1e-2


@pytest.mark.parametrize("name", ROUNDED)
def test_a_gradient_of_fewer_digits_than_float64_has(name):
    function, x = ROUNDED[name]
    with exact.precision(100):
        wanted = exact.midpoints(traced_gradient(function, x, exact))
    error = np.abs(torchs_gradient(function, x) / wanted - 1).max()
    assert 1e-12 < error < 1e-6


def test_the_decomposition_of_a_loss_of_lists_counts_what_stands_behind_their_end():
    x, lists = torch.tensor([[0.1, 0.2, 0.4, 0.8]], dtype=torch.float64), torch.tensor([[3, 0, -1, 1]])
    call = torch.ops.aten.multilabel_margin_loss_forward.default
    wanted = F.multilabel_margin_loss(x, lists)
    assert abs(torch._decomp.core_aten_decompositions()[call](x, lists, 1)[0] - wanted) > 0.5
    op = from_torch(lambda v: F.multilabel_margin_loss(v, lists), example=(x,), name="f")
    np.testing.assert_allclose(op.function(numpy_standard(), x.numpy()), wanted, rtol=1e-15)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*is deprecated")  # torch's own, when it compiles
def test_what_torch_compile_makes_of_expm1_is_zero_beside_zero():
    x = torch.full((64,), -1e-30, dtype=torch.float64)
    assert (torch.expm1(x) == x).all()
    assert (torch.compile(torch.expm1)(x) == 0).all()
