"""A tape: reverse mode over any array namespace, the textbook backward pass of a function that has no pullback.

``over(xp)`` is a namespace whose arrays hold a value of ``xp`` and the step that made it. Over a framework it computes
gradients; over `bounds` it says how far an honest backward pass may be off, over `cost` what it costs, over `exact`
what its rules are worth: they are held against `dual`, which knows none of them.

Conditions act on values. At a kink it follows the usual conventions: of two equal numbers that ``maximum`` takes, each
gets half; ``max`` gives all to the first; ``abs`` and ``sign`` have slope 0 at 0.

Source: A. Griewank and A. Walther, "Evaluating Derivatives", 2nd ed., SIAM 2008, ch. 3.2 (reverse mode); the rules are
laid out as in HIPS autograd.
"""

from __future__ import annotations

from .arrays import Node, TapeArray
from .linear import LINALG
from .namespace import FUNCTIONS, HOOKS, Tape, over
from .numpy_code import run_numpy
from .pullback import differentiated, with_pullback
from .rules import BINARY, UNARY

__all__ = [
    "BINARY",
    "FUNCTIONS",
    "HOOKS",
    "LINALG",
    "UNARY",
    "Node",
    "Tape",
    "TapeArray",
    "differentiated",
    "over",
    "run_numpy",
    "with_pullback",
]
