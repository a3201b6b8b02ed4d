"""Every backend that is here, each in a process of its own, beside NumPy in float64."""

import functools

import pytest

from multigrad.backend import backends
from multigrad.process.child import Death, run

HERE = [(b, d) for b in backends().values() for d in b.devices if b.missing(d) is None]
EACH = pytest.mark.parametrize(("backend", "device"), [(b.name, d) for b, d in HERE])


QUICK = ("settings", "round_trips", "numbers", "natives", "stages")
"""What one process does after the other; the settings are asked for before anything has been computed."""


def work(what, backend, device):
    """Return what a worker yields; caches allowed, since nothing is timed here."""
    together = QUICK if what in QUICK else (what,)
    rows = [row["row"] for row in worked(together, backend, device) if row["what"] == what]
    assert rows, f"{what} on {backend} yielded nothing"
    return rows


@functools.cache
def worked(several, backend, device):
    environment = backends()[backend].environment(device, 1, "strict")
    arguments = {"several": several, "backend": backend, "device": device, "threads": 1}
    rows = list(run("tests.backends.session_work:several", arguments, environment=environment))
    deaths = [row.reason for row in rows if isinstance(row, Death)]
    assert not deaths, deaths
    return rows


@pytest.mark.parametrize(
    ("backend", "device", "mode", "variant"),
    [(b.name, d, mode, variant) for b, d in HERE for mode in b.modes for variant in b.variants],
)
def test_values_and_gradients_are_those_of_numpy_in_float64(backend, device, mode, variant):
    rows = [r for r in work("cells", backend, device) if (r["mode"], r["variant"]) == (mode, variant)]
    assert {r["operation"] for r in rows} == {"relu_regression", "linear_map"}
    for row in rows:
        assert "raised" not in row, row
        assert set(row["dtypes"]) == {row["dtype"]}, row
        assert row["shapes_fit"], row
        assert row["error"] < 4, row


@EACH
def test_arrays_go_to_the_device_and_back_unchanged(backend, device):
    for row in work("round_trips", backend, device):
        assert all(row.values()), row


@pytest.mark.long
@pytest.mark.skipif(("torch", "cpu") not in [(b.name, d) for b, d in HERE], reason="torch is not installed")
def test_inductor_has_the_vectors_that_it_would_have_found_itself():
    (found,) = work("vectors", "torch", "cpu")
    assert found["mine"] == found["own"]
    assert not found["nonsense"]


@pytest.mark.parametrize(("backend", "device"), [(b.name, d) for b, d in HERE if "compiled" in b.modes])
def test_what_is_compiled_is_kept_and_what_eager_calls_share_is_not(backend, device, tmp_path):
    environment = backends()[backend].environment(device, 1, "strict", caches=tmp_path)
    arguments = {"backend": backend, "device": device, "threads": 1, "caches": str(tmp_path)}
    (found,) = run("tests.backends.session_work:kept", arguments, environment=environment)
    assert found["eager"] == 0
    assert found["compiled"] > 0


@pytest.mark.parametrize(("backend", "device"), [(b.name, d) for b, d in HERE if "autodiff" in b.variants])
def test_autodiff_passes_over_integers_and_gives_zeros_for_an_unused_input(backend, device):
    rows = work("autodiff_edges", backend, device)
    for row in rows:
        assert (row["value"], row["x_bar"], row["unused_bar"]) == (4.0, [2.0, 0.0, 2.0, 0.0], [0.0] * 4), row
    assert [row["mode"] for row in rows] == list(backends()[backend].modes)


@EACH
def test_python_numbers_go_wherever_the_standard_allows_them(backend, device):
    wrong = [r for r in work("numbers", backend, device) if r["found"] != r["dtype"]]
    assert not wrong, wrong


@EACH
def test_factorisations_have_the_names_of_the_standard(backend, device):
    rows = work("factors", backend, device)
    assert len(rows) == 4
    for row in rows:
        assert not row["missing"], row
        assert row["same"], row


@EACH
def test_one_thread_is_one_thread_as_the_framework_reports_it(backend, device):
    (row,) = work("settings", backend, device)
    assert row["settings"].get("threads", 1) == 1
    assert row["device_name"]
    assert device == "cuda" or (row["peak"] is None and row["events"] is None)


@EACH
def test_compilation_ahead_of_time_is_split_or_declined(backend, device):
    (row,) = work("stages", backend, device)
    if row["stages"] is not None:
        assert set(row["stages"]) == {"trace_s", "lower_s", "compile_s"}
        assert all(seconds > 0 for seconds in row["stages"].values())
        assert row["right"]
        # A product has a result, and what XLA's library wants beside it.
        assert row["results"] <= row["planned"] < 100 * row["results"]


@EACH
def test_native_convolutions_are_the_sum_and_its_adjoint(backend, device):
    for row in work("natives", backend, device):
        assert row["direct"] < 1e-12, row
        assert row["adjoint"] < 1e-11, row
        assert row.get("shape", True), row


@pytest.mark.parametrize("backend", [b.name for b, d in HERE if (b.name, d) == ("torch", "cpu")])
def test_torch_compile_sees_the_step_of_a_long_recurrence_once_unless_autograd_follows_it(backend):
    rows = {row["variant"]: row for row in work("long_recurrence", backend, "cpu")}
    assert rows["analytic"]["nodes"] < 100 < rows["autodiff"]["nodes"]
    assert max(row["error"] for row in rows.values()) < 1e-13


@pytest.mark.parametrize("backend", [b.name for b, d in HERE if (b.name, d) == ("torch", "cpu")])
def test_compiled_scatters_and_recurrences_are_right_with_two_threads(backend):
    rows = work("two_threads", backend, "cpu")
    assert len(rows) == 25
    assert max(row["error"] for row in rows) < 1e-13, rows


@pytest.mark.parametrize(("backend", "device"), [(b.name, d) for b, d in HERE if b.name == "jax"])
def test_what_jax_traces_is_on_the_default_device_and_what_is_there_knows_where(backend, device):
    (row,) = work("traced_devices", backend, device)
    assert row == {"found": dict.fromkeys(["jit", "vmap", "grad", "linearize"], True), "concrete": True}
