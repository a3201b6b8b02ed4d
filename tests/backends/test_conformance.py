"""What every backend has to be, and what is said of one that is not to be had."""

import importlib.metadata
import importlib.util
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from multigrad.backends.numpy_backend import NumPySession

import multigrad.backend.session
from multigrad.backend import (
    THREAD_VARIABLES,
    Backend,
    Gap,
    Refusal,
    Unavailable,
    backend,
    backends,
    device_kind,
    known_devices,
    mesh_shape,
    namespace,
)
from multigrad.data.errors import BadInput
from multigrad.ops.find import operations
from multigrad.ops.operation import DTYPES
from multigrad.process.child import run

ALL = pytest.mark.parametrize("one", backends().values(), ids=lambda b: b.name)
FOLDER = Path(__file__).parents[2] / "backends"


def worker(what, **arguments):
    return list(run(f"tests.backends.session_work:{what}", arguments))


@ALL
def test_a_backend_says_everything_about_itself(one):
    assert isinstance(one, Backend)
    assert one.name
    assert one.distributions
    assert "pip install" in one.install
    assert one.devices
    assert all(device_kind(kind) == kind for kind in one.devices)
    assert set(one.rare) < set(one.devices)
    assert set(one.modes) <= {"eager", "compiled"}
    assert {"forward", "analytic"} <= set(one.variants)
    assert type(one).__doc__


@ALL
def test_gaps_speak_of_cells_that_exist(one):
    for gap in one.gaps:
        assert gap.operation == "*" or gap.operation in operations(), gap
        assert gap.dtype in ("*", *DTYPES), gap
        assert gap.mode in ("*", *one.modes), gap
        assert gap.variant in ("*", *one.variants), gap
        assert gap.device in ("*", *one.devices), gap
        assert gap.reason.endswith("."), gap
        assert gap.raises, gap


@ALL
def test_what_a_framework_refuses_is_worded_and_a_mistake_is_no_refusal(one):
    for refusal in (*one.refusals, *one.breakdowns):
        assert re.compile(refusal.says), refusal
        assert refusal.reason, refusal
    assert one.cannot(RuntimeError("mine")) is None
    assert one.breaks_down(TypeError("mine")) is None
    assert one.cannot(ValueError("operands could not be broadcast together")) is None
    assert one.standard == (one.name == "strict")


def test_a_refusal_is_known_by_a_class_that_it_derives_from_and_by_its_words():
    refusal = Refusal("RuntimeError", "not implemented for '\\w+'", "torch lacks it.")
    assert refusal.covers(NotImplementedError("\"lu_cpu\" not implemented for 'Half'"))
    assert not refusal.covers(NotImplementedError("some day"))
    assert not refusal.covers(TypeError("not implemented for 'Half'"))


@pytest.mark.long
@ALL
def test_a_known_inaccuracy_is_still_there(one):
    for known in one.inaccuracies:
        assert not isinstance(known.size, str) or known.size in operations()[known.operation].sizes, known
        assert known.variant in one.variants, known
        assert known.reason.endswith("."), known
    if not one.inaccuracies or one.missing("cpu"):
        return
    answers = worker("inaccuracies", backend=one.name)
    assert len(answers) == len(one.inaccuracies)
    for answer in answers:
        # Accurate after all? Then it is none: take it out of the backend's file.
        assert answer["verdict"] == "GAP", answer


