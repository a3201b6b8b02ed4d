"""One gradient, or several together, against the convex hull of the limiting gradients around a kink."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..ops.text import derivative_name

CLOSE = 1e-9
"""Relative distance within which two gradients count as one: above what a move of 10⁻³⁰ changes, roots included."""


FEW = 6
"""Up to so many vertices, gradients are held against the hull as a whole."""


@dataclass(frozen=True)
class KinkProof:
    """One gradient of the pullback on a kink, beside the limiting gradients around it."""

    name: str
    """The input's."""
    compared: int
    """How many entries lie on a kink, where the limiting gradients differ."""
    outside: int
    """How many entries lie outside the subdifferential."""
    reason: str
    """The worst of those in words; empty if there is none."""
    undefined: bool = False
    """Whether what is outside is NaN, where no comparison, maximum or absolute value of the formula has a tie."""

    @property
    def passed(self) -> bool:
        """Whether the pullback's every entry lies in the subdifferential."""
        return self.outside == 0


@dataclass(frozen=True)
class GradientAt:
    """One gradient at a point: the pullback's, the limits beside the point and those that conventions give."""

    name: str
    ours: np.ndarray
    nan: np.ndarray
    """Where the pullback has no number, in ball arithmetic and in NumPy."""
    near: np.ndarray
    """Limiting gradients, (samples, *shape)."""
    nearer: np.ndarray
    """The first two of them, nearer to the point."""
    conventional: np.ndarray | None = None
    """(at most 2, *shape)."""

    def with_conventions(self, gradients: Sequence[np.ndarray]) -> GradientAt:
        """Add what the rules of differentiation give on the point itself."""
        return replace(self, conventional=np.stack(gradients)) if gradients else self

    def rows(self, entries: np.ndarray) -> np.ndarray:
        """Return every gradient found, (gradients, entries)."""
        parts = [self.near] if self.conventional is None else [self.near, self.conventional]
        return np.concatenate([p[:, entries] for p in parts])

    @property
    def scale(self) -> float:
        """The largest entry of a limiting gradient."""
        return float(np.max(np.abs(self.near), initial=0.0, where=self.limits[None]))

    @property
    def close(self) -> float:
        """The distance within which two entries count as one."""
        return CLOSE * self.scale + 1e-12

    @property
    def limits(self) -> np.ndarray:
        """Which entries have a limit in every direction tried."""
        with np.errstate(invalid="ignore"):
            apart = np.abs(self.near[:2] - self.nearer)
            steady = np.all(apart <= CLOSE * np.abs(self.near[:2]) + 1e-12, axis=0)
        both: np.ndarray = steady & np.all(np.isfinite(self.near), axis=0)
        return both

    def judged(self) -> np.ndarray:
        """Which entries can be held against the hull."""
        both: np.ndarray = self.limits & np.isfinite(self.ours)
        return both

    def vertices(self, entries: np.ndarray) -> np.ndarray:
        """Return the distinct gradients, (vertices, entries); those by convention that have a NaN are left out."""
        rows = self.rows(entries)
        return distinct(rows[np.all(np.isfinite(rows), axis=1)], self.close)

    def proof(self, explicit: bool) -> KinkProof:
        """Hold this gradient against the hull, entry by entry, and as a whole where it has few vertices."""
        lost = self.nan & self.limits
        judged = self.judged()
        rows = self.vertices(judged)
        close = self.close
        spread = np.ptp(self.near[:, judged], axis=0) if judged.any() else np.zeros(0)
        compared = int(np.sum(spread > close)) + int(lost.sum())
        if lost.any():
            place = tuple(int(i) for i in np.argwhere(lost)[0])
            values = distinct(_near_zero(self.near[:, lost][:, :1], close), close)[:, 0]
            reason = f"is NaN{_at(place)} where {_any_of(values)} is right"
            # Where all limits agree there is a derivative, and nothing that a convention could be about.
            differ = bool(np.any(np.ptp(self.near[:, lost], axis=0) > close))
            return KinkProof(self.name, compared, int(lost.sum()), reason, undefined=differ and not explicit)
        if not judged.any():
            return KinkProof(self.name, 0, 0, "")
        ours = self.ours[judged]
        low, high = (_near_zero(a, close) for a in (rows.min(axis=0), rows.max(axis=0)))
        # Of many ties at once the samples miss the corners; a hull three times as wide has them.
        many = np.array([len(distinct(column[:, None], close)) > 4 for column in self.near[:, judged].T])
        slack = np.where(many, high - low, 0.0) + close + CLOSE * np.maximum(np.abs(low), np.abs(high))
        outside = ~((low - slack <= ours) & (ours <= high + slack))
        if outside.any():
            which = int(np.argmax(outside))
            place = tuple(int(i) for i in np.argwhere(judged)[which])
            where = "at a kink" if spread[which] > close else "beside a kink"
            reason = (
                f"{where} {ours[which]:.6g} at {_at(place).removeprefix(' at ') or 'the only entry'} is outside the "
                f"subdifferential [{low[which]:.6g}, {high[which]:.6g}]"
            )
            return KinkProof(self.name, compared, int(outside.sum()), reason)
        if len(rows) <= FEW and not in_hull(ours, rows, close):
            count = int(np.sum(spread > close))
            hull = _listed(rows, ours, close)
            reason = f"at a kink the {count} entries that move together are outside the subdifferential {hull}"
            return KinkProof(self.name, compared, max(count, 1), reason)
        return KinkProof(self.name, compared, 0, "")


