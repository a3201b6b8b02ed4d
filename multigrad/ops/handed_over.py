"""An operation that is handed over to a framework, as an implementation of itself: the framework differentiates it."""

from __future__ import annotations

import functools
import importlib
import types
from typing import Any

from .implementation import Implementation
from .operation import Operation

NAMES = {"torch": "to_torch", "jax": "to_jax"}
"""The backends that take an operation with its derivatives, and what tables call that."""


def handed_over(op: Operation) -> list[Implementation]:
    """Return an operation as each framework has it, with its hand-derived derivatives."""
    return [Implementation(name, backend, functools.partial(_call, backend, op)) for backend, name in NAMES.items()]


def _call(backend: str, op: Operation, *inputs: Any, **parameters: Any) -> Any:
    handover: types.ModuleType = importlib.import_module("..backend.handover", __package__)  # it stands above
    return handover.hand_over(backend, op, parameters)(*inputs)
