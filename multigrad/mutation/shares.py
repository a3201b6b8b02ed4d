"""How many mutants each check killed, and which survive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .checks import CORRECT, OURS

if TYPE_CHECKING:
    import pandas as pd


def kill_shares(frame: pd.DataFrame) -> pd.DataFrame:
    """Return for every check how many of the mutants that are not equivalent it killed, and its false alarms.

    Returns:
        One row per check, the first being all of ours together: ``check``, ``killed``, ``mutants``, ``share``; the same
        three of those mutants whose formula is wrong at a size that every tool was given, which is what all of them are
        made to notice, as ``wrong_formula_killed`` …; ``false_alarms`` (correct operations that it rejects); and
        ``seconds`` in all.
    """
    import pandas as pd

    wrong = frame[~frame["equivalent"]]
    formula = wrong[wrong["killed"] & (wrong["check"] == "formula")]
    checks = list(dict.fromkeys(frame["check"]))
    groups = {"multigrad": list(OURS)} | {c: [c] for c in OURS if c in checks}
    groups |= {c: [c] for c in checks if c not in OURS}
    rows = []
    for name, members in groups.items():
        of_check = frame[frame["check"].isin(members)]
        row: dict[str, Any] = {"check": name}
        for prefix, among in (("", _identities(wrong)), ("wrong_formula_", _identities(formula))):
            killed = len(_identities(of_check[of_check["killed"]]) & among)
            share = killed / len(among) if among else float("nan")
            row |= {f"{prefix}killed": killed, f"{prefix}mutants": len(among), f"{prefix}share": share}
        alarms = of_check[(of_check["mutant"] == CORRECT) & of_check["killed"]]
        rows.append(
            {**row, "false_alarms": int(alarms["operation"].nunique()), "seconds": float(of_check["seconds"].sum())}
        )
    return pd.DataFrame(rows)


def _identities(frame: pd.DataFrame) -> set[tuple[Any, ...]]:
    return set(zip(frame["operation"], frame["mutant"], strict=True))


def survivors(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each mutant that is neither killed by a check of ours nor shown equivalent."""
    ours = frame[frame["check"].isin(OURS) & (frame["mutant"] != CORRECT)]
    killed = ours.groupby(["operation", "mutant"])["killed"].transform("any")
    return ours[~killed & ~ours["equivalent"]].drop_duplicates(["operation", "mutant"])
