"""What a reference costs on the other framework: the page shows the rows of the run, and every reference has them."""

from __future__ import annotations

import importlib.util

import pytest

from multigrad import load_operations
from tests.benchmarks.other_framework import HOME, PAGE, PLACES, REFERENCES, generated, read, table


def test_the_page_shows_the_rows_that_were_measured():
    rows, page = read(), PAGE.read_text(encoding="utf-8")
    assert generated(page, rows) == page
    assert all(table(rows, framework) in page for framework in REFERENCES)


def test_home_is_compared_with_itself_and_every_other_place_has_an_interval():
    for row in read():
        assert row.low <= row.ratio <= row.high
        assert row.seconds > 0
        if (row.backend, row.mode) == HOME[row.framework]:
            assert row.ratio == 1


@pytest.mark.parametrize("framework", [name for name in REFERENCES if importlib.util.find_spec(name)])
def test_every_reference_has_a_time_in_every_place(framework):
    timed = {(row.operation, row.backend, row.mode) for row in read() if row.framework == framework}
    names = [op.name for op in load_operations([str(REFERENCES[framework])])]
    assert timed == {(name, *place) for name in names for place in PLACES}
