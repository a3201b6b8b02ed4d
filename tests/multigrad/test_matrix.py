"""The matrix must be able to fail: every way of being wrong is given to `check` here once, and must be named."""

from __future__ import annotations

import io
import textwrap
from dataclasses import replace

import numpy as np
import pytest
from multigrad.backends.numpy_backend import NumPyBackend, NumPySession
from multigrad.bench.report import verdicts

import multigrad
from multigrad import (
    BadInput,
    GradientError,
    assert_gradients,
    check,
    operation,
    operations,
)
from multigrad.backend import Inaccuracy, Unavailable, registry
from multigrad.matrix.frame import _why_nothing
from multigrad.matrix.plan import Cell, unavailable_row
from multigrad.matrix.rows import AIMED, COLUMNS, failing
from multigrad.ops.draw import REGIMES
from multigrad.ops.operation import Operation
from multigrad.process.child import _last_words
from multigrad.truth import formula
from multigrad.truth.case import Case
from multigrad.verdict.judge import worded
from multigrad.verdict.words import (
    FAIL,
    FINDING,
    GAP,
    INCONCLUSIVE,
    NOTE,
    PASS,
    PORTABILITY,
    UNAVAILABLE,
)

LAYER = """
    from multigrad import operation

    @operation("(m,k),(k,n)->(m,n)", sizes={{"tiny": {{"m": 5, "k": 4, "n": 3}}}})
    def {name}(xp, X, W):
        Z = X @ W

        def pullback(y_bar):
            S = {mask}
            return {X_bar}, {W_bar}

        return xp.maximum(Z, 0), pullback
"""
RIGHT = {
    "name": "layer",
    "mask": "xp.where(Z > 0, y_bar, 0 * y_bar)",
    "X_bar": "S @ xp.matrix_transpose(W)",
    "W_bar": "xp.matrix_transpose(X) @ S",
}


@pytest.fixture
def layer(tmp_path):
    def write(**wrong):
        path = tmp_path / "layer.py"
        path.write_text(textwrap.dedent(LAYER.format(**{**RIGHT, **wrong})))
        return str(path)

    return write


def quick(ops, **options):
    return check(ops, **{"backend": "numpy", "dtype": "float64", **options})


def checked(folder, texts, **options):
    """Check many operations at once, each in a file ``mine.py`` of its own: starting a worker takes longer than one."""
    paths = []
    for name, text in texts.items():
        (folder / name).mkdir()
        paths.append(folder / name / "mine.py")
        paths[-1].write_text("from multigrad import operation\n" + textwrap.dedent(text))
    return check([str(path) for path in paths], **{"dtype": "float64", "mode": "eager", **options})


def rows(frame, **wanted):
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    return frame


LAYERS = {
    "right": {},
    "doubled": {"W_bar": "2 * xp.matrix_transpose(X) @ S"},
    "kink_wrong": {"mask": "xp.where(Z > 0, y_bar, xp.where(Z < 0, 0 * y_bar, 2 * y_bar))"},
    "kink_half": {"mask": "xp.where(Z > 0, y_bar, xp.where(Z < 0, 0 * y_bar, 0.5 * y_bar))"},
}
"""Layers that are checked in every regime."""
WRONG_LAYERS = {
    "transposed": {"W_bar": "xp.matrix_transpose(S) @ X"},
    "unmasked": {"mask": "y_bar"},
    "bent": {"W_bar": "xp.matrix_transpose(X) @ (S * xp.abs(S))"},
}
"""Layers that are checked on ordinary inputs."""


def layers(wrong):
    return {name: LAYER.format(**{**RIGHT, **parts, "name": name}) for name, parts in wrong.items()}


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory):
    """The rows of operations that are checked in every regime."""
    folder = tmp_path_factory.mktemp("everywhere")
    return checked(folder, {**layers(LAYERS), "lists": LISTS}, backend="numpy")


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory):
    """The rows of operations that are checked on ordinary inputs."""
    texts = {**layers(WRONG_LAYERS), **NO_RESULT, **DOMAINS, "large": LARGE}
    texts |= {name: TWO_FACTORS.format(factor, name=name) for name, factor in (("right_pair", 2), ("wrong_pair", 1))}
    return checked(tmp_path_factory.mktemp("ordinary"), texts, backend="numpy", regime="gaussian")


def test_a_right_layer_passes_everywhere(everywhere):
    assert set(rows(everywhere, operation="right")["verdict"]) == {PASS}
    assert tuple(everywhere.columns) == COLUMNS


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("doubled", "is 2 × the true gradient"),
        ("transposed", "transpose"),
        ("unmasked", "in place of `y_bar` it would be right"),
    ],
)
def test_a_wrong_file_names_operation_output_backend_and_mistake(everywhere, ordinary, name, words):
    frame = everywhere if name == "doubled" else ordinary
    for backend in ("exact", "numpy"):
        bad = rows(frame, verdict=FAIL, backend=backend, operation=name, output="W_bar", regime="gaussian")
        assert len(bad), backend
        # A change of the source is looked for where the formula is judged; a backend's number has the figures alone.
        assert words in bad["reason"].iloc[0] or (backend == "numpy" and "it would be right" in words)


def test_a_gradient_that_is_right_is_not_blamed_for_another(everywhere):
    assert set(rows(everywhere, operation="doubled", output="X_bar")["verdict"]) == {PASS}


def test_only_the_gradient_that_is_not_linear_is_blamed(ordinary):
    frame = rows(ordinary, operation="bent")
    assert set(rows(frame, output="X_bar")["verdict"]) == {PASS}
    assert FAIL in set(rows(frame, output="W_bar", backend="exact")["verdict"])


