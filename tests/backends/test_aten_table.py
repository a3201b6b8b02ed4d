"""What the table of ATen calls makes of torch's functions: torch's values, and the gradient of torch's autograd."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from multigrad import from_torch
from multigrad.data.standard import numpy_standard
from multigrad.namespaces import bounds, cost, dual, exact, tape

torch = pytest.importorskip("torch", reason="torch is not installed (pip install torch)")

from tests.backends import torch_functions  # noqa: E402 - imports torch

xp = numpy_standard()

LOOSE = {"polygamma": 1e-8, "digamma": 1e-8, "hardsigmoid": 1e-7, "celu": 1e-7}
"""How far torch is off in float64: its polygamma functions, and constants that it has in float32."""


@functools.cache
def case(name):
    """Return the operation that is traced, the function, which returns its real values, and its arguments."""
    function, *arguments = torch_functions.CASES[name]

    def listed(*tensors):
        results = function(*tensors)
        results = results if isinstance(results, list | tuple) else (results,)
        return tuple(x for x in results if x.is_floating_point())

    return from_torch(listed, example=tuple(arguments), name=name), listed, arguments


def several(values):
    return tuple(values) if isinstance(values, tuple | list) else (values,)


@pytest.mark.filterwarnings("ignore:index_reduce", "ignore:torch.triangular_solve")
@pytest.mark.parametrize("name", torch_functions.CASES)
def test_values_and_gradients_are_those_of_torch(name):
    op, function, arguments = case(name)
    real = [a.dtype.is_floating_point for a in arguments]
    leaves = [a.clone().requires_grad_(r) if r else a for a, r in zip(arguments, real, strict=True)]
    wanted = function(*leaves)
    arrays = [a.numpy() for a in arguments]
    with np.errstate(all="ignore"):
        found, pullback = tape.with_pullback(
            lambda on_tape, *x: several(op.function(on_tape, *x)), tape.over(xp), arrays, real, {}
        )
    assert len(found) == len(wanted) > 0
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.shape(ours) == tuple(theirs.shape)
        np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=LOOSE.get(name, 1e-12), atol=1e-13)
    moving = [w for w in wanted if w.requires_grad]
    cotangents = [torch.from_numpy(np.asarray(np.cos(np.arange(w.numel()) + 0.5)).reshape(w.shape)) for w in wanted]
    with np.errstate(all="ignore"):
        gradients = pullback(*(c.numpy() for c in cotangents))
    theirs = torch.autograd.grad(
        moving,
        [x for x in leaves if x.requires_grad],
        [c for w, c in zip(wanted, cotangents, strict=True) if w.requires_grad],
        allow_unused=True,
    )
    assert len(gradients) == len(theirs)
    for ours, expected, x in zip(gradients, theirs, [a for a in leaves if a.requires_grad], strict=True):
        expected = torch.zeros_like(x) if expected is None else expected
        np.testing.assert_allclose(ours, expected.numpy(), rtol=LOOSE.get(name, 1e-10), atol=1e-11)


# In balls, in bounds, and counted

PROVED = (
    *("gelu", "softplus", "elu", "logsigmoid", "mish", "softmax", "log_softmax", "glu", "hypot", "logaddexp", "fmod"),
    *(
        "clamp",
        "prod",
        "std_axis",
        "logsumexp",
        "cumprod",
        "cummax",
        "logcumsumexp",
        "sort",
        "topk",
        "median",
        "norm_3",
    ),
    *("roll", "diag_embed", "unfold_tensor", "split", "tril", "gather", "scatter_add", "scatter_prod", "written_row"),
    *("rows_and_labels", "integers_apart", "index_add", "index_put", "embedding", "addmm", "einsum_three", "solve"),
    *("slogdet", "cholesky", "qr", "svd", "eigh", "pinv", "solve_triangular", "lu", "matrix_exp", "cdist", "inv"),
    *("cosine_similarity", "smooth_l1_loss", "huber_loss", "bce_with_logits_weighted", "cross_entropy_smooth"),
    *("kl_div", "poisson_nll_full", "multilabel_margin_loss", "triplet_margin_loss", "batch_norm", "layer_norm"),
    *(
        "group_norm",
        "local_response_norm",
        "rms_norm",
        "attention_masked",
        "attention_causal",
        "conv1d",
        "multi_head_attention",
    ),
    *("conv_transpose2d", "fold", "avg_pool2d", "max_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"),
    *(
        "max_unpool2d",
        "embedding_bag",
        "pad_reflect",
        "interpolate_bilinear",
        "interpolate_bicubic",
        "polygamma",
        "interpolate_nearest",
        "ctc_given",
    ),
    *("grid_sample_bilinear_reflection", "grid_sample_3d_bilinear_zeros", "affine_grid", "pixel_shuffle"),
)
"""Some of each kind."""


@pytest.mark.parametrize("name", PROVED)
def test_the_gradient_of_the_tape_is_that_of_dual_in_ball_arithmetic(name):
    op, _, arguments = case(name)
    real = [a.dtype.is_floating_point for a in arguments]
    arrays = [exact.variable(a.numpy()) for a in arguments]
    rng = np.random.default_rng(3)
    with exact.precision(200):
        values, pullback = tape.with_pullback(
            lambda on_tape, *x: several(op.function(on_tape, *x)), tape.over(exact), arrays, real, {}
        )
        cotangents = [exact.asarray(rng.standard_normal(v.shape)) for v in values]
        gradients = pullback(*cotangents)
        directions = [
            exact.asarray(rng.standard_normal((1, *a.shape))) if r else None for a, r in zip(arrays, real, strict=True)
        ]
        _, tangents = dual.directional_derivatives(lambda *x: several(op.function(dual, *x)), arrays, directions)
        moving = [d for d in directions if d is not None]
        left = sum(exact.sum(t[0, ...] * g) for t, g in zip(tangents, cotangents, strict=True))
        right = sum(exact.sum(d[0, ...] * g) for d, g in zip(moving, gradients, strict=True))
        distance = abs(exact.midpoints(left - right))
        assert distance <= 1e-40 * (1 + abs(exact.midpoints(left)))


@pytest.mark.parametrize("name", [name for name in PROVED if name != "lu"])  # which row comes first is undecided
def test_bounds_and_cost_follow_the_graph(name):
    op, function, arguments = case(name)
    arrays = [a.numpy() for a in arguments]

    def at(namespace, *x):
        return several(op.function(namespace, *x))

    for bounded in bounds.analyse(functools.partial(at, bounds), *arrays, context="float64"):
        assert np.all(bounded.worst <= 1e-9 * (1 + np.abs(bounded.value)))
    with cost.counting("float32") as counters:
        results = at(cost, *map(cost.asarray, arrays))
    assert counters.streamed_bytes > 0
    assert [tuple(r.shape) for r in results] == [tuple(v.shape) for v in function(*arguments)]
