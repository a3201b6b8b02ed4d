"""The public names of torch.nn.functional: example inputs, or why there are none."""

from __future__ import annotations

import numpy as np

from .coverage_cases import Case, at, between, call, far, grouped, positive, real, whole

V, M = real(5), real(3, 4)
SIGNAL, IMAGE, VOLUME = real(2, 2, 6), real(2, 2, 4, 4), real(1, 2, 3, 4, 4)
TIES = at(-1.0, 0.0, 2.0)
LABELS = whole(1, 3, 0)
WEIGHTS = whole(0.5, 1.5, 2.0, 1.0)
SIGNS = whole(1.0, -1.0, 1.0)
MASK = np.tril(np.ones((3, 3), dtype=bool))

TYPE = "a type, a module or a constant"
CREATION = "returns integers that are made of integers"
RANDOM = "draws random numbers"
INPLACE = "writes into its input"
INNER = "not a function of arrays: a helper of torch's own code"
INDICES = "with the indices of the largest as well; the values are those of"
BLOCKS = "float8 numbers in blocks"


def alias(name: str) -> str:
    return f"another name of {name}"


ACTIVATIONS: dict[str, list[Case]] = {
    "celu": [call(M), call(M, alpha=0.5), call(TIES), call(far(6))],
    "elu": [call(M), call(M, alpha=0.5), call(TIES), call(far(6))],
    "gelu": [call(M), call(M, approximate="tanh"), call(far(6)), call(far(6), approximate="tanh")],
    "glu": [call(M), call(real(4, 3), dim=0)],
    "hardshrink": [call(M), call(M, lambd=0.2), call(at(-0.5, 0.0, 0.5))],
    "hardsigmoid": [call(M), call(at(-3.0, 0.0, 3.0))],
    "hardswish": [call(M), call(at(-3.0, 0.0, 3.0))],
    "hardtanh": [call(M), call(at(-1.0, 0.0, 1.0)), call(M, min_val=-0.2, max_val=0.5)],
    "leaky_relu": [call(M), call(M, negative_slope=0.2), call(TIES)],
    "log_softmax": [call(M, dim=1), call(M, dim=0), call(far(3, 4), dim=1)],
    "logsigmoid": [call(M), call(far(6))],
    "mish": [call(M), call(far(6))],
    "prelu": [call(M, real(1)), call(M, real(4)), call(TIES, at(0.25))],
    "relu": [call(M), call(TIES)],
    "relu6": [call(M), call(at(-1.0, 0.0, 3.0, 6.0))],
    "rrelu": [call(M, training=False), call(TIES, training=False)],
    "selu": [call(M), call(TIES)],
    "sigmoid": [call(M), call(far(6))],
    "silu": [call(M), call(far(6))],
    "softmax": [call(M, dim=1), call(M, dim=0), call(far(3, 4), dim=1)],
    "softmin": [call(M, dim=1)],
    "softplus": [call(M), call(M, beta=2.0, threshold=1.0), call(far(6))],
    "softshrink": [call(M), call(M, lambd=0.2), call(at(-0.5, 0.0, 0.5))],
    "softsign": [call(M), call(TIES)],
    "tanh": [call(M), call(far(6))],
    "tanhshrink": [call(M)],
    "threshold": [call(M, 0.1, 20.0), call(TIES, 0.0, 1.0)],
}
"""Activations."""