def test_a_wrong_convention_at_the_kink_fails_by_default(everywhere):
    frame = rows(everywhere, operation="kink_wrong")
    bad = rows(frame, regime="kink", backend="exact", verdict=FAIL)
    assert set(bad["output"]) == {"X_bar", "W_bar"}
    assert "outside the subdifferential" in bad["reason"].iloc[0]
    assert set(rows(frame, regime="gaussian")["verdict"]) == {PASS}


def test_another_convention_within_the_subdifferential_passes(everywhere):
    kink = rows(everywhere, operation="kink_half", regime="kink")
    assert set(kink["verdict"]) == {PASS}
    assert "that lie on a kink" in kink["reason"].iloc[0]


def test_every_regime_is_served_and_said(layer):
    frame = quick(layer(), regime="all")
    relations = {r for r in frame["regime"] if r.startswith("relation: ")}
    assert set(frame["regime"]) - relations == {*REGIMES, AIMED}
    assert len(relations) >= 4
    assert set(frame["verdict"]) <= {PASS, NOTE, UNAVAILABLE}
    certified = rows(frame, backend="exact", output="W_bar", verdict=PASS)
    assert {"gaussian", "wide", "cancellation", "huge", "tiny", "length-1"} <= set(certified["regime"])


def test_relations_alone_can_be_asked_for(layer):
    frame = quick(layer(), regime="relations")
    assert "relation: linear in the cotangent" in set(frame["regime"])
    assert "integers" not in set(frame["regime"])


def test_a_result_of_nan_never_passes():
    @operation("(n)->()", sizes={"tiny": {"n": 3}})
    def f(xp, x):
        def pullback(b):
            g = 2 * b * x
            return g if isinstance(x, multigrad_arrays()) else g * xp.nan

        return xp.sum(x * x), pullback

    frame = quick(f, regime="gaussian")
    bad = rows(frame, backend="numpy", output="x_bar", variant="analytic")
    assert set(bad["verdict"]) == {FAIL}
    assert "not finite" in bad["reason"].iloc[0]
    assert set(rows(frame, backend="exact")["verdict"]) == {PASS}


def multigrad_arrays():
    """Return the array types of the namespaces of proof."""
    from multigrad.namespaces import bounds, dual, exact

    return (exact.ExactArray, dual.DualArray, bounds.Array)


def test_nothing_compared_raises(layer):
    with pytest.raises(BadInput, match="nothing was compared"):
        quick(layer(), mode="compiled", regime="integers")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("backend", "nunpy"),
        ("dtype", "float23"),
        ("device", "tpu"),
        ("mode", "lazy"),
        ("variant", "symbolic"),
        ("regime", "gausian"),
        ("size", "gigantic"),
    ],
)
def test_an_unknown_name_is_one_line(option, value):
    with pytest.raises(BadInput) as caught:
        check("linear_map", **{"backend": "numpy", option: value})
    assert value in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_operation_is_told_the_nearest():
    with pytest.raises(BadInput, match="did you mean 'linear_map'"):
        check("linear_mop")


def test_inputs_from_a_file_are_judged(tmp_path):
    path = tmp_path / "inputs.npz"
    rng = np.random.default_rng(0)
    np.savez(path, C=rng.standard_normal((3, 2)), x=rng.standard_normal(2))
    frame = quick("linear_map", inputs=path)
    assert set(frame["regime"]) == {"file"}
    assert set(frame["verdict"]) == {PASS}


GOOD = {"C": np.ones((3, 2)), "x": np.ones(2)}


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({**GOOD, "y": np.ones(2)}, "did you mean"),
        ({"C": np.ones((3, 2))}, "lacks 'x'"),
        ({**GOOD, "x": np.ones(3)}, "x has shape"),
        ({**GOOD, "x": np.ones(2, dtype=int)}, "wanted a floating-point type"),
        ({**GOOD, "x": np.array([1.0, np.nan])}, "not finite"),
    ],
)
def test_inputs_that_do_not_fit_are_told_in_one_line(tmp_path, arrays, words):
    path = tmp_path / "inputs.npz"
    np.savez(path, **arrays)
    with pytest.raises(BadInput, match=words):
        quick("linear_map", inputs=path)


def test_a_file_that_is_no_npz_is_told(tmp_path):
    path = tmp_path / "inputs.npz"
    path.write_bytes(b"PK nonsense")
    with pytest.raises(BadInput, match="cannot be read"):
        quick("linear_map", inputs=path)
    with pytest.raises(BadInput, match="cannot be read"):
        quick("linear_map", inputs=tmp_path / "nowhere.npz")


def test_a_dead_worker_costs_its_cell_only(tmp_path):
    path = tmp_path / "deadly.py"
    path.write_text(
        textwrap.dedent("""
        import os
        from multigrad import operation

        @operation("(n)->()", sizes={"tiny": {"n": 3}})
        def deadly(xp, x):
            if "numpy" in xp.__name__ and str(x.dtype) == "float32":
                os._exit(7)
            return xp.sum(x * x), lambda b: 2 * b * x
        """)
    )
    frame = quick(str(path), dtype=["float64", "float32"], regime=["gaussian"], variant="analytic")
    lost = rows(frame, dtype="float32", backend="numpy")
    assert set(lost["verdict"]) == {FAIL}
    assert "exit code 7" in lost["reason"].iloc[0]
    assert set(rows(frame, dtype="float64")["verdict"]) == {PASS}


