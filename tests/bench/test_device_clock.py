"""What is measured beside an accelerator's blocks: its clock, its events, the host's share. All clocks are made up."""

from __future__ import annotations

import sys
import types
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from multigrad.bench import Protocol
from multigrad.bench.analysis.flags import Process, clocks_disagree, dispatch_s, event_ratio, flags_of
from multigrad.bench.analysis.intervals import Interval
from multigrad.bench.plan.cells import LATENCY, PIPELINED, Cell
from multigrad.bench.plan.protocol import FULL
from multigrad.bench.store import gpu, machine
from multigrad.bench.store.events import CellEvent
from multigrad.bench.store.rows import Block
from multigrad.bench.store.schema import Facts
from multigrad.bench.timing import clock, facts, roofline

from multigrad import backend as of_backends
from multigrad.backend import device

SHORT = Protocol(block_s=1e-3, process_s=0.0, turns=3, turn_s=2e-3, process_blocks=1, other_blocks=2)


class Queue:
    """A device and its host by a clock of their own: a call takes the host and the device a known time.

    The queue holds so many calls, and then the host has to wait for a place in it.
    """

    def __init__(self, host_s=1e-5, device_s=1e-4, waits=True, places=1000):
        self.now = self.free = 0.0
        self.places = places
        self.host_s, self.device_s, self.waits = host_s, device_s, waits

    def call(self, *arrays):
        self.now = max(self.now, self.free - self.places * self.device_s) + self.host_s
        self.free = max(self.free, self.now) + self.device_s
        return (self,)

    def wait(self, arrays):
        if self.waits:
            self.now = max(self.now, self.free)

    def events(self, call):
        began = max(self.now, self.free)
        call()
        return max(self.now, self.free) - began

    def clock(self):
        return self.now

    def work(self):
        return clock.Workload(self.call, (), self.wait, events=self.events)


@pytest.fixture
def fake_nvml(monkeypatch):
    """NVML that counts what it is asked, and refuses what it is told to."""
    nvml = types.ModuleType("pynvml")
    nvml.asked, nvml.refused = [], set()
    nvml.NVMLError_LibraryNotFound = type("NVMLError_LibraryNotFound", (Exception,), {})
    nvml.refusal = RuntimeError

    def ask(name, answer):
        def call(*_):
            nvml.asked.append(name)
            if name in nvml.refused:
                raise nvml.refusal(f"{name} is not supported")
            return answer

        return call

    nvml.NVML_CLOCK_SM, nvml.nvmlClocksThrottleReasonGpuIdle = 1, 1
    nvml.nvmlClocksThrottleReasonApplicationsClocksSetting = 2
    nvml.nvmlInit, nvml.nvmlShutdown = ask("init", None), ask("shutdown", None)
    nvml.nvmlDeviceGetCount = ask("count", 1)
    nvml.nvmlDeviceGetHandleByIndex = ask("handle", "handle")
    nvml.nvmlDeviceGetClockInfo = ask("clock", 1980)
    nvml.nvmlDeviceGetCurrentClocksThrottleReasons = ask("reasons", 5)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return nvml


def test_the_driver_is_asked_once_a_turn(fake_nvml):
    reader = gpu.GpuReader()
    fake_nvml.asked.clear()
    work = clock.Workload(lambda: (), (), lambda arrays: None)
    result = clock.alone(clock.time_blocks(work, SHORT, headline=PIPELINED, guards=clock.Guards(device=reader.read)))
    turns = len({b.turn for b in result.blocks if b.kind == PIPELINED})
    assert len(result.blocks) > turns + 1
    assert fake_nvml.asked == ["clock", "reasons"] * (turns + 1)
    assert {(b.device_clock_hz, b.throttle_reasons) for b in result.blocks} == {(1980e6, 4)}
    assert not reader.note()


def test_what_nvml_refuses_is_a_note_and_the_rest_is_read(fake_nvml):
    reader = gpu.GpuReader()
    fake_nvml.refused = {"clock"}
    assert reader.read() == (None, 4)
    assert "clock: RuntimeError: clock is not supported" in reader.note()
    fake_nvml.refused = {"handle"}
    without = gpu.GpuReader()
    assert without.read() == (None, 0)
    assert "handle is not supported" in without.note()


