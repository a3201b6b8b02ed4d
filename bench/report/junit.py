"""The correctness matrix as JUnit XML, which CI systems read: a test case for each place where an operation ran."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multigrad.matrix.rows import failing, sentence
from multigrad.verdict.words import (
    FINDING,
    GAP,
    INCONCLUSIVE,
    PORTABILITY,
    UNAVAILABLE,
)

from ..store.folder import write_text
from .plain import visible
from .verdicts import more, telling, worst

if TYPE_CHECKING:
    import pandas as pd

CASE = ["operation", "backend", "device", "mode", "variant", "dtype"]
"""The columns that make a test case; its rows are its outputs, regimes and sizes."""

SKIPPED = (INCONCLUSIVE, FINDING, PORTABILITY, GAP, UNAVAILABLE)
"""What is no pass, and fails only where it is asked to."""

NOT_XML = str.maketrans({0xFFFE: "⟨U+FFFE⟩", 0xFFFF: "⟨U+FFFF⟩"})
"""What XML 1.0 cannot hold and Unicode does not call a control: section 2.2, Characters."""


def write_junit(frame: pd.DataFrame, path: Path, fail_on: str | None = None) -> None:
    """Write a correctness matrix as JUnit XML, complete or not at all; see :func:`junit`.

    Raises:
        BadInput: the file cannot be written.
    """
    write_text(path, junit(frame, fail_on))


def junit(frame: pd.DataFrame, fail_on: str | None = None) -> str:
    """Return a correctness matrix, with the columns of :class:`multigrad.matrix.MatrixRow`, as JUnit XML.

    A FAIL is a failure whose message is the diagnosis, and so is what ``fail_on`` names, as for
    :func:`multigrad.matrix.failing`; what gave no answer about the gradient (GAP, UNAVAILABLE, INCONCLUSIVE, FINDING,
    PORTABILITY) is skipped, with the reason; whatever else has a reason is said in ``system-out``.
    """
    tags = dict.fromkeys(SKIPPED, "skipped") | dict.fromkeys(failing(fail_on), "failure")
    root = ET.Element("testsuites", name="multigrad check")
    for name, rows in frame.groupby("operation", sort=False):
        suite = ET.SubElement(root, "testsuite", name=_text(name))
        for key, of_case in rows.groupby(CASE, sort=False):
            _add_case(suite, dict(zip(CASE, key, strict=True)), of_case, tags)
        _count(suite, suite.findall("testcase"))
    _count(root, root.findall("testsuite/testcase"))
    ET.indent(root)
    data: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return data.decode() + "\n"


def _add_case(suite: ET.Element, key: Mapping[str, Any], rows: pd.DataFrame, tags: Mapping[str, str]) -> None:
    device = f"{key['backend']}/{key['device']}"
    name = " ".join(_text(key[column]) for column in CASE[3:] if key[column] != "*") or "*"
    case = ET.SubElement(suite, "testcase", classname=f"{_text(key['operation'])}.{_text(device)}", name=name)
    present = list(rows["verdict"])
    verdict = worst([v for v in present if tags.get(v) == "failure"] or present)
    quoted = rows[(rows["verdict"] == verdict) & (verdict in tags)]
    if len(quoted):
        _say(case, tags[verdict], quoted)
    rest = rows.drop(quoted.index)
    rest = rest[rest["reason"] != ""]
    if len(rest):
        ET.SubElement(case, "system-out").text = _sentences(rest)


def _say(case: ET.Element, tag: str, rows: pd.DataFrame) -> None:
    first = telling(rows)
    message = _text(f"{first['verdict']}: {first['reason']}{more(rows)}")
    ET.SubElement(case, tag, type=_text(first["verdict"]), message=message).text = _sentences(rows)


def _sentences(rows: pd.DataFrame) -> str:
    return "\n".join(_text(sentence(row)) for row in rows.to_dict("records"))


def _count(element: ET.Element, cases: Iterable[ET.Element]) -> None:
    cases = list(cases)
    failures, skipped = (sum(case.find(tag) is not None for case in cases) for tag in ("failure", "skipped"))
    for name, count in (("tests", len(cases)), ("failures", failures), ("errors", 0), ("skipped", skipped)):
        element.set(name, str(count))


def _text(value: object) -> str:
    return visible(str(value)).translate(NOT_XML)
