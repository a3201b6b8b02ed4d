"""The names that were here before the rooms: :mod:`multigrad.ops.operation` has them now."""

from .data.errors import BadInput
from .ops.draw import REGIMES, Draw
from .ops.find import load_operations, operations
from .ops.operation import Operation, operation

__all__ = ["REGIMES", "BadInput", "Draw", "Operation", "load_operations", "operation", "operations"]
