"""Wrong gradients through the drop-ins are killed: a sample in every run, all of the catalogue's when asked for."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

import multigrad
from multigrad.mutation.checks import CORRECT
from tests.benchmarks.dropin_kills import FORMS, HIDDEN, OURS, Row, judged, table

ROOT = Path(__file__).parent.parent.parent
MODULES = {"multigrad.gradcheck": "torch", "multigrad.check_grads": "jax", "multigrad.check_grad": "numpy"}
HERE = [check for check, module in MODULES.items() if importlib.util.find_spec(module)]


def survivors(rows: list[Row]) -> list[Row]:
    return [r for r in rows if not r.killed and not r.equivalent and (FORMS[r.check], r.kind) not in HIDDEN]


@pytest.mark.parametrize("check", HERE)
def test_a_sample_of_mutants_is_killed_and_the_right_gradient_is_not(check: str) -> None:
    rows = list(judged(multigrad.operations()["relu_regression"], 9, [check], others=False))
    assert not survivors(rows)
    assert [r.killed for r in rows if r.mutant == CORRECT] == [False]
    assert sum(r.killed for r in rows) >= 8
    assert f"**{check}**" in table(rows)


@pytest.mark.long
@pytest.mark.parametrize("name", multigrad.operations())
def test_every_mutant_of_the_catalogue_is_killed_through_every_drop_in(name: str) -> None:
    rows = list(judged(multigrad.operations()[name], 1, HERE, others=False))
    assert not [r.reason for r in rows if r.mutant == CORRECT and r.killed]
    assert len(survivors(rows)) <= len(rows) // 100, survivors(rows)


def test_the_table_of_the_page_is_the_one_that_was_measured() -> None:
    page = (ROOT / "docs" / "gradcheck.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"<!-- dropin_kills -->\n(.*?)\n<!-- /dropin_kills -->", page, flags=re.DOTALL)
    assert shown == (ROOT / "results" / "dropin_kills.md").read_text(encoding="utf-8").strip()


def test_what_a_form_hides_is_left_out_of_the_shares() -> None:
    row = Row("f", 0, "not-summed", 0, "", "multigrad.gradcheck", False, False, True, "", 0.0)
    seen = Row("f", 1, "flip-sign", 0, "", "multigrad.gradcheck", True, False, False, "", 0.0)
    assert "1 of 1" in table([row, seen])
    assert set(OURS) == set(MODULES)
