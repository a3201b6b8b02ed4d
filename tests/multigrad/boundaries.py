"""Gradients that are right, and the same ones wrong where no drawn input comes: at a limit, a tie, an edge, a zero."""

from __future__ import annotations

from multigrad import operation

N = {"tiny": {"n": 4}}


def elementwise(value, slope):
    """Σ f(x), by f and its slope."""

    @operation("(n)->()", sizes=N)
    def f(xp, x):
        return xp.sum(value(xp, x)), lambda b: b * slope(xp, x)

    return f


def clamp(wrong):
    """A clip at 6, which standard normal numbers never meet."""
    inside = (lambda xp, x: xp.ones_like(x)) if wrong else (lambda xp, x: xp.where(xp.abs(x) < 6, 1.0, 0 * x))
    return elementwise(lambda xp, x: xp.clip(x, -6, 6), inside)


def one_sided_clamp(wrong):
    """The lower limit is forgotten."""

    def slope(xp, x):
        return xp.where((x < 6) if wrong else (x < 6) & (x > -6), 1.0, 0 * x)

    return elementwise(lambda xp, x: xp.minimum(xp.maximum(x, -6), 6), slope)


def threshold_of_the_pullback(wrong):
    limit = 2.0**-12 if wrong else 0

    @operation("(n)->()", sizes=N)
    def f(xp, x):
        return xp.sum(xp.maximum(x, 0)), lambda b: b * xp.where(x > limit, 1.0, 0 * x)

    return f


def norm_clip(wrong):
    """x scaled down to a length of 50 at most."""

    @operation("(n)->(n)", sizes=N)
    def f(xp, x):
        length = xp.sqrt(xp.sum(x * x))
        scale = xp.minimum(50 / length, xp.asarray(1.0))

        def pullback(g):
            along = 0 if wrong else xp.where(length > 50, xp.sum(g * x) / length**2, 0 * length)
            return scale * (g - along * x)

        return scale * x, pullback

    return f


def row_maximum(wrong):
    """Of tied entries each gets the whole cotangent, or they share it."""

    @operation("(m,n)->(m)", sizes={"tiny": {"m": 2, "n": 3}})
    def f(xp, x):
        y = xp.max(x, axis=-1, keepdims=True)

        def pullback(g):
            best = xp.astype(x == y, x.dtype)
            share = 1 if wrong else xp.sum(best, axis=-1, keepdims=True)
            return g[:, None] * best / share

        return y[:, 0], pullback

    return f


def larger_of_two(wrong):
    @operation("(n),(n)->(n)", sizes=N)
    def f(xp, x, y):
        def pullback(g):
            first, second = x >= y, (y >= x) if wrong else (y > x)
            return xp.where(first, g, 0 * g), xp.where(second, g, 0 * g)

        return xp.maximum(x, y), pullback

    return f


def nothing_at_a_tie(wrong):
    """Neither of two tied entries gets anything."""

    @operation("(n),(n)->(n)", sizes=N)
    def f(xp, x, y):
        def pullback(g):
            first = (x > y) if wrong else (x >= y)
            return xp.where(first, g, 0 * g), xp.where(x < y, g, 0 * g)

        return xp.maximum(x, y), pullback

    return f


def absolute(wrong):
    """x / |x| is NaN at 0, where any of [−1, 1] is right."""
    return elementwise(lambda xp, x: xp.abs(x), (lambda xp, x: x / xp.abs(x)) if wrong else (lambda xp, x: xp.sign(x)))


def masked_mean(wrong):
    """The mean of the positive entries, 0 if there are none."""

    @operation("(n)->()", sizes={"tiny": {"n": 6}})
    def f(xp, x):
        mask = xp.astype(x > 0, x.dtype)
        count = xp.sum(mask)
        safe = xp.maximum(count, 1 + 0 * count)
        return xp.sum(mask * x * x) / safe, lambda b: 2 * b * mask * x / (count if wrong else safe)

    return f


def sampler(wrong):
    """Linear interpolation at t, zero outside of the image."""

    @operation(
        "(w),(n)->(n)",
        sizes={"tiny": {"w": 5, "n": 3}},
        inputs=lambda draw, w, n: [draw(w), 0.2 + (w - 1.4) * draw.rng.random(n)],
    )
    def f(xp, image, t):
        w = image.shape[0]
        left = xp.floor(t)
        part = t - left

        def corner(k):
            inside = (k >= 0) & (k <= w - 1)
            index = xp.astype(xp.clip(k, 0, w - 1), xp.int64)
            return inside, index, xp.where(inside, xp.take(image, index), 0 * t)

        (in0, i0, v0), (in1, i1, v1) = corner(left), corner(left + 1)

        def pullback(g):
            columns = xp.arange(w)[None, :]

            def spread(inside, index, weight):
                weight = weight if wrong else xp.where(inside, weight, 0 * weight)
                return xp.sum(weight[:, None] * xp.astype(index[:, None] == columns, image.dtype), axis=0)

            return spread(in0, i0, g * (1 - part)) + spread(in1, i1, g * part), g * (v1 - v0)

        return (1 - part) * v0 + part * v1, pullback

    return f


