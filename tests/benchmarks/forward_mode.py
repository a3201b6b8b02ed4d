"""Forward mode before every check: mutants of pushforwards, right ones, foreign rules of forward mode and of vmap.

`python -m tests.benchmarks.forward_mode [--part NAME]… [--out FILE.md]` does one part after the other and writes what
it counted; the other parts of a file that is there stay.

- ``dual``: the pushforward of every operation of the catalogue, hand-derived or transposed, against ``dual``;
- ``mutants``: every mutant of the hand-derived ones;
- ``alarms``: the right ones, in every regime, on NumPy, torch and JAX;
- ``foreign``: ten wrong rules of forward mode, five of vmap, and right ones of both;
- ``handed``: forward mode of what `to_torch` and `to_jax` hand over, against NumPy;
- ``mapped``: both modes of it, mapped over a batch.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from multigrad import check, operations
from multigrad.backend import backend
from multigrad.mutation.kill import kill_matrix
from multigrad.namespaces import dual, exact
from multigrad.ops.operation import Operation
from multigrad.ops.pushforward import SUFFIX, pushed_forward
from multigrad.process.child import Death, run
from multigrad.verdict.words import FAIL, PASS
from tests.backends import forward_functions as functions

TANGENT = "value_dot"
VMAP = "relation: vmap is the loop over the batch"
FRAMEWORKS = ("torch", "jax")
NEAR = 1e-10
"""Apart by less, relative to the largest entry, two evaluations in float64 are the same."""


def by_hand() -> list[str]:
    """Return the names of the operations with a hand-derived pushforward."""
    return [name for name, op in operations().items() if op.pushed is not None]


def tangents(op: Operation) -> Iterator[tuple[Any, Any]]:
    """Yield each entry of Jẋ by ``dual`` and by the pushforward in ``exact``, for integer tangents."""
    size = next(iter(op.sizes.values()))
    _, parameters = op.split(size)
    inputs = op.make_inputs(size, 0)
    rng = np.random.default_rng(0)
    moved = [rng.integers(-9, 9, a.shape) if d else None for a, d in zip(inputs, op.differentiable, strict=True)]

    def true(*arrays: Any) -> tuple[Any, ...]:
        directions = [None if m is None else exact.lift(m[None]) for m in moved]
        return tuple(t[0] for t in dual.directional_derivatives(op.forward(dual, parameters), arrays, directions)[1])

    def ours(*arrays: Any) -> tuple[Any, ...]:
        return pushed_forward(op, exact, arrays, [exact.lift(m) for m in moved if m is not None], parameters)

    for a, b in zip(*(exact.evaluate(f, *inputs).outputs for f in (true, ours)), strict=True):
        yield from zip(exact.lift(a).elements.flat, exact.lift(b).elements.flat, strict=True)


def against_dual() -> str:
    """Hold the pushforward of every operation of the catalogue against ``dual``."""
    agreed, entries, left = {True: 0, False: 0}, 0, []
    for name, op in operations().items():
        pairs = list(tangents(op))
        entries += len(pairs)
        if pairs and all(a.overlaps(b) for a, b in pairs):
            agreed[op.pushed is not None] += 1
        else:
            left.append(name)
    return (
        f"{agreed[True]} hand-derived pushforwards and {agreed[False]} by the transpose of the pullback, of "
        f"{len(operations())} operations, agree with `dual` in balls ({entries} entries). Others: {_listed(left)}."
    )


def mutants() -> str:
    """Put the mutants of the hand-derived pushforwards to our checks."""
    frame = kill_matrix([name + SUFFIX for name in by_hand()], backends=["numpy"], rivals=False)
    made = frame[frame["mutant"] >= 0].groupby(["operation", "mutant", "kind"])
    told = made.agg({"killed": "any", "equivalent": "any"}).reset_index()
    alarms = int(frame[frame["mutant"] < 0]["killed"].sum())
    survivors = told[~told["killed"] & ~told["equivalent"]]
    lines = [
        f"{len(told)} mutants: {int(told['killed'].sum())} killed, {int((told['equivalent'] & ~told['killed']).sum())} "
        f"shown equivalent, {len(survivors)} survive; {alarms} alarms on the operations themselves.",
        "",
        "| pushforward | mutants | killed | equivalent |",
        "|---|---:|---:|---:|",
    ]
    for name, rows in told.groupby("operation"):
        equivalent = int((rows["equivalent"] & ~rows["killed"]).sum())
        lines.append(f"| {name} | {len(rows)} | {int(rows['killed'].sum())} | {equivalent} |")
    kinds = told[told["killed"]]["kind"].nunique()
    lines += ["", f"Of {told['kind'].nunique()} kinds of mistakes, {kinds} have a mutant that is killed."]
    return "\n".join(lines)


def alarms() -> str:
    """Judge the right pushforwards in every regime."""
    frame = check(
        by_hand(),
        derivative="forward",
        regime="all",
        size="tiny",
        mode="eager",
        device="cpu",
        dtype=["float64", "float32"],
        backend=["numpy", *FRAMEWORKS],
    )
    judged = frame[frame["ratio"].notna()]
    counts = ", ".join(f"{n} {verdict}" for verdict, n in frame["verdict"].value_counts().items())
    failed = frame[frame["verdict"] == FAIL]
    wrong = [f"{r['operation']} {r['variant']} on {r['backend']}: {r['reason']}" for r in failed.to_dict("records")]
    return (
        f"{len(by_hand())} right pushforwards in {frame['regime'].nunique()} regimes and relations: {len(judged)} "
        f"outputs compared, {counts}. Alarms: {len(failed)}{'. ' * bool(wrong)}{'; '.join(wrong)}."
    )


def foreign() -> str:
    """Judge wrong rules of forward mode and of vmap, and right ones."""
    one = {"dtype": "float64", "mode": "eager", "device": "cpu", "backend": list(FRAMEWORKS)}
    forward = check(
        functions.__file__,
        derivative="forward",
        regime="gaussian",
        variant=[*functions.WRONG_JVP, *(name for name in functions.RIGHT if "vmap" not in name)],
        **one,
    )
    mapped = check(
        f"{functions.__file__}::scaled_tanh",
        derivative="reverse",
        regime="relations",
        variant=[*functions.WRONG_VMAP, *(name for name in functions.RIGHT if "vmap" in name), "jax_right"],
        **one,
    )
    tables = (
        (forward[(forward["output"] == TANGENT) & (forward["backend"] != "exact")], functions.WRONG_JVP),
        (mapped[mapped["regime"] == VMAP], functions.WRONG_VMAP),
    )
    lines = []
    for (rows, wrong), what in zip(tables, ("rules of forward mode", "rules of vmap"), strict=True):
        bad, good = rows[rows["variant"].isin(wrong)], rows[~rows["variant"].isin(wrong)]
        refuted = int((bad["verdict"] == FAIL).sum())
        passed = int((good["verdict"] == PASS).sum())
        lines += [
            f"{refuted} of {len(wrong)} wrong {what} are refuted; {passed} of {len(good)} right ones pass.",
            "",
            "| implementation | what is wrong | what the check says |",
            "|---|---|---|",
            *(
                f"| {r['variant']} | {wrong[r['variant']]} | {r['reason'].partition(';')[0]} |"
                for r in bad.to_dict("records")
            ),
            "",
        ]
    return "\n".join(lines).rstrip()


def _worked(what: str, name: str, names: Sequence[str]) -> list[dict[str, Any]]:
    environment = backend(name).environment("cpu", 1, "strict")
    given = {"backend": name, "operations": list(names)}
    rows = list(run(f"tests.backends.forward_work:{what}", given, environment=environment, timeout_s=600))
    return [r for r in rows if not isinstance(r, Death)]


def handed() -> str:
    """Hold forward mode of what is handed over against the pushforward in NumPy."""
    lines = []
    for name in FRAMEWORKS:
        rows = _worked("handed_over", name, list(operations()))
        far = [r["operation"] for r in rows if not r["apart"] <= NEAR]
        most = max(r["apart"] for r in rows)
        lines.append(
            f"{name}: forward mode of {len(rows) - len(far)} of {len(operations())} operations gives what the "
            f"pushforward gives in NumPy (at most {most:.1g} of the largest entry apart); others: {_listed(far)}."
        )
    return "\n".join(lines)


def mapped() -> str:
    """Map both modes of what is handed over over a batch."""
    lines = []
    for name in FRAMEWORKS:
        rows = _worked("mapped", name, by_hand())
        same = [r for r in rows if r["apart"] is not None and r["apart"] <= NEAR]
        far = [r["operation"] for r in rows if r["apart"] is not None and not r["apart"] <= NEAR]
        lines.append(
            f"{name}: vmap of the gradient and of the pushforward is the loop for {len(same)} of {len(by_hand())} "
            f"operations with a hand-derived pushforward; another result: {_listed(far)}."
        )
        lines += [f"- {r['operation']}: {r['raised'][:160]}" for r in rows if r["raised"]]
    return "\n".join(lines)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "dual": ("Pushforwards against `dual`", against_dual),
    "mutants": ("Mutants", mutants),
    "alarms": ("Right ones", alarms),
    "foreign": ("Foreign rules", foreign),
    "handed": ("Handed over", handed),
    "mapped": ("Mapped over a batch", mapped),
}


def main() -> None:
    """Do the parts and write what they counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", action="append", choices=[*PARTS])
    parser.add_argument("--out", type=Path, default=Path("results/forward_mode.md"))
    arguments = parser.parse_args()
    text = arguments.out.read_text(encoding="utf-8") if arguments.out.exists() else ""
    found = dict(re.findall(r"^## (.*?)\n\n(.*?)\n*(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))
    for part in arguments.part or PARTS:
        title, count = PARTS[part]
        found[title] = count()
        sections = [f"## {title}\n\n{found[title]}" for title, _ in PARTS.values() if title in found]
        lines = ["# Forward mode and batches", "Written by `python -m tests.benchmarks.forward_mode`.", *sections]
        arguments.out.write_text("\n\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
