from __future__ import annotations

import dataclasses

import pytest
from multigrad.bench.measurement import doctor

from multigrad.backend import backends


@pytest.fixture(scope="module")
def findings():
    return doctor.examine(frameworks=False)


def test_every_finding_that_is_bad_says_what_to_do(findings):
    assert list(findings.columns) == [f.name for f in dataclasses.fields(doctor.Finding)]
    assert findings[~findings["good"]]["advice"].str.len().gt(10).all()
    assert not findings["found"].str.contains("\n").any()


def test_the_machine_and_every_backend_are_looked_at(findings):
    whats = set(findings["what"])
    assert {"processor", "frequency governor", "load, one minute", "clock resolution", "C++ compiler"} <= whats
    (fresh,) = findings[findings["what"] == "fresh memory"]["found"]
    assert float(fresh.split()[3]) > 0.5
    assert {f"{one.name}/{device}" for one in backends().values() for device in one.default_devices()} <= whats


def test_a_framework_says_what_it_is_in_a_process_of_its_own():
    found = {finding.what: finding for finding in doctor._framework("numpy", "cpu", 1)}
    assert found["numpy/cpu threads"].found.startswith("1 of 1, ")
    assert found["numpy/cpu BLAS"].found
    assert found["numpy/cpu precision"].good


def test_the_noise_floor_is_measured_in_alternating_processes(monkeypatch):
    monkeypatch.setattr(doctor, "NOISE_S", 600.0)
    monkeypatch.setattr(doctor, "NOISE_PAIRS", 2)
    monkeypatch.setattr(doctor, "NOISE_PROCESS_S", 0.05)
    (finding,) = doctor._noise()
    assert "between two halves of 4 processes" in finding.found
    assert finding.good or finding.advice