def test_assert_gradients_raises_with_the_diagnosis():
    @operation("(n)->()", sizes={"tiny": {"n": 3}})
    def f(xp, x):
        return xp.sum(x * x), lambda b: b * x

    with pytest.raises(GradientError, match=r"∂f/∂x.*0\.5 × the true gradient"):
        assert_gradients(f, backend="numpy", dtype="float64")


def test_an_operation_without_a_reference_is_checked_in_this_process():
    @operation("(n)->()", sizes={"tiny": {"n": 3}})
    def f(xp, x):
        return xp.sum(x * x), lambda b: 2 * b * x

    assert not f.reference
    assert set(assert_gradients(f, backend="numpy", dtype="float64")["verdict"]) == {PASS}


class Absent(NumPyBackend):
    name = "absent"

    def open(self, device="cpu", *, threads=None, precision="strict"):
        raise Unavailable("not installed (pip install absent)")

    def missing(self, device):
        return "not installed (pip install absent)"


def put_in(monkeypatch, made):
    """Let `check` know one backend more, in this process."""
    known = {**multigrad.backend.backends(), made.name: made}
    monkeypatch.setattr(registry, "backends", lambda: known)


def test_a_missing_framework_is_a_worded_row(monkeypatch):
    put_in(monkeypatch, Absent())
    frame = check("linear_map", backend=["numpy", "absent"], dtype="float64", regime="gaussian")
    missing = rows(frame, backend="absent")
    assert set(missing["verdict"]) == {UNAVAILABLE}
    assert "pip install" in missing["reason"].iloc[0]


class NativeSession(NumPySession):
    """A native form whose results have lost a third of their digits."""

    def native(self, name):
        return None if name != "doubled" else lambda x: 2 * x

    def differentiate(self, forward, wanted):
        return lambda x, y_bar: (2 * x * (1 + 1e-10), 2 * y_bar)


class Native(NumPyBackend):
    name = "with_native"
    variants = ("analytic", "native")

    def __init__(self, most=None, operation="doubled"):
        known = Inaccuracy(operation, "native", "tiny", most or 0.0, "It cancels.")
        self.inaccuracies = () if most is None else (known,)

    def open(self, device="cpu", *, threads=None, precision="strict"):
        return NativeSession(self, np)


@pytest.mark.parametrize(
    ("made", "verdict"),
    [(Native(), FINDING), (Native(1e8), GAP), (Native(2.0), FINDING), (Native(1e8, "another"), FINDING)],
    ids=["unknown", "known", "worse than known", "another operation"],
)
def test_a_known_inaccuracy_of_a_form_that_is_not_ours_is_a_worded_gap(monkeypatch, made, verdict):
    put_in(monkeypatch, made)
    monkeypatch.setattr(Operation, "catalogued", property(lambda op: True))

    @operation("(n)->(n)", sizes={"tiny": {"n": 3}})
    def doubled(xp, x):
        return x + x, lambda y_bar: y_bar + y_bar

    frame = check(doubled, backend=made.name, dtype="float64", regime="gaussian")
    judged = rows(frame, backend=made.name)
    value = rows(judged, variant="native", output="value")
    assert set(value["verdict"]) == {verdict}
    assert value["reason"].str.endswith("× the bound: It cancels.").all() == (verdict == GAP)
    assert set(rows(judged, variant="native", output="x_bar")["verdict"]) == {PASS}
    assert set(rows(judged, variant="analytic")["verdict"]) == {PASS}


def test_the_hand_derived_form_is_excused_in_one_regime_where_it_is_compiled_and_nowhere_else():
    known = Inaccuracy("elu", "analytic", "tiny", 10.0, "The compiler cancels.", "wide", "compiled")
    op = operations()["elu"]
    assert known.covers(op, "analytic", "compiled", "wide")
    assert not known.covers(op, "analytic", "eager", "wide")
    assert not known.covers(op, "analytic", "compiled", "gaussian")
    assert not known.covers(operations()["relu"], "analytic", "compiled", "wide")
    with pytest.raises(ValueError, match="cannot be excused"):
        Inaccuracy("elu", "analytic", "tiny", 10.0, "Ours.", "wide")


class Rounding(np.ndarray):
    """A NumPy array whose matrix products round their operands."""

    bits = 8

    def rounded(self):
        mantissa, exponent = np.frexp(np.asarray(self))
        return np.ldexp(np.rint(mantissa * 2**self.bits) / 2**self.bits, exponent).astype(self.dtype)

    def __matmul__(self, other):
        return (self.rounded() @ np.asarray(other).view(type(self)).rounded()).view(type(self))


class RoundingTF32(Rounding):
    bits = 11


class DegradedSession(NumPySession):
    def __init__(self, backend, kind):
        super().__init__(backend, np)
        self.kind = kind

    def to_device(self, array, dtype=None):
        return super().to_device(array, dtype).view(self.kind)

    def to_numpy(self, array):
        return np.array(np.asarray(array))


class Degraded(NumPyBackend):
    """NumPy, computing its matrix products in fewer bits than it says."""

    name = "degraded"
    kind = Rounding

    def open(self, device="cpu", *, threads=None, precision="strict"):
        return DegradedSession(self, self.kind)


class DegradedTF32(Degraded):
    kind = RoundingTF32


@pytest.mark.parametrize("made", [Degraded(), DegradedTF32()], ids=["bfloat16", "TF32"])
def test_products_in_lower_precision_are_told(monkeypatch, made):
    put_in(monkeypatch, made)

    @operation("(m,k),(k,n)->(m,n)", sizes={"tiny": {"m": 8, "k": 8, "n": 8}})
    def product(xp, A, B):
        T = xp.matrix_transpose
        return A @ B, lambda y_bar: (y_bar @ T(B), T(A) @ y_bar)

    frame = check(product, backend="degraded", dtype="float32", regime="gaussian", variant="analytic")
    judged = rows(frame, backend="degraded")
    assert set(judged["verdict"]) <= {FAIL, NOTE}
    assert judged["reason"].str.contains("lower precision").all()
    probe = rows(judged, regime="roundoff")
    assert f"float32 matrix products with {made.kind.bits} significand bits" in probe["reason"].iloc[0]


