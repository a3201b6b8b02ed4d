"""Timing of one function in one process: warm-up, calibration, blocks. Every block is kept.

Nothing here knows a framework: a function, its arguments and a way to wait are all it is given.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import math
import resource
import statistics
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..plan.cells import LATENCY, PIPELINED
from ..plan.protocol import Protocol
from ..store.rows import Block

Call = Callable[..., Sequence[Any]]
Wait = Callable[[Sequence[Any]], None]


@dataclass(frozen=True)
class Guards:
    """What is read beside the blocks, outside their time."""

    clock: Callable[[], float | None] = lambda: None
    """Clock of the processor in Hz; None where nobody says."""
    device: Callable[[], tuple[float | None, int]] = lambda: (None, 0)
    """Clock of the device in Hz and the reasons for which its driver slows it down, as a bit mask. It is read once a
    turn: each of the driver's answers takes as long as a small kernel or longer."""
    note: Callable[[], str] = lambda: ""
    """What could not be read of the device, and why; empty where everything was."""
    waited: Callable[[], float | None] = lambda: None
    """Seconds for which threads were ready and had no processor, since they started; None where nobody says."""
    others: Callable[[], float | None] = lambda: None
    """CPU seconds that other processes spent on this one's processors, since whenever; None where nobody says."""


@dataclass
class Workload:
    """What is timed."""

    function: Call
    """Returns a sequence of arrays; already called once."""
    arguments: Sequence[Any]
    wait: Wait
    """Returns when arrays are computed."""
    keep: int | None = None
    """How many calls' outputs a pipelined block may hold; None keeps the last one only, which is enough where a device
    works in order."""
    events: Callable[[Callable[[], Any]], float | None] = lambda call: None
    """Runs a call and returns its seconds by the device's own events; None where there are none."""
    elsewhere: Callable[[], Sequence[Any]] | None = None
    """Returns the same arguments at other addresses; None leaves them where they are."""

    def call(self) -> None:
        """Do it once."""
        self.wait(self.function(*self.arguments))

    def move(self) -> bool:
        """Move the arguments, and do it once for the caches; tell whether they could be moved."""
        if self.elsewhere is None:
            return False
        self.arguments = self.elsewhere()
        self.call()
        return True


@dataclass(frozen=True)
class Timing:
    """What one process found out about one function."""

    blocks: list[Block]
    calls: dict[str, int]
    """Calls per block, by kind."""
    warmup_s: float
    warm: bool
    """Whether two successive medians agreed before the time was up."""
    wait_s: float
    """What it costs to wait for something that is done."""
    dispatch_s: float
    """Seconds until a call returns whose queue was empty; median."""
    event_ratio: float | None
    """Time of pipelined blocks by the device's events over that by the host's clock; None without events."""
    blocks_s: float
    """Time spent inside timed blocks, calibration included; not the time in which others had their turn."""


