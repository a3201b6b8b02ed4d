"""Mistake: the order of the factors in the cross product's second gradient, hence its sign.

Kind: an anticommutative product differentiated as if it were commutative.
"""

from multigrad import operation


def cross(xp, a, b):
    return xp.stack([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


@operation("(d,n),(d,n)->(d,n)", sizes={"one": {"d": 3, "n": 1}, "few": {"d": 3, "n": 4}, "many": {"d": 3, "n": 1000}})
def cross_product(xp, a, b):
    """Cross products of n pairs of vectors, the components along the first axis."""

    def pullback(c_bar):
        return cross(xp, b, c_bar), cross(xp, a, c_bar)

    return cross(xp, a, b), pullback
