"""What the page of an operation shows of the results: the proof, the verdicts on numbers, the timings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from multigrad.ops.implementation import parts_of
from multigrad.ops.operation import Operation
from multigrad.ops.text import derivative_name, sizes_text
from multigrad.proof.certificate import Certified
from multigrad.verdict.words import (
    FAIL,
    FINDING,
    GAP,
    INCONCLUSIVE,
    NOTE,
    PORTABILITY,
    UNAVAILABLE,
)

from ..analysis.flags import barring
from ..analysis.intervals import geometric_mean
from .doubts import words
from .drawing import Figure, known_first
from .markup import code, grid, plain
from .names import numpy_first
from .quantities import figure, interval, size_of, times
from .results import Results
from .verdicts import SYMBOLS, worst, worst_sentence

if TYPE_CHECKING:
    import pandas as pd


def certificate(op: Operation, results: Results) -> str:
    """Return what was proven, and in how many digits."""
    certificates = [c for c in results.certified if c.reference == parts_of(op.reference)[0]]
    if not certificates:
        return "Not certified yet: run `multigrad check --certificate results/catalogue/certificates.json`."
    groups: dict[tuple[str, str], list[Certified]] = {}
    for one in certificates:
        groups.setdefault((sizes_text(one.size), one.regime), []).append(one)
    rows = [
        [
            code(sizes),
            " ".join(derivative_name(c.output) for c in group),
            f"{group[0].points} {plain(group[0].regime)}",
            _how(group),
            f"{sum(c.compared for c in group)}",
            _digits(group),
            _chance(group),
        ]
        for (sizes, regime), group in groups.items()
    ]
    columns = ["size", "certified", "points", "how", "enclosures compared", "digits", "chance of a wrong formula"]
    lost = [o for o in op.gradients if f"{o}_bar" not in {c.output for c in certificates}]
    return "\n\n".join(
        [
            "In ball arithmetic the pullback and the derivative of the forward part alone, which knows nothing of it, "
            "are certified enclosures; they overlap.",
            grid(columns, rows, right=range(4, len(columns))),
            *([f"Not certified: {', '.join(derivative_name(f'{o}_bar') for o in lost)}."] if lost else []),
            f"Source {code(certificates[0].source_sha256[:12])}; `multigrad verify` repeats the proof and says whether "
            "the source has changed since.",
        ]
    )


def _how(group: Sequence[Certified]) -> str:
    directions = [c.directions for c in group if c.directions is not None]
    return f"{max(directions)} random directions" if directions else "every entry"


def _digits(group: Sequence[Certified]) -> str:
    width = max(c.width for c in group)
    return "exact" if width <= 0 else str(math.floor(-math.log10(width)))


def _chance(group: Sequence[Certified]) -> str:
    if any(c.probability is None for c in group):
        return "not bounded"
    largest = max(c.probability or 0.0 for c in group)
    return "none" if largest <= 0 else f"< {figure(largest)}".replace("<", "&lt;")


def matrix(op: Operation, results: Results) -> str:
    """Return the verdicts on the numbers, and what is wrong, doubtful or missing."""
    frame = results.rows(results.matrix, op)
    if frame.empty:
        return f"Not checked yet: run `multigrad check {op.name}`."
    parts = []
    proofs = frame[frame["backend"] == "exact"]
    if len(proofs):
        parts.append("\n".join(_proof_lines(proofs)))
    numbers = frame[(frame["backend"] != "exact") & (frame["verdict"] != UNAVAILABLE)]
    if len(numbers):
        parts += [_verdicts(numbers), _LEGEND]
    parts += _worded(frame)
    return "\n\n".join(parts)


_LEGEND = (
    "The largest error divided by its bound, over all inputs tried: above 1 it is not rounding. In brackets the "
    "largest error on normally distributed inputs, in units in the last place (ulp). ✓ PASS, &#126; NOTE, "
    "? INCONCLUSIVE, ✗ FAIL, † FINDING, ‡ PORTABILITY, ○ GAP."
)


def _proof_lines(proofs: pd.DataFrame) -> Iterator[str]:
    # What holds everywhere comes before what was asked on a kink.
    ordered = proofs.sort_values("regime", key=lambda r: r == "kink", kind="stable")
    for (verdict, regime, reason), rows in ordered.groupby(["verdict", "regime", "reason"], sort=False):
        outputs = " ".join(derivative_name(o) for o in dict.fromkeys(rows["output"]) if o != "*")
        words = [plain(SYMBOLS[str(verdict)][0]), str(verdict), plain(outputs), f"({plain(str(regime))})"]
        yield f"- Formula {' '.join(filter(None, words))}{f': {plain(str(reason))}' if reason else ''}"


def _verdicts(frame: pd.DataFrame) -> str:
    dtypes = [d for d in ("float64", "float32", "bfloat16", "float16") if (frame["dtype"] == d).any()]
    rows = []
    for where in numpy_first(frame["where"]):
        for variant in known_first(frame["variant"]):
            here = frame[(frame["where"] == where) & frame["variant"].isin([variant, "*"])]
            if (here["variant"] == variant).any():
                cells = [_verdict(here[here["dtype"].isin([dtype, "*"])]) for dtype in dtypes]
                rows.append([plain(where), plain(variant), *cells])
    return grid(["where", "", *dtypes], rows)


def _verdict(rows: pd.DataFrame) -> str:
    if rows.empty:
        return ""
    ratio = float(rows["ratio"].max())
    ulp = float(rows[rows["regime"] == "gaussian"]["max_ulp"].max())
    figures = f" {figure(ratio)}" if not math.isnan(ratio) else ""
    return (
        f"{plain(SYMBOLS[worst(rows['verdict'])][0])}{figures}{f' ({figure(ulp)} ulp)' if not math.isnan(ulp) else ''}"
    )


def _worded(frame: pd.DataFrame) -> list[str]:
    """Return what is wrong, doubtful or missing, each once."""
    lines = []
    for verdict in (FAIL, INCONCLUSIVE, FINDING, PORTABILITY, NOTE):
        rows = frame[(frame["verdict"] == verdict) & (frame["backend"] != "exact")]
        for _, alike in rows.groupby(["where", "variant", "dtype"], sort=False):
            lines.append(f"- {plain(worst_sentence(alike))}")
    for (where, reason), rows in frame[frame["verdict"] == GAP].groupby(["where", "reason"], sort=False):
        dtypes = ", ".join(d for d in dict.fromkeys(rows["dtype"]) if d != "*")
        where = str(where).removesuffix(" *")
        lines.append(f"- GAP {plain(f'{where} {dtypes}'.strip())}: {plain(str(reason))}")
    return ["\n".join(dict.fromkeys(lines))] * bool(lines) + _not_here(frame[frame["verdict"] == UNAVAILABLE])


def _not_here(rows: pd.DataFrame) -> list[str]:
    """Return one line for all places that were not there, each with its reason."""
    keys = zip(rows["backend"], rows["device"], rows["reason"], strict=True)
    # What a framework has not by its nature is no news.
    reasons = dict.fromkeys(f"{b}/{d}: {r}" for b, d, r in keys if not r.startswith(f"{b} has no"))
    return [f"Not here: {plain('; '.join(reasons))}."] if reasons else []


def timings(op: Operation, results: Results, drawn: bool) -> str:
    """Return the times of each size; ``drawn`` says whether there is a picture of them."""
    frame = results.rows(results.summary, op)
    timed = frame[frame["median_s"].notna()]
    if timed.empty:
        untimed = "\n\n".join(_untimed(frame))
        return f"Not measured yet: run `multigrad bench {op.name}`." + (f"\n\n{untimed}" if untimed else "")
    parts = [f"Measured on {plain(setting)}." for setting in results.settings]
    if drawn:
        parts.append(f"![Times of {op.name} for each backend, analytic beside autodiff and native]({op.name}.svg)")
    keys = ["dtype", "sizes", "threads", "precision"]
    for (dtype, sizes, threads, precision), rows in _by_size(op, timed).groupby(keys, sort=False):
        name = rows["size"].iloc[0]
        title = f"{name}: {sizes}" if name else str(sizes)
        how = f"{threads} thread{'' if threads == 1 else 's'}" + ("" if precision == "strict" else f", {precision}")
        parts += [f"### {plain(title)}, {plain(str(dtype))}, {plain(how)}", _times(rows)]
    parts.append(
        "Median time of a call with its 95 % interval. Over autodiff and over native: how many times as long those "
        "take; in brackets where a time cannot be trusted (marked !). Memory: the peak beyond the arguments, analytic "
        "and autodiff."
    )
    return "\n\n".join(parts + _untimed(frame))


def _by_size(op: Operation, timed: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in the order of the operation's sizes, float64 first."""
    names = list(op.sizes)
    rank = [(names.index(s) if s in names else len(names)) for s in timed["size"]]
    dtype = [("float64", "float32", "bfloat16", "float16").index(d) for d in timed["dtype"]]
    order = [numpy_first(timed["where"]).index(w) for w in timed["where"]]
    ranked = timed.assign(_size=rank, _dtype=dtype, _place=order)
    return ranked.sort_values(["_dtype", "_size", "sizes", "_place", "variant"], kind="stable")


