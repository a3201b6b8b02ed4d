from __future__ import annotations

import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from multigrad import BadInput
from multigrad.data import npz
from multigrad.data.npz import read_npz

RAN: list[str] = []


def run_payload() -> None:
    RAN.append("a pickle")


class Payload:
    def __reduce__(self):
        return run_payload, ()


def npy(array, allow_pickle=False):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def claiming(shape="(2,)", descr="'<f8'", data=bytes(16), version=(1, 0), rest=""):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}{rest}\n".encode()
    length = len(header).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + length + header + data


def archive(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


RIGHT = ("x.npy", npy(np.ones(2)))
OBJECTS = npy(np.array([Payload()], dtype=object), allow_pickle=True)
BAD = {
    "a shape that is not there": ([("x.npy", claiming("(10**12,)"))], "cannot be read"),
    "a huge shape": ([("x.npy", claiming("(1000000000000,)"))], "claims shape (1000000000000,), 8000000000000 bytes"),
    "a shape beyond any number": ([("x.npy", claiming("(18446744073709551616,)"))], "claims shape"),
    "a negative shape": ([("x.npy", claiming("(-2,)"))], "claims shape (-2,)"),
    "a negative shape of the right size": ([("x.npy", claiming("(-2, -1)"))], "claims shape (-2, -1)"),
    "a shape of fractions": ([("x.npy", claiming("(2.0,)"))], "cannot be read"),
    "more data than the header": ([("x.npy", claiming(data=bytes(24)))], "claims shape (2,), 16 bytes; there are 24"),
    "less data than the header": ([("x.npy", claiming(data=bytes(8)))], "claims shape (2,), 16 bytes; there are 8"),
    "a deep header": ([("x.npy", claiming("(" * 4000))], "cannot be read"),
    "a long header": ([("x.npy", claiming(rest=" " * 20_000))], "cannot be read"),
    "a later version": ([("x.npy", claiming(version=(3, 0)))], "header of version (3, 0)"),
    "no header": ([("x.npy", b"hello")], "cannot be read"),
    "a pickle of objects": ([("x.npy", OBJECTS)], "has dtype object; wanted numbers"),
    "complex numbers": ([("x.npy", npy(np.ones(2, complex)))], "has dtype complex128"),
    "dates": ([("x.npy", npy(np.zeros(2, "M8[s]")))], "has dtype datetime64[s]"),
    "texts": ([("x.npy", npy(np.array(["a"])))], "has dtype <U1"),
    "records": ([("x.npy", npy(np.zeros(2, [("a", float)])))], "has dtype [('a', '<f8')]"),
    "a name that is there twice": ([RIGHT, RIGHT], "has 'x' twice"),
    "a name with and without its suffix": ([RIGHT, ("x", RIGHT[1])], "has 'x' twice"),
    "a path for a name": ([("../x.npy", RIGHT[1])], "has an array '../x', which f does not take; did you mean 'x'?"),
    "a long name": ([("x" * 5000, RIGHT[1])], "which f does not take"),
    "a name of control characters": ([("\x1b[2J\n.npy", RIGHT[1])], r"has an array '\x1b[2J\n'"),
    "no arrays": ([], "lacks 'x'; f takes x, found none"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("what", BAD)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, what):
    members, words = BAD[what]
    with pytest.raises(BadInput) as caught:
        read_npz(archive(tmp_path / "inputs.npz", members), ["x"], "f")
    assert words in str(caught.value)
    assert str(tmp_path / "inputs.npz") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert not RAN


def fifo(path):
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "is a folder; wanted a file"),
        (fifo, "is a pipe; wanted a file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device; wanted a file"),
        (lambda path: path.symlink_to(path), "cannot be read"),
        (lambda path: None, "cannot be read: No such file"),
        (lambda path: path.write_bytes(b""), "cannot be read as an .npz file"),
        (lambda path: path.write_bytes(RIGHT[1]), "holds one array without a name; wanted an .npz file with x"),
        (lambda path: path.write_bytes(pickle.dumps(Payload())), "cannot be read as an .npz file"),
        (lambda path: path.write_bytes(archive(path, [RIGHT]).read_bytes()[:-30]), "cannot be read as an .npz file"),
    ],
)
def test_what_is_no_archive_is_refused_in_one_line(tmp_path, make, words):
    path = tmp_path / "inputs.npz"
    make(path)
    with pytest.raises(BadInput) as caught:
        read_npz(path, ["x"], "f")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not RAN


def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = archive(tmp_path / "inputs.npz", [("x.npy", npy(np.zeros(10**6)))], zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(npz, "ARRAYS_BYTES", 10**6)
    monkeypatch.setattr(npz, "_array", None)
    with pytest.raises(BadInput, match="unpacks to 8000128 bytes; wanted at most 1000000"):
        read_npz(path, ["x"], "f")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(3, dtype=">f8"),
        np.arange(3, dtype=">i4"),
        np.float16([1, 2]),
        np.array([True, False]),
        np.zeros((0, 3)),
        np.array(2.5),
    ],
)
def test_numbers_come_back_in_the_byte_order_of_the_machine(tmp_path, array, compression):
    path = archive(tmp_path / "inputs.npz", [("x.npy", npy(array))], compression)
    found = read_npz(path, ["x"], "f")["x"]
    np.testing.assert_array_equal(found, array)
    assert found.shape == array.shape
    assert found.dtype == array.dtype.newbyteorder("=")
    found[...] = 0  # its own memory