def test_tf32_is_accepted_where_it_was_allowed_and_there(monkeypatch):
    put_in(monkeypatch, DegradedTF32())

    @operation("(m,k),(k,n)->(m,n)", sizes={"tiny": {"m": 8, "k": 8, "n": 8}})
    def product(xp, A, B):
        T = xp.matrix_transpose
        return A @ B, lambda y_bar: (y_bar @ T(B), T(A) @ y_bar)

    frame = check(product, backend="degraded", dtype="float32", regime="gaussian", precision="tf32")
    assert not {FAIL, FINDING} & set(frame["verdict"])
    assert set(rows(frame, regime="roundoff")["verdict"]) == {NOTE}
    exact = check(product, backend="numpy", dtype="float32", regime="gaussian", precision="tf32")
    strict = check(product, backend="numpy", dtype="float32", regime="gaussian")
    wanted = rows(strict, backend="numpy", output="value")["ratio"].iloc[0]
    assert rows(exact, backend="numpy", output="value")["ratio"].iloc[0] == wanted


def test_a_formula_that_writes_into_its_inputs_is_told():
    @operation("(n)->()", sizes={"tiny": {"n": 3}})
    def f(xp, x):
        def pullback(b):
            g = 2 * b * x
            x[0] = 7.0
            return g

        return xp.sum(x * x), pullback

    frame = quick(f, regime="relations")
    bad = rows(frame, regime="relation: inputs and cotangents unchanged")
    assert set(bad["verdict"]) == {FAIL}
    assert "inputs changed: the operation writes into x" in bad["reason"].iloc[0]


def test_a_function_that_the_bounds_lack_is_never_a_pass():
    @operation("(n)->()", sizes={"tiny": {"n": 3}})
    def f(xp, x):
        return xp.sum(x * x), lambda b: 2 * b * xp.nextafter(x, x)

    with pytest.raises(BadInput, match="nothing was compared"):
        quick(f, regime="gaussian")


def test_nothing_compared_names_each_reason_that_matters_once():
    sizes = {"tiny": {"n": 3}}

    @operation("(n)->()", sizes=sizes)
    def f(xp, x):
        return xp.sum(x), lambda b: b * xp.ones_like(x)

    with pytest.raises(BadInput) as caught:
        multigrad.check(f, backend=["numpy", "strict"], dtype="bfloat16", regime=["gaussian", "integers"])
    said = str(caught.value)
    assert said == "nothing was compared: numpy: numpy has no bfloat16 on cpu; strict: strict has no bfloat16 on cpu"


def test_the_reason_of_a_backend_that_was_not_asked_for_is_left_out():
    case = Case("", "f", {}, "gaussian", "float64", 0)
    opened = Cell(0, "eager", "analytic").row(case, "numpy", "cpu", "*", worded("UNAVAILABLE", "a reason"))
    passed = Cell(0, "eager", "analytic").row(case, "exact", "cpu", "*", worded("PASS", "certified"))
    missing = [unavailable_row("f", name, "cuda", "no CUDA device", 0) for name in ("jax", "torch")]
    rows = [passed, *missing, opened, opened]
    assert _why_nothing(rows, asked=False) == "numpy: a reason"
    assert _why_nothing(rows, asked=True) == "jax, torch: no CUDA device; numpy: a reason"
    assert _why_nothing([passed, *missing], asked=False) == "jax, torch: no CUDA device"
    assert _why_nothing([passed], asked=False) == "no operation, backend, device and dtype go together"


def test_the_last_words_of_a_process_that_aborts_are_not_its_stack():
    said = (
        b"W1 slow\nF1 rendezvous.cc:161] Termination timeout\n*** Check failure stack trace: ***\n    @  0x7f52  f()\n"
    )
    assert _last_words(-6, io.BytesIO(said)) == "killed by SIGABRT: F1 rendezvous.cc:161] Termination timeout"
    assert _last_words(3, io.BytesIO(b"")) == "ended with exit code 3"


# ── A checker that stumbles lets nothing through ─────────────────────────────────────────────────────────────────────


@pytest.fixture
def source(tmp_path):
    def write(text):
        path = tmp_path / "mine.py"
        path.write_text("from multigrad import operation\n\n" + textwrap.dedent(text))
        return str(path)

    return write


TWO_FACTORS = """
@operation("(m,n),(n)->()")
def {name}(xp, A, x):
    y = A @ x

    def pullback(f_bar):
        g = (f_bar * y[:, None] * x[None, :], f_bar * (xp.matrix_transpose(A) @ y))
        return tuple({} * a for a in g)

    return xp.sum(y * y), pullback
"""


def test_a_search_for_the_repair_that_stumbles_costs_its_sentence_alone(source, monkeypatch):
    def stumble(*_):
        raise ValueError("inhomogeneous shape")

    monkeypatch.setattr(formula, "repair", stumble)
    op = multigrad.load_operations([source(TWO_FACTORS.format(1, name="f"))])[0]
    wrong = rows(quick(replace(op, reference=""), regime="gaussian"), backend="exact", verdict=FAIL)
    assert set(wrong["output"]) == {"A_bar", "x_bar"}
    assert wrong["reason"].str.contains("differs from the derivative by 0.5").all()


