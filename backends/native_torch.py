"""How a user of PyTorch would write the catalogue: with the fused functions of the framework.

Each function here is the native form of the operation of its name: it takes the operation's inputs and parameters and
returns its values; PyTorch differentiates it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

Array = torch.Tensor


def relu_regression(X: Array, W: Array, Y: Array) -> Array:
    return F.mse_loss(F.relu(X @ W), Y, reduction="sum")


def linear_map(C: Array, x: Array) -> Array:
    return torch.mv(C, x)


def conv2d(image: Array, kernel: Array, **how: Any) -> Array:
    return F.conv2d(image, kernel, **how)


def conv_transpose2d(image: Array, kernel: Array, **how: Any) -> Array:
    return F.conv_transpose2d(image, kernel, **how)
