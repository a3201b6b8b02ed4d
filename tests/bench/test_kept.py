"""References that are kept from run to run."""

from __future__ import annotations

import json

import pytest
from fast_protocol import FAST
from multigrad.bench import measure_study
from multigrad.bench.measurement import kept
from multigrad.bench.measurement.kept import Kept
from multigrad.bench.measurement.study import prepare_study
from multigrad.bench.measurement.workers import Workers
from multigrad.bench.plan import study

from multigrad import BadInput

STUDY = """
question = "Does the pullback cost more than the forward part?"
[answer]
kind = "within"
column = "variant"
before = "forward"
after = "analytic"
[[cells]]
operation = ["relu", "linear_map"]
backend = "numpy"
device = "cuda"
mode = "eager"
variant = ["forward", "analytic"]
dtype = "float64"
threads = 1
size = "tiny"
"""


@pytest.fixture
def chosen(tmp_path):
    (tmp_path / "mine.toml").write_text(STUDY)
    return study.study(tmp_path / "mine.toml")


def measured(chosen, **more):
    return measure_study(chosen, protocol=FAST, device="cpu", ops="relu", **more)


def test_a_study_takes_another_device_and_some_of_its_operations(chosen):
    with pytest.raises(BadInput, match="nothing to measure: numpy: numpy has no device 'cuda'"):
        measure_study(chosen, protocol=FAST)
    run = measured(chosen)
    assert {*run.summary["operation"]} == {"relu"}
    assert {*run.summary["device"]} == {"cpu"}
    with pytest.raises(BadInput, match="no cell was asked for"):
        measure_study(chosen, protocol=FAST, device="cpu", ops="gmm")


def test_references_found_beforehand_are_used_and_none_is_found_anew(chosen, tmp_path, monkeypatch):
    folder = tmp_path / "references"
    assert prepare_study(chosen, folder, device="cpu", ops="relu") == 2
    assert len([*folder.glob("relu-*.npz")]) == len([*folder.glob("relu-*.json")]) == 1
    assert not [*folder.glob("*.part")]
    monkeypatch.setenv(kept.VARIABLE, str(folder))
    monkeypatch.setattr(Workers, "prepare", lambda self, wanted: pytest.fail("found anew"))
    run = measured(chosen)
    assert {*run.summary["verdict"]} == {"PASS"}
    assert run.summary["flops"].notna().all()


def test_a_reference_of_other_code_is_found_anew_and_added(chosen, tmp_path, monkeypatch):
    folder = tmp_path / "references"
    prepare_study(chosen, folder, device="cpu", ops="relu")
    monkeypatch.setattr(kept, "code_hash", lambda: "of other files")
    monkeypatch.setenv(kept.VARIABLE, str(folder))
    assert {*measured(chosen).summary["verdict"]} == {"PASS"}
    assert len([*folder.glob("relu-*.npz")]) == 2


def test_the_kept_reference_is_what_judges(chosen, tmp_path, monkeypatch):
    import numpy as np

    folder = tmp_path / "references"
    prepare_study(chosen, folder, device="cpu", ops="relu")
    (truth,) = folder.glob("*.npz")
    with np.load(truth) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(truth, **{**arrays, "value0": arrays["value0"] + 1})
    monkeypatch.setenv(kept.VARIABLE, str(folder))
    assert {*measured(chosen).summary["verdict"]} == {"FAIL"}


def test_a_folder_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="where references are kept: Not a directory"):
        Kept.at(tmp_path / "file" / "folder")


def test_figures_that_are_none_are_one_line(chosen, tmp_path, monkeypatch):
    folder = tmp_path / "references"
    prepare_study(chosen, folder, device="cpu", ops="relu")
    (figures,) = folder.glob("*.json")
    monkeypatch.setenv(kept.VARIABLE, str(folder))
    for text in ("{", json.dumps({"end": 0, "costs": 3})):
        figures.write_text(text)
        with pytest.raises(BadInput, match=r"relu-\w+\.json"):
            measured(chosen)
