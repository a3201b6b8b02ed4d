"""The names that were here before the rooms: :mod:`multigrad.ops.operation` has them now."""

from .data.errors import BadInput
from .ops.operation import REGIMES, Draw, Operation, load_operations, operation, operations

__all__ = ["REGIMES", "BadInput", "Draw", "Operation", "load_operations", "operation", "operations"]
