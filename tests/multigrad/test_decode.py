from __future__ import annotations

import os

import pytest
from msgspec import Struct

from multigrad import BadInput
from multigrad.data.decode import (
    DEPTH,
    Count,
    Elapsed,
    Int64,
    decode,
    from_json,
    read_bytes,
)


class Inner(Struct):
    median_s: Elapsed
    threads: Count = 1
    seed: Int64 = 0


class Outer(Struct):
    cells: list[Inner]
    named: dict[str, Inner] = {}

    def __post_init__(self) -> None:
        if len(self.cells) > 3:
            raise ValueError("cells are more than 3")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"cells": 1}', "cells is 1; wanted array"),
        ("{}", "cells is missing"),
        ("[]", "it is an array of length 0; wanted object"),
        ('{"cells": [{"median_s": 1}, {"median_s": "fast"}]}', "cells[1].median_s is 'fast'; wanted float"),
        ('{"cells": [{"median_s": NaN}]}', "cells[0].median_s is nan; wanted float >= 1e-15"),
        ('{"cells": [{"median_s": Infinity}]}', "cells[0].median_s is inf; wanted float <= 1000000000.0"),
        ('{"cells": [{"median_s": 1e308}]}', "cells[0].median_s is 1e+308; wanted float <= 1000000000.0"),
        ('{"cells": [{"median_s": null}]}', "cells[0].median_s is None; wanted float"),
        ('{"cells": [{}]}', "cells[0].median_s is missing"),
        ('{"cells": [{"median_s": 1, "threads": -1}]}', "cells[0].threads is -1; wanted int >= 0"),
        ('{"cells": [{"median_s": 1, "threads": true}]}', "cells[0].threads is True; wanted int"),
        ('{"cells": [{"median_s": 1, "threads": 2.5}]}', "cells[0].threads is 2.5; wanted int"),
        ('{"cells": [{"median_s": 1, "seed": 1' + 4000 * "0" + "}]}", "cells[0].seed is 1000"),
        ('{"cells": [{"median_s": 1' + 400 * "0" + "}]}", "cells[0].median_s is 1000"),
        ('{"cells": [{"median_s": "' + 10**6 * "x" + '"}]}', "cells[0].median_s is 'xxx"),
        ('{"cells": [], "named": {"a": {"median_s": -1}}}', "named[...].median_s: wanted float >= 1e-15"),
        ('{"cells": [{"\\ud800": 1}]}', "a name holds half a surrogate pair"),
        ('{"cells": [{"median_s":1},{"median_s":1},{"median_s":1},{"median_s":1}]}', "cells are more than 3"),
        ('{"cells": [1' + 5000 * "0" + "]}", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[" * 500 + "]" * 500, f"nested more than {DEPTH} deep"),
        ('{"cells": []', "not JSON"),
        ("", "not JSON"),
        ("\x00", "not JSON"),
        ("\ufeff\ufeff{}", "not JSON"),
    ],
)
def test_what_does_not_fit_is_one_line_with_file_place_found_and_wanted(text, said):
    with pytest.raises(BadInput) as caught:
        decode("run.json", from_json("run.json", text.encode()), Outer)
    assert str(caught.value).startswith(f"run.json: {said}")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_bytes_that_are_no_text_are_one_line():
    with pytest.raises(BadInput, match=r"run\.json: not JSON: .*0xff"):
        from_json("run.json", b"\xff\xfe{}")


def test_what_fits_comes_back_typed_and_a_mark_of_byte_order_is_no_harm():
    found = decode("", from_json("", b'\xef\xbb\xbf{"cells": [{"median_s": 1, "later": [1]}], "more": {}}'), Outer)
    assert found == Outer([Inner(1.0)])


def fifo(path):
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.mkdir(), "is a folder; wanted a file"),
        (fifo, "is a pipe; wanted a file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device; wanted a file"),
        (lambda path: path.symlink_to(path), "cannot be read: Too many levels"),
        (lambda path: path.symlink_to(path.parent / "nowhere"), "cannot be read: No such file"),
        (lambda path: path.write_bytes(bytes(11)), "has 11 bytes; wanted at most 10"),
    ],
)
def test_what_is_no_file_is_one_line(tmp_path, make, said):
    path = tmp_path / "file"
    make(path)
    with pytest.raises(BadInput, match=f"file {said}"):
        read_bytes(path, 10)
    with pytest.raises(BadInput, match="cannot be read"):
        read_bytes("\x00", 10)
