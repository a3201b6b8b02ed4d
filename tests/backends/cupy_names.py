"""Write what CuPy has: the names of the modules that our namespace uses, with their arguments, as JSON.

    python tests/backends/cupy_names.py > tests/data/cupy_names.json

Run it with a Python that has CuPy; neither a GPU nor CUDA's libraries are needed, since nothing is computed. It imports
nothing of ours.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import sys
import types
from typing import Any

MODULES = (
    *("cupy", "cupy.linalg", "cupy.fft", "cupyx.scipy.linalg", "cupyx.scipy.special"),
    *("cupy.cuda", "cupy.cuda.runtime"),
)
CLASSES = ("cupy.ndarray", "cupy.cuda.Device", "cupy.cuda.Event", "cupy.cuda.MemoryHook", "cupy.cuda.MemoryPool")
LIBRARIES = ("cublas", "cusolver", "cusparse", "curand")

TYPE = r"\b(str|int|bint|size_t|intptr_t) (?=\w)"
"""The type of an argument, as compiled code has it before the name."""


def replace_absent_libraries() -> None:
    """Put an empty module where CuPy would load a library of CUDA's that is not here."""
    parent = importlib.import_module("cupy_backends.cuda.libs")
    for name in LIBRARIES:
        try:
            importlib.import_module(f"{parent.__name__}.{name}")
        except ImportError:
            empty = types.ModuleType(f"{parent.__name__}.{name}")
            sys.modules[empty.__name__] = empty
            setattr(parent, name, empty)


def arguments(function: Any) -> str | None:
    """Return the arguments of a function as a ``def`` has them, each default as ``...``; None where nobody says."""
    if hasattr(function, "nin") and not inspect.isclass(function):
        inputs = ", ".join(f"x{i + 1}" for i in range(function.nin))
        return f"({inputs}, /, out=..., *, casting=..., dtype=...)"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # What is compiled has its arguments in the first line of its documentation.
        said = re.match(r"[\w.]+(\(.*\))( ->.*)?\s*(\n|$)", (inspect.getdoc(function) or "").replace("\\", ""))
        if said is None:
            return None
        try:
            (defined,) = ast.parse(f"def f{re.sub(TYPE, '', said[1])}: ...").body
        except SyntaxError:
            return None
        given = defined.args
        given.defaults = [ast.Constant(...) for _ in given.defaults]
        given.kw_defaults = [default and ast.Constant(...) for default in given.kw_defaults]
        for one in ast.walk(given):
            if isinstance(one, ast.arg):
                one.annotation = None
        return f"({ast.unparse(given)})"
    parameters = [
        p.replace(annotation=p.empty, default=p.default if p.default is p.empty else ...)
        for p in signature.parameters.values()
    ]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty)).replace("Ellipsis", "...")


def kind_of(member: Any) -> Any:
    """Return the arguments of what is called, or what else it is."""
    if inspect.ismodule(member):
        return "module"
    if inspect.isclass(member):
        return f"class {arguments(member) or ''}".strip()
    if not callable(member):
        return "value"
    return arguments(member) or "callable"


def members(owner: Any) -> dict[str, Any]:
    """Return the public members of a module or a class."""
    found = {}
    for name in sorted(dir(owner)):
        # What CuPy would load a library for, which is not here, is not among what we use.
        member = None if name.startswith("_") else getattr(owner, name, None)
        if member is not None:
            found[name] = kind_of(member)
    return found


def main() -> None:
    """Print them."""
    cupy = importlib.import_module("cupy")
    replace_absent_libraries()
    listed: dict[str, Any] = {"version": cupy.__version__}
    for name in MODULES:
        listed[name] = members(importlib.import_module(name) if name != "cupy.cuda.runtime" else cupy.cuda.runtime)
    for name in CLASSES:
        module, _, one = name.rpartition(".")
        listed[name] = members(getattr(importlib.import_module(module), one))
    json.dump(listed, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
