"""Blocks: a function of many rows run a few rows at a time, where each of its steps would be a pass over memory.

A compiler makes one pass of such a function anyhow, unless it has a matrix product in it. Where every step runs by
itself (NumPy, eager PyTorch), a block of rows stays in the processor's cache from the first step to the last. A GPU
has no cache of such a size, and every block would be a kernel more: its namespaces have no hook.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .hooks import hooks_of

BLOCK_BYTES = 2**18
"""How large the block of one array is: five of them fit into a cache of 1 to 2 MiB per core, which is usual. NumPy
computes an intermediate result in place from this size on (``NPY_MIN_ELIDE_BYTES``)."""


def in_blocks(
    xp: Any,
    function: Callable[..., tuple[Any, ...]],
    *arrays: Any,
    axis: int = 0,
    sums: int = 0,
    elements: int = 0,
    fused: bool = True,
) -> tuple[Any, ...]:
    """Run a function of arrays, a block at a time where the namespace has a hook for it.

    Args:
        xp: the array namespace.
        function: takes as many arrays and returns a tuple of them. What it makes of a part of its arguments is the same
            part of what it makes of the whole; but for the last results, which are sums.
        arrays: all of the same length along the axis.
        axis: where the arrays are cut.
        sums: how many of the last results are sums along the axis, to be added up over the blocks.
        elements: how many numbers one step along the axis keeps in work; left out, those of the largest argument.
        fused: whether a compiler makes one pass of the function. It makes none where a matrix product is much larger
            than what is made of it.

    Returns:
        What the function returns for the whole.
    """
    own = hooks_of(xp).in_blocks
    if own is None:
        return function(*arrays)
    results: tuple[Any, ...] = own(function, arrays, axis=axis, sums=sums, elements=elements, fused=fused)
    return results


def block_length(count: int, itemsize: int, most_bytes: int, elements: int, threads: int = 1) -> int:
    """Return how many steps along the axis are taken at once.

    Args:
        count: steps in all.
        itemsize: bytes of a number.
        most_bytes: of the largest argument.
        elements: how many numbers one step keeps in work.
        threads: how many share a block.
    """
    each = max(elements * itemsize, most_bytes // max(count, 1), 1)
    return max(1, threads * BLOCK_BYTES // each)


def run_in_blocks(
    empty_like: Callable[[Any, tuple[int, ...]], Any],
    function: Callable[..., tuple[Any, ...]],
    arrays: Sequence[Any],
    *,
    axis: int,
    sums: int,
    elements: int,
    threads: int = 1,
) -> tuple[Any, ...]:
    """Run a function block by block, each result written where it belongs: for namespaces whose arrays can be written.

    Args:
        empty_like: makes an array of the dtype of the first argument and the shape of the second.
        function: as for :func:`in_blocks`, like the parameters that follow.
        arrays: the arguments.
        axis: where they are cut.
        sums: how many results are sums.
        elements: how many numbers one step keeps in work.
        threads: how many share a block, each with a cache of its own.
    """
    count = arrays[0].shape[axis]
    length = block_length(count, arrays[0].dtype.itemsize, max(a.nbytes for a in arrays), elements, threads)
    if count <= length:
        return function(*arrays)
    ahead = (slice(None),) * axis
    whole: list[Any] = []
    for start in range(0, count, length):
        part = (*ahead, slice(start, min(start + length, count)))
        found = function(*(a[part] for a in arrays))
        rows = len(found) - sums
        if not whole:
            whole = [empty_like(r, (*r.shape[:axis], count, *r.shape[axis + 1 :])) for r in found[:rows]]
            whole += [0] * sums
        for result, block in zip(whole, found[:rows], strict=False):
            result[part] = block
        whole[rows:] = [total + more for total, more in zip(whole[rows:], found[rows:], strict=True)]
    return tuple(whole)


def join_blocks(
    concat: Callable[..., Any],
    function: Callable[..., tuple[Any, ...]],
    arrays: Sequence[Any],
    *,
    axis: int,
    sums: int,
    elements: int,
) -> tuple[Any, ...]:
    """Run a function block by block and join the results: for arrays that cannot be written.

    Args:
        concat: joins a list of arrays along ``axis``.
        function: as for :func:`in_blocks`, like the parameters that follow.
        arrays: the arguments.
        axis: where they are cut.
        sums: how many results are sums.
        elements: how many numbers one step keeps in work.
    """
    count = arrays[0].shape[axis]
    length = block_length(count, arrays[0].dtype.itemsize, max(a.nbytes for a in arrays), elements)
    if count <= length:
        return function(*arrays)
    ahead = (slice(None),) * axis
    parts = [(*ahead, slice(start, min(start + length, count))) for start in range(0, count, length)]
    found = list(zip(*(function(*(a[part] for a in arrays)) for part in parts), strict=True))
    rows = len(found) - sums
    return (*(concat(list(blocks), axis=axis) for blocks in found[:rows]), *(sum(total) for total in found[rows:]))
