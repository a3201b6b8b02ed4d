"""Mistake: the normalisation of the quaternion is treated as constant.

Kind: a normalisation treated as a constant.
"""

from multigrad import operation

SIZES = {"one": {"q": 4, "d": 3, "n": 1}, "few": {"q": 4, "d": 3, "n": 5}, "many": {"q": 4, "d": 3, "n": 500}}


def rotation(xp, q):
    w, x, y, z = q[0], q[1], q[2], q[3]
    rows = [
        xp.stack([w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)]),
        xp.stack([2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)]),
        xp.stack([2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z]),
    ]
    return xp.stack(rows)


@operation("(q),(d,n)->(d,n)", sizes=SIZES)
def quaternion_rotate(xp, q, p):
    """Rotate points by the quaternion q, which need not be a unit quaternion: y = R(q) p / (|q|² + 1/16)."""
    s = xp.sum(q * q) + 0.0625
    R = rotation(xp, q)
    y = R @ p / s

    def pullback(y_bar):
        G = y_bar @ p.T / s
        w, x, y_, z = q[0], q[1], q[2], q[3]
        a, b, c = G[2, 1] - G[1, 2], G[0, 2] - G[2, 0], G[1, 0] - G[0, 1]
        d, e, f = G[0, 1] + G[1, 0], G[0, 2] + G[2, 0], G[1, 2] + G[2, 1]
        g = [
            w * (G[0, 0] + G[1, 1] + G[2, 2]) + x * a + y_ * b + z * c,
            x * (G[0, 0] - G[1, 1] - G[2, 2]) + w * a + y_ * d + z * e,
            y_ * (G[1, 1] - G[0, 0] - G[2, 2]) + w * b + x * d + z * f,
            z * (G[2, 2] - G[0, 0] - G[1, 1]) + w * c + x * e + y_ * f,
        ]
        q_bar = 2 * xp.stack(g)
        return q_bar, R.T @ y_bar / s

    return y, pullback
