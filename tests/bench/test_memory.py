"""The peak of a call on a device with a memory of its own: what is told, and why where nothing is."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from multigrad.bench import Protocol
from multigrad.bench.timing import cell as of_cells
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


def _ended(mode, planned, peaks, device, monkeypatch):
    """Measure the memory of a made-up call."""
    cell = SimpleNamespace(mode=mode)
    session = Session(planned, peaks)
    session.device = device
    measured = Measurement(session, 3, cell, "", Protocol(), gate=None)
    monkeypatch.setattr(Measurement, "_inputs", lambda self: [GIVEN])
    monkeypatch.setattr(Measurement, "_place", lambda self, inputs: inputs)
    monkeypatch.setattr(Measurement, "_first_call", lambda self, arrays: (lambda x: (x,), {}, arrays, 0.0))
    monkeypatch.setattr(Measurement, "_gate", lambda self, outputs: (SimpleNamespace(verdict="PASS", reason=""), ""))
    return measured.memory()


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
    ended = _ended(mode, planned, peaks, "cuda", monkeypatch)
    assert (ended.cell, ended.verdict, ended.reason, ended.peak_bytes) == (3, "PASS", reason, peak)


@pytest.mark.parametrize(
    ("mode", "planned", "grown", "peak", "reason"),
    [
        ("compiled", 4096, 512, 4096, "what the compiler planned"),
        ("compiled", 4096, None, 4096, "what the compiler planned"),
        ("compiled", 4096, 8192, 8192, "VmHWM after reset"),
        ("compiled", None, 512, 512, "VmHWM after reset"),
        ("eager", 4096, 512, 512, "VmHWM after reset"),
    ],
)
def test_on_a_cpu_pages_that_are_used_again_do_not_hide_what_was_planned(
    mode, planned, grown, peak, reason, monkeypatch
):
    monkeypatch.setattr(of_cells, "growth", lambda call: (grown, "VmHWM after reset"))
    ended = _ended(mode, planned, (None, None), "cpu", monkeypatch)
    assert (ended.reason, ended.peak_bytes) == (reason, peak)