def test_no_file_is_named_like_a_framework():
    names = {path.stem for path in FOLDER.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert "numpy_backend" in names
    assert not names & {b.module for b in backends().values()}


def test_every_file_of_the_folder_is_found():
    assert len([path for path in FOLDER.iterdir() if path.stem.endswith("_backend")]) == len(backends())


def test_numpy_comes_first():
    assert next(iter(backends())) == "numpy"


def test_knowing_the_backends_imports_no_framework():
    assert worker("imported", known=["numpy"]) == [{"imported": []}]


@ALL
def test_environment_tells_every_library_the_threads(one):
    variables = one.environment(one.devices[0], 3, "strict")
    assert {variables[v] for v in THREAD_VARIABLES} == {"3"}
    assert not set(THREAD_VARIABLES) & set(one.environment(one.devices[0], None, "strict"))
    assert all(isinstance(v, str) for v in variables.values())


@ALL
def test_a_folder_for_caches_only_adds_variables_of_which_none_is_inherited(one, tmp_path):
    from multigrad.bench.store.machine import UNSET_VARIABLES

    for device in one.devices:
        without = one.environment(device, 1, "strict")
        added = dict(one.environment(device, 1, "strict", caches=tmp_path).items() - without.items())
        assert {*added} <= {*UNSET_VARIABLES} - {*without}
        assert all(tmp_path in (Path(value), *Path(value).parents) for value in added.values())
        assert len({*added.values()}) == len(added)


@ALL
def test_a_cpu_session_sees_no_gpu_and_a_strict_one_no_tf32(one):
    for device in one.devices:
        variables = one.environment(device, None, "strict")
        assert variables.get("CUDA_VISIBLE_DEVICES") == (None if device == "cuda" else "-1")
        assert variables.get("NVIDIA_TF32_OVERRIDE") == ("0" if device == "cuda" else None)
        assert "NVIDIA_TF32_OVERRIDE" not in one.environment(device, None, "tf32")


@ALL
def test_a_framework_that_is_not_installed_is_worded(one, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    device = one.devices[0]
    assert one.missing(device) == f"not installed ({one.install})"
    with pytest.raises(Unavailable, match="not installed"):
        one.open(device)
    with pytest.raises(Unavailable, match="not installed"):
        one.load()


@ALL
def test_an_unknown_device_is_worded(one):
    assert one.missing("abacus") == f"{one.name} has no device 'abacus'"
    with pytest.raises(Unavailable, match="abacus"):
        one.open("abacus")


@ALL
def test_a_missing_gpu_is_worded(one, monkeypatch):
    if "cuda" not in one.devices:
        assert one.missing("cuda") == f"{one.name} has no device 'cuda'"
        return
    monkeypatch.setattr(multigrad.backend.session, "cuda_device_count", lambda: 0)
    monkeypatch.setattr(multigrad.backend.session, "nvml_missing", lambda: "")
    monkeypatch.setattr(type(one), "version", lambda self: "1.0")
    assert one.missing("cuda") == "no CUDA device"
    with pytest.raises(Unavailable, match="no CUDA device"):
        one.open("cuda")


MISNAMED = ("cpu:", "cpu:1", "cpu:08", "cpu:8x1", "cpu:2x2x2", "cpu:-2", "cpu:8.0", "cpu:a", ":8", "cpu:8:8")


@pytest.mark.parametrize("name", MISNAMED)
def test_what_is_no_mesh_is_bad_input(name):
    with pytest.raises(BadInput, match=f"no device named '{name}'; wanted one such as cpu or cuda, or a mesh"):
        device_kind(name)


def test_a_device_or_a_mesh_has_a_kind_and_a_shape():
    for name, kind, shape in (("cpu", "cpu", ()), ("cuda:2", "cuda", (2,)), ("cpu:4x2", "cpu", (4, 2))):
        assert (device_kind(name), mesh_shape(name)) == (kind, shape)


@ALL
def test_a_mesh_is_computed_on_or_worded(one, monkeypatch):
    kind = one.devices[0]
    monkeypatch.setattr(multigrad.backend.session, "cuda_device_count", lambda: 2)
    monkeypatch.setattr(type(one), "version", lambda self: "1.0")
    said = one.missing(f"{kind}:2")
    assert said is None if one.meshes else said.startswith(f"{one.name} has no mesh of devices")
    assert one.missing("abacus:2") == f"{one.name} has no device 'abacus'"
    if one.meshes and "cuda" in one.devices:
        assert one.missing("cuda:4") == "cuda:4 wants 4 CUDA devices, found 2"


def test_a_gap_of_a_kind_of_device_is_one_of_its_meshes_too():
    op = operations()["relu_regression"]
    gap = Gap("relu_regression", "*", "never", "TypeError", "", device="cpu")
    assert gap.covers(op, "float32", "eager", "analytic", "cpu:8")
    assert not gap.covers(op, "float32", "eager", "analytic", "cuda:8")


def test_a_framework_built_without_cuda_is_worded(monkeypatch):
    monkeypatch.setattr(multigrad.backend.session, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(type(backend("torch")), "version", lambda self: "2.13.0+cpu")
    assert "built without CUDA" in backend("torch").missing("cuda")
    monkeypatch.setattr(type(backend("jax")), "version", lambda self: "0.10.2")
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "plugin" in name else found(name))
    assert "installed without CUDA" in backend("jax").missing("cuda")


def test_rare_devices_are_tried_only_where_they_are(monkeypatch):
    one = backend("torch")
    monkeypatch.setattr(type(one), "version", lambda self: "2.13.0")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert one.missing("mps") == "torch 2.13.0: no MPS device (that is macOS on Apple silicon)"
    assert one.missing("xpu").startswith("torch 2.13.0 is built without XPU")
    assert one.default_devices() == ("cpu", "cuda")
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert one.missing("mps") is None
    assert one.default_devices() == ("cpu", "cuda", "mps")


def a_torch_with(tmp_path, monkeypatch, library):
    (tmp_path / "torch" / "lib").mkdir(parents=True)
    (tmp_path / "torch" / "lib" / library).touch()
    found = importlib.util.find_spec
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path / "torch")])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name == "torch" else found(name))
    monkeypatch.setattr(type(backend("torch")), "version", lambda self: "2.13.0")