LOSSES: dict[str, list[Case]] = {
    "binary_cross_entropy": [call(between(3, 4), between(3, 4)), call(between(3), between(3), reduction="sum")],
    "binary_cross_entropy_with_logits": [
        call(M, between(3, 4)),
        call(M, between(3, 4), pos_weight=WEIGHTS),
    ],
    "cosine_embedding_loss": [call(M, M, SIGNS), call(M, M, SIGNS, margin=0.2)],
    "cross_entropy": [
        call(M, LABELS),
        call(M, LABELS, label_smoothing=0.1, reduction="sum"),
        call(M, LABELS, weight=WEIGHTS),
        call(M, whole(1, -100, 0)),
        call(M, between(3, 4)),
        call(real(2, 4, 3), whole([1, 0, 3], [2, 2, 1])),
    ],
    "ctc_loss": [call(real(5, 2, 4), whole([1, 2], [3, 1]), whole(5, 5), whole(2, 2))],
    "gaussian_nll_loss": [call(M, M, 0.5), call(M, M, 2.0, full=True)],
    "hinge_embedding_loss": [call(at(0.3, 0.4, 2.0), SIGNS), call(at(0.3, 1.0, 2.0), whole(1.0, -1.0, -1.0))],
    "huber_loss": [call(M, M), call(M, M, delta=0.5), call(at(1.0, 2.0), at(0.0, 2.0))],
    "kl_div": [call(M, between(3, 4)), call(M, M, log_target=True, reduction="batchmean")],
    "l1_loss": [call(M, M), call(at(1.0, 2.0), at(0.0, 2.0))],
    "linear_cross_entropy": [call(real(3, 5), real(4, 5), LABELS)],
    "margin_ranking_loss": [call(real(3), real(3), SIGNS, margin=0.1)],
    "mse_loss": [call(M, M), call(M, M, reduction="none")],
    "multi_margin_loss": [call(M, LABELS), call(M, LABELS, p=2, margin=0.7)],
    "multilabel_margin_loss": [call(M, whole([1, 3, -1, 0], [0, -1, 1, 1], [2, 1, 0, 3]))],
    "multilabel_soft_margin_loss": [call(M, whole([1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]))],
    "nll_loss": [call(M, LABELS), call(M, LABELS, weight=WEIGHTS), call(M, whole(1, -100, 0))],
    "poisson_nll_loss": [call(M, positive(3, 4)), call(positive(3, 4), positive(3, 4), log_input=False, full=True)],
    "smooth_l1_loss": [call(M, M), call(M, M, beta=0.5), call(at(1.0, 2.0), at(0.0, 2.0))],
    "soft_margin_loss": [call(real(3), SIGNS)],
    "triplet_margin_loss": [call(M, M, M), call(M, M, M, margin=3.0, swap=True), call(M, M, M, p=1)],
    "triplet_margin_with_distance_loss": [call(M, M, M), call(M, M, M, margin=3.0)],
}
"""Losses."""