def test_two_lost_factors_in_a_generator_are_found_and_named(ordinary):
    assert not (rows(ordinary, operation="right_pair")["verdict"] == FAIL).any()
    wrong = rows(ordinary, operation="wrong_pair", backend="exact", verdict=FAIL)
    assert set(wrong["output"]) == {"A_bar", "x_bar"}
    assert wrong["reason"].str.contains("a factor 2 is missing").all()


def test_an_edit_that_never_ends_does_not_hang_the_check(source):
    text = """
        @operation("(n)->()")
        def power(xp, x):
            def pullback(f_bar):
                i, g = 0, f_bar
                while i < 2:
                    g = g * x
                    i = i + 1
                return 2 * g

            return xp.sum(x * x * x), pullback
    """
    frame = quick(source(text))
    wrong = rows(frame, backend="exact", verdict=FAIL, output="x_bar")
    assert wrong["reason"].str.contains("line 11: with `3` in place of `2`").any()


RETURNED = {
    "none": ("return xp.sum(x * x), lambda f_bar: None", "none's pullback returned None; wanted one array"),
    "text": ("return xp.sum(x * x), lambda f_bar: 'x'", "text's pullback returned the text 'x'; wanted one array"),
    "two": ("return xp.sum(x * x), lambda f_bar: [x, x]", "two's pullback returned 2 gradients; wanted one array"),
    "no_pullback": (
        "return xp.sum(x * x), 2 * x",
        "no_pullback returned a tuple of 2; wanted a value, or (value, pullback)",
    ),
    "nothing": ("return None", "nothing returned None; wanted a value, or (value, pullback)"),
    "no_value": ("return None, lambda f_bar: 2 * x", "no_value's forward part returned None; wanted one array"),
    "nan_value": ("return xp.sum(x) * float('nan'), lambda f_bar: f_bar * x", "the value is NaN in every entry"),
    "nan_gradient": ("return xp.sum(x * x), lambda f_bar: f_bar * x * float('nan')", "is not finite in"),
    "deep": ("return xp.sum(down(x, 5000)), lambda f_bar: f_bar * x", "raised RecursionError"),
}
NO_RESULT = {
    name: f"""
        def down(x, n):
            return x if n == 0 else down(x, n - 1)

        @operation("(n)->()")
        def {name}(xp, x):
            {returned}
    """
    for name, (returned, _) in RETURNED.items()
}


@pytest.mark.parametrize("name", RETURNED)
def test_what_is_no_result_is_wrong_in_one_sentence(ordinary, name):
    wrong = rows(ordinary, operation=name, backend="exact", verdict=FAIL)
    assert len(wrong)
    assert wrong["reason"].str.contains(RETURNED[name][1], regex=False).all()


LISTS = """
    @operation("(n),(n)->(n),()")
    def lists(xp, x, y):
        return [x * y, xp.sum(x)], lambda a_bar, b_bar: [a_bar * y + b_bar, a_bar * x]
"""


def test_lists_of_results_are_results(everywhere):
    assert set(rows(everywhere, operation="lists")["verdict"]) <= {PASS, UNAVAILABLE}


DOMAIN = {
    "logarithm": ("xp.sum(xp.log(x))", "1 / x", "positive numbers"),
    "half_circle": (
        "xp.sum(xp.sqrt(x * (1 - x)))",
        "(1 - 2 * x) / (2 * xp.sqrt(x * (1 - x)))",
        "numbers between 0 and 1",
    ),
    "inverse_tanh": ("xp.sum(xp.atanh(x))", "1 / (1 - x * x)", "numbers between −1 and 1"),
    "inverse_cosh": ("xp.sum(xp.acosh(x))", "1 / xp.sqrt(x * x - 1)", "numbers above 1"),
}
DOMAINS = {
    prefix + name: f"""
        @operation("(n)->()")
        def {prefix}{name}(xp, x):
            return {value}, lambda f_bar: f_bar * {factor} * ({gradient})
    """
    for name, (value, gradient, _) in DOMAIN.items()
    for prefix, factor in (("", 1), ("wrong_", 2))
}


@pytest.mark.parametrize("name", DOMAIN)
def test_inputs_are_drawn_where_the_value_is_a_number(ordinary, name):
    right = rows(ordinary, operation=name)
    assert set(right["verdict"]) <= {PASS, NOTE, UNAVAILABLE}
    assert rows(right, backend="exact")["reason"].str.contains(f"inputs are {DOMAIN[name][2]}").all()
    assert len(rows(ordinary, operation=f"wrong_{name}", backend="exact", verdict=FAIL))


LARGE = """
    @operation("(m,n)->()", sizes={"large": {"m": 1000, "n": 1000}})
    def large(xp, X):
        return xp.sum(X * X), lambda f_bar: 2 * f_bar * X
"""


def test_an_operation_with_large_sizes_alone_is_proven_at_a_small_one(ordinary):
    frame = rows(ordinary, operation="large")
    assert set(frame["verdict"]) <= {PASS, UNAVAILABLE}
    assert rows(frame, backend="exact")["reason"].str.startswith("proven").all()


def of_file(tmp_path, text, **options):
    path = tmp_path / "mine.py"
    path.write_text("from multigrad import operation\n" + textwrap.dedent(text))
    return check(str(path), **{"dtype": "float64", "mode": "eager", "regime": "gaussian", **options})


ROOT_OF_POSITIVE = """
    @operation("(n),(n)->(n)", sizes={"tiny": {"n": 4}})
    def root(xp, x, w):
        S = x > 0
        r = xp.where(S, xp.sqrt(xp.where(S, x, 0 * x)), 0 * x)

        def pullback(y_bar):
            return xp.where(S, y_bar * w / (2 * xp.where(S, r, 1 + 0 * r)), 0 * x), y_bar * r

        return w * r, pullback
"""


