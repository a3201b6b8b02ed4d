"""What the tests of CuPy's namespace do in a process of their own: everything it has, on a stand-in for CuPy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from multigrad.backend import backend
from multigrad.ops.find import operations
from multigrad.truth.inputs import dtype_arrays
from tests.backends import cupy_stand_in
from tests.backends.session_work import stand_in


def opened() -> tuple[Any, Any, Any]:
    """Return the stand-in, our namespace of it, and a session."""
    cupy, _ = stand_in()
    cupy_backend = backend("cupy")
    type(cupy_backend).missing = lambda self, device: None  # type: ignore[method-assign]
    session = cupy_backend.open("cuda", precision="strict")
    return cupy, session.xp, session


def catalogue(arguments: Any) -> Iterator[dict[str, Any]]:
    """Run the value, the pullback and the gradient of the tape of every operation, beside NumPy's."""
    session, numpys = opened()[2], backend("numpy").open("cpu")
    for name, op in operations().items():
        size = op.size(next(iter(op.sizes)))
        arrays, parameters = dtype_arrays(op, size, 0, "gaussian", "float64"), op.split(size)[1]
        for variant in session.backend.variants:
            given = arrays[: len(op.inputs)] if variant == "forward" else arrays
            wanted = numpys.function(op, parameters, variant, "eager")(*map(numpys.to_device, given))
            function = session.function(op, parameters, variant, "eager")
            there = [session.to_device(a) for a in given]
            cupy_stand_in.WAITS.clear()
            found = function(*there)
            waits = list(cupy_stand_in.WAITS)
            yield {
                "name": f"{name} {variant}",
                "waits": waits,
                "kinds": sorted({type(f).__name__ for f in found}),
                "error": max((apart(session.to_numpy(f), w) for f, w in zip(found, wanted, strict=True)), default=0.0),
            }
    yield {"calls": dict(cupy_stand_in.CALLS), "version": session.cupy.__version__}


def apart(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the largest difference over the largest entry; infinite where the shapes or dtypes differ."""
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        return float("inf")
    return float(np.abs(found - wanted).max(initial=0) / np.abs(wanted).max(initial=1e-300))
