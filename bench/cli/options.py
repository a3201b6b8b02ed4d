"""The options that several commands share, and what the text of an option means."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from multigrad.data.errors import BadInput

Ops = Annotated[
    list[str] | None,
    typer.Argument(metavar="[OP|FILE]…", help="Catalogue names, files (my_gradient.py) or file::name. None: all."),
]
Backends = Annotated[
    list[str] | None,
    typer.Option("--backend", "-b", help="A backend, such as torch; may be repeated or separated by commas."),
]
Devices = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        help="cpu, cuda or another one of `multigrad list`, or a mesh: cpu:8, cuda:2, cpu:4x2. "
        "Default: every one a backend knows, of mps and xpu those that are here.",
    ),
]
DeviceCount = Annotated[
    int | None,
    typer.Option("--devices", help="Split arrays among so many devices of each kind. 8 makes cpu into cpu:8."),
]
Mesh = Annotated[
    str | None, typer.Option("--mesh", help="The same for a mesh of two axes. 4x2 makes cpu into cpu:4x2.")
]
Dtypes = Annotated[
    list[str] | None, typer.Option("--dtype", "-d", help="float64, float32, bfloat16 or float16; repeatable.")
]
Modes = Annotated[list[str] | None, typer.Option("--mode", help="eager or compiled. Default: both.")]
Variants = Annotated[
    list[str] | None,
    typer.Option("--variant", help="forward, analytic, autodiff, native or an implementation. Default: all."),
]
Implementations = Annotated[
    list[str] | None,
    typer.Option("--implementation", help="Another way to compute the operation, torch=kernels.py::fused; repeatable."),
]
Sizes = Annotated[list[str] | None, typer.Option("--size", help="A named size, as in `multigrad list`, or largest.")]
Seed = Annotated[int, typer.Option(help="Seed of everything that is drawn.")]
PrecisionName = Annotated[str, typer.Option("--precision", help="strict, or tf32 for float32 products.")]
Threads = Annotated[int | None, typer.Option("--threads", "-t", help="Threads of each worker. Default: all cores.")]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", help="Run Dask on the scheduler at this address, tcp://host:port.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a row, instead of a table.")]
AsCsv = Annotated[Path | None, typer.Option("--csv", help="Also write every row to this file, as CSV.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder that holds <machine>/<run>/.")]
Machine = Annotated[str | None, typer.Option("--machine", help="Name of this machine in the results.")]
FailOn = Annotated[
    str | None, typer.Option("--fail-on", help="Words that make the exit code 2, such as slower,missing; or none.")
]


def split(values: list[str] | None) -> list[str] | None:
    """Return the names of an option that may be repeated or separated by commas."""
    return [part for value in values for part in value.split(",") if part] if values else None


def selectors(
    *,
    device: list[str] | None,
    devices: int | None,
    mesh: str | None,
    precision: str,
    implementation: list[str] | None = None,
    **given: Any,
) -> dict[str, Any]:
    """Return the selectors of a command's options, each as :class:`multigrad.ops.selection.Selectors` has it.

    Raises:
        BadInput: the number of devices is given twice, or no precision has that name.
    """
    named = {name: split(value) if isinstance(value, list) else value for name, value in given.items()}
    if implementation:
        named["implementation"] = implementation
    return {**named, "device": _meshes(device, devices, mesh), "precision": _precision(precision)}


def _meshes(device: list[str] | None, count: int | None, mesh: str | None) -> list[str] | None:
    """Return the devices, each as the mesh that is asked for."""
    if count is None and mesh is None:
        return split(device)
    if count is not None and mesh is not None:
        raise BadInput(f"--devices {count} and --mesh {mesh} both say how many devices there are; wanted one of them")
    kinds = split(device) or ["cpu"]
    option = f"--mesh {mesh}" if count is None else f"--devices {count}"
    if meshes := [name for name in kinds if ":" in name]:
        raise BadInput(f"--device {meshes[0]} and {option} both say how many devices there are; wanted one of them")
    return kinds if count == 1 else [f"{kind}:{mesh if count is None else count}" for kind in kinds]


def _precision(name: str) -> str:
    if name not in ("strict", "tf32"):
        raise BadInput(f"no precision named {name!r}; there are strict, tf32")
    return name


def use_scheduler(address: str | None, backends: list[str] | None) -> None:
    """Run Dask on the scheduler of ``--scheduler``, if one is given."""
    if address is not None:
        from multigrad.backend import scheduler

        scheduler.use_scheduler(address, split(backends))


def regression_words(text: str | None) -> tuple[str, ...]:
    """Return the words of ``--fail-on`` that make a comparison exit with 2."""
    from ..analysis.compare import REGRESSIONS, parse_words

    return parse_words(text) if text else REGRESSIONS