WRONG_ROOT = (
    ROOT_OF_POSITIVE.replace("def root", "def wrong_root")
    .replace("(2 * xp.where(S, r, 1 + 0 * r))", "(4 * xp.where(S, r, 1 + 0 * r))")
    .replace("S = x > 0", "S = x > -9")
    .replace("xp.sqrt(xp.where(S, x, 0 * x))", "xp.exp(x)")
)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """The rows of a right formula whose derivative by autodiff is NaN, and of a wrong one whose autodiff is right."""
    texts = {"root": ROOT_OF_POSITIVE, "wrong_root": WRONG_ROOT}
    return checked(tmp_path_factory.mktemp("roots"), texts, backend=["torch", "jax"], regime="gaussian")


@pytest.fixture(scope="module")
def masked_root(roots):
    return rows(roots, operation="root")


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_what_autodiff_makes_of_a_masked_root_is_a_finding_and_no_failure(masked_root, backend):
    theirs = rows(masked_root, backend=backend, variant="autodiff", output="x_bar")
    assert set(theirs["verdict"]) == {FINDING}
    assert theirs["reason"].str.startswith(f"{backend}'s autodiff is NaN here; yours is right: ").all()
    rest = masked_root[(masked_root["verdict"] != UNAVAILABLE) & (masked_root["verdict"] != FINDING)]
    assert set(rest["verdict"]) == {PASS}
    assert set(rows(masked_root, verdict=FINDING)["output"]) == {"x_bar"}
    assert set(rows(masked_root, verdict=FINDING)["variant"]) == {"autodiff"}


class Raising(NativeSession):
    def differentiate(self, forward, wanted):
        def differentiated(*arrays):
            raise RuntimeError("no derivative of that")

        return differentiated


class NativeRaising(Native):
    def open(self, device="cpu", *, threads=None, precision="strict"):
        return Raising(self, np)


def test_what_a_form_that_is_not_ours_raises_is_a_finding(monkeypatch):
    put_in(monkeypatch, NativeRaising())
    monkeypatch.setattr(Operation, "catalogued", property(lambda op: True))

    @operation("(n)->(n)", sizes={"tiny": {"n": 3}})
    def doubled(xp, x):
        return x + x, lambda y_bar: y_bar + y_bar

    frame = check(doubled, backend="with_native", dtype="float64", regime="gaussian")
    (theirs,) = rows(frame, variant="native").to_dict("records")
    assert theirs["verdict"] == FINDING
    assert theirs["reason"].startswith("with_native's native raised RuntimeError: no derivative of that")


def test_a_wrong_formula_does_not_make_right_autodiff_wrong(roots):
    frame = rows(roots, operation="wrong_root", backend="torch")
    assert FAIL in set(rows(frame, variant="analytic")["verdict"])
    assert set(rows(frame, variant="autodiff")["verdict"]) <= {PASS, NOTE, UNAVAILABLE}


WRONG_ABOVE = """
    @operation("(n)->(n)", sizes={"tiny": {"n": 20}})
    def squares(xp, x):
        def pullback(y_bar):
            return xp.where(x > 2.5, 3 * y_bar * x, 2 * y_bar * x)

        return x * x, pullback
"""


def test_where_autodiff_and_the_formula_differ_the_forward_part_decides(tmp_path):
    frame = of_file(tmp_path, WRONG_ABOVE, backend="torch", regime="integers", variant=["analytic", "autodiff"])
    assert set(rows(frame, variant="autodiff")["verdict"]) <= {PASS, NOTE}
    (formula,) = rows(frame, backend="exact", regime="integers", verdict=FAIL).to_dict("records")
    assert formula["output"] == "x_bar"
    assert "differs from the derivative of the forward part" in formula["reason"]


SOLVED = """
    @operation("(n,n),(n,m)->(n,m)", sizes={"tiny": {"n": 3, "m": 2}})
    def solved(xp, A, B):
        T = xp.matrix_transpose
        X = xp.linalg.solve(A, B)

        def pullback(X_bar):
            B_bar = xp.linalg.solve(T(A), X_bar)
            return -B_bar @ T(X), B_bar

        return X, pullback
"""


@pytest.fixture(scope="module")
def half_solved(tmp_path_factory):
    """The rows of a linear system in half precision, on three backends."""
    options = {"backend": ["numpy", "torch", "jax"], "dtype": ["float32", "float16"]}
    return checked(tmp_path_factory.mktemp("solved"), {"s": SOLVED}, regime=["gaussian", "relations"], **options)


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax"])
def test_linear_algebra_that_a_framework_lacks_in_half_precision_is_unavailable(half_solved, backend):
    lacking = rows(half_solved, backend=backend, dtype="float16")
    assert set(lacking["verdict"]) == {UNAVAILABLE}
    assert lacking["reason"].str.contains("float16|Half").all()
    assert lacking[lacking["variant"] == "analytic"]["reason"].str.contains("mine.py:6", regex=False).all()
    assert set(rows(half_solved, backend=backend, dtype="float32", device="cpu")["verdict"]) <= {PASS, NOTE}


class HalfLess(NumPyBackend):
    """A framework that says in words of its own that it lacks a dtype."""

    name = "halfless"
    module = "numpy"

    def open(self, device="cpu", *, threads=None, precision="strict"):
        session = NumPySession(self, np)
        exp = session.xp.exp

        def choosy(x):
            if x.dtype == np.float16:
                raise RuntimeError("kernel table has no entry 7")
            return exp(x)

        session.xp.exp = choosy
        return session


