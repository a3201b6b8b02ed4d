"""What ``run.json`` says of a run as it begins, and the folder of a run."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from multigrad.backend import backend, device_kind
from multigrad.data.errors import BadInput
from multigrad.ops.implementation import parts_of

from ..plan.cells import Plan
from ..store import machine
from ..store.folder import check_writable, new_run
from ..store.schema import SCHEMA


def run_info(plan: Plan) -> dict[str, Any]:
    """Return what is known of a run before it begins."""
    distributions = {d for c in plan.cells for d in backend(c.source).distributions}
    return {
        "schema": SCHEMA,
        "command": machine.command(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seed": plan.seed,
        "precision": " ".join(sorted({c.precision for c in plan.cells})),
        "threads": sorted({c.threads for c in plan.cells}),
        "git": machine.git_state(),
        "host": machine.describe(),
        "versions": machine.versions(distributions),
        # Their files, for another run may have the catalogue's of the same name.
        "own_operations": {
            c.operation: Path(base.partition("::")[0]).name
            for c in plan.cells
            if (base := parts_of(c.reference)[0]) != c.operation
        },
        "environment": machine.environment_that_matters(os.environ),
    }


@contextlib.contextmanager
def folder_of(
    plan: Plan, host: dict[str, Any], out: Path | None, folder: Path | None, name: str | None
) -> Iterator[Path]:
    """Give the folder of a run: its own, or a new one in ``out``, or one that goes with the measurement.

    Args:
        plan: the cells.
        host: this machine, as :func:`multigrad.bench.store.machine.describe` has it.
        out: folder that holds ``<machine>/<run>/``.
        folder: the run's own folder.
        name: of this machine in the results; None makes one from its GPU or processor.
    """
    if folder is not None:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"cannot make {folder}: {error.strerror}; choose another folder with --out") from error
        check_writable(Path(folder))
        yield Path(folder)
    elif out is not None:
        measured = {device_kind(c.device) for i, c in enumerate(plan.cells) if i not in plan.refused}
        yield new_run(Path(out), machine.slug(name or machine.machine_name(host, "cuda" in measured)))
    else:
        with tempfile.TemporaryDirectory(prefix="multigrad-") as scratch:
            yield Path(scratch)
