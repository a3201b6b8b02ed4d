"""Write digits.npz: handwritten digits against their labels, as inputs for `relu_regression`.

    python examples/digits.py
    multigrad check relu_regression --inputs digits.npz

X is 1797 images of 8 × 8 pixels in rows, scaled to 0 … 1; Y is one-hot, 1797 × 10; W is a small random start, 64 × 10.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np


def main() -> int:
    """Write the file and say what is in it; 3 if scikit-learn, which has the images, is not installed."""
    parser = argparse.ArgumentParser(description="Write scikit-learn's digits as inputs for relu_regression.")
    parser.add_argument("file", nargs="?", type=Path, default=Path("digits.npz"), help="default: %(default)s")
    path = parser.parse_args().file
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        print("digits.py: scikit-learn is not installed; pip install scikit-learn", file=sys.stderr)
        return 3
    images, labels = load_digits(return_X_y=True)
    X = images / 16.0
    W = 0.1 * np.random.default_rng(0).standard_normal((64, 10))
    Y = np.eye(10)[labels]
    np.savez(path, X=X, W=W, Y=Y)
    print(f"wrote {path}: " + ", ".join(f"{name} {array.shape}" for name, array in (("X", X), ("W", W), ("Y", Y))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