LAYERS: dict[str, list[Case]] = {
    "batch_norm": [
        call(M, None, None, real(4), real(4), training=True),
        call(IMAGE, whole(0.1, -0.2), whole(1.5, 0.7), real(2), real(2)),
    ],
    "bilinear": [call(M, real(3, 2), real(5, 4, 2), real(5))],
    "conv1d": [call(SIGNAL, real(3, 2, 3), real(3)), call(SIGNAL, real(4, 1, 3), stride=2, padding=1, groups=2)],
    "conv2d": [call(IMAGE, real(3, 2, 3, 3), real(3)), call(IMAGE, real(2, 2, 2, 2), stride=2, dilation=2, padding=1)],
    "conv3d": [call(VOLUME, real(2, 2, 2, 2, 2), real(2))],
    "conv_tbc": [call(real(4, 2, 3), real(2, 3, 2), real(2), pad=1)],
    "conv_transpose1d": [call(SIGNAL, real(2, 3, 3), real(3), stride=2, padding=1, output_padding=1)],
    "conv_transpose2d": [call(IMAGE, real(2, 3, 2, 2), real(3)), call(IMAGE, real(2, 1, 3, 3), stride=2, groups=2)],
    "conv_transpose3d": [call(VOLUME, real(2, 2, 2, 2, 2))],
    "dropout": [call(M, training=False)],
    "dropout1d": [call(SIGNAL, training=False)],
    "dropout2d": [call(IMAGE, training=False)],
    "dropout3d": [call(VOLUME, training=False)],
    "alpha_dropout": [call(M, training=False)],
    "feature_alpha_dropout": [call(IMAGE, training=False)],
    "embedding": [call(whole(0, 2, 2), M), call(whole(0, 2, 1), M, padding_idx=0)],
    "embedding_bag": [
        call(whole([0, 2], [1, 1]), M, mode="sum"),
        call(whole(0, 2, 1), M, whole(0, 2), mode="mean"),
        call(whole([0, 2], [1, 1]), M, mode="sum", per_sample_weights=real(2, 2)),
    ],
    "group_norm": [call(real(2, 4, 3), 2, real(4), real(4)), call(IMAGE, 1)],
    "instance_norm": [call(IMAGE), call(SIGNAL, weight=real(2), bias=real(2))],
    "layer_norm": [call(M, (4,), real(4), real(4)), call(IMAGE, (4, 4))],
    "linear": [call(M, real(2, 4), real(2)), call(V, real(3, 5))],
    "local_response_norm": [call(real(2, 4, 3), 2)],
    "multi_head_attention_forward": [
        call(
            *(real(3, 1, 4), real(3, 1, 4), real(3, 1, 4), 4, 2, real(12, 4), real(12), None, None, False, 0.0),
            *(real(4, 4), real(4)),
            training=False,
        )
    ],
    "normalize": [call(M), call(M, p=1, dim=0), call(M, p=3.0)],
    "rms_norm": [call(M, (4,)), call(M, (4,), real(4), eps=1e-5)],
    "scaled_dot_product_attention": [
        call(real(2, 3, 4), real(2, 3, 4), real(2, 3, 4)),
        call(real(1, 2, 3, 4), real(1, 2, 3, 4), real(1, 2, 3, 2), is_causal=True),
        call(real(3, 4), real(3, 4), real(3, 2), attn_mask=MASK, scale=0.3),
    ],
}
"""Layers."""

PLACES: dict[str, list[Case]] = {
    "adaptive_avg_pool1d": [call(SIGNAL, 4)],
    "adaptive_avg_pool2d": [call(IMAGE, (3, 2))],
    "adaptive_avg_pool3d": [call(VOLUME, (2, 3, 2))],
    "adaptive_max_pool1d": [call(SIGNAL, 4)],
    "adaptive_max_pool2d": [call(IMAGE, (3, 2))],
    "adaptive_max_pool3d": [call(VOLUME, (2, 3, 2))],
    "affine_grid": [call(real(2, 2, 3), (2, 1, 3, 4), align_corners=False)],
    "avg_pool1d": [call(SIGNAL, 3, stride=2, padding=1), call(SIGNAL, 2)],
    "avg_pool2d": [call(IMAGE, 2), call(IMAGE, 3, stride=1, padding=1, count_include_pad=False)],
    "avg_pool3d": [call(VOLUME, 2)],
    "channel_shuffle": [call(real(1, 4, 2, 2), 2)],
    "cosine_similarity": [call(M, M), call(M, M, dim=0)],
    "fold": [call(real(1, 8, 4), (3, 3), (2, 2)), call(real(1, 4, 4), (4, 4), (2, 2), stride=2)],
    "grid_sample": [
        call(IMAGE, between(2, 3, 3, 2), align_corners=False),
        call(IMAGE, between(2, 3, 3, 2), mode="bicubic", align_corners=True),
        call(IMAGE, far(2, 3, 3, 2, scale=1.0), padding_mode="border", align_corners=False),
    ],
    "interpolate": [
        call(SIGNAL, scale_factor=2),
        call(IMAGE, size=(6, 5), mode="bilinear", align_corners=False),
        call(IMAGE, size=(6, 5), mode="bilinear", align_corners=True),
        call(IMAGE, size=(6, 5), mode="bicubic", align_corners=False),
        call(IMAGE, size=(3, 2), mode="area"),
    ],
    "lp_pool1d": [call(SIGNAL, 2, 2)],
    "lp_pool2d": [call(IMAGE, 2, 2)],
    "lp_pool3d": [call(VOLUME, 2, 2)],
    "max_pool1d": [call(SIGNAL, 3, stride=2, padding=1), call(at([[1.0, 1.0, 0.0]]), 2)],
    "max_pool2d": [call(IMAGE, 2), call(IMAGE, 2, stride=1, dilation=2)],
    "max_pool3d": [call(VOLUME, 2)],
    "max_unpool1d": [call(real(1, 1, 2), whole([[1, 2]]), 2)],
    "max_unpool2d": [call(real(1, 1, 2, 2), whole([[[0, 3], [8, 15]]]), 2)],
    "max_unpool3d": [call(real(1, 1, 1, 1, 2), whole([[[[0, 3]]]]), 2)],
    "pad": [
        call(M, (1, 2)),
        call(M, (1, 2, 0, 1), value=3.0),
        *(call(SIGNAL, (2, 1), mode=mode) for mode in ("reflect", "replicate", "circular")),
    ],
    "pairwise_distance": [call(M, M), call(M, M, p=1.0, keepdim=True)],
    "pdist": [call(M), call(M, p=1.0), call(M, p=3.0)],
    "pixel_shuffle": [call(real(1, 4, 2, 2), 2)],
    "pixel_unshuffle": [call(real(1, 1, 4, 4), 2)],
    "unfold": [call(IMAGE, (2, 2)), call(IMAGE, (2, 2), stride=2, padding=1)],
    "upsample": [call(IMAGE, scale_factor=2)],
    "upsample_bilinear": [call(IMAGE, size=(6, 5))],
    "upsample_nearest": [call(IMAGE, scale_factor=2)],
}
"""Windows, places and shapes."""

