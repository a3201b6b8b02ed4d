from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from dataclasses import fields

import pytest
from multigrad.bench import Protocol
from multigrad.bench.plan.cells import LATENCY, PIPELINED, headline
from multigrad.bench.store import machine
from multigrad.bench.timing import clock
from multigrad.bench.timing.clock import Workload

SHORT = Protocol(
    warmup_s=0.0,
    warmup_limit_s=0.05,
    process_s=0.012,
    process_blocks=4,
    block_s=1e-3,
    turns=3,
    turn_s=2e-3,
    process_limit_s=0.1,
)


def time_blocks(*arguments, **options):
    return clock.alone(clock.time_blocks(*arguments, **options))


def nothing_to_wait_for(arrays):
    return None


NOTHING = Workload(lambda: (), (), nothing_to_wait_for)


@pytest.mark.parametrize(("call_s", "calls"), [(1e-3, 8), (2e-3, 4), (5e-3, 1), (1.0, 1)])
def test_calls_per_block_are_the_least_power_of_two_that_is_long_enough(call_s, calls):
    assert clock.calibrate(lambda n: (n * call_s, None), call_s, 5e-3) == calls


def test_a_wrong_estimate_is_put_right():
    assert clock.calibrate(lambda n: (n * 1e-5, None), 4e-3, 5e-3) == 512


def test_one_interrupted_block_does_not_end_the_calibration():
    durations = iter([1.0] + [n * 1e-3 for n in (1, 1, 2, 2, 2, 4, 4, 4, 8, 8, 8)])
    assert clock.calibrate(lambda n: (next(durations), None), 1e-3, 5e-3) >= 4


def test_a_block_holds_no_more_outputs_than_it_may():
    assert clock.calibrate(lambda n: (n * 1e-6, None), 1e-6, 5e-3, most=100) == 64


def test_a_call_that_is_never_steady_is_measured_all_the_same_and_said_so():
    durations = iter(range(1, 10_000))

    def slower_and_slower():
        end = time.perf_counter() + 1e-4 * 1.5 ** next(durations)
        while time.perf_counter() < end:
            pass
        return ()

    _, warm, _ = clock.warm_up(Workload(slower_and_slower, (), nothing_to_wait_for), SHORT)
    assert not warm


def test_the_collector_is_off_inside_a_block_and_on_after_it():
    seen = []

    def look():
        seen.append(gc.isenabled())
        return ()

    result = time_blocks(Workload(look, (), nothing_to_wait_for), SHORT)
    in_blocks = sum(b.calls for b in result.blocks)
    assert gc.isenabled()
    assert seen.count(False) == in_blocks


def test_every_block_is_kept_and_both_kinds_are_there():
    result = time_blocks(Workload(lambda: (), (), nothing_to_wait_for, keep=8), SHORT)
    kinds = [b.kind for b in result.blocks]
    assert kinds.count(LATENCY) >= SHORT.process_blocks
    assert kinds.count(PIPELINED) >= 1
    assert all(b.dispatch_s is None for b in result.blocks if b.kind == LATENCY)
    assert all(b.dispatch_s <= b.block_s for b in result.blocks if b.kind == PIPELINED)


def test_calls_that_round_0_fixed_are_used():
    fixed = {LATENCY: 2**16, PIPELINED: 2**17}
    result = time_blocks(NOTHING, SHORT, calls=fixed)
    assert {(b.kind, b.calls) for b in result.blocks} == set(fixed.items())


def test_calls_that_a_disturbed_round_0_fixed_far_too_low_are_not():
    result = time_blocks(NOTHING, SHORT, calls={LATENCY: 1, PIPELINED: 1})
    assert all(b.calls > 100 for b in result.blocks)


def test_on_an_accelerator_the_queue_is_the_headline():
    assert headline("cpu") == LATENCY
    assert headline("cuda") == PIPELINED


def test_every_constant_has_its_reason():
    assert all(len(field.metadata["doc"]) > 20 for field in fields(Protocol))


def test_the_overhead_of_the_protocol_on_a_call_of_a_millisecond_is_below_one_percent():
    def call():
        end = time.perf_counter() + 1e-3
        while time.perf_counter() < end:
            pass
        return ()

    result = time_blocks(Workload(call, (), nothing_to_wait_for), SHORT)
    best = min(b.block_s / b.calls for b in result.blocks if b.kind == LATENCY)
    assert best < 1.01e-3


def test_a_thread_that_shares_its_processor_is_seen_waiting():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, [min(allowed)])
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        queue = machine.RunQueue()
        before, start = queue.seconds(), time.perf_counter()
        if before is None:
            pytest.skip("this kernel keeps no account of waiting threads")
        while time.perf_counter() - start < 0.3:
            pass
        assert queue.seconds() - before > 0.05
        queue.close()
    finally:
        other.kill()
        other.wait()
        os.sched_setaffinity(0, allowed)


