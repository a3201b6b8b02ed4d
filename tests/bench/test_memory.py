"""The peak of a call on a device with a memory of its own: what is told, and why where nothing is."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from multigrad.bench import Protocol
from multigrad.bench.timing.cell import Measurement

GIVEN = np.zeros(4)


class Session:
    """A device whose compiler tells what it planned, and whose allocator may tell its peak."""

    device = "cuda"
    no_peak = "its mark cannot be reset"

    def __init__(self, planned, peaks):
        self.planned, self.peaks = planned, iter(peaks)

    def planned_memory(self, function, *arrays):
        return self.planned

    def reset_peak_memory(self):
        pass

    def peak_memory(self):
        return next(self.peaks)

    def wait(self, arrays):
        pass


@pytest.mark.parametrize(
    ("mode", "planned", "peaks", "peak", "reason"),
    [
        ("compiled", 4096, (None, None), 4096, "what the compiler planned"),
        ("compiled", None, (100, 612), 512, "the framework's own peak"),
        ("eager", 4096, (None, None), None, "its mark cannot be reset"),
        ("eager", 4096, (None, 32 + 512), 512, "the framework's own peak"),
    ],
)
def test_a_peak_is_the_frameworks_or_what_its_compiler_planned(mode, planned, peaks, peak, reason, monkeypatch):
    cell = SimpleNamespace(mode=mode)
    measured = Measurement(Session(planned, peaks), 3, cell, "", Protocol(), gate=None)
    monkeypatch.setattr(Measurement, "_inputs", lambda self: [GIVEN])
    monkeypatch.setattr(Measurement, "_place", lambda self, inputs: inputs)
    monkeypatch.setattr(Measurement, "_first_call", lambda self, arrays: (lambda x: (x,), {}, arrays, 0.0))
    monkeypatch.setattr(Measurement, "_gate", lambda self, outputs: (SimpleNamespace(verdict="PASS", reason=""), ""))
    ended = measured.memory()
    assert (ended.cell, ended.verdict, ended.reason, ended.peak_bytes) == (3, "PASS", reason, peak)
