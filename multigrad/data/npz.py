"""Arrays from an .npz file that somebody gives: nothing is loaded before its header, its size and its type are judged.

An .npz file is a ZIP archive of .npy files. A header may claim any shape and an archive any size, a hundred kilobytes
may unpack to a hundred megabytes, and an array of objects is a pickle, which runs code.
"""

from __future__ import annotations

import difflib
import math
import os
import zipfile
from collections.abc import Sequence

import numpy as np
from numpy.lib import format as npy

from .decode import reason, regular_file
from .errors import BadInput

ARRAYS_BYTES = 2**30
"""What the arrays of a file may have together: a proof of a thousandth of it takes hours."""
KINDS = "fiub"
"""Floating-point numbers, integers with and without a sign, booleans."""


def read_npz(path: str | os.PathLike[str], names: Sequence[str], taker: str) -> dict[str, np.ndarray]:
    """Read arrays of numbers, by name, in this machine's byte order.

    Args:
        path: the file.
        names: the arrays that it has to hold, and no others.
        taker: who takes them, for the messages.

    Raises:
        BadInput: it is no regular file or no .npz file, lacks a name, has another or one twice, holds what is no
            number, a header that does not fit its data, or more than :data:`ARRAYS_BYTES`.
    """
    size = regular_file(path)
    if size > ARRAYS_BYTES:
        raise BadInput(f"{path} has {size} bytes; wanted at most {ARRAYS_BYTES}")
    try:
        with open(path, "rb") as file:
            alone = file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX
            if not alone:
                with zipfile.ZipFile(file) as archive:
                    members = _members(path, archive, names, taker)
                    return {name: _array(f"{path}: {name}", archive, member) for name, member in members.items()}
    except BadInput:
        raise
    except Exception as error:
        # ZIP, its compressions and NumPy's headers are parsed by four libraries, each with errors of its own.
        raise BadInput(f"{path} cannot be read as an .npz file of arrays: {reason(error)}") from error
    raise BadInput(f"{path} holds one array without a name; wanted an .npz file with {', '.join(names)}")


def _members(
    path: str | os.PathLike[str], archive: zipfile.ZipFile, names: Sequence[str], taker: str
) -> dict[str, zipfile.ZipInfo]:
    """Return the archive's member for each name."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name not in names:
            near = difflib.get_close_matches(name[:100], names, n=1, cutoff=0.0)
            shown = repr(name) if len(name) <= 60 else f"{name[:60]!r}…"
            raise BadInput(f"{path} has an array {shown}, which {taker} does not take; did you mean {near[0]!r}?")
        if name in members:
            raise BadInput(f"{path} has {name!r} twice")
        members[name] = member
    for name in names:
        if name not in members:
            there = ", ".join(members) or "none"
            raise BadInput(f"{path} lacks {name!r}; {taker} takes {', '.join(names)}, found {there}")
    total = sum(member.file_size for member in members.values())
    if total > ARRAYS_BYTES:
        raise BadInput(f"{path} unpacks to {total} bytes; wanted at most {ARRAYS_BYTES}")
    return members


def _array(where: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        version = npy.read_magic(file)
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        if read_header is None:
            raise BadInput(f"{where} has a header of version {version}; wanted numbers, whose version is 1 or 2")
        shape, in_columns, dtype = read_header(file)
        if dtype.kind not in KINDS:
            raise BadInput(f"{where} has dtype {str(dtype)[:60]}; wanted numbers")
        claimed = math.prod(shape) * dtype.itemsize
        if any(n < 0 for n in shape) or claimed != member.file_size - file.tell():
            there = member.file_size - file.tell()
            raise BadInput(f"{where} has a header that claims shape {shape}, {claimed} bytes; there are {there}")
        data = file.read(claimed)
        if len(data) != claimed:
            raise BadInput(f"{where} has a header that claims {claimed} bytes; there are {len(data)}")
        if file.read(1):  # what the archive says of itself, checked by its end
            raise BadInput(f"{where} has more bytes than its header claims")
    array: np.ndarray = np.ndarray(shape, dtype, data, order="F" if in_columns else "C")
    return array.astype(dtype.newbyteorder("="))