def test_the_time_of_others_on_a_processor_is_told_and_not_its_own():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    read = machine.others_reader([min(allowed)])

    def shares() -> tuple[float, float]:
        """Return the shares of half a second that others and this process had of the processor."""
        others, own, start = read(), time.process_time(), time.perf_counter()
        if others is None:
            pytest.skip("this kernel keeps no account of its processors")
        while (elapsed := time.perf_counter() - start) < 0.5:
            pass
        return (read() - others) / elapsed, (time.process_time() - own) / elapsed

    other = None
    try:
        # Whoever else is there: a processor has no more than all of its time.
        assert sum(shares()) < 1.1
        other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        time.sleep(0.2)
        others, own = shares()
        assert others > 0.3
        assert others + own < 1.1
    finally:
        if other is not None:
            other.kill()
            other.wait()
        os.sched_setaffinity(0, allowed)


def test_arguments_are_moved_between_blocks_and_what_is_timed_is_always_the_newest():
    seen, made = [], []

    def place():
        made.append(len(made) + 1)
        return made[-1:]

    def call(argument):
        seen.append(argument)
        time.sleep(1e-4)
        return ()

    result = time_blocks(Workload(call, (0,), nothing_to_wait_for, elsewhere=place), SHORT)
    blocks = [b for b in result.blocks if b.kind == LATENCY]
    assert 2 <= len(made) <= len(blocks)
    assert seen == sorted(seen)
    assert seen[-1] == made[-1]


def test_moving_stays_within_its_share_of_the_time(monkeypatch):
    moved = []
    # Each move takes 10 ms by this clock, whatever the machine does meanwhile.
    monkeypatch.setattr(clock.time, "perf_counter", lambda: 0.01 * len(moved))
    mover = clock._Mover(lambda: moved.append(1), share=0.2)
    for spent in (0.0, 0.01, 0.03, 0.045, 0.06, 0.08, 0.12):
        mover.before_block(spent)
    assert len(moved) == 3


@pytest.mark.parametrize(
    ("waiting", "others", "times"), [(0.0, 1.0, 1), (1.0, 1.0, SHORT.tries), (1.0, None, SHORT.tries), (1.0, 0.0, 1)]
)
def test_blocks_that_others_kept_waiting_do_not_count_until_it_was_tried_often_enough(waiting, others, times):
    now = time.perf_counter
    guards = clock.Guards(waited=lambda: waiting * now(), others=lambda: None if others is None else others * now())
    protocol = Protocol(**{**vars(SHORT), "process_blocks": 1})
    result = time_blocks(NOTHING, protocol, guards=guards)
    spent = sum(b.block_s for b in result.blocks if b.kind == LATENCY)
    longest = max(b.block_s for b in result.blocks)
    wanted = max(times * protocol.process_s, protocol.turns * protocol.turn_s)
    assert wanted <= spent <= wanted + protocol.turn_s + (2 + protocol.turns) * longest


def turns_of(steps):
    """Return how often a measurement let others go on, and what it found."""
    given = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return given, end.value
        given += 1


@pytest.mark.parametrize("call_s", [1e-3, 5e-3])
def test_there_are_turns_enough_and_each_is_long_enough(call_s):
    protocol = Protocol(**{**vars(SHORT), "block_s": 1e-4, "turns": 5, "process_s": 0.0, "process_limit_s": 2.0})
    work = Workload(lambda: (time.sleep(call_s),), (), nothing_to_wait_for)
    given, result = turns_of(clock.time_blocks(work, protocol))
    blocks = [b for b in result.blocks if b.kind == LATENCY]
    assert given == protocol.turns
    assert {b.turn for b in blocks} == set(range(given))
    for turn in range(given):
        mine = [b.block_s for b in blocks if b.turn == turn]
        assert sum(mine) >= protocol.turn_s > sum(mine[:-1])


def test_the_few_blocks_of_the_other_kind_have_no_turn_of_their_own():
    given, result = turns_of(clock.time_blocks(NOTHING, SHORT))
    kinds = [b.kind for b in result.blocks]
    assert kinds == [LATENCY] * kinds.count(LATENCY) + [PIPELINED] * SHORT.other_blocks
    assert len({b.turn for b in result.blocks if b.kind == LATENCY}) == given


def test_a_call_is_made_before_each_turn_for_the_caches_unless_it_is_long():
    few = {**vars(SHORT), "process_s": 0.0, "process_blocks": 1, "other_blocks": 0}
    for lead_in_s, more in ((1.0, SHORT.turns), (0.0, 0)):
        calls = []
        steps = clock.time_blocks(
            Workload(lambda calls=calls: calls.append(1) or (), (), nothing_to_wait_for),
            Protocol(
                **{**vars(SHORT), "lead_in_s": lead_in_s, "process_s": 0.0, "process_blocks": 1, "other_blocks": 0}
            ),
            calls={LATENCY: 2**16, PIPELINED: 1},
        )
        next(steps)
        before = len(calls)
        given, result = turns_of(steps)
        assert given == SHORT.turns - 1
        assert len(calls) - before == more + sum(b.calls for b in result.blocks)
