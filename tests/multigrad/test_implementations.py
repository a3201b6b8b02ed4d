"""Implementations: somebody's own ways to compute an operation, found by their addresses and judged as ours are."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pytest
from multigrad.bench.report.verdicts import without_verdict

import multigrad
from multigrad import BadInput, operation
from multigrad.ops.find import given_operations, load_operations
from multigrad.ops.implementation import Address, files_in, joined, parts_of, with_files

FILE = '''
    """Half the sum of squares of a product, and ways to compute it in NumPy."""

    import numpy as np

    from multigrad import operation


    @operation("(m,n),(n)->()")
    def squares(xp, A, x):
        """Half the squared length.

        f = ½‖Ax‖².  ∂f/∂A = (Ax)xᵀ, ∂f/∂x = Aᵀ(Ax).
        """
        y = A @ x

        def pullback(f_bar):
            return f_bar * y[:, None] * x[None, :], f_bar * (xp.matrix_transpose(A) @ y)

        return xp.sum(y * y) / 2, pullback


    def gradients(A, x):
        y = A @ x
        return np.outer(y, x), A.T @ y


    @squares.implementation("numpy", gradients=True)
    def pair(A, x):
        """The value and its gradients, as scipy.optimize wants them."""
        y = A @ x
        return y @ y / 2, gradients(A, x)


    @squares.implementation("numpy", gradients=True)
    def whole(A, x, f_bar):
        y = A @ x
        return y @ y / 2, tuple(f_bar * g for g in gradients(A, x))


    @squares.implementation("numpy", gradients=True)
    def {name}(A, x, f_bar):
    {body}
'''
RIGHT = "    return whole(A, x, f_bar)"
WRONG = {
    "a_factor": ("return whole(A, x, 2 * f_bar)", "∂f/∂A is 2 × the true gradient"),
    "a_sign": ("value, (a, b) = whole(A, x, f_bar); return value, (a, -b)", "∂f/∂x is −1 × the true gradient"),
    "transposed": ("value, (a, b) = whole(A, x, f_bar); return value, (a.T, b)", "has shape"),
    "zeros": ("value, (a, b) = whole(A, x, f_bar); return value, (a, 0 * b)", "is zero"),
    "swapped": ("value, (a, b) = whole(A, x, f_bar); return value, (b, a)", "has shape"),
    "writes": ("result = whole(A, x, f_bar); x *= 2; return result", "inputs changed: writes writes into x"),
    "keeps": (
        "kept = keeps.__dict__.setdefault('kept', np.zeros(x.shape, x.dtype)) if keeps.__dict__.get('kept', x).shape "
        "== x.shape and keeps.__dict__.get('kept', x).dtype == x.dtype else np.zeros(x.shape, x.dtype); "
        "keeps.kept = kept; value, (a, b) = whole(A, x, f_bar); kept[...] = b; return value, (a, kept)",
        "a later call overwrote ∂f/∂x",
    ),
    "draws": (
        "draws.turn = -getattr(draws, 'turn', 1); value, (a, b) = whole(A, x, f_bar); "
        "return value, (a, b * (1 + draws.turn * 2**-52))",
        "it changes from call to call",
    ),
    "narrow": (
        "value, (a, b) = whole(A, x, f_bar); return value, (a, b.astype('float32'))",
        "has dtype float32, wanted float64",
    ),
    "blind": ("value, (a, b) = whole(A, x, 1); return value, (a, b)", "the true gradient"),
    "raises": ("return whole(A, x)", "raised TypeError"),
    "a_dict": ("return {'value': 1.0}", "returned a dict with 'value'; wanted (values, gradients)"),
    "one_short": ("value, (a, b) = whole(A, x, f_bar); return value, (a,)", "1 gradients; wanted 2: A, x"),
}


def file_of(folder: Path, name: str, body: str) -> Path:
    path = folder / "mine.py"
    path.write_text(textwrap.dedent(FILE).replace("{name}", name).replace("{body}", f"    {body}"), encoding="utf-8")
    return path


def rows_of(path: Path | str, **options):
    frame = multigrad.check(str(path), backend="numpy", dtype="float64", **options)
    return dict([*frame[frame["backend"] == "numpy"].groupby("variant")])


def test_a_right_implementation_passes_in_every_form(tmp_path: Path) -> None:
    rows = rows_of(file_of(tmp_path, "again", RIGHT.strip()))
    assert set(rows) == {"analytic", "pair", "whole", "again"} | ({"autodiff"} & set(rows))
    for variant, of_variant in rows.items():
        assert set(of_variant["verdict"]) <= {"PASS", "NOTE"}, of_variant[["regime", "verdict", "reason"]]
        relations = {r for r in of_variant["regime"] if r.startswith("relation: ")}
        assert bool(relations) == (variant != "autodiff")
        assert {"gaussian", "integers"} <= set(of_variant["regime"])
        assert ({"strided", "length-1"} <= set(of_variant["regime"])) == (variant != "autodiff")


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_implementation_fails_and_its_mistake_is_named(tmp_path: Path, name: str) -> None:
    body, words = WRONG[name]
    rows = rows_of(file_of(tmp_path, name, body))
    failed = rows[name][rows[name]["verdict"] == "FAIL"]
    assert len(failed)
    assert any(words in reason for reason in failed["reason"]), list(failed["reason"])
    assert set(rows["whole"]["verdict"]) <= {"PASS", "NOTE"}


def test_bits_may_differ_where_that_is_said(tmp_path: Path) -> None:
    path = file_of(tmp_path, "draws", WRONG["draws"][0])
    text = path.read_text(encoding="utf-8")
    head, mark, tail = text.rpartition("gradients=True)")
    path.write_text(f"{head}gradients=True, deterministic=False){tail}", encoding="utf-8")
    rows = rows_of(path)["draws"]
    assert set(rows["verdict"]) <= {"PASS", "NOTE"}
    (twice,) = rows[rows["regime"] == "relation: the same twice, bit for bit"].to_dict("records")
    assert twice["verdict"] == "NOTE"
    assert "not repeatable, as it says: other bits in ∂f/∂x, up to" in twice["reason"]
    assert mark


def test_a_view_of_an_input_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        textwrap.dedent(
            '''
            from multigrad import operation

            @operation("(n)->(n)")
            def same(xp, x):
                """The same. y = x, so ∂f/∂x = ȳ."""
                return x + 0, lambda y_bar: y_bar

            @same.implementation("numpy", gradients=True)
            def view(x, y_bar):
                return x[:], y_bar + 0
            '''
        ),
        encoding="utf-8",
    )
    rows = rows_of(path)["view"]
    (kept,) = rows[rows["regime"] == "relation: what it returned stays as it was"].to_dict("records")
    assert (kept["verdict"], kept["reason"][:40]) == ("NOTE", "value is a view of what view was given: ")


def test_an_implementation_is_given_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "kernels.py"
    path.write_text(
        "def tanh_pair(x, y_bar):\n    import numpy as np\n    y = np.tanh(x)\n    return y, y_bar * (1 - y * y)\n",
        encoding="utf-8",
    )
    address = f"numpy={path}::tanh_pair,gradients=true,name=mine"
    rows = rows_of("tanh", implementation=address)
    assert set(rows["mine"]["verdict"]) <= {"PASS", "NOTE"}
    assert "mine" not in rows_of("tanh")


def test_a_file_gives_one_to_an_operation_of_the_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "import numpy as np\nfrom multigrad import operations\n\n\n"
        '@operations()["tanh"].implementation("numpy", gradients=True)\n'
        "def mine(x, y_bar):\n    return np.tanh(x), 2 * y_bar * (1 - np.tanh(x) ** 2)\n",
        encoding="utf-8",
    )
    rows = rows_of(path)
    assert "FAIL" in set(rows["mine"]["verdict"])
    assert set(rows["analytic"]["verdict"]) <= {"PASS", "NOTE"}
    (described,) = given_operations(str(path))
    assert described.catalogued
    assert described.name == "tanh"
    assert ("numpy", "mine") in described.implementations
    assert not multigrad.operations()["tanh"].implementations  # in this process nothing was imported


def test_an_address_is_what_it_says(tmp_path: Path) -> None:
    text = f"torch={tmp_path}/kernels.py::fused,accumulate=float32,deterministic=false,name=a.b-c,gradients=true"
    made = Address.parse(text).implementation("rms_norm", lambda x: x)
    assert (made.backend, made.name, made.accumulate) == ("torch", "a.b-c", "float32")
    assert (made.deterministic, made.gradients) == (False, True)
    assert Address.parse(made.address) == Address.parse(text)
    reference = joined("mine+c++.py::f", made.address, "numpy=x.py::g")
    assert parts_of(reference) == ("mine+c++.py::f", [made.address, "numpy=x.py::g"])
    moved = with_files(reference, lambda path: f"/there/{Path(path).name}")
    assert files_in(moved) == ["/there/mine+c++.py", "/there/kernels.py", "/there/x.py"]
    assert with_files("tanh", lambda path: "no file") == "tanh"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("kernels.py::fused", "no implementation in 'kernels.py::fused'; wanted BACKEND=FILE.py::FUNCTION"),
        ("torch=kernels.py", "wanted BACKEND=FILE.py::FUNCTION"),
        ("torch=nowhere.py::f", "no file"),
        ("numpy={path}::nothing", "nothing is not there; wanted a function"),
        ("numpy={path}::number", "number is no function; wanted a function"),
        ("numpy={path}::f,speed=high", "'speed=high' is nothing that can be said"),
        ("numpy={path}::f,accumulate=float8", "accumulate is 'float8'; wanted float32"),
        ("numpy={path}::f,name=autodiff", "'autodiff' is a form that every operation has"),
        ("nothing={path}::f", "no backend named 'nothing'"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_line(tmp_path: Path, address: str, words: str) -> None:
    path = tmp_path / "kernels.py"
    path.write_text("number = 3\n\n\ndef f(x, y_bar):\n    return x, y_bar\n", encoding="utf-8")
    with pytest.raises(BadInput) as refused:
        multigrad.check("tanh", backend="numpy", dtype="float64", implementation=address.format(path=path))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_implementation_computes_one_operation(tmp_path: Path) -> None:
    path = tmp_path / "kernels.py"
    path.write_text("def f(x, y_bar):\n    return x, y_bar\n", encoding="utf-8")
    for ops in (None, ["tanh", "relu"]):
        with pytest.raises(BadInput, match="an implementation computes one operation"):
            multigrad.check(ops, implementation=f"numpy={path}::f")


def test_one_of_this_process_alone_is_judged_in_it() -> None:
    @operation("(n)->()")
    def squares(xp, x):
        """The sum of squares. f = Σx², ∂f/∂x = 2x."""
        return xp.sum(x * x), lambda f_bar: 2 * f_bar * x

    @squares.implementation("numpy", gradients=True)
    def mine(x):
        return np.sum(x * x), x

    frame = multigrad.check(squares, backend="numpy", dtype="float64")
    wrong = frame[(frame["variant"] == "mine") & (frame["verdict"] == "FAIL")]
    assert "∂f/∂x is 0.5 × the true gradient" in wrong.iloc[0]["reason"]
    with pytest.raises(BadInput, match="squares has an implementation named mine on numpy already"):
        squares.implementation("numpy", name="mine", gradients=True)(np.sum)
    with pytest.raises(BadInput, match="an implementation is a function; found int"):
        squares.implementation("numpy")(3)  # type: ignore[type-var]


def test_a_worker_finds_it_by_the_reference_alone(tmp_path: Path) -> None:
    path = file_of(tmp_path, "again", RIGHT.strip())
    (op,) = load_operations([f"{path}::squares"])
    assert {name for _, name in op.implementations} == {"pair", "whole", "again"}
    assert op.reference == f"{path}::squares"
    (same,) = load_operations([op.reference])
    assert same is op


NO_RESULTS = '''
import torch

from multigrad import operation


@operation("(m,n),(n)->(m,n)")
def scale(xp, x, w):
    """Rows times a weight. y = x ∘ w."""
    return x * w


class WithoutBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w):
        return x * w


@scale.implementation("torch")
def another_shape(x, w):
    return (x * w).sum(0)


@scale.implementation("torch")
def complex_numbers(x, w):
    return x * w + 0j


@scale.implementation("torch")
def independent(x, w):
    return x * w.detach()


@scale.implementation("torch")
def a_dict(x, w):
    return {"y": x * w}


@scale.implementation("torch")
def no_backward(x, w):
    return WithoutBackward.apply(x, w)
'''


def test_what_is_no_result_of_a_framework_is_one_line_each(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed (pip install torch)")
    path = tmp_path / "mine.py"
    path.write_text(NO_RESULTS, encoding="utf-8")
    frame = multigrad.check(str(path), backend="torch", dtype="float32", mode="eager", regime=["gaussian", "integers"])
    failed = frame[frame["verdict"] == "FAIL"].groupby("variant")["reason"].agg(list)
    wanted = {
        "another_shape": "another_shape returned value of shape (3,); the reference's is (m,n) = (4, 3)",
        "complex_numbers": "complex_numbers returned value of torch.complex64; only real numbers have a verdict",
        "independent": "∂f/∂w is zero everywhere: the term is missing",
        "a_dict": "a_dict returned a dict with 'y'; wanted value alone",
        "no_backward": "You must implement either the backward or vjp method",
    }
    assert set(failed.index) == set(wanted)
    for variant, words in wanted.items():
        assert any(words in reason for reason in failed[variant]), failed[variant]
    assert set(frame[frame["variant"] == "analytic"]["verdict"]) == {"PASS"}


def test_what_nobody_could_run_is_no_pass(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed (pip install torch)")
    path = tmp_path / "mine.py"
    head = NO_RESULTS.partition("class WithoutBackward")[0]
    body = '@scale.implementation("torch")\ndef on_gpu(x, w):\n    return (x.cuda() * w.cuda()).cpu()\n'
    path.write_text(head + body, encoding="utf-8")
    frame = multigrad.check(str(path), backend="torch", device="cpu", dtype="float32", mode="eager", regime="gaussian")
    if (frame["verdict"] == "UNAVAILABLE").any():  # without a GPU
        assert without_verdict(frame).startswith("scale on_gpu (the code wants a GPU that is not here: ")