def test_a_build_for_intel_gpus_is_known_by_its_library(tmp_path, monkeypatch):
    a_torch_with(tmp_path, monkeypatch, "libtorch_xpu.so")
    assert backend("torch").missing("xpu") is None
    assert "xpu" in backend("torch").default_devices()


def test_a_build_for_rocm_counts_amds_gpus_and_calls_them_cuda(tmp_path, monkeypatch):
    a_torch_with(tmp_path, monkeypatch, "libtorch_hip.so")
    for node, number in enumerate(("0", "4711", "815")):
        (tmp_path / str(node)).mkdir()
        (tmp_path / str(node) / "gpu_id").write_text(f"{number}\n")
    monkeypatch.setattr("multigrad.backends.torch_backend.build.NODES", tmp_path)
    assert backend("torch").cuda_devices() == 2
    assert backend("torch").missing("cuda") is None
    monkeypatch.setattr("multigrad.backends.torch_backend.build.NODES", tmp_path / "none")
    monkeypatch.setattr(multigrad.backend.session, "nvml_missing", lambda: "")
    assert backend("torch").missing("cuda") == "no CUDA device"


def test_devices_are_gathered_from_the_backends():
    assert known_devices(()) == tuple(dict.fromkeys(kind for one in backends().values() for kind in one.devices))
    assert known_devices(["cpu", "cpu:8", "mps"])[0] == "cpu"
    other = SimpleNamespace(devices=("abacus",))
    assert "abacus" in known_devices(["abacus"], [other])
    with pytest.raises(BadInput, match="no device named 'abacus:2'; there are cpu, cuda, mps, xpu"):
        known_devices(["cpu", "abacus:2"])


def test_a_torch_session_waits_for_and_asks_the_module_of_its_device():
    (said,) = worker("other_accelerators", backend="torch")
    mps, xpu = said["mps"], said["xpu"]
    assert mps["dtypes"] == ["float32", "bfloat16", "float16"]
    assert xpu["dtypes"] == ["float64", "float32", "bfloat16", "float16"]
    assert mps["peak"] is None
    assert xpu["peak"] == 4096
    for one, kind in ((mps, "mps"), (xpu, "xpu")):
        assert one["event_s"] == 2e-3
        assert one["made_on"] == one["input_on"] == kind
        assert "synchronize" in one["called"]
        assert "empty_cache" in one["called"]
        assert one["name"] == f"an {kind}"
        assert "finds no" in one["refused"]


def test_a_framework_that_does_not_load_is_worded(tmp_path, monkeypatch):
    (tmp_path / "broken_framework.py").write_text("raise OSError('libcudart.so.13: no such file')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(type(backend("torch")), "module", "broken_framework")
    with pytest.raises(Unavailable, match=r"does not load: OSError: libcudart\.so\.13"):
        backend("torch").load()


class Entry:
    """An entry point of somebody else's."""

    name = "theirs"

    def __init__(self, load):
        self.load = load


@pytest.fixture
def entry_point(monkeypatch):
    def install(load):
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [Entry(load)])
        backends.cache_clear()
        return backends()

    yield install
    monkeypatch.undo()
    backends.cache_clear()


