"""Mistake: the division by the segment's count is lost on the way back.

Kind: a mean's divisor, forgotten on the way back.
"""

from multigrad import operation

SIZES = {"tiny": {"n": 4, "d": 2, "s": 3}, "odd": {"n": 11, "d": 3, "s": 4}, "large": {"n": 500, "d": 16, "s": 20}}


def rows_and_segments(draw, n, d, s):
    return draw(n, d), draw.labels(s, n)


@operation("(n,d),(n)->(s,d)", nondifferentiable=["seg"], sizes=SIZES, inputs=rows_and_segments)
def segment_mean(xp, x, seg, *, s=4):
    """Mean of the rows of each segment; zero for a segment without rows."""
    hot = xp.astype(seg[:, None] == xp.arange(s)[None, :], x.dtype)
    count = xp.maximum(xp.sum(hot, axis=0), 1)

    def pullback(y_bar):
        return hot @ y_bar

    return hot.T @ x / count[:, None], pullback
