"""The gate judges once what it has seen once, and never what it has not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from multigrad.bench.timing import gate

from multigrad.ops.find import load_operations
from multigrad.truth.files import read_arrays

SIZE = {"m": 4, "n": 16}


@pytest.fixture
def prepared(tmp_path: Path):
    path = str(tmp_path / "reference-0.npz")
    wanted = {"reference": "linear_map", "size": SIZE, "seed": 0, "dtype": "float64", "precision": "strict"}
    wanted["variants"] = ["analytic"]
    assert [*gate.prepare({"wanted": {"0": {**wanted, "path": path}}})] == [
        {"begin": 0},
        {"end": 0, "costs": {"analytic": (320.0, 1344.0)}, "array_bytes": 8 * (4 * 16 + 16 + 4)},
    ]
    C, x, y_bar = read_arrays(Path(path))
    return path, [C @ x, np.outer(y_bar, x), C.T @ y_bar]


def judged(judge, path, outputs, variant="analytic", kind="float64"):
    (op,) = load_operations(["linear_map"])
    return judge.passes(op, {}, variant, outputs, [kind] * len(outputs), path, "float64")


def test_the_same_bits_are_judged_once(prepared, monkeypatch):
    path, outputs = prepared
    judge = gate.Gate()
    passed, digest = judged(judge, path, outputs)
    assert passed.verdict == "PASS"
    monkeypatch.setattr(gate, "_judged", lambda *_: pytest.fail("judged again"))
    assert judged(judge, path, [a.copy() for a in outputs]) == (passed, digest)
    told = gate.Gate({digest: [passed.verdict, passed.ratio, passed.reason]})
    assert judged(told, path, outputs) == (passed, digest)


def test_one_bit_more_or_another_shape_is_judged_anew(prepared):
    path, outputs = prepared
    judge = gate.Gate()
    _, digest = judged(judge, path, outputs)
    wrong = [*outputs[:2], outputs[2] * 1.001]
    failed, other = judged(judge, path, wrong)
    assert failed.verdict == "FAIL"
    assert other != digest
    assert judged(judge, path, [outputs[0].reshape(2, 2), *outputs[1:]])[0].verdict == "FAIL"


def test_a_verdict_holds_for_its_own_question_only(prepared):
    path, outputs = prepared
    judge = gate.Gate()
    assert judged(judge, path, outputs[:1], "forward")[0].verdict == "PASS"
    assert "wanted 3" in judged(judge, path, outputs[:1])[0].reason
    assert "dtype float32" in judged(judge, path, outputs, kind="float32")[0].reason


def test_another_formula_may_be_off_by_a_rounding_of_the_inputs(prepared):
    path, outputs = prepared
    judge = gate.Gate()
    product = outputs[1].astype(np.longdouble)  # each entry of C_bar is one
    outputs[1] = (product * (1 + 3 * np.longdouble(2.0**-53))).astype(np.float64)
    assert judged(judge, path, outputs, "analytic")[0].verdict == "FAIL"
    assert judged(judge, path, outputs, "native")[0].verdict == "NOTE"


def test_what_a_kernel_says_that_it_computes_in_decides_its_bounds_in_halves(tmp_path: Path):
    path = str(tmp_path / "reference-0.npz")
    size = {"m": 4, "n": 4000}
    wanted = {"reference": "linear_map", "size": size, "seed": 0, "dtype": "float16", "precision": "strict"}
    [*gate.prepare({"wanted": {"0": {**wanted, "path": path, "variants": []}}})]
    C, x, y_bar = read_arrays(Path(path))

    def stored(*arrays):
        return [np.asarray(a, dtype=np.float16) for a in arrays]

    y = np.float32(C) @ np.float32(x)
    once = stored(y, np.outer(y_bar, x), C.T @ y_bar)
    halves = stored(np.add.accumulate(np.float16(C) * np.float16(x), axis=1, dtype=np.float16)[:, -1], *once[1:])
    (op,) = load_operations(["linear_map"])
    kinds = ["float16"] * 3

    def verdict(outputs, accumulate):
        return gate.Gate().passes(op, {}, "mine", outputs, kinds, path, "float16", accumulate)[0].verdict

    assert verdict(once, "float32") in ("PASS", "NOTE")
    assert verdict(halves, "float32") == "FAIL"
    assert verdict(halves, None) != "FAIL"
