"""A worker that dies costs the task it was busy with."""

from multigrad.process.child import Death
from multigrad.process.pool import Lost, work_through


def start(pending, deadly):
    for task in pending:
        yield {"begin": task}
        if task in deadly:
            yield Death("killed", task)
            return
        yield {"end": task}


def test_what_a_death_leaves_is_done_by_the_next_worker():
    messages = [*work_through([3, 4, 5], lambda pending: start(pending, {4}))]
    assert [m for m in messages if isinstance(m, Lost)] == [Lost(4, "killed")]
    assert [m["end"] for m in messages if not isinstance(m, Lost) and "end" in m] == [3, 5]


def test_a_death_before_any_task_costs_the_first_one():
    messages = [*work_through([7], lambda pending: iter([Death("no memory", None)]))]
    assert messages == [Lost(7, "no memory")]


def test_a_worker_that_gives_up_with_a_word_is_the_last():
    assert [*work_through([1, 2], lambda pending: iter([{"unavailable": "no CUDA device"}]))] == [
        {"unavailable": "no CUDA device"}
    ]