@pytest.mark.parametrize(
    ("module", "why"),
    [
        (None, "pip install nvidia-ml-py"),
        ("refuses", "RuntimeError: init is not supported"),
        ("has no library", "no NVIDIA driver"),
    ],
)
def test_a_count_of_no_gpus_says_that_nobody_could_be_asked(fake_nvml, monkeypatch, module, why):
    if module is None:
        monkeypatch.setitem(sys.modules, "pynvml", None)
    fake_nvml.refused = {"init"}
    if module == "has no library":
        fake_nvml.refusal = fake_nvml.NVMLError_LibraryNotFound
    device._count_and_reason.cache_clear()
    try:
        assert device.cuda_device_count() == 0
        assert why in of_backends.nvml_missing()
        assert why in machine.describe()["nvml"]
        monkeypatch.setattr(type(of_backends.backend("jax")), "version", lambda self: "1.0")
        assert of_backends.backend("jax").missing("cuda") == f"no CUDA device ({of_backends.nvml_missing()})"
    finally:
        device._count_and_reason.cache_clear()


def test_gpus_that_were_counted_need_no_reason(fake_nvml):
    device._count_and_reason.cache_clear()
    try:
        assert (device.cuda_device_count(), device.nvml_missing()) == (1, "")
    finally:
        device._count_and_reason.cache_clear()


@pytest.mark.parametrize("name", ["CUBLAS_WORKSPACE_CONFIG", "CUDNN_LOGLEVEL", "CUSOLVER_X", "TRITON_INTERPRET",
                                  "NCCL_DEBUG", "CUDA_LAUNCH_BLOCKING", "NVIDIA_TF32_OVERRIDE"])  # fmt: skip
def test_what_libraries_of_a_gpu_go_by_is_recorded(name):
    assert machine.environment_that_matters({name: "1", "HOME": "/", "NCCLX": "1"}) == {name: "1"}


