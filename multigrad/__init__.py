"""Write a gradient once, prove it, run it on every array framework, see what it costs.

An operation is a function of an array namespace. The same source gives values on a framework, certified
values in ball arithmetic, error bounds, and a cost model; see :class:`multigrad.Operation`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

# In a checkout `backends/` and `bench/` lie beside this folder; in a wheel they lie inside it.
if not (Path(__file__).parent / "backends").is_dir():
    __path__.append(str(Path(__file__).parent.parent))

# The decorator is bound before anything can bind the module of the same name over it.
from .operation import BadInput, Operation, load_operations, operation, operations

if TYPE_CHECKING:
    from .backend import Backend, Gap, Session, Unavailable
    from .backend.handover import to_autograd, to_jax, to_torch
    from .backend.tracing import from_jax, from_torch
    from .dropins.calls import check_grad, check_grads, gradcheck
    from .matrix.frame import GradientError, assert_gradients, check

__version__ = "0.1.0"

__all__ = [
    "Backend",
    "BadInput",
    "Gap",
    "GradientError",
    "Operation",
    "Session",
    "Unavailable",
    "assert_gradients",
    "check",
    "check_grad",
    "check_grads",
    "from_jax",
    "from_torch",
    "gradcheck",
    "load_operations",
    "operation",
    "operations",
    "to_autograd",
    "to_jax",
    "to_torch",
]

_LATER = {
    "backend": ("Backend", "Gap", "Session", "Unavailable"),
    "backend.handover": ("to_autograd", "to_jax", "to_torch"),
    "dropins.calls": ("check_grad", "check_grads", "gradcheck"),
    "backend.tracing": ("from_jax", "from_torch"),
    "matrix": ("GradientError", "assert_gradients", "check"),
}


def __getattr__(name: str) -> Any:
    # Importing costs nothing: these names bring NumPy or pandas with them, so they come when first asked for.
    for module, names in _LATER.items():
        if name in names:
            return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module 'multigrad' has no attribute {name!r}")
