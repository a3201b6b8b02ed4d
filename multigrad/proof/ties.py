"""Derivatives on a tie: `dual`'s functions with a kink, each with the derivative of its first or second branch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..namespaces import dual, exact
from ..namespaces.shared import structure


@contextmanager
def replaced(table: dict[str, Callable[..., Any]], functions: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """Let a namespace's table hold other functions for a while."""
    before = {name: table[name] for name in functions}
    table.update(functions)
    try:
        yield
    finally:
        table.update(before)


def tie_rules(*, second: bool) -> dict[str, Callable[..., Any]]:
    """Return `dual`'s functions with a kink, each with a derivative on it; equality has none."""

    def chosen(strict: str, loose: str) -> Callable[[Any, Any], Any]:
        def apply(x1: Any, x2: Any, /) -> Any:
            a, b = (x.value if isinstance(x, dual.DualArray) else x for x in (x1, x2))
            return dual.FUNCTIONS["where"](exact.FUNCTIONS[strict if second else loose](a, b), x1, x2)

        return apply

    def absolute(x: Any, /) -> Any:
        return chosen("greater", "greater_equal")(x, dual.FUNCTIONS["negative"](x))

    def extremum(name: str) -> Callable[..., Any]:
        return lambda x, /, *, axis=None, keepdims=False: structure.extremum(dual, f"arg{name}", x, axis, keepdims)

    def compared(name: str) -> Callable[[Any, Any], Any]:
        def apply(x1: Any, x2: Any, /) -> Any:
            a, b = (x.value if isinstance(x, dual.DualArray) else x for x in (x1, x2))
            return exact.FUNCTIONS[name](a, b)

        return apply

    return {
        "maximum": chosen("greater", "greater_equal"),
        "minimum": chosen("less", "less_equal"),
        "abs": absolute,
        "max": extremum("max"),
        "min": extremum("min"),
        **{name: compared(name) for name in ("less", "less_equal", "greater", "greater_equal")},
    }