def divergence(wrong):
    """Σ p log(p/q), where 0 log 0 is 0; by q it has a slope at p = 0 too."""

    @operation("(n),(n)->()", sizes=N, inputs=lambda draw, n: [0.1 + abs(draw(n)), 0.1 + abs(draw(n))])
    def f(xp, p, q):
        safe = xp.where(p > 0, p, 1.0)
        value = xp.sum(xp.where(p > 0, p * xp.log(safe / q), 0 * p))

        def pullback(b):
            p_bar = xp.where(p > 0, xp.log(safe / q) + 1, 0 * p)
            return b * p_bar, -b * (safe if wrong else p) / q

        return value, pullback

    return f


def gather(wrong):
    """Of entries that are gathered twice the last is written, or both are added."""

    @operation(
        "(m),(n)->(n)",
        nondifferentiable=["i"],
        sizes={"tiny": {"m": 90, "n": 2}},
        inputs=lambda draw, m, n: [draw(m), draw.labels(m, n)],
    )
    def f(xp, x, i):
        def pullback(g):
            x_bar = 0 * x
            for k in range(i.shape[0]):
                hit = xp.arange(x.shape[0]) == i[k]
                x_bar = xp.where(hit, g[k] + (0 if wrong else x_bar), x_bar)
            return x_bar

        return xp.take(x, i), pullback

    return f


def ignored_labels(wrong):
    """The mean over labels that are not ignored, 0 if all are."""

    @operation(
        "(n),(n)->()",
        nondifferentiable=["label"],
        sizes=N,
        inputs=lambda draw, n: [draw(n), draw.labels(5, n) - 1],
    )
    def f(xp, x, label):
        kept = xp.astype(label != -1, x.dtype)
        count = xp.sum(kept)
        safe = xp.where(count > 0, count, 1.0)
        return xp.sum(kept * x * x) / safe, lambda b: 2 * b * kept * x / (count if wrong else safe)

    return f


def norm_with_a_guard(wrong):
    """‖x‖, whose gradient at 0 is taken to be 0 — or, wrongly, 2 in every entry."""

    @operation("(m,n)->(m)", sizes={"tiny": {"m": 2, "n": 2}})
    def f(xp, x):
        length = xp.sqrt(xp.sum(x * x, axis=-1, keepdims=True))
        safe = xp.where(length > 0, length, 1.0)
        at_zero = 2.0 if wrong else 0.0
        return length[:, 0], lambda g: g[:, None] * xp.where(length > 0, x / safe, at_zero)

    return f


PAIRS = [
    clamp,
    one_sided_clamp,
    threshold_of_the_pullback,
    norm_clip,
    row_maximum,
    larger_of_two,
    nothing_at_a_tie,
    absolute,
    masked_mean,
    sampler,
    divergence,
    gather,
    ignored_labels,
    norm_with_a_guard,
]
"""Each with ``wrong`` true or false."""


RIGHT = {
    "step": elementwise(lambda xp, x: xp.where(x > 0, 1.0, 0 * x), lambda xp, x: 0 * x),
    "hard threshold": elementwise(
        lambda xp, x: xp.where(xp.abs(x) > 0.5, x, 0 * x), lambda xp, x: xp.where(xp.abs(x) > 0.5, 1.0, 0 * x)
    ),
    "fraction": elementwise(lambda xp, x: (x - xp.floor(x)) ** 2, lambda xp, x: 2 * (x - xp.floor(x))),
    "x by two masks": elementwise(
        lambda xp, x: xp.maximum(x, 0) - xp.maximum(-x, 0),
        lambda xp, x: xp.where(x > 0, 1.0, 0 * x) + xp.where(-x > 0, 1.0, 0 * x),
    ),
    "half at the kink": elementwise(
        lambda xp, x: xp.maximum(x, 0), lambda xp, x: xp.where(x > 0, 1.0, xp.where(x < 0, 0 * x, 0.5))
    ),
    "soft threshold": elementwise(
        lambda xp, x: xp.sign(x) * xp.maximum(xp.abs(x) - 0.5, 0), lambda xp, x: xp.where(xp.abs(x) > 0.5, 1.0, 0 * x)
    ),
    "root": elementwise(lambda xp, x: xp.sqrt(xp.abs(x)), lambda xp, x: 0.5 * xp.sign(x) / xp.sqrt(xp.abs(x))),
    "x log x": elementwise(
        lambda xp, x: xp.where(x > 0, x * xp.log(xp.where(x > 0, x, 1.0)), 0 * x),
        lambda xp, x: xp.where(x > 0, xp.log(xp.where(x > 0, x, 1.0)) + 1, 0 * x),
    ),
    "reciprocal": elementwise(lambda xp, x: 1 / x, lambda xp, x: -1 / (x * x)),
    "power": elementwise(lambda xp, x: xp.abs(x) ** 1.5, lambda xp, x: 1.5 * xp.sign(x) * xp.abs(x) ** 0.5),
    "huber": elementwise(
        lambda xp, x: xp.where(xp.abs(x) <= 1, 0.5 * x * x, xp.abs(x) - 0.5), lambda xp, x: xp.clip(x, -1, 1)
    ),
    "softplus": elementwise(
        lambda xp, x: xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x))), lambda xp, x: 1 / (1 + xp.exp(-x))
    ),
}
"""What has a kink, a jump or an infinite slope, by any convention."""