def timer_step(clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the smallest step in seconds that the timer is seen to make."""

    def step() -> float:
        start = clock()
        while (now := clock()) == start:
            pass
        return now - start

    return min(step() for _ in range(100))


def wait_cost(wait: Wait, finished: Sequence[Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the median time in seconds of waiting for arrays that are there."""
    durations = []
    for _ in range(21):
        start = clock()
        wait(finished)
        durations.append(clock() - start)
    return statistics.median(durations)


def dispatch_cost(work: Workload, protocol: Protocol, clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the median time in seconds until a call returns, each made when the one before has been waited for."""
    durations: list[float] = []
    began = clock()
    while len(durations) < protocol.dispatch_calls:
        start = clock()
        outputs = work.function(*work.arguments)
        durations.append(clock() - start)
        work.wait(outputs)
        if clock() - began > protocol.block_s and len(durations) >= protocol.other_blocks:
            break
    return statistics.median(durations)


def event_ratio(work: Workload, block: Runner, calls: int, protocol: Protocol) -> float | None:
    """Return how long pipelined blocks last by the device's events, over the same blocks by the host's clock.

    A wait that returns too early makes the events tell of more: they end when the device has done what came before.
    """
    ratios = []
    for _ in range(max(1, protocol.other_blocks)):
        by_host: list[float] = []
        by_device = work.events(lambda by_host=by_host: by_host.append(block(calls)[0]))  # type: ignore[misc]
        if by_device is None:
            return None
        ratios.append(by_device / by_host[0])
    return statistics.median(ratios)


def time_blocks(
    work: Workload,
    protocol: Protocol,
    *,
    headline: str = LATENCY,
    calls: Mapping[str, int] | None = None,
    guards: Guards | None = None,
) -> Generator[None, None, Timing]:
    """Warm up, calibrate and time blocks of both kinds; yield before each turn, for others to have theirs.

    Args:
        work: what is timed.
        protocol: the constants.
        headline: the kind that gets the full number of blocks.
        calls: calls per block as round 0 found them; None calibrates.
        guards: what to read beside every block.

    Returns:
        What was found.
    """
    warmup_s, warm, estimate = warm_up(work, protocol)
    wait_s = wait_cost(work.wait, work.function(*work.arguments))
    dispatch_s = dispatch_cost(work, protocol)
    runners = {LATENCY: _latency_block(work), PIPELINED: _pipelined_block(work)}
    other = PIPELINED if headline == LATENCY else LATENCY
    started = time.perf_counter()
    counts = dict(calls or {})
    shortest = max(protocol.block_s, protocol.block_timer_steps * timer_step())
    target = max(shortest, protocol.block_waits * wait_s) if headline == PIPELINED else shortest
    # A machine that was disturbed in round 0 may have fixed far too few calls.
    if headline not in counts or counts[headline] * estimate < target / 2:
        counts[headline] = calibrate(runners[headline], estimate, target, work.keep if headline == PIPELINED else None)
    # As many of the kind that is no headline: a few blocks of about that length are all there will be.
    counts[other] = min(counts[headline], _power_of_two(work.keep)) if other == PIPELINED else counts[headline]
    spent = time.perf_counter() - started
    sampler, few = (_Sampler(kind, runners[kind], counts[kind], guards or Guards()) for kind in (headline, other))
    lead_in = work.call if estimate < protocol.lead_in_s else lambda: None
    turns = _Turns(sampler, protocol, _Mover(work.move, protocol.moving_share), lead_in)
    while not turns.enough():
        yield
        started = time.perf_counter()
        turns.take()
        spent += time.perf_counter() - started
    started = time.perf_counter()
    blocks = turns.blocks() + _few_blocks(few, protocol)
    ratio = event_ratio(work, runners[PIPELINED], counts[PIPELINED], protocol)
    return Timing(blocks, counts, warmup_s, warm, wait_s, dispatch_s, ratio, spent + time.perf_counter() - started)


def alone(steps: Generator[None, None, Timing]) -> Timing:
    """Return what is found where there are no others to take turns with."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            timing: Timing = end.value
            return timing


def warm_up(work: Workload, protocol: Protocol) -> tuple[float, bool, float]:
    """Call until the time of a call is steady.

    Returns:
        Seconds spent, whether it became steady, and the fastest call in seconds.
    """
    clock = time.perf_counter
    started = clock()
    durations: list[float] = []
    previous = math.nan
    while True:
        start = clock()
        work.call()
        now = clock()
        durations.append(now - start)
        spent = now - started
        # Of a call so long that ten take a quarter of the limit, single calls are compared.
        long = 2 * protocol.warmup_window * durations[0] > protocol.warmup_limit_s / 4
        window = 1 if long else protocol.warmup_window
        if len(durations) % window == 0:
            median = statistics.median(durations[-window:])
            steady = abs(median - previous) < protocol.warmup_agreement * previous
            previous = median
            if steady and len(durations) >= protocol.warmup_calls and spent >= protocol.warmup_s:
                return spent, True, min(durations)
        if spent >= protocol.warmup_limit_s and len(durations) >= protocol.warmup_calls:
            return spent, False, min(durations)


Runner = Callable[[int], tuple[float, float | None]]
"""Runs a block of n calls and returns (seconds, seconds before the wait)."""


def _latency_block(work: Workload) -> Runner:
    def block(calls: int) -> tuple[float, float | None]:
        function, arguments, wait = work.function, work.arguments, work.wait
        steps = itertools.repeat(None, calls)
        start = time.perf_counter()
        for _ in steps:
            wait(function(*arguments))
        return time.perf_counter() - start, None

    return block


def _pipelined_block(work: Workload) -> Runner:
    def last_only(calls: int) -> tuple[float, float | None]:
        function, arguments = work.function, work.arguments
        steps = itertools.repeat(None, calls)
        start = time.perf_counter()
        for _ in steps:
            outputs = function(*arguments)
        dispatched = time.perf_counter() - start
        work.wait(outputs)
        return time.perf_counter() - start, dispatched

    def all_outputs(calls: int) -> tuple[float, float | None]:
        # On a CPU independent calls may finish out of order: the last one's end is not the end of all.
        function, arguments = work.function, work.arguments
        steps = itertools.repeat(None, calls)
        start = time.perf_counter()
        pending = [function(*arguments) for _ in steps]
        dispatched = time.perf_counter() - start
        work.wait([array for outputs in pending for array in outputs])
        return time.perf_counter() - start, dispatched

    return last_only if work.keep is None else all_outputs


def calibrate(block: Runner, estimate_s: float, target_s: float, most: int | None = None) -> int:
    """Return the least power of two of calls whose block lasts at least the target.

    Args:
        block: runs n calls.
        estimate_s: the fastest that a call was seen to take, in seconds.
        target_s: how long a block shall be, in seconds.
        most: no more than this many calls, whatever a block then lasts.
    """
    if estimate_s >= target_s:
        return 1
    limit = _power_of_two(most)
    calls = min(limit, 1 << max(0, math.ceil(math.log2(target_s / max(estimate_s, 1e-9)))))
    # Long enough three times: one that was interrupted looks long enough and is not.
    calls = max(1, calls // 4)
    while calls < limit and any(block(calls)[0] < target_s for _ in range(3)):
        calls *= 2
    return calls


def _power_of_two(most: int | None) -> int:
    """Return the largest power of two that is no more; 2²⁴ if there is no limit."""
    return 1 << int(math.log2(max(1, most))) if most is not None else 1 << 24


@dataclass(frozen=True)
class _Sampler:
    """Times blocks of one kind."""

    kind: str
    run: Runner
    calls: int
    guards: Guards

    def block(self, turn: int) -> Block:
        """Time a block, with the collector off, and read the guards."""
        collecting = gc.isenabled()
        gc.disable()
        try:
            waited = self.guards.waited()
            switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
            cpu = time.process_time()
            seconds, dispatched = self.run(self.calls)
            cpu = time.process_time() - cpu
            switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - switches
        finally:
            if collecting:
                gc.enable()
        after = self.guards.waited()
        waited = None if waited is None or after is None else max(0.0, after - waited)
        clock = self.guards.clock()
        return Block(self.kind, self.calls, seconds, dispatched, cpu, switches, clock, None, waited, 0, turn)

    def on_device(self, blocks: Sequence[Block]) -> list[Block]:
        """Return the blocks of a turn that has just ended, each with the device's clock and reasons as they are now."""
        clock, reasons = self.guards.device()
        return [msgspec.structs.replace(one, device_clock_hz=clock, throttle_reasons=reasons) for one in blocks]


@dataclass
class _Mover:
    """Moves the arguments to other addresses before a block, as often as that stays below a share of the time."""

    move: Callable[[], bool]
    share: float
    cost_s: float = 0.0
    moved_at_s: float = 0.0

    def before_block(self, spent_s: float) -> bool:
        """Move, if enough was timed since it was done last, and tell whether that was so.

        Args:
            spent_s: time in blocks so far, in seconds.
        """
        if self.share * (spent_s - self.moved_at_s) < self.cost_s:
            return False
        started = time.perf_counter()
        moved = self.move()
        self.cost_s, self.moved_at_s = time.perf_counter() - started, spent_s
        return moved


@dataclass
class _Neighbours:
    """How much of the waiting was their doing: a framework's own threads also wait for each other."""

    read: Callable[[], float | None]
    ran_s: float | None = 0.0
    """CPU seconds that they spent here during the turns; None where nobody says."""

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Count what they do meanwhile."""
        before = self.read()
        yield
        after = self.read()
        if self.ran_s is None or before is None or after is None:
            self.ran_s = None
        else:
            self.ran_s += after - before

    def blamed(self, blocks: Sequence[Block]) -> list[Block]:
        """Return the blocks with the part of their waiting that others can have caused, having run no longer."""
        waited = sum(one.waited_s or 0.0 for one in blocks)
        if self.ran_s is None or not waited:
            return list(blocks)
        share = min(1.0, max(0.0, self.ran_s) / waited)
        return [
            one if one.waited_s is None else msgspec.structs.replace(one, waited_s=share * one.waited_s)
            for one in blocks
        ]


@dataclass
class _Turns:
    """The turns of one cell in one process."""

    sampler: _Sampler
    protocol: Protocol
    mover: _Mover
    lead_in: Callable[[], None]
    """The work, once, for the caches: the others have filled them with theirs."""
    taken: int = 0
    spent: float = 0.0
    """Time in blocks so far, in seconds."""
    timed: list[Block] = field(default_factory=list)
    """The blocks as they were timed."""
    neighbours: _Neighbours = field(init=False)

    def __post_init__(self) -> None:
        """Know the neighbours."""
        self.neighbours = _Neighbours(self.sampler.guards.others)

    def blocks(self) -> list[Block]:
        """Return the blocks, each with the waiting that others can have caused."""
        return self.neighbours.blamed(self.timed)

    def enough(self) -> bool:
        """Tell whether nothing more is to be timed."""
        protocol = self.protocol
        if not self.taken:
            return False
        if self.spent >= protocol.process_limit_s:
            return True
        if self.taken < protocol.turns or len(self.timed) < protocol.process_blocks:
            return False
        own = [one.block_s for one in self.blocks() if not _kept_waiting(one, protocol)]
        undisturbed = len(own) >= protocol.process_blocks and sum(own) >= protocol.process_s
        return undisturbed or self.spent >= protocol.tries * protocol.process_s

    def take(self) -> None:
        """Time the blocks of one turn. Only the limit ends it early: a shorter one would be a worse half of a pair."""
        protocol, began, warm = self.protocol, self.spent, False
        blocks: list[Block] = []
        with self.neighbours.watched():
            while self.spent - began < protocol.turn_s:
                if self.spent >= protocol.process_limit_s and (self.timed or blocks):
                    break
                moved = self.mover.before_block(self.spent)
                if not moved and not warm:
                    self.lead_in()
                warm = True
                blocks.append(self.sampler.block(self.taken))
                self.spent += blocks[-1].block_s
        self.timed += self.sampler.on_device(blocks)
        self.taken += 1


def _few_blocks(sampler: _Sampler, protocol: Protocol) -> list[Block]:
    """Return the blocks of the kind that is not the headline: in one turn, for nothing is compared by them."""
    blocks: list[Block] = []
    neighbours = _Neighbours(sampler.guards.others)
    with neighbours.watched():
        while len(blocks) < protocol.other_blocks and sum(b.block_s for b in blocks) < protocol.process_limit_s:
            blocks.append(sampler.block(turn=0))
    return neighbours.blamed(sampler.on_device(blocks))


def _kept_waiting(block: Block, protocol: Protocol) -> bool:
    return block.waited_s is not None and block.waited_s > (1 - protocol.idle_share) * block.block_s
