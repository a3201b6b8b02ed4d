"""Docstrings in the API reference: their roles, such as ``:func:`check```, become links to what they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from griffe import Extension, GriffeLoader, Module, NameResolutionError, Object, get_logger

ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`~?(?P<name>[\w.]+)`")
CATALOGUE = "multigrad.catalogue."
"""Its docstrings are the pages of the operations, which `multigrad docs` writes."""
logger = get_logger("roles")


class Roles(Extension):
    """Rewrites the docstrings of a package, each once."""

    def on_package(self, *, pkg: Module, loader: GriffeLoader, **_: Any) -> None:
        """Rewrite them, and say which role names nothing: mkdocs counts that as a broken link."""
        for one in objects(pkg):
            if one.docstring and not one.path.startswith(CATALOGUE):
                one.docstring.value = ROLE.sub(lambda found, o=one: linked(found["name"], o, pkg), one.docstring.value)


def objects(one: Object) -> Iterator[Object]:
    """Return an object and everything that is defined in it."""
    yield one
    for member in one.members.values():
        if isinstance(member, Object):
            yield from objects(member)


def linked(name: str, one: Object, pkg: Module) -> str:
    """Return a link to what a name means in the docstring of an object; optional, for not all of it is documented."""
    try:
        path = meant(name, one)
        pkg[path.removeprefix(f"{pkg.path}.")]
    except (KeyError, NameResolutionError):
        logger.warning("%s: no %s, which its docstring names", one.path, name)
        return f"`{name}`"
    text = name.rpartition(".")[2]
    return f'<autoref optional hover identifier="{path}"><code>{text}</code></autoref>'


def meant(name: str, one: Object) -> str:
    """Return the path of a name: absolute, beside the module (with a dot before it), or known where it is written."""
    if name.startswith("."):
        return f"{one.module.parent.path}{name}" if one.module.parent else name
    if name.startswith("multigrad."):
        return name
    first, dot, rest = name.partition(".")
    return one.resolve(first) + dot + rest
