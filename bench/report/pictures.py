"""The charts of a report as SVG and PNG files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multigrad.data.errors import BadInput

from ..store.folder import write_text
from ..store.machine import slug
from .charts import charts
from .drawing import FONT, FONTS
from .figures import Figures, Row
from .plots import ROWS


@dataclass(frozen=True)
class Picture:
    """A chart with its data, for a file."""

    name: str
    """Of the file, without what it ends in."""
    specification: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """A hash of data and specification, by which a file is told fresh without being drawn again."""
        return hashlib.sha256(json.dumps(self.specification, sort_keys=True).encode()).hexdigest()

    def svg(self) -> str:
        """Return it as SVG, readable on a light and on a dark page; the first line has the digest."""
        return f"<!-- multigrad report: {self.digest} -->\n{_drawn(self.specification)}\n"

    def png(self) -> bytes:
        """Return it as PNG, on white, at twice the size."""
        import vl_convert

        drawn: bytes = vl_convert.svg_to_png(_drawn({**self.specification, "background": "white"}), scale=2)
        return drawn


def _drawn(specification: Mapping[str, Any]) -> str:
    """Return an SVG whose letters have fonts to fall back to; without, a PNG would have none of them."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(dict(specification))
    return drawn.replace(f'font-family="{FONT}"', f'font-family="{FONTS}"')


def pictures(figures: Figures, wanted: Collection[str] = ()) -> Iterator[Picture]:
    """Yield every chart that a run has, or those of the wanted names; what shows a value at a time, once for each.

    Raises:
        BadInput: no chart has such a name, or Altair or vl-convert is not installed.
    """
    names: dict[str, int] = {}
    by_name = {slug(chart.name): chart for chart in charts(figures)}
    for name in wanted:
        if name not in by_name:
            raise BadInput(f"no chart named {name!r}; there are {', '.join(by_name)}")
    for chart in [by_name[name] for name in wanted] or by_name.values():
        groups: dict[tuple[str, ...], list[Row]] = {}
        for row in chart.rows:
            groups.setdefault(tuple(str(row[name]) for name in chart.chosen_by), []).append(row)
        for chosen, rows in groups.items():
            # A value that is the only one needs no place in a name.
            distinct = [v for i, v in enumerate(chosen) if len({key[i] for key in groups}) > 1]
            name = "-".join(slug(part) for part in (chart.name, *distinct))
            names[name] = names.get(name, 0) + 1
            specification = chart.specification(rows)
            datasets = {**specification.get("datasets", {}), ROWS: rows}
            # Names that differ only in what no file name has are numbered.
            yield Picture(f"{name}-{names[name]}" if names[name] > 1 else name, {**specification, "datasets": datasets})


def write_pictures(figures: Figures, folder: Path, suffix: str, wanted: Collection[str] = ()) -> list[Path]:
    """Write every chart of a run, or those wanted, into a folder, as ``svg`` or ``png``, and return the files.

    Raises:
        BadInput: the folder cannot be written, or Altair or vl-convert is not installed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot make {folder}: {error.strerror}; choose another folder") from error
    written = []
    for picture in pictures(figures, wanted):
        path = folder / f"{picture.name}.{suffix}"
        if suffix == "svg":
            write_text(path, picture.svg())
        else:
            path.write_bytes(picture.png())
        written.append(path)
    return written