FUNCTIONAL = ACTIVATIONS | LOSSES | LAYERS | PLACES
"""torch.nn.functional."""

FUNCTIONAL_OUT = grouped(
    {
        TYPE: "BroadcastingList1 BroadcastingList2 BroadcastingList3 Callable DType GRID_SAMPLE_INTERPOLATION_MODES "
        "GRID_SAMPLE_PADDING_MODES Optional ScalingType SwizzleType TYPE_CHECKING Tensor dataclasses grad importlib "
        "math np reproducibility_notes sparse_support_notes tf32_notes torch warnings",
        CREATION: "one_hot",
        RANDOM: "fractional_max_pool2d fractional_max_pool2d_with_indices fractional_max_pool3d "
        "fractional_max_pool3d_with_indices gumbel_softmax",
        INPLACE: "celu_ elu_ hardtanh_ leaky_relu_ relu_ rrelu_ selu_ threshold_",
        INNER: "assert_int_or_pair boolean_dispatch handle_torch_function has_torch_function has_torch_function_unary "
        "has_torch_function_variadic",
        BLOCKS: "scaled_grouped_mm scaled_mm",
        "takes bfloat16 on a GPU alone": "grouped_mm",
        alias("channel_shuffle"): "native_channel_shuffle",
        f"{INDICES} adaptive_max_pool1d": "adaptive_max_pool1d_with_indices",
        f"{INDICES} adaptive_max_pool2d": "adaptive_max_pool2d_with_indices",
        f"{INDICES} adaptive_max_pool3d": "adaptive_max_pool3d_with_indices",
        f"{INDICES} max_pool1d": "max_pool1d_with_indices",
        f"{INDICES} max_pool2d": "max_pool2d_with_indices",
        f"{INDICES} max_pool3d": "max_pool3d_with_indices",
    }
)

MODULES = {"torch.nn.functional": (FUNCTIONAL, FUNCTIONAL_OUT)}
"""The module's inputs, and the reason of each name that has none."""
