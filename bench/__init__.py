"""What it costs: plans, workers, timing, analysis, stores, reports, the command line. The commands as functions."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .analysis.compare import compare
    from .analysis.load import load_run
    from .analysis.merge import merge
    from .fleet.fleet import run_fleet
    from .measurement.doctor import examine
    from .measurement.job import run_job
    from .measurement.measure import measure
    from .measurement.study import measure_study
    from .plan.protocol import Protocol
    from .report.exports import export
    from .report.writing import write_reports
    from .store.run import Run

__all__ = [
    "Protocol",
    "Run",
    "compare",
    "examine",
    "export",
    "load_run",
    "measure",
    "measure_study",
    "merge",
    "run_fleet",
    "run_job",
    "write_reports",
]

_LATER = {
    "Protocol": "plan.protocol",
    "Run": "store.run",
    "compare": "analysis.compare",
    "examine": "measurement.doctor",
    "export": "report.exports",
    "load_run": "analysis.load",
    "measure": "measurement.measure",
    "measure_study": "measurement.study",
    "merge": "analysis.merge",
    "run_fleet": "fleet.fleet",
    "run_job": "measurement.job",
    "write_reports": "report.writing",
}


def __getattr__(name: str) -> Any:
    # Importing costs nothing: these names bring pandas or a room of their own, so they come when first asked for.
    if name not in _LATER:
        raise AttributeError(f"module 'multigrad.bench' has no attribute {name!r}")
    return getattr(import_module(f".{_LATER[name]}", __name__), name)
