"""The peaks of a machine, and the place of a cell under the roof that they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ..store.events import PeaksEvent
from ..store.schema import BandwidthBySize, PeaksValues
from ..timing import roofline


@dataclass(frozen=True)
class Peaks:
    """The best that any worker of the run saw: the roof is the machine's, not a framework's."""

    flop_per_s: Mapping[tuple[str, int, str, str], float]
    """(device, threads, precision, dtype) → FLOP/s."""
    bandwidth: Mapping[tuple[str, int], BandwidthBySize]
    """(device, threads) → bandwidth."""

    @classmethod
    def of(cls, events: Sequence[PeaksEvent]) -> Peaks:
        """Collect what workers saw."""
        return cls._best(
            (((e.device, e.threads, e.precision, name), rate) for e in events for name, rate in e.flop_per_s.items()),
            (((e.device, e.threads), e.bandwidth) for e in events if e.bandwidth),
        )

    @classmethod
    def best(cls, several: Iterable[Mapping[str, Any]]) -> Peaks:
        """Return the best of what several ``run.json`` of one machine hold, each as :meth:`to_json` wrote it."""
        peaks = [msgspec.convert(values, PeaksValues) for values in several]
        return cls._best(
            (((r.device, r.threads, r.precision, r.dtype), r.value) for p in peaks for r in p.flop_per_s),
            (((b.device, b.threads), b) for p in peaks for b in p.bandwidth),
        )

    @classmethod
    def _best(
        cls,
        rates: Iterable[tuple[tuple[str, int, str, str], float]],
        bandwidths: Iterable[tuple[tuple[str, int], BandwidthBySize]],
    ) -> Peaks:
        flop_per_s: dict[tuple[str, int, str, str], float] = {}
        bandwidth: dict[tuple[str, int], BandwidthBySize] = {}
        for key, rate in rates:
            flop_per_s[key] = max(rate, flop_per_s.get(key, 0.0))
        for where, band in bandwidths:
            bandwidth[where] = _better(band, bandwidth.get(where))
        return cls(flop_per_s, bandwidth)

    def roof(self, row: Mapping[str, Any], limit: float) -> tuple[dict[str, Any], bool] | None:
        """Return a cell's place under the roof, and whether it lies above; None where no roof is known.

        Args:
            row: its ``device``, ``threads``, ``precision``, ``dtype``, ``median_s``, ``flops`` and ``bytes``.
            limit: the percent of the roof above which it is a mistake.
        """
        rate = self.flop_per_s.get((row["device"], row["threads"], row["precision"], row["dtype"]))
        band = self.bandwidth.get((row["device"], row["threads"]))
        if rate is None or band is None:
            return None
        at = roofline.bandwidth_at(band.by_size, row["bytes"])
        roof = roofline.place(row["median_s"], row["flops"], row["bytes"], rate, at)
        return {"roof_percent": roof.percent, "bound": roof.binds}, roof.percent > limit

    def to_json(self) -> dict[str, Any]:
        """Return them as ``run.json`` holds them."""
        return {
            "flop_per_s": [
                dict(zip(("device", "threads", "precision", "dtype"), k, strict=True), value=v)
                for k, v in self.flop_per_s.items()
            ],
            "bandwidth": [
                {"device": d, "threads": t, **msgspec.to_builtins(v)} for (d, t), v in self.bandwidth.items()
            ],
        }


def _better(one: BandwidthBySize, other: BandwidthBySize | None) -> BandwidthBySize:
    """Return the best of two measurements of bandwidth, size by size."""
    if other is None:
        return one
    rates: dict[int, float] = {}
    for size, rate in sorted([*one.by_size, *other.by_size]):
        rates[size] = max(rate, rates.get(size, 0.0))
    best = max(one, other, key=lambda measured: measured.bytes_per_s)
    return msgspec.structs.replace(best, by_size=list(rates.items()))
