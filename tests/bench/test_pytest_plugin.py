"""The pytest plugin, as somebody who has installed multigrad meets it: in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest
from multigrad.bench import pytest_plugin

from multigrad.backend import backends

ROOT = Path(__file__).parents[2]
PLUGIN = "multigrad.bench.pytest_plugin"
HEAVY = {"numpy", "pandas", "scipy", "flint", "typer", "torch", "jax", "array_api_compat", "multigrad.backend"}
LAYER = """
    from multigrad import operation

    @operation("(n)->()", sizes={"tiny": {"n": 3}})
    def squares(xp, x):
        return xp.sum(x * x), lambda f_bar: FACTOR * f_bar * x
"""


@pytest.fixture
def tests(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with an operation that is right, one that is wrong, and this checkout's plugin."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # an installed multigrad would be a second one
    for name, factor in (("right", "2"), ("wrong", "1")):
        (pytester.path / f"{name}.py").write_text(textwrap.dedent(LAYER).replace("FACTOR", factor))
    return pytester


def run(tests: pytest.Pytester, source: str, *arguments: str) -> pytest.RunResult:
    tests.makepyfile(test_it=textwrap.dedent(source))
    return tests.runpytest_subprocess("-p", PLUGIN, "-rs", *arguments)


def test_a_test_with_a_backend_runs_once_on_each_that_is_here(tests: pytest.Pytester) -> None:
    result = run(tests, "def test_it(backend): assert backend.missing('cpu') is None")
    here = [b.name for b in backends().values() if b.missing("cpu") is None]
    assert len(here) >= 3
    result.assert_outcomes(passed=len(here), skipped=len(backends()) - len(here))


def test_what_is_not_here_is_skipped_with_its_reason(tests: pytest.Pytester) -> None:
    result = run(tests, "def test_it(backend): pass", "--multigrad-backends", "cupy")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"SKIPPED*cupy: {backends()['cupy'].missing('cuda')}*".replace("[", "[[]")])


def test_the_option_chooses(tests: pytest.Pytester) -> None:
    result = run(tests, "def test_it(backend): pass", "--multigrad-backends", "numpy, strict", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_it[[]numpy]*", "*test_it[[]strict]*"])


def test_an_unknown_backend_is_said_in_one_line(tests: pytest.Pytester) -> None:
    result = run(tests, "def test_it(backend): pass", "--multigrad-backends", "nunpy")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*--multigrad-backends: no backend named 'nunpy'; did you mean 'numpy'?*"])


def test_a_right_gradient_passes_on_the_backend_of_the_test(tests: pytest.Pytester) -> None:
    source = """
        from right import squares

        def test_it(backend, assert_gradients):
            frame = assert_gradients(squares, dtype="float64")
            assert set(frame["backend"]) == {"exact", backend.name}
    """
    run(tests, source, "--multigrad-backends", "numpy,strict").assert_outcomes(passed=2)


def test_a_wrong_gradient_fails_with_its_diagnosis_at_the_line_of_the_test(tests: pytest.Pytester) -> None:
    source = """
        from wrong import squares

        def test_it(assert_gradients):
            assert_gradients(squares, backend="numpy", dtype="float64")
    """
    result = run(tests, source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*assert_gradients(squares, backend=*",
            "E *multigrad.matrix.GradientError: FAIL squares ∂f/∂x on the formula*",
            "E *∂f/∂x is 0.5 × the true gradient: a factor 2 is missing*",
        ]
    )
    result.stdout.no_fnmatch_line("*def assert_gradients*")


def test_the_function_can_be_imported_as_well(tests: pytest.Pytester) -> None:
    source = """
        import pytest
        from multigrad import GradientError, assert_gradients
        from wrong import squares

        def test_it():
            with pytest.raises(GradientError, match="a factor 2 is missing"):
                assert_gradients(squares, backend="numpy", dtype="float64")
    """
    run(tests, source).assert_outcomes(passed=1)


def test_the_assertion_is_skipped_where_its_backend_is_not_here(tests: pytest.Pytester) -> None:
    source = """
        from right import squares

        def test_it(assert_gradients):
            assert_gradients(squares, backend="cupy")
    """
    result = run(tests, source)
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*cupy: *"])


@pytest.mark.parametrize(
    "source",
    [
        "import pytest\n@pytest.fixture\ndef backend(): return 'mine'\ndef test_it(backend): assert backend == 'mine'",
        "import pytest\n@pytest.mark.parametrize('backend', ['mine'])\ndef test_it(backend): assert backend == 'mine'",
    ],
    ids=["fixture", "parameter"],
)
def test_a_backend_of_the_user_s_own_is_left_alone(tests: pytest.Pytester, source: str) -> None:
    run(tests, source).assert_outcomes(passed=1)


def test_having_it_loaded_imports_nothing_heavy(tests: pytest.Pytester) -> None:
    source = f"""
        import sys

        def test_it():
            assert {PLUGIN!r} in sys.modules
            assert not {HEAVY!r} & set(sys.modules)
    """
    run(tests, source).assert_outcomes(passed=1)


def test_left_out_it_is_not_even_imported() -> None:
    code = f"import sys, pytest; pytest.main(['-p', 'no:multigrad', '--version']); print({PLUGIN!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=os.path.dirname(ROOT))
    assert done.stdout.split()[-1] == "False", done.stdout + done.stderr


def test_the_entry_point_names_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"multigrad": pytest_plugin.__name__}
