"""One baton for many: who is least far goes on, and among equals whoever has waited longest.

On a machine that others slow down in phases of seconds, two processes are comparable only where they were timed within
the same second. So the workers of a round live at the same time, only one of them runs, and the baton goes round.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

Place = tuple[int, ...]
"""How far somebody is: the lesser goes on first."""


START: Place = ()
"""Where all are before their first step."""


def in_turns(
    members: Sequence[Generator[Place]], *, lanes: int = 1, side_by_side: Callable[[Place], bool] = lambda place: False
) -> None:
    """Advance generators to their ends, one step at a time: always the one that is least far.

    A generator runs while it holds the baton, and gives it away by yielding how far it is. Nobody passes a place that
    another has yet to reach, so all that share a place go round in turns there. One that ends is out of the game; one
    that raises ends it, and all are closed.

    Args:
        members: each yields how far it is; never less than before.
        lanes: how many may go on at the same time where that is allowed.
        side_by_side: tells of a place, which may be :data:`START`, whether those who are there may do so.
    """
    arrivals = itertools.count()
    waiting = [(START, next(arrivals), member) for member in members]
    try:
        # The threads stay to the end: a worker dies with the thread that began it.
        with ThreadPoolExecutor(lanes) as threads:
            while waiting:
                place, _, member = heapq.heappop(waiting)
                chosen = [member]
                while side_by_side(place) and waiting and waiting[0][0] == place:
                    chosen.append(heapq.heappop(waiting)[2])
                reached = threads.map(_next, chosen) if len(chosen) > 1 else map(_next, chosen)
                for member, new_place in zip(chosen, reached, strict=True):
                    if new_place is not None:
                        heapq.heappush(waiting, (new_place, next(arrivals), member))
    finally:
        for member in members:
            member.close()


def _next(member: Generator[Place]) -> Place | None:
    return next(member, None)
