"""What the namespaces of proof do not know is named: the call, its place, and what to write."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
import scipy.special

from multigrad.namespaces import bounds, cost, dual, exact
from multigrad.namespaces.shared.unsupported import Unsupported
from multigrad.ops.find import load_operations
from multigrad.proof.prove import prove


def in_exact(function):
    return function(exact, exact.variable(np.array([1.0, 2.0])))


def in_dual(function):
    value = exact.variable(np.array([1.0, 2.0]))
    return function(dual, dual.DualArray(value, exact.ones((1, 2))))


def in_bounds(function):
    with bounds.context("float64"):
        return function(bounds, bounds.asarray(np.array([1.0, 2.0])))


def in_cost(function):
    with cost.counting("float64"):
        return function(cost, cost.Array((2,), "float64"))


IN_EVERY = pytest.mark.parametrize(
    ("run", "knower"),
    [
        (in_exact, "the proof"),
        (in_dual, "the proof"),
        (in_bounds, "the error bounds"),
        (in_cost, "the count of operations"),
    ],
)

UNKNOWN = {
    "xp.linalg.vector_norm(…, dim=…)": (lambda xp, x: xp.linalg.vector_norm(x, dim=0), "the arguments of the standard"),
    "xp.fft": (lambda xp, x: xp.fft.fft(x), "write it with other functions"),
    "xp.gumbel": (lambda xp, x: xp.gumbel(x), "write it with other functions"),
    "xp.permute": (lambda xp, x: xp.permute(x, (0,)), "write `xp.permute_dims`"),
    "xp.linalg.expm": (lambda xp, x: xp.linalg.expm(x), "write it with other functions"),
    "np.spacing": (lambda xp, x: np.spacing(x), "write it with other functions"),
    "np.median": (lambda xp, x: np.median(x), "write it with other functions"),
    "np.linalg.cond": (lambda xp, x: np.linalg.cond(x), "write it with other functions"),
    "np.sum": (lambda xp, x: np.sum(x, where=x > 0.5), "found no such form with where"),
    "np.add.at": (lambda xp, x: np.add.at(x, 0, 1.0), "write it with other functions"),
    "np.add(…, out=…)": (lambda xp, x: np.add(np.ones(2), x, out=np.ones(2)), "write `x = x + y`"),
    "scipy.special.jv": (lambda xp, x: scipy.special.jv(0, x), "write it with other functions"),
    "np.asarray(x)": (lambda xp, x: np.asarray(x), "write `xp.stack`"),
    "x[real numbers]": (lambda xp, x: xp.asarray([1.0, 2.0])[x], "an index is a whole number"),
    "bool(x)": (lambda xp, x: 1 if x else 0, "write `xp.where`"),
    "float(x)": (lambda xp, x: float(x), "never asks for a value"),
    "int(x)": (lambda xp, x: int(x), "never asks for a value"),
    "complex(x)": (lambda xp, x: complex(x), "never asks for a value"),
    "x.unsqueeze": (lambda xp, x: x.unsqueeze(0), "write `xp.expand_dims`"),
    "x.argpartition": (lambda xp, x: x.argpartition(1), "write it with other functions"),
    "x.clamp": (lambda xp, x: x.clamp(0), "write `xp.clip`"),
    "x.item": (lambda xp, x: x.item(), "never asks for a value"),
    "x.gumbel": (lambda xp, x: x.gumbel(), "write it with other functions"),
}


@IN_EVERY
@pytest.mark.parametrize("call", UNKNOWN)
def test_a_call_that_is_not_known_is_named_with_its_place_and_what_to_write(run, knower, call):
    function, advice = UNKNOWN[call]
    with pytest.raises(Unsupported) as caught:
        run(function)
    assert caught.value.call == call
    assert advice in caught.value.advice
    line = function.__code__.co_firstlineno
    assert str(caught.value).startswith(f"`{call}` (test_unsupported.py, line {line}) is not known to {knower}: ")


@IN_EVERY
def test_whoever_asks_whether_there_is_such_a_thing_is_answered(run, knower):
    assert not run(lambda xp, x: hasattr(x, "clamp") or hasattr(xp, "fft") or hasattr(xp.linalg, "expm"))
    assert not run(lambda xp, x: hasattr(x, "__cuda_array_interface__") or hasattr(xp, "__wrapped__"))


@IN_EVERY
def test_numpys_functions_run_on_every_array(run, knower):
    shape = run(lambda xp, x: np.concatenate([np.exp(x), np.ones(3) * x[:1], np.sqrt(x) @ np.eye(2)])).shape
    assert shape == (7,)
    assert run(lambda xp, x: np.linalg.norm(x) + np.sum(x, axis=0) + np.maximum(x, 0.5)).shape == (2,)
    assert run(lambda xp, x: np.shape(x)) == (2,)


@IN_EVERY
def test_an_axis_may_stand_without_its_keyword(run, knower):
    assert run(lambda xp, x: xp.stack([xp.sum(x, 0), xp.max(x, 0), xp.concat([x, x], 0)[1]], 0)).shape == (3,)
    assert run(lambda xp, x: xp.take(xp.expand_dims(x, 1), xp.asarray([0]), 0)).shape == (1, 1)


@pytest.mark.parametrize("run", [in_exact, in_dual, in_bounds])
def test_a_keyword_of_another_framework_is_named(run):
    with pytest.raises(Unsupported, match=r"`xp\.sum\(…, dim=…\)` \(test_unsupported\.py, line \d+\)"):
        run(lambda xp, x: xp.sum(x, dim=0))
    with pytest.raises(Unsupported, match=r"`xp\.std\(…, ddof=…\)` .* with the arguments of the standard"):
        run(lambda xp, x: xp.std(x, ddof=1))


def test_numpys_functions_give_numpys_values():
    x = np.array([[1.0, -2.0], [3.0, 0.5]])
    for function in (
        lambda a: np.std(a, axis=0, ddof=1),
        lambda a: np.linalg.norm(a, axis=1),
        lambda a: np.linalg.norm(a, "nuc"),
        lambda a: np.linalg.norm(a, 1),
        lambda a: np.cumsum(a),
        lambda a: np.take(a, [2, 0]),
        lambda a: np.transpose(a),
        lambda a: np.swapaxes(a, 0, 1),
        lambda a: np.dot(a, a),
        lambda a: np.clip(a, 0, 1),
        lambda a: np.add.reduce(a, axis=1),
        lambda a: np.where(a > 0, a, 0),
        lambda a: np.linalg.inv(a),
    ):
        np.testing.assert_allclose(exact.midpoints(function(exact.asarray(x))), function(x), rtol=1e-13)


def test_the_place_is_the_operations_own_line_also_in_the_catalogue(tmp_path):
    file = tmp_path / "my_gradient.py"
    file.write_text(
        "from multigrad import operation\n"
        "@operation('(n)->()')\n"
        "def square_of_spectrum(xp, x):\n"
        "    y = xp.fft.fft(x)\n"
        "    return xp.sum(y * y), lambda a: 2 * a * x\n"
    )
    op = load_operations([str(file)])[0]
    with pytest.raises(Unsupported, match=re.escape("`xp.fft` (my_gradient.py, line 4) is not known to the proof")):
        prove(op, {"n": 3})
    for module, place in (("multigrad.catalogue.made_up", "made_up.py, line 2"), ("multigrad.made_up", "test_unsupp")):
        scope = {"__name__": module}
        exec(compile("def f(xp):\n    return xp.fft", "made_up.py", "exec"), scope)
        with pytest.raises(Unsupported, match=re.escape(f"`xp.fft` ({place}")):
            scope["f"](exact)


def test_it_travels_between_processes():
    error = Unsupported("np.exp", "write `xp.exp`", place="f.py, line 3")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(error) == "`np.exp` (f.py, line 3) is not known to the proof: write `xp.exp`"


def test_a_complex_number_is_refused_in_words():
    with pytest.raises(Unsupported, match="write real and imaginary part"):
        in_exact(lambda xp, x: 1j * x)
