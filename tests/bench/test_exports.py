"""Each export is read back by the tool it is for, or by a schema written from that tool's documentation."""

from __future__ import annotations

import json
import subprocess
import sys

import jsonschema
import numpy as np
import pyperf
import pytest
from multigrad.bench.report import exports
from test_compare import run_of, summary_row

from multigrad import BadInput

GITHUB_ACTION_BENCHMARK = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name", "unit", "value"],
        "properties": {
            "name": {"type": "string"},
            "unit": {"type": "string"},
            "value": {"type": "number"},
            "range": {"type": "string"},
            "extra": {"type": "string"},
        },
        "additionalProperties": False,
    },
}
BENCHER = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": "^[a-z][a-z0-9-]*$"},
        "additionalProperties": {
            "type": "object",
            "required": ["value"],
            "properties": {name: {"type": "number"} for name in ("value", "lower_value", "upper_value")},
            "additionalProperties": False,
        },
    },
}


def strict(text):
    """Read JSON as other tools do: NaN is none."""

    def refuse(constant):
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def run():
    rows = [
        summary_row(
            "f", ci_low_s=0.9e-3, ci_high_s=1.1e-3, first_call_s=0.5, peak_bytes=4096.0, processes=5, blocks=50
        ),
        summary_row("g", ci_low_s=0.9e-3, ci_high_s=1.1e-3, flags="spread-within"),
        summary_row("wrong", verdict="FAIL", median_s=None),
    ]
    made = run_of(rows, 1)
    made.info["host"] |= {"hostname": "h", "system": "Linux"}
    return made


def test_github_action_benchmark_has_its_schema(run):
    found = strict(exports.export(run, "github-action-benchmark"))
    jsonschema.validate(found, GITHUB_ACTION_BENCHMARK)
    assert [entry["value"] for entry in found] == [1e-3, 1e-3]
    assert "flags: spread-within" in found[1]["extra"]
    assert len({entry["name"] for entry in found}) == 2


def test_bencher_has_its_schema(run):
    found = strict(exports.export(run, "bencher"))
    jsonschema.validate(found, BENCHER)
    first, second = found.values()
    assert first["latency"] == pytest.approx({"value": 1e6, "lower_value": 0.9e6, "upper_value": 1.1e6})
    assert first["memory"] == {"value": 4096}
    assert set(second) == {"latency"}


def test_pyperf_loads_its_own_and_compares_it(run, tmp_path):
    path = tmp_path / "run.json"
    exports.export(run, "pyperf", path)
    suite = pyperf.BenchmarkSuite.load(str(path))
    assert len(suite) == 2
    benchmark = suite.get_benchmarks()[0]
    assert benchmark.get_name().startswith("f/analytic/eager/numpy")
    assert benchmark.get_nrun() == 5
    assert benchmark.get_nvalue() == 50
    mine = run.samples[run.samples["operation"] == "f"]
    assert benchmark.median() == pytest.approx(np.median(mine["block_s"] / mine["calls"]))
    arguments = [sys.executable, "-m", "pyperf", "compare_to", str(path), str(path), "--table"]
    ended = subprocess.run(arguments, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_an_unknown_format_is_one_line(run):
    with pytest.raises(BadInput, match="no format named 'xml'; there are github-action-benchmark, bencher, pyperf"):
        exports.export(run, "xml")
