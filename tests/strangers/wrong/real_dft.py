"""Mistake: the conjugate is missing: the imaginary part comes back with the wrong sign.

Kind: a conjugate in the rules of Fourier transforms.
"""

import numpy as np

from multigrad import operation


def tables(xp, n, dtype):
    phase = 2 * np.pi / n * (np.arange(n)[:, None] * np.arange(n)[None, :] % n)
    return xp.asarray(np.cos(phase), dtype=dtype), xp.asarray(np.sin(phase), dtype=dtype)


@operation("(n)->(n),(n)", sizes={"tiny": {"n": 3}, "odd": {"n": 8}, "large": {"n": 64}})
def real_dft(xp, x):
    """Real and imaginary part of the discrete Fourier transform, by matrices."""
    C, S = tables(xp, x.shape[0], x.dtype)

    def pullback(re_bar, im_bar):
        return C.T @ re_bar + S.T @ im_bar

    return (C @ x, -(S @ x)), pullback
