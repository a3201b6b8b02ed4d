"""Which operations PyTorch's DTensor takes unchanged: two processes over gloo, inputs split by the rule of the meshes.

    python tests/benchmarks/dtensor.py [--operation gmm] [--explicit]

Value and gradients of every operation at its smallest size in float64, beside those of plain tensors. With `--explicit`
no tensor that an operation makes (an identity, a range) counts as whole in both processes, which is DTensor's default.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROCESSES, PORT = 2, 29533
ERROR = 1e-10


def largest_error(op: Any, xp: Any, mesh: Any) -> float:
    """Largest difference from plain tensors, over the largest result."""
    import torch
    from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

    from multigrad.backend.placement import rounded, split_axes
    from multigrad.truth.inputs import dtype_arrays

    size = rounded(op, op.size(next(iter(op.sizes))), [(PROCESSES,)])
    arrays = dtype_arrays(op, size, 0, "gaussian", "float64")
    plain = [torch.tensor(a) for a in arrays]
    axes = split_axes(op, [a.shape for a in arrays])
    split = [
        distribute_tensor(t.clone(), mesh, [Replicate() if axis is None else Shard(axis)])
        for t, axis in zip(plain, axes, strict=True)
    ]
    function = op.analytic(xp, op.split(size)[1])
    with torch.no_grad():
        wanted = function(*plain)
        found = [a.full_tensor() if isinstance(a, DTensor) else a for a in function(*split)]
    apart = max(float((a - b).abs().max()) for a, b in zip(found, wanted, strict=True))
    return apart / max(float(a.abs().max()) for a in wanted)


def work(rank: int, names: list[str] | None, explicit: bool) -> None:
    """Do what both processes do."""
    sys.path.insert(0, str(ROOT))
    warnings.simplefilter("ignore")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(PORT))
    import torch
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.experimental import implicit_replication

    from multigrad import operations
    from multigrad.backend import backend

    xp = backend("torch").open("cpu", threads=1).xp
    distributed.init_process_group("gloo", rank=rank, world_size=PROCESSES)
    mesh = init_device_mesh("cpu", (PROCESSES,))
    right, said = 0, []
    for name, op in operations().items():
        if names and name not in names:
            continue
        try:
            with contextlib.nullcontext() if explicit else implicit_replication():
                error = largest_error(op, xp, mesh)
            right += error < ERROR
            said += [] if error < ERROR else [f"{name}: off by {error:.3g}"]
        except Exception as error:  # noqa: BLE001 - what it raises is the figure
            said.append(f"{name}: {type(error).__name__}: {str(error).strip().splitlines()[0]}")
        distributed.barrier()
    if rank == 0:
        print(f"torch {torch.__version__}: {right} right, {len(said)} not", *said, sep="\n", flush=True)
    distributed.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operation", action="append")
    parser.add_argument("--explicit", action="store_true")
    chosen = parser.parse_args()
    from torch import multiprocessing

    multiprocessing.spawn(work, (chosen.operation, chosen.explicit), nprocs=PROCESSES)


if __name__ == "__main__":
    main()
