"""Bounds on the degrees of an array's entries as rational functions of the inputs."""

from __future__ import annotations

from .context import NotRational, state

Degree = tuple[int, int] | None
"""Bounds (p, q): every entry is a quotient of polynomials of degree ≤ p and ≤ q in the inputs. None: not rational."""

CONSTANT: Degree = (0, 0)


def joined(*degrees: Degree) -> Degree:
    """The degree of arrays laid side by side."""
    rational = [d for d in degrees if d is not None]
    if len(rational) < len(degrees):
        return None
    return max((p for p, _ in rational), default=0), max((q for _, q in rational), default=0)


def added(a: Degree, b: Degree) -> Degree:
    """The degree of a sum."""
    return None if a is None or b is None else (max(a[0] + b[1], b[0] + a[1]), a[1] + b[1])


def multiplied(a: Degree, b: Degree) -> Degree:
    """The degree of a product."""
    return None if a is None or b is None else (a[0] + b[0], a[1] + b[1])


def divided(a: Degree, b: Degree) -> Degree:
    """The degree of a quotient."""
    return None if a is None or b is None else (a[0] + b[1], a[1] + b[0])


def repeated(a: Degree, count: int) -> Degree:
    """The degree of a sum of that many."""
    return None if a is None else (a[0] + max(count - 1, 0) * a[1], max(count, 1) * a[1])


def of_determinant(n: int, a: Degree) -> Degree:
    """The degree of a determinant of n × n entries, over the common denominator of all n²."""
    return None if a is None else (n * a[0] + n * n * a[1], n * n * a[1])


def of_inverse(n: int, a: Degree) -> Degree:
    """The degree of the inverse of a matrix of n × n entries: a cofactor over the determinant."""
    return None if a is None else divided(of_determinant(n - 1, a), of_determinant(n, a))


def count_branch(*degrees: Degree) -> None:
    """Count a condition on arrays of these degrees, unless all are constant.

    Raises:
        NotRational: fractions are computed with.
    """
    if all(d == CONSTANT for d in degrees):
        return
    if state.rational:
        raise NotRational("a condition on the inputs chooses a branch")
    state.branches += 1
