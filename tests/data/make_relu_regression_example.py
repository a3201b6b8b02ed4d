"""Make relu_regression_example.npz: the tensors of the printed example, and what torch.autograd says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    X, W, Y = (torch.randn(*shape, requires_grad=True) for shape in ((10, 4), (4, 4), (10, 4)))
    f = ((X @ W).clamp(min=0) - Y).square().sum()
    f.backward()
    arrays = {"X": X, "W": W, "Y": Y, "f": f, "X_bar": X.grad, "W_bar": W.grad, "Y_bar": Y.grad}
    np.savez(
        Path(__file__).with_name("relu_regression_example.npz"),
        torch_version=torch.__version__,
        **{name: array.detach().numpy() for name, array in arrays.items()},
    )


if __name__ == "__main__":
    main()
