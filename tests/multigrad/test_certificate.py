"""A certificate must notice a changed source, a damaged file and a forged figure."""

from __future__ import annotations

import json
import textwrap

import pytest

from multigrad import BadInput, operation
from multigrad.proof.certificate import _digest, verify, write_certificate
from multigrad.verdict.words import FAIL, PASS

SQUARE = """
    from multigrad import operation

    @operation("(n)->()", sizes={"tiny": {"n": 3}})
    def square(xp, x):
        return xp.sum(x * x), lambda b: 2 * b * x
"""


@pytest.fixture
def square(tmp_path):
    path = tmp_path / "square.py"
    path.write_text(textwrap.dedent(SQUARE))
    return path


@pytest.fixture
def certificate(tmp_path, square):
    path = tmp_path / "out.json"
    write_certificate(path, str(square))
    return path


def test_a_certificate_says_what_was_proven(certificate):
    content = json.loads(certificate.read_text())
    (one,) = content["certified"]
    assert {"date", "libraries", "sha256"} <= set(content)
    assert {"python", "python-flint", "numpy"} == set(content["libraries"])
    assert (one["operation"], one["output"], one["compared"], one["points"]) == ("square", "x_bar", 6, 2)
    assert one["probability"] < 1e-18
    assert one["bits"] >= 200
    assert len(one["source_sha256"]) == 64


def test_a_certificate_holds_no_path_of_the_machine(certificate, tmp_path):
    assert str(tmp_path) not in certificate.read_text()


def test_what_was_proven_is_proven_again(certificate, square):
    frame = verify(certificate, str(square))
    assert list(frame["verdict"]) == [PASS]


def test_the_catalogue_verifies(tmp_path):
    path = tmp_path / "catalogue.json"
    frame = write_certificate(path, ["linear_map", "relu_regression"], points=1)
    assert frame["passed"].all()
    assert set(verify(path)["verdict"]) == {PASS}


def test_a_changed_source_is_told(certificate, square):
    square.write_text(square.read_text().replace("2 * b * x", "b * x + b * x"))
    frame = verify(certificate, str(square))
    assert list(frame["verdict"]) == [FAIL]
    assert "the source has changed" in frame["reason"].iloc[0]


def test_a_source_that_became_wrong_is_told(certificate, square):
    square.write_text(square.read_text().replace("2 * b * x", "3 * b * x"))
    reason = verify(certificate, str(square))["reason"].iloc[0]
    assert "the source has changed, and the proof fails: refuted" in reason


def test_a_source_that_is_gone_is_told(certificate, square):
    square.unlink()
    frame = verify(certificate, str(square))
    assert list(frame["verdict"]) == [FAIL]
    assert "no file" in frame["reason"].iloc[0]


def test_a_changed_figure_is_told(certificate, square):
    content = json.loads(certificate.read_text())
    content["certified"][0]["compared"] = 600
    certificate.write_text(json.dumps(content))
    frame = verify(certificate, str(square))
    assert list(frame["verdict"]) == [FAIL, FAIL]
    assert "changed after it was written" in frame["reason"].iloc[0]
    assert "compared 600, the proof gives 6" in frame["reason"].iloc[1]


def test_a_forger_who_mends_the_hash_is_told(certificate, square):
    content = json.loads(certificate.read_text())
    content["certified"][0]["probability"] = 1e-99
    del content["sha256"]
    content["sha256"] = _digest(content)
    certificate.write_text(json.dumps(content))
    frame = verify(certificate, str(square))
    assert list(frame["verdict"]) == [FAIL]
    assert "forged" in frame["reason"].iloc[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "damaged"),
        ("[]", "no certificate"),
        ('{"format": "something else"}', "no certificate"),
        ('{"format": "multigrad certificate", "version": 99}', "version 99"),
        ('{"format": "multigrad certificate", "version": 1, "certified": []}', "certifies nothing"),
        ('{"format": "multigrad certificate", "version": 1, "certified": [{"operation": "f"}]}', "damaged"),
    ],
)
def test_an_unreadable_file_is_one_line(tmp_path, text, words):
    path = tmp_path / "out.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=words) as caught:
        verify(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        verify(tmp_path / "nowhere.json")


def test_a_wrong_formula_has_no_certificate(tmp_path, square):
    square.write_text(square.read_text().replace("2 * b * x", "3 * b * x"))
    path = tmp_path / "wrong.json"
    with pytest.raises(BadInput, match="nothing was certified"):
        write_certificate(path, str(square))
    assert not path.exists()


def test_an_operation_that_nobody_can_find_again_has_no_certificate(tmp_path):
    @operation("(n)->()")
    def f(xp, x):
        return xp.sum(x), lambda b: b + 0 * x

    with pytest.raises(BadInput, match="inside a function"):
        write_certificate(tmp_path / "f.json", f)