def test_the_peak_product_is_of_random_numbers_which_are_the_same_each_time():
    placed = []

    class Session:
        device = "cpu"

        def place(self, operation, arrays, dtype):
            placed.append(arrays[0])
            return arrays

        def wait(self, arrays):
            return None

    protocol = Protocol(peak_product_flops=1e4, peak_s=0.0)
    for _ in range(2):
        roofline.product_rate(Session(), "float64", protocol)
    assert all(np.unique(a).size == a.size and abs(a.mean()) < 0.05 for a in placed)
    assert np.array_equal(placed[0], placed[len(placed) // 2])


def test_an_empty_operation_is_timed_both_ways(monkeypatch):
    queue = Queue(host_s=1e-5, device_s=4e-5)
    monkeypatch.setattr(clock.time, "perf_counter", queue.clock)
    assert facts.empty_time(queue.work(), FULL) == pytest.approx(5e-5)
    assert facts.empty_pipelined_time(queue.work(), FULL, queue.clock) == pytest.approx(4e-5, rel=0.01)


def test_the_hosts_time_of_a_call_is_that_with_an_empty_queue():
    queue = Queue(host_s=2e-5, device_s=3e-4, places=2)
    assert clock.dispatch_cost(queue.work(), FULL, queue.clock) == pytest.approx(2e-5)


@pytest.mark.parametrize(("waits", "ratio"), [(True, 1.0), (False, 10.0)])
def test_events_tell_of_a_wait_that_was_forgotten(monkeypatch, waits, ratio):
    queue = Queue(host_s=1e-5, device_s=1e-4, waits=waits)
    monkeypatch.setattr(clock.time, "perf_counter", queue.clock)
    work = queue.work()
    found = clock.event_ratio(work, clock._pipelined_block(work), 64, FULL)
    assert found == pytest.approx(ratio, rel=0.05)


def test_without_events_nothing_more_is_called():
    work = clock.Workload(pytest.fail, (), pytest.fail)
    assert clock.event_ratio(work, clock._pipelined_block(work), 64, FULL) is None


GPU = Cell("f", "f", "analytic", "eager", "torch", "torch", "cuda", "float32", "", (("n", 3),), 1, "strict")
CPU = replace(GPU, device="cpu")


def process(number, *, pipelined_s, in_block_s, single_s=msgspec.UNSET, ratio=msgspec.UNSET, **empty):
    """A process whose calls took so long, and its host so long for each."""
    blocks = [
        Block(kind, 8, 8 * pipelined_s, None if kind == LATENCY else 8 * in_block_s, 8e-6, 0, None, None, 0.0, 0, turn)
        for kind in (LATENCY, PIPELINED)
        for turn in range(8)
    ]
    known = {"verdict": "PASS", "reason": "", "ratio": 0.5, "group": "", "warm": True, "blocks": blocks}
    known |= {"calls": {LATENCY: 8, PIPELINED: 8}, "load": 0.0, "to_device_s": 0.0, "to_host_s": 0.0}
    event = CellEvent(cell=0, round=number, twin=0, dispatch_s=single_s, event_ratio=ratio, **known)
    return Process(event, Facts(**empty))


def flags(cell, **values):
    return set(flags_of(cell, [process(r, **values) for r in range(3)], FULL))


def test_what_is_pipelined_is_held_against_an_empty_operation_that_is_pipelined():
    times = {"pipelined_s": 1e-3, "in_block_s": 1e-4}
    both = {"empty_s": {"eager": 5e-4}, "empty_pipelined_s": {"eager": 1e-4}}
    assert "overhead-bound" not in flags(GPU, **times, **both)
    assert "overhead-bound" in flags(GPU, **times, empty_s={"eager": 1e-6}, empty_pipelined_s={"eager": 5e-4})
    assert "overhead-bound" in flags(CPU, **times, **both)
    assert "overhead-bound" in flags(GPU, **times, empty_s={"eager": 5e-4})  # of an older run


@pytest.mark.parametrize(
    ("in_block_s", "single_s", "bound"), [(0.79e-3, 1e-3, False), (0.81e-3, 0.9e-3, True), (1e-3, 1e-4, False)]
)
def test_a_call_that_the_host_needs_most_of_the_time_for_is_host_bound(in_block_s, single_s, bound):
    times = {"pipelined_s": 1e-3, "in_block_s": in_block_s, "single_s": single_s}
    assert ("host-bound" in flags(GPU, **times)) is bound
    assert "host-bound" not in flags(CPU, **times)


def test_a_full_queue_is_not_taken_for_work_of_the_host_nor_an_older_run_for_none():
    assert dispatch_s([process(0, pipelined_s=1e-3, in_block_s=9e-4, single_s=1e-5)]) == pytest.approx(1e-5)
    assert dispatch_s([process(0, pipelined_s=1e-3, in_block_s=9e-4)]) == pytest.approx(9e-4)


@pytest.mark.parametrize(
    ("ratio", "low", "high", "disagree"),
    [(1.04, 0.99, 1.01, False), (1.06, 0.99, 1.01, True), (0.94, 0.99, 1.01, True), (1.06, 0.9, 1.1, False),
     (2.0, float("nan"), float("nan"), True), (None, 0.99, 1.01, False)],
)  # fmt: skip
def test_clocks_disagree_beyond_an_effect_worth_a_word_and_half_the_interval(ratio, low, high, disagree):
    assert clocks_disagree(ratio, Interval(1.0, low, high), FULL) is disagree


def test_the_ratio_of_a_cell_is_the_middle_one_of_its_processes():
    times = {"pipelined_s": 1e-3, "in_block_s": 1e-4}
    mine = [process(r, **times, ratio=ratio) for r, ratio in enumerate((1.0, 1.1, 9.0))]
    assert event_ratio(mine) == pytest.approx(1.1)
    assert event_ratio([process(0, **times)]) is None


def test_kernels_that_torch_compiles_as_it_needs_them_are_kept_with_the_run(tmp_path):
    variables = of_backends.backend("torch").environment("cuda", 1, "strict", caches=tmp_path)
    assert variables["PYTORCH_KERNEL_CACHE_PATH"] == str(tmp_path)
    assert {"PYTORCH_KERNEL_CACHE_PATH", "USE_PYTORCH_KERNEL_CACHE"} <= {*machine.UNSET_VARIABLES}