def test_an_entry_point_that_fails_to_load_is_a_worded_backend(entry_point):
    def load():
        raise RuntimeError("no such array\nand more")

    theirs = entry_point(load)["theirs"]
    assert theirs.missing("cpu") == "entry point failed to load: RuntimeError: no such array"
    with pytest.raises(Unavailable, match="no such array"):
        theirs.open()
    assert theirs.version()


def test_an_entry_point_that_is_no_backend_is_a_worded_backend(entry_point):
    assert "wanted a multigrad.Backend, found int" in entry_point(lambda: 3)["theirs"].missing("cpu")


def test_an_entry_point_is_a_backend_like_any_other(entry_point):
    class Theirs(type(backend("numpy"))):
        """NumPy again."""

        name = "theirs"

    assert entry_point(lambda: Theirs)["theirs"].missing("cpu").startswith("entry point failed to load")
    assert entry_point(Theirs)["theirs"].missing("cpu") is None


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(BadInput, match="did you mean 'torch'"):
        backend("pytorch")


def test_a_gap_covers_its_own_cells_only():
    conv2d = operations()["conv2d"]
    gap = Gap("conv2d", "float16", "notimpl", "RuntimeError", "It is not there.", mode="eager")
    assert gap.covers(conv2d, "float16", "eager", "analytic", "cpu")
    assert not gap.covers(operations()["relu"], "float16", "eager", "analytic", "cpu")
    assert not gap.covers(conv2d, "float16", "compiled", "analytic", "cpu")
    assert not gap.covers(conv2d, "float32", "eager", "analytic", "cpu")


def test_a_gap_of_a_name_is_not_one_of_somebodys_own_operation_of_that_name():
    own = replace(operations()["conv2d"], reference="/somewhere/mine.py::conv2d")
    named = Gap("conv2d", "*", "notimpl", "RuntimeError", "It is not there.")
    every = Gap("*", "*", "never", "RuntimeError", "Nothing is there.")
    assert not named.covers(own, "float16", "eager", "analytic", "cpu")
    assert every.covers(own, "float16", "eager", "analytic", "cpu")


@pytest.mark.parametrize("name", ["gaussian_nll", "relu"])
def test_the_native_form_is_the_catalogues_alone(name):
    catalogue = operations()[name]
    session = NativeSession(backends()["numpy"], None)
    assert session.implementation(catalogue, "native").function() == name
    for reference in ("", f"/somewhere/mine.py::{name}"):
        own = replace(catalogue, reference=reference)
        assert session.implementation(own, "native") is None
        with pytest.raises(Unavailable, match=f"numpy has no native form of {name}"):
            session.function(own, {}, "native", "eager")


class NativeSession(NumPySession):
    """One that knows a native form of everything, by name."""

    def native(self, name):
        return lambda *inputs: name


def test_a_namespace_of_ones_own_leaves_the_original_alone():
    import math

    own = namespace(math, sqrt=len)
    assert own.sqrt is len
    assert math.sqrt(4) == 2
    assert (own.__name__, own.pi) == ("math", math.pi)


def test_torch_compile_without_a_compiler_is_worded(monkeypatch):
    from multigrad.backends.torch_backend.compiler import missing_compiler

    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "found no no-such-compiler" in missing_compiler("cpu")


def test_cupy_does_what_its_documentation_asks_on_a_stand_in():
    (row,) = worker("fake_cupy")
    assert row["dtype"] == "float16"
    assert row["back"] == [[1.0, 2.0]]
    assert row["peak"] == 4096 + 1024 + 512
    assert row["hooks_left"] == 0
    assert row["seconds"] == 0.25
    assert row["calls"][-5:] == ["record", "work", "record", "event synchronize", "free"]
    assert row["calls"][:2] == ["use", "synchronize"]
    assert row["device_name"] == "Stand-in"
    assert row["settings"] == {"threads": 1, "tf32": False, "cuda": 13000, "driver": 13000}
    assert row["outputs"] == ["float32"] * 4
