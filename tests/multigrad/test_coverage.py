"""What can be imported: every public name has inputs or a reason, and the page shows what was measured."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from tests.benchmarks.coverage import FRAMEWORKS, NOTE, PAGE, cases, generated, judged, public, read, shares, table
from tests.benchmarks.coverage_cases import call, grouped, real

HERE = [name for name in FRAMEWORKS if importlib.util.find_spec(name)]
ALIAS = "another name of "


@pytest.fixture(scope="module", params=HERE)
def framework(request):
    return FRAMEWORKS[request.param]()


def test_every_public_name_has_inputs_or_one_reason(framework):
    for module, (inputs, reasons) in framework.modules.items():
        assert set(public(module)) == inputs.keys() | reasons.keys()
        assert not inputs.keys() & reasons.keys()
        assert all(inputs.values())


def test_another_name_is_that_of_a_function_that_is_called(framework):
    for inputs, reasons in framework.modules.values():
        assert {reason.removeprefix(ALIAS) for reason in reasons.values() if reason.startswith(ALIAS)} <= inputs.keys()


def test_the_page_shows_the_rows_that_were_measured(framework):
    rows = read(framework.csv)
    page = PAGE.read_text(encoding="utf-8")
    assert generated(page, framework.name, rows) == page
    assert shares(rows) in page
    assert table(rows) in page
    wanted = {(module, name, str(case)) for module, name, case in cases(framework)}
    assert {(row.module, row.name, row.call) for row in rows if row.dtype == "float64"} == wanted


def test_at_least_four_fifths_are_judged(framework):
    for row in shares(read(framework.csv)).splitlines()[2:]:
        module, count, _, done = (cell.strip() for cell in row.split("|")[1:5])
        assert module == "`jax.scipy.special`" or int(done) >= 0.8 * int(count)


@pytest.mark.skipif("jax" not in HERE, reason="jax is not installed")
def test_a_right_gradient_passes_a_kink_is_noted_and_a_wrong_gradient_fails(monkeypatch):
    import jax

    framework = FRAMEWORKS["jax"]()

    @jax.custom_vjp
    def wrong(x):
        return x**3

    wrong.defvjp(lambda x: (x**3, x), lambda x, g: (2 * g * x**2,))
    monkeypatch.setattr(jax.numpy, "wrong", wrong, raising=False)
    inputs = framework.modules["jax.nn"][0]["relu"]
    assert [judged(framework, "jax.nn", "relu", case).verdict for case in inputs] == ["PASS", NOTE]
    row = judged(framework, "jax.numpy", "wrong", call(real(3)))
    assert row.verdict == "FAIL"
    assert "factor" in row.sentence


def test_a_call_has_the_same_inputs_in_every_run_and_no_name_two_reasons():
    case = call([real(2), 3], np.array([1]), axis=0)
    assert str(case) == "(2, 3), i[1], axis=0"
    np.testing.assert_array_equal(case.arrays("f")[0], case.arrays("f")[0])
    with pytest.raises(ValueError, match="b has two reasons"):
        grouped({"one": "a b", "two": "b"})
