"""Mistake: coordinates that are clamped at the image's edge still get a gradient.

Kind: the gradient of PyTorch's grid_sample at the border, issue 23925.
"""

from multigrad import operation

SIZES = {
    "tiny": {"h": 2, "w": 3, "n": 4},
    "odd": {"h": 4, "w": 3, "n": 7},
    "large": {"h": 32, "w": 32, "n": 300},
}


@operation("(h,w),(n),(n)->(n)", sizes=SIZES)
def bilinear_sampler(xp, image, r, c):
    """Bilinear samples at rows r and columns c, which are clamped to the image."""
    h, w = image.shape
    rc = xp.clip(r, 0, h - 1)
    cc = xp.clip(c, 0, w - 1)

    def hat(at, count):
        d = at[:, None] - xp.astype(xp.arange(count), at.dtype)
        slope = xp.where(d >= 0, -xp.ones_like(d), 1.0)
        return xp.where(xp.abs(d) < 1, 1 - xp.abs(d), 0.0), xp.where((d >= -1) & (d < 1), slope, 0.0)

    A, dA = hat(rc, h)
    B, dB = hat(cc, w)

    def pullback(y_bar):
        inside_r = (r > 0) & (r < h - 1)
        r_bar = y_bar * xp.sum((dA @ image) * B, axis=1)
        c_bar = y_bar * xp.sum((A @ image) * dB, axis=1)
        image_bar = (A * y_bar[:, None]).T @ B
        return image_bar, xp.where(inside_r, r_bar, 0.0), c_bar

    return xp.sum((A @ image) * B, axis=1), pullback