def _times(rows: pd.DataFrame) -> str:
    variants = sorted(known_first(rows["variant"]), key=lambda v: v == "forward")
    ratios = [v for v in variants if v not in ("analytic", "forward") and "analytic" in variants]
    has_memory = bool(rows["peak_bytes"].notna().any())
    body = []
    for where in dict.fromkeys(rows["where"]):
        here = {row["variant"]: row for row in rows[rows["where"] == where].to_dict("records")}
        cells = [plain(str(where)), *(_time(here.get(v)) for v in variants)]
        cells += [_ratio(here.get("analytic"), here.get(v)) for v in ratios]
        if has_memory:
            peaks = (here[v]["peak_bytes"] if v in here else None for v in ("analytic", "autodiff"))
            cells.append(" / ".join(map(size_of, peaks)))
        body.append(cells)
    columns = ["where", *("value alone" if v == "forward" else v for v in variants), *(f"over {v}" for v in ratios)]
    columns += ["memory"] if has_memory else []
    return grid(columns, body, right=range(1, len(columns)))


def _time(row: Mapping[Any, Any] | None) -> str:
    if row is None:
        return ""
    time = plain(interval(row["median_s"], row["ci_low_s"], row["ci_high_s"]))
    why = ", ".join(words(barring(row["flags"])))
    return f"! {time} ({why})" if why else time


