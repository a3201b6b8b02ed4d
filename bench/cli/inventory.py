"""``list`` and ``doctor``: what is here, what is missing, and what would spoil a measurement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import AsJson
from .output import print_json

if TYPE_CHECKING:
    import pandas as pd


def list_(as_json: AsJson = False) -> None:
    """Show operations and backends: what is here, what is missing and how to install it."""
    frames = {"operations": operations_frame(), "backends": backends_frame(), "studies": studies_frame()}
    if as_json:
        print_json(frames)
        return
    from .terminal import show_frame

    show_operations(frames["operations"])
    show_backends(frames["backends"])
    show_frame("Studies: multigrad bench --study NAME", frames["studies"])


def doctor(
    noise: Annotated[bool, typer.Option("--noise", help="Also measure the noise floor; takes 20 seconds.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what on this machine would spoil a measurement, and what to do about it."""
    from ..measurement.doctor import examine

    findings = examine(noise=noise)
    if as_json:
        print_json(findings)
    else:
        show_findings(findings)


def operations_frame() -> pd.DataFrame:
    """Return the catalogue: name, signature, gradients, sizes, title."""
    import pandas as pd

    from multigrad.ops.find import operations

    return pd.DataFrame(
        {
            "operation": op.name,
            "signature": op.signature.text,
            "gradients": " ".join(op.gradients),
            "sizes": " ".join(op.sizes),
            "title": op.title,
        }
        for op in operations().values()
    )


def backends_frame() -> pd.DataFrame:
    """Return backends × devices: version, and what is missing with the line that installs it."""
    import pandas as pd

    from multigrad.backend import backends

    return pd.DataFrame(
        {
            "backend": one.name,
            "device": device,
            "version": one.version() or "",
            "modes": " ".join(one.modes),
            "variants": " ".join(one.variants),
            "missing": one.missing(device) or "",
        }
        for one in backends().values()
        for device in one.devices
    )


def studies_frame() -> pd.DataFrame:
    """Return the studies with the question each one answers."""
    import pandas as pd

    from ..plan.study import studies

    return pd.DataFrame({"study": name, "question": one.question} for name, one in studies().items())


def show_operations(frame: pd.DataFrame) -> None:
    """Print the catalogue."""
    from rich.text import Text

    from .terminal import new_table, show

    table = new_table(["operation", "signature", "sizes", "what it is"])
    for row in frame.to_dict("records"):
        table.add_row(row["operation"], Text(row["signature"]), row["sizes"], Text(row["title"]))
    show(table, "Operations")


def show_backends(frame: pd.DataFrame) -> None:
    """Print the backends, and what is missing."""
    from rich.text import Text

    from .terminal import new_table, show

    table = new_table(["backend", "device", "version", "modes", "state"])
    for row in frame.to_dict("records"):
        state = Text(row["missing"], "yellow") if row["missing"] else Text("here", "green")
        table.add_row(row["backend"], row["device"], row["version"], row["modes"], state)
    show(table, "Backends")


def show_findings(findings: pd.DataFrame) -> None:
    """Print the doctor's findings with what to do."""
    from rich.text import Text

    from .terminal import new_table, show

    table = new_table(["", "what", "found", "what to do"])
    for row in findings.to_dict("records"):
        mark = Text("✓", "green") if row["good"] else Text("!", "bold yellow")
        table.add_row(mark, row["what"], Text(row["found"]), Text(row["advice"]))
    show(table, "What would spoil a measurement here")