def test_what_raises_in_half_precision_alone_is_unavailable_whatever_it_says(monkeypatch):
    put_in(monkeypatch, HalfLess())

    @operation("(n)->(n)", sizes={"tiny": {"n": 3}})
    def f(xp, x):
        y = xp.exp(x)
        return y, lambda y_bar: y * y_bar

    frame = check(f, backend="halfless", dtype=["float32", "float16"], regime="gaussian", variant="analytic")
    (half,) = rows(frame, backend="halfless", dtype="float16").to_dict("records")
    assert half["verdict"] == UNAVAILABLE
    assert half["reason"].startswith(
        "halfless cannot do this in float16, and can in wider dtypes: RuntimeError: kernel"
    )
    assert set(rows(frame, dtype="float32")["verdict"]) == {PASS}


BOOM = """
    DTYPES = ('float32', 'float16')

    @operation("(n)->(n)", sizes={"tiny": {"n": 3}})
    def NAME(xp, x):
        if "numpy" in xp.__name__ and str(x.dtype) in DTYPES:
            LINE
        return x + x, lambda y_bar: 2 * y_bar
"""
BOOMS = {
    "runtime": ("raise RuntimeError('mine')", FAIL, "raised RuntimeError: mine (mine.py:8)"),
    "unwritten": ("raise NotImplementedError('mine')", FAIL, "raised NotImplementedError: mine (mine.py:8)"),
    "mistyped": ("None.shape", FAIL, "'NoneType' object has no attribute 'shape' (mine.py:8)"),
    "no_function": ("xp.bessel(x)", UNAVAILABLE, "numpy has no array_api_compat.numpy.bessel"),
    "no_method": ("x.clone()", UNAVAILABLE, "numpy's arrays have no .clone"),
}


@pytest.fixture(scope="module")
def booms(tmp_path_factory):
    texts = {name: BOOM.replace("NAME", name).replace("LINE", line) for name, (line, *_) in BOOMS.items()}
    options = {
        "backend": "numpy",
        "dtype": ["float64", "float32", "float16"],
        "regime": "gaussian",
        "variant": "analytic",
    }
    return checked(tmp_path_factory.mktemp("booms"), texts, **options)


@pytest.mark.parametrize("name", BOOMS)
def test_what_the_hand_derived_form_raises_fails_unless_the_framework_lacks_it(booms, name):
    _, verdict, words = BOOMS[name]
    for dtype in ("float32", "float16"):
        (row,) = rows(booms, operation=name, backend="numpy", dtype=dtype).to_dict("records")
        assert row["verdict"] == verdict
        assert words in row["reason"]
    assert set(rows(booms, operation=name, dtype="float64")["verdict"]) == {PASS}


FOLLOWED = """
    @operation("(n)->()", sizes={"tiny": {"n": 3}})
    def largest(xp, x):
        y = xp.sum(x * x)
        if "jax" in xp.__name__ and y > 0:
            y = 1 * y
        return y, lambda y_bar: 2 * y_bar * x
"""


def test_what_a_compiler_cannot_follow_is_unavailable(tmp_path):
    frame = of_file(tmp_path, FOLLOWED, backend="jax", mode=["eager", "compiled"], variant="analytic")
    (compiled,) = rows(frame, mode="compiled").to_dict("records")
    assert compiled["verdict"] == UNAVAILABLE
    assert compiled["reason"].startswith("jax.jit cannot follow what asks for a value: TracerBoolConversionError")
    assert "mine.py:6" in compiled["reason"]
    assert set(rows(frame, mode="eager", backend="jax", device="cpu")["verdict"]) == {PASS}


def test_arrays_that_cannot_be_written_into_are_unavailable(tmp_path):
    text = """
        @operation("(n)->(n)", sizes={"tiny": {"n": 3}})
        def doubled(xp, x):
            y = x + x
            if "jax" in xp.__name__:
                y[0] = 2 * x[0]
            return y, lambda y_bar: 2 * y_bar
    """
    frame = of_file(tmp_path, text, backend=["numpy", "jax"], variant="analytic")
    (row,) = rows(frame, backend="jax", device="cpu").to_dict("records")
    assert row["verdict"] == UNAVAILABLE
    assert row["reason"].startswith("JAX's arrays cannot be written into: TypeError")


LOOSE = {
    "one_index": ("X[0] + 0 * X[0, 0]", "write x[i, ...] for x[i]"),
    "past_the_end": ("X[0, 0:99]", "write min(stop, x.shape[axis])"),
    "no_device": ("X[0, :] + xp.zeros(3, dtype=X.dtype)", "write device=x.device"),
    "mixed": ("X[0, :] * xp.arange(1, 2, device=X.device)", "write xp.astype(i, x.dtype)"),
}


@pytest.fixture(scope="module")
def loose(tmp_path_factory):
    texts = {
        name: f"""
        @operation("(m,n)->(n)", sizes={{"tiny": {{"m": 2, "n": 3}}}})
        def {name}(xp, X):
            y = {line}
            return y, lambda y_bar: xp.stack([y_bar, 0 * y_bar])
        """
        for name, (line, _) in LOOSE.items()
    }
    return checked(tmp_path_factory.mktemp("loose"), texts, backend=["numpy", "strict"], dtype=["float64", "float32"])


@pytest.mark.parametrize("name", LOOSE)
def test_what_is_legal_on_numpy_and_not_in_the_standard_is_one_row_and_no_failure(loose, name):
    line, advice = LOOSE[name]
    frame = rows(loose, operation=name)
    (row,) = rows(frame, backend="strict", verdict=PORTABILITY).to_dict("records")
    assert set(rows(frame, backend="strict")["verdict"]) <= {PORTABILITY, PASS}
    assert row["reason"].startswith(f"mine.py:5 `y = {line}`: ")
    assert advice in row["reason"]
    assert (row["dtype"], row["regime"], row["output"]) == ("*", "*", "*")


