"""What a command writes for a program: JSON on standard output, CSV into a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def print_json(value: Any) -> None:
    """Print a table, or a dict of tables and texts, as JSON."""
    print(json.dumps(_plain(value), indent=1, ensure_ascii=False))  # noqa: T201 - this is the command's output


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    if isinstance(value, str):
        return value
    from ..store.frames import frame_json

    return json.loads(frame_json(value, "records"))


def write_csv(frame: pd.DataFrame, path: Path | None) -> None:
    """Write a table to the file of ``--csv``, if one is given."""
    from ..store.frames import write_frame

    if path is not None:
        write_frame(frame, path)
