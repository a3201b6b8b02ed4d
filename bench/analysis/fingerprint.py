"""Whether the times of two runs may be compared: what has to be the same, and what is only noted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..store.run import Run, machines_of

HOST = ("cpu", "cores", "processors", "gpus", "architecture", "governor")
"""What of a host must be the same for times to be compared."""


def fingerprint(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be the same in two runs for their times to be compared."""
    host = info.get("host", {})
    return {
        **{what: host.get(what) for what in HOST},
        "precision": info.get("precision"),
        "threads": info.get("threads"),
    }


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return how two runs differ, machine by machine: for what they are refused, and what is only noted.

    Another version of a framework is noted: to see what it changes is what many comparisons are made for.
    """
    old, new = machines_of(before), machines_of(after)
    both = [name for name in old if name in new]
    if not both:
        return [f"no machine is in both: {', '.join(old)} before, {', '.join(new)} after"], []

    def unequal(what: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> list[str]:
        named = len(old) > 1 or len(new) > 1
        found = {name: _unequal(what(old[name]), what(new[name])) for name in both}
        return [f"{name}: {said}" if named else said for name, all_said in found.items() for said in all_said]

    return unequal(fingerprint), unequal(_circumstances)


def _unequal(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    names = dict.fromkeys([*before, *after])
    return [
        f"{name}: {before.get(name)!r} before, {after.get(name)!r} after"
        for name in names
        if before.get(name) != after.get(name)
    ]


def namesakes(before: Run, after: Run) -> list[str]:
    """Name the operations that are the catalogue's in one run and somebody's own, of the same name, in the other."""
    # The file of one's own may have moved; a run from before this was written down is believed.
    old, new = (run.info.get("own_operations") for run in (before, after))
    if old is None or new is None:
        return []
    both = {*before.summary["operation"]} & {*after.summary["operation"]} & (old.keys() ^ new.keys())
    return [
        f"{name}: of {old.get(name, 'the catalogue')} before, of {new.get(name, 'the catalogue')} after"
        for name in sorted(both)
    ]


def _circumstances(info: Mapping[str, Any]) -> dict[str, Any]:
    host = info.get("host", {})
    protocol = info.get("protocol") or {}
    versions = {name: version for name, version in (info.get("versions") or {}).items() if name != "multigrad"}
    chosen = {what: protocol.get(what) for what in ("rounds", "turns", "turn_s", "process_s", "block_s")}
    return {**{what: host.get(what) for what in ("python", "system")}, **versions, **chosen}