def _ratio(ours: Mapping[Any, Any] | None, theirs: Mapping[Any, Any] | None) -> str:
    if ours is None or theirs is None:
        return ""
    quotient = times(theirs["median_s"] / ours["median_s"])
    return f"({quotient})" if barring(ours["flags"], theirs["flags"]) else quotient


def _untimed(frame: pd.DataFrame) -> list[str]:
    rows = frame[frame["median_s"].isna()]
    lines = [
        f"- {verdict} {plain(f'{where} {variant}')}: {plain(str(reason))}"
        for where, variant, verdict, reason in zip(
            rows["where"], rows["variant"], rows["verdict"], rows["reason"], strict=True
        )
        if verdict != UNAVAILABLE
    ]
    return ["\n".join(dict.fromkeys(lines))] * bool(lines) + _not_here(rows[rows["verdict"] == UNAVAILABLE])


def drawn_times(op: Operation, results: Results) -> tuple[Figure, ...]:
    """Return what the picture shows: one number of threads and one precision, those of most cells."""
    frame = results.rows(results.summary, op)
    timed = frame[frame["median_s"].notna() & (frame["variant"] != "forward")]
    if timed.empty:
        return ()
    counts = timed.groupby(["threads", "precision"]).size()
    threads, precision = min(counts.index, key=lambda key: (-counts[key], key))
    chosen = _by_size(op, timed[(timed["threads"] == threads) & (timed["precision"] == precision)])
    return tuple(
        {
            "where": row["where"],
            "dtype": row["dtype"],
            "size": row["size"] or row["sizes"],
            "variant": row["variant"],
            "median_s": float(row["median_s"]),
            "low_s": float(row["ci_low_s"]),
            "high_s": float(row["ci_high_s"]),
            "barred": bool(barring(row["flags"])),
        }
        for row in chosen.to_dict("records")
    )


def certified(op: Operation, results: Results) -> str:
    """Return how many gradients are certified, for the index."""
    certificates = [c for c in results.certified if c.reference == parts_of(op.reference)[0]]
    if not certificates:
        return "not yet"
    outputs = {c.output for c in certificates}
    digits = _digits(certificates)
    return f"{len(outputs)} of {len(op.gradients)}, {digits}{'' if digits == 'exact' else ' digits'}"


def worst_verdict(op: Operation, results: Results) -> str:
    """Return the worst verdict with the largest error over its bound, for the index."""
    frame = results.rows(results.matrix, op)
    frame = frame[frame["backend"] != "exact"]
    here = frame[frame["verdict"] != UNAVAILABLE]
    if here.empty:
        return "not checked yet"
    judged = here[here["verdict"] != GAP]
    ratio = float(judged["ratio"].max())
    figures = "" if math.isnan(ratio) else f" {figure(ratio)}"
    return f"{plain(SYMBOLS[worst(judged['verdict'] if len(judged) else here['verdict'])][0])}{figures}"


def gain(op: Operation, results: Results) -> str:
    """Return the geometric mean of autodiff's time over ours, for the index."""
    frame = results.rows(results.summary, op)
    frame = frame[frame["median_s"].notna()]
    sound = frame.loc[[not barring(flags) for flags in frame["flags"]]]
    keys = ["where", "dtype", "sizes", "threads", "precision"]
    ours = sound[sound["variant"] == "analytic"].set_index(keys)["median_s"]
    theirs = sound[sound["variant"] == "autodiff"].set_index(keys)["median_s"]
    both = (theirs / ours).dropna()
    if both.empty:
        return "not measured yet" if frame.empty else ""
    return f"{times(geometric_mean(both))} ({len(both)} cells)"
