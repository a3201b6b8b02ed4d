import ast
from pathlib import Path

import array_api_compat.numpy as xp
import numpy as np
import pytest

from multigrad import BadInput, operation, operations
from multigrad.mutation.mutants import KINDS, mutants
from multigrad.ops.program import Program
from multigrad.ops.reach import lines_run, pullback_lines, reaching_sizes
from multigrad.ops.sizes import small_sizes
from multigrad.truth.inputs import dtype_arrays

LINES = Path(__file__).read_text(encoding="utf-8").splitlines()


def scaled(x, factor):
    return factor * x


@operation("(n)->()", sizes={"tiny": {"n": 4}})
def tripled(xp, x):
    """3 Σ x."""

    def pullback(f_bar):
        return scaled(xp.ones_like(x), 3.0) * f_bar

    return xp.sum(scaled(x, 3.0)), pullback


@operation("(n)->()", sizes={"tiny": {"n": 3}})
def long_or_short(xp, x):
    """Σ x² in two ways."""

    def pullback(f_bar):
        if x.shape[0] > 5:
            doubled = x + x
            return f_bar * doubled
        return 2 * f_bar * x

    return xp.sum(x * x), pullback


@pytest.mark.parametrize("name", ["relu_regression", "conv2d"])
def test_the_same_source_gives_the_same_mutants(name):
    first, second = ([(m.number, m.kind, m.line, m.change) for m in mutants(operations()[name])] for _ in range(2))
    assert first == second
    assert [m[0] for m in first] == list(range(len(first)))


def test_every_kind_is_known_and_every_mutant_keeps_the_value():
    for op in operations().values():
        size = next(iter(op.sizes.values()))
        arrays = dtype_arrays(op, size, 0, "gaussian", "float64")[: len(op.inputs)]
        right = op(xp, *arrays, **op.split(size)[1])[0]
        made = mutants(op)
        assert len(made) > 5
        for mutant in made:
            assert mutant.kind in KINDS
            value = mutant.operation(xp, *[a.copy() for a in arrays], **op.split(size)[1])[0]
            several = isinstance(right, tuple)
            pairs = zip(value, right, strict=True) if several else [(value, right)]
            assert all(np.array_equal(a, b) for a, b in pairs)


def test_a_helper_that_both_parts_use_is_changed_for_the_pullback_alone():
    changed = [m for m in mutants(tripled) if m.change == "factor * x → x"]
    assert len(changed) == 1
    value, pullback = changed[0].operation(xp, np.ones(4))
    assert value == 12
    assert np.array_equal(pullback(1.0), np.ones(4))
    assert "def scaled(x, factor)" in LINES[changed[0].line - 2]


def test_the_line_of_a_mutant_is_the_line_in_the_file():
    (mutant,) = [m for m in mutants(long_or_short) if m.change == "x + x → x - x"]
    assert "doubled = x + x" in LINES[mutant.line - 1]


def test_a_mutant_shows_its_own_source():
    (mutant,) = [m for m in mutants(long_or_short) if m.change == "x + x → x - x"]
    assert "x - x" in ast.unparse(Program.of(mutant.operation).parts[0].tree)


def test_a_function_without_source_makes_no_mutants():
    scope = {"operation": operation, "__name__": "nowhere"}
    exec("@operation('(n)->()')\ndef f(xp, x):\n    return xp.sum(x), lambda b: b + 0 * x", scope)
    with pytest.raises(BadInput, match="source cannot be read"):
        mutants(scope["f"])


def test_sizes_are_found_that_run_every_line_of_the_pullback():
    assert lines_run(long_or_short, {"n": 3}) < pullback_lines(long_or_short)
    further, unreached = reaching_sizes(long_or_short, [{"n": 3}])
    assert further == [{"n": 6}]
    assert unreached == []


def test_every_line_of_every_pullback_in_the_catalogue_can_be_reached():
    for op in operations().values():
        _, unreached = reaching_sizes(op, [op.size(name) for name in small_sizes(op)])
        assert unreached == [], op.name