def held(arrays: Sequence[GradientAt], explicit: bool) -> list[KinkProof]:
    """Hold gradients at a point against their hulls, each by itself and those on a kink together."""
    return _jointly(arrays, [array.proof(explicit) for array in arrays])


def _jointly(arrays: Sequence[GradientAt], proofs: list[KinkProof]) -> list[KinkProof]:
    """Hold several gradients against their common hull, where each lies in its own."""
    moving = [i for i, (a, p) in enumerate(zip(arrays, proofs, strict=True)) if p.compared and p.passed]
    if len(moving) < 2:
        return proofs
    masks = [arrays[i].judged() for i in moving]
    close = max(arrays[i].close for i in moving)
    rows = np.concatenate([arrays[i].rows(m) for i, m in zip(moving, masks, strict=True)], axis=1)
    rows = distinct(rows[np.all(np.isfinite(rows), axis=1)], close)
    ours = np.concatenate([arrays[i].ours[m] for i, m in zip(moving, masks, strict=True)])
    if len(rows) > FEW or in_hull(ours, rows, close):
        return proofs
    names = ", ".join(derivative_name(f"{arrays[i].name}_bar") for i in moving)
    reason = f"at a kink {names} together are outside the subdifferential {_listed(rows, ours, close)}"
    return [replace(p, outside=p.compared, reason=reason) if i in moving else p for i, p in enumerate(proofs)]


def distinct(rows: np.ndarray, close: float) -> np.ndarray:
    """Leave out the rows that are close to one before."""
    kept: list[np.ndarray] = []
    for row in rows:
        if not any(np.all(np.abs(row - k) <= close + CLOSE * np.abs(k)) for k in kept):
            kept.append(row)
    return np.stack(kept) if kept else rows[:0]


def in_hull(point: np.ndarray, rows: np.ndarray, close: float) -> bool:
    """Tell whether a point lies in the convex hull of a few rows, within a distance in every entry.

    By Carathéodory it is then a convex combination of independent ones: every subset is tried.
    """
    for count in range(1, len(rows) + 1):
        for some in itertools.combinations(rows, count):
            # Weights of sum 1: the point less the first vertex, by the others less the first.
            edges = np.stack([r - some[0] for r in some[1:]], axis=1) if count > 1 else np.zeros((point.size, 0))
            weights = np.linalg.lstsq(edges, point - some[0], rcond=None)[0]
            if np.all(weights >= -CLOSE) and weights.sum() <= 1 + CLOSE:
                apart = np.abs(some[0] + edges @ weights - point)
                if np.all(apart <= 10 * close + 10 * CLOSE * np.abs(point)):
                    return True
    return False


def _at(place: tuple[int, ...]) -> str:
    return f" at [{', '.join(map(str, place))}]" if place else ""


def _near_zero(values: np.ndarray, close: float) -> np.ndarray:
    """Take what is close to 0 for 0: a move of 10⁻³⁰ leaves its trace."""
    return np.where(np.abs(values) <= close, 0.0, values)


def _any_of(values: np.ndarray) -> str:
    shown = sorted({0.0 + float(f"{v:.4g}") for v in values})
    if len(shown) > 4:
        return f"any of {shown[0]:g} … {shown[-1]:g}"
    return f"any of [{', '.join(f'{v:g}' for v in shown)}]" if len(shown) > 1 else f"{shown[0]:g}"


def _listed(rows: np.ndarray, ours: np.ndarray, close: float) -> str:
    """Write the first entries in which the vertices differ: the hull, and what was found."""
    differ = np.flatnonzero(np.ptp(rows, axis=0) > close)[:3]
    if not differ.size:
        differ = np.argsort(-np.abs(rows[0] - ours))[:3]

    def text(row: np.ndarray) -> str:
        rest = ", …" if np.sum(np.ptp(rows, axis=0) > close) > len(differ) else ""
        return f"({', '.join(f'{v + 0.0:.4g}' for v in row[differ])}{rest})"

    more = ", …" if len(rows) > 3 else ""
    return f"conv{{{', '.join(text(r) for r in _near_zero(rows[:3], close))}{more}}}: found {text(ours)}"
