"""One baton: who gets it, who loses it, and what it is good for."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time

import pytest
from fast_protocol import FAST
from multigrad.bench import Protocol, measure
from multigrad.bench.analysis import intervals
from multigrad.bench.analysis.compare import within
from multigrad.bench.measurement.turns import in_turns

from multigrad.process import child as worker

ONE = {"dtype": "float64", "threads": 1, "mode": "eager", "variant": "forward"}


def walk(name, places, seen, fault=None):
    try:
        for place in places:
            yield place
            seen.append((name, place))
        if fault is not None:
            raise fault
    finally:
        seen.append((name, "closed"))


def test_nobody_passes_a_place_that_another_has_yet_to_reach():
    seen = []
    in_turns([walk("a", [0, 0, 1, 3], seen), walk("b", [1, 1, 2], seen), walk("c", [0, 2, 3], seen)])
    steps = [place for _, place in seen if place != "closed"]
    assert steps == sorted(steps)


def test_those_who_share_a_place_go_round():
    seen = []
    in_turns([walk(name, [0] * 3, seen) for name in "abc"])
    assert [name for name, place in seen if place == 0] == list("abcabcabc")


def test_one_that_ends_passes_the_baton_on():
    seen = []
    in_turns([walk("a", [0], seen), walk("b", [0, 0, 1], seen), walk("c", [], seen)])
    assert [step for step in seen if step[0] == "b"] == [("b", 0), ("b", 0), ("b", 1), ("b", "closed")]


def test_one_that_raises_ends_the_game_and_all_are_closed():
    seen = []
    with pytest.raises(KeyboardInterrupt):
        in_turns([walk("a", [0, 1], seen), walk("b", [0], seen, KeyboardInterrupt()), walk("c", [5], seen)])
    assert {name for name, place in seen if place == "closed"} == set("abc")


def two_turns(arguments):
    yield {"pid": os.getpid()}
    for place in (0, 1):
        arguments["turn"](place)
        yield {"at": place, "time": time.monotonic()}


def test_a_worker_stands_still_until_its_turn_and_is_not_killed_for_silence():
    # Long against the start of an interpreter on a busy machine.
    messages = worker.run("test_turns:two_turns", {}, timeout_s=5.0)
    assert "pid" in next(messages)
    assert next(messages) == {"turn": 0}
    time.sleep(5.5)
    resumed = time.monotonic()
    first = next(messages)
    assert first["at"] == 0
    assert first["time"] >= resumed
    assert [list(message) for message in messages] == [["turn"], ["at", "time"]]


def test_a_worker_that_dies_while_it_waits_is_a_death():
    messages = worker.run("test_turns:two_turns", {})
    pid = next(messages)["pid"]
    next(messages)
    os.kill(pid, signal.SIGKILL)
    (death,) = messages
    assert death == worker.Death("killed by SIGKILL (out of memory?)", None)


def test_all_cells_of_a_problem_take_turns_in_all_workers(square, cube, tmp_path, monkeypatch):
    log = tmp_path / "log"
    monkeypatch.setenv("FAKE_LOG", str(log))
    # Every turn is taken, whoever else holds the processor: no disturbed block asks for one more.
    changes = {"rounds": 1, "twins": 0, "peak_rounds": 0, "turns": 4, "process_s": 0.0, "process_limit_s": 10.0}
    protocol = Protocol(**{**vars(FAST), **changes, "process_blocks": 1})
    backends = ["fake_backends:LOGGED", "fake_backends:LOGGED_TOO"]
    run = measure([square, cube], backend=backends, protocol=protocol, **{**ONE, "variant": None})
    assert run.info["turns"]
    headline = run.samples[run.samples["kind"] == "latency"]
    assert {*headline.groupby(["operation", "variant", "backend"])["turn"].max()} == {3}
    calls = [line.split() for line in log.read_text().splitlines()]
    assert [time for *_, time in calls] == sorted((time for *_, time in calls), key=float)
    # Problem after problem, and within each the four cells go round: set up, warmed up, and timed in four turns.
    problems = [(name, list(rows)) for name, rows in itertools.groupby(calls, key=lambda call: call[1])]
    assert sorted(name for name, _ in problems) == ["cube", "square"]
    for name, rows in problems:
        steps = [step for step, _ in itertools.groupby(rows, key=lambda call: (call[0], call[2]))]
        assert len(steps) == 4 * (1 + 1 + 4), name
        rotations = [steps[4 * n : 4 * (n + 1)] for n in range(6)]
        assert all({*rotation} == {*steps} for rotation in rotations)
        # Cells that match are neighbours, in the same order of variants throughout.
        variants = [[variant for _, variant in rotation] for rotation in rotations]
        assert all(one == variants[0] for one in variants)
        assert variants[0][0] == variants[0][1]


def test_a_worker_of_another_version_names_the_cell_alone():
    from multigrad.bench.timing.messages import CellEnded, decoded

    old, new = (decoded({"turn": at}, CellEnded) for at in (7, [7, 3]))
    assert (old.cell, old.step) == (7, 0)
    assert (new.cell, new.step) == (7, 3)


def test_the_workers_of_another_commit_that_know_no_turns_hold_the_baton_to_their_end():
    seen = []

    def member(name, target):
        for message in worker.run(f"test_turns:{target}", {}):
            seen.append(name)
            if "turn" in message:
                yield message["turn"]

    in_turns([member("old", "knows_no_turns"), member("new", "two_turns")])
    assert seen == ["old"] * 2 + ["new"] * 5


def knows_no_turns(arguments):
    yield {"begin": 0}
    yield {"end": 0}


@pytest.mark.long
def test_what_the_machine_does_to_both_is_not_in_the_ratio(square):
    # Blocks of one or two calls: whoever else runs here disturbs few of them.
    changes = {"rounds": 4, "twins": 1, "peak_rounds": 0, "block_s": 1e-4, "process_s": 0.05}
    protocol = Protocol(**{**vars(FAST), **changes})
    names = ("DRIFTING", "DRIFTING_ALIKE", "DRIFTING_10")
    run = measure(square, backend=[f"fake_backends:{name}" for name in names], protocol=protocol, **ONE)
    assert run.noise_floor < 0.02
    for other, ratio, word in (("alike", 1.0, "same"), ("10", 1.1, "slower")):
        (row,) = within(run, "backend", "drifting_first", f"drifting_{other}").to_dict("records")
        assert row["ratio"] == pytest.approx(ratio, rel=0.02)
        paired = intervals.Interval(row["ratio"], row["ratio_low"], row["ratio_high"])
        assert intervals.word(paired) == word, paired
        # Without pairs the phases of the machine would be the answer.
        mine = run.samples[(run.samples["kind"] == "latency") & (run.samples["twin"] == 0)]
        per_call = (
            mine.assign(per_call=mine["block_s"] / mine["calls"])
            .set_index(["backend", "round"])["per_call"]
            .sort_index()
        )
        sides = [
            [per_call[name, number].to_numpy() for number in range(4)]
            for name in (f"drifting_{other}", "drifting_first")
        ]
        assert intervals.word(intervals.ratio(*sides)) == "unclear"


def test_so_many_begin_together_and_what_is_open_is_closed_when_one_cannot():
    running, most, seen = [], [], []
    pair = threading.Barrier(2, timeout=60)  # two that begin wait for one another

    def begin(name, fault=None):
        running.append(name)
        pair.wait()
        most.append(len(running))
        running.remove(name)
        yield from walk(name, [0, 1], seen, fault)

    in_turns([begin(name) for name in "abcd"], together=2)
    assert max(most) == 2
    assert sorted(step for step in seen if step[1] == "closed") == [(name, "closed") for name in "abcd"]

    def cannot():
        time.sleep(0.1)
        raise RuntimeError("no")
        yield 0

    seen.clear()
    with pytest.raises(RuntimeError, match="no"):
        in_turns([begin("a"), cannot(), begin("b"), begin("c")], together=2)
    assert ("a", "closed") in seen
    assert {place for _, place in seen} == {"closed"}


def spin_on(arguments):
    threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
    for _ in range(3):
        arguments["turn"](0)
        yield {"place": time.process_time()}


def test_a_worker_that_waits_for_its_turn_has_no_processor():
    spun = []
    for message in worker.run("test_turns:spin_on", {}):
        if "turn" in message:
            time.sleep(0.5)
        elif "place" in message:
            spun.append(message["place"])
    assert len(spun) == 3
    assert spun[-1] - spun[0] < 0.3
