"""The probe must find how many bits a backend really keeps."""

from __future__ import annotations

import numpy as np
import pytest
from multigrad.backends.numpy_backend import BACKEND, NumPySession

from multigrad.backend.roundoff import probe
from multigrad.verdict.formats import FORMATS


def test_numpy_keeps_every_bit():
    for dtype, found in probe(BACKEND.open()).items():
        assert found.product == found.elementwise == FORMATS[dtype].significand_bits
        assert not found.degraded


def rounded(x, bits):
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits).astype(x.dtype)


def session_with(bits, what):
    class Rounding(np.ndarray):
        def __matmul__(self, other):
            a, b = np.asarray(self), np.asarray(other)
            return (rounded(a, bits) @ rounded(b, bits)).view(Rounding) if what == "product" else (a @ b).view(Rounding)

        def __mul__(self, other):
            a, b = np.asarray(self), np.asarray(other)
            return (rounded(a * b, bits) if what == "elementwise" else a * b).view(Rounding)

    class Session(NumPySession):
        def to_device(self, array, dtype=None):
            return super().to_device(array, dtype).view(Rounding)

    return Session(BACKEND, np)


@pytest.mark.parametrize("bits", [8, 11, 16, 23])
@pytest.mark.parametrize("what", ["product", "elementwise"])
def test_bits_that_are_lost_are_counted(bits, what):
    found = probe(session_with(bits, what), ["float32"])["float32"]
    assert getattr(found, what) == bits
    assert found.degraded
    assert f"{bits} significand bits: lower precision" in str(found)


def test_a_function_of_the_namespace_that_rounds_is_found_as_well():
    session = BACKEND.open()
    from multigrad.backend import namespace

    session.xp = namespace(session.xp, matmul=lambda a, b: rounded(a, 11) @ rounded(b, 11))
    found = probe(session, ["float32"])["float32"]
    assert found.product == 11
    assert str(found) == "computes float32 matrix products with 11 significand bits: lower precision (TF32 or float16?)"
