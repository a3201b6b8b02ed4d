"""One baton for many: who is least far goes on, and among equals whoever has waited longest.

On a machine that others slow down in phases of seconds, two processes are comparable only where they were timed within
the same second. So the workers of a round live at the same time, only one of them runs, and the baton goes round.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

Place = tuple[int, ...]
"""How far somebody is: the lesser goes on first."""


def in_turns(members: Sequence[Generator[Place]], *, together: int = 1) -> None:
    """Advance generators to their ends, one step at a time: always the one that is least far.

    A generator runs while it holds the baton, and gives it away by yielding how far it is. Nobody passes a place that
    another has yet to reach, so all that share a place go round in turns there. One that ends is out of the game; one
    that raises ends it, and all are closed.

    Args:
        members: each yields how far it is; never less than before.
        together: how many may take their first step, which has no place yet, at the same time.
    """
    arrivals = itertools.count()
    try:
        # The threads stay to the end: a worker dies with the thread that began it.
        with ThreadPoolExecutor(together) as threads:
            first = (threads.map if together > 1 else map)(lambda member: next(member, None), members)
            waiting = [
                (place, next(arrivals), member)
                for place, member in zip(first, members, strict=True)
                if place is not None
            ]
            heapq.heapify(waiting)
            while waiting:
                *_, member = heapq.heappop(waiting)
                place = next(member, None)
                if place is not None:
                    heapq.heappush(waiting, (place, next(arrivals), member))
    finally:
        for member in members:
            member.close()