def test_what_raises_on_numpy_too_is_no_matter_of_portability(tmp_path):
    text = """
        @operation("(m,n)->(n)", sizes={"tiny": {"m": 2, "n": 3}})
        def first(xp, X):
            if "float32" in str(X.dtype) and "multigrad" not in xp.__name__:
                X[7, :]
            return X[0, :], lambda y_bar: xp.stack([y_bar, 0 * y_bar])
    """
    frame = of_file(tmp_path, text, backend=["numpy", "strict"], dtype=["float64", "float32"], variant="analytic")
    for name in ("numpy", "strict"):
        assert set(rows(frame, backend=name, dtype="float32")["verdict"]) == {FAIL}


def test_what_fails_besides_a_failure_can_be_chosen(masked_root, monkeypatch):
    monkeypatch.setattr("multigrad.matrix.frame.check", lambda *args, **kwargs: masked_root)
    assert_gradients("root")
    with pytest.raises(GradientError, match="FINDING root ∂f/∂x autodiff on torch/cpu"):
        assert_gradients("root", fail_on="all")
    with pytest.raises(BadInput, match="no verdict to fail on is named 'findings'"):
        assert_gradients("root", fail_on="findings")


def test_all_that_can_be_chosen_to_fail_leaves_out_what_is_not_here():
    assert failing() == (FAIL,)
    assert failing("portability,finding") == (FAIL, FINDING, PORTABILITY)
    assert UNAVAILABLE not in failing("all")
    assert UNAVAILABLE in failing("unavailable")


OVERFLOWING = """
    @operation("(n)->()", sizes={"tiny": {"n": 16}})
    def product(xp, x):
        y = xp.prod(9 + x * x)
        return y, lambda y_bar: 2 * y_bar * y * x / (9 + x * x)

    @operation("(n)->()", sizes={"tiny": {"n": 16}})
    def spread(xp, x):
        z = 90 * x
        s = xp.sum(z)
        return xp.sum(z * z) - s * s / 16, lambda y_bar: 90 * y_bar * (2 * z - 2 * s / 16)

    @operation("(n)->(n)", sizes={"tiny": {"n": 4}})
    def tanh_like(xp, x):
        e = xp.exp(20 + x)
        return e / (1 + e), lambda y_bar: y_bar * e / (1 + e) ** 2
"""


def test_what_overflows_in_half_precision_is_no_failure_of_a_right_gradient(tmp_path):
    frame = of_file(
        tmp_path, OVERFLOWING, backend="numpy", dtype=["float32", "float16"], regime=None, variant="analytic"
    )
    assert set(frame["verdict"]) <= {PASS, NOTE, UNAVAILABLE, INCONCLUSIVE}
    half = rows(frame, backend="numpy", dtype="float16")
    assert half["reason"].str.contains("may overflow in float16").sum() >= 4
    # Where smaller inputs stay within the range, they are drawn.
    assert set(rows(half[half["output"] != "*"], operation="spread")["verdict"]) <= {PASS, NOTE}
    assert {"value", "x_bar"} <= set(rows(frame, backend="numpy", dtype="float32", verdict=PASS)["output"])


def test_a_wrong_gradient_is_not_excused_by_an_overflow_elsewhere(tmp_path):
    wrong = OVERFLOWING.replace("90 * y_bar * (2 * z - 2 * s / 16)", "90 * y_bar * (2 * z - s / 16)")
    frame = of_file(tmp_path, wrong, backend="numpy", dtype=["float32", "float16"], regime="integers")
    assert FAIL in set(rows(frame, backend="numpy", operation="spread", dtype="float16", output="x_bar")["verdict"])


SPOILED = """
    @operation("(n)->(n)", sizes={"tiny": {"n": 4}})
    def spoiled(xp, x):
        def pullback(y_bar):
            near_zero = (3 * x - x - 2 * x) + 1e-8
            return xp.nan * y_bar if "multigrad" not in xp.__name__ else 0 * y_bar / near_zero

        return 0 * x, pullback
"""


def test_not_a_number_where_the_truth_is_zero_is_excused_by_no_regime(tmp_path):
    regimes = ["wide", "cancellation", "gaussian"]
    frame = of_file(tmp_path, SPOILED, backend="numpy", dtype="float32", regime=regimes, variant="analytic")
    for regime in regimes:
        assert set(rows(frame, backend="numpy", output="x_bar", regime=regime)["verdict"]) == {FAIL}


LOST = """
    @operation("(n)->(n)", sizes={"tiny": {"n": 4}}, inputs=lambda draw, n: [1e-9 * (1 + abs(draw(n)))])
    def lost(xp, x):
        return (1 + x) - 1, lambda y_bar: 1 * y_bar
"""


def test_an_output_that_has_lost_all_digits_is_no_pass(tmp_path):
    frame = of_file(tmp_path, LOST, backend="numpy", dtype="float32", variant="analytic")
    (value,) = rows(frame, backend="numpy", output="value").to_dict("records")
    assert value["verdict"] == INCONCLUSIVE
    assert value["reason"].startswith("all digits are lost here: error 1")
    assert verdicts.without_verdict(frame).startswith("lost value (all digits are lost here")
    both = of_file(tmp_path, LOST, backend="numpy", dtype=["float64", "float32"], variant="analytic")
    assert not verdicts.without_verdict(both)
