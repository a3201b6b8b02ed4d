"""What a backend accumulates halves in is asked for, and no order of summation answers for another."""

from __future__ import annotations

import numpy as np
import pytest
from multigrad.backends.numpy_backend import BACKEND, NumPySession

from multigrad.backend import accumulation as asking
from multigrad.backend import namespace
from multigrad.backend.accumulation import FUNCTIONS, LARGEST, Accumulation, accumulation
from multigrad.backend.roundoff import probe
from multigrad.data.standard import numpy_standard

xp = numpy_standard()


def one_by_one(terms):
    total = np.zeros_like(terms[0])
    for term in terms:
        total = total + term
    return total


def pairwise(terms):
    while len(terms) > 1:
        rest = terms[len(terms) & ~1 :]
        terms = np.concatenate([terms[: len(terms) & ~1 : 2] + terms[1::2], rest])
    return terms[0]


def on_two_threads(terms):
    middle = len(terms) // 2
    return sum(np.sum(part.astype(np.float32), axis=0).astype(terms.dtype) for part in (terms[:middle], terms[middle:]))


def in_float32(terms):
    return np.sum(terms.astype(np.float32), axis=0).astype(terms.dtype)


def session_with(add_up):
    """Return a session whose sums and products add up their terms, which lie along the first axis, in a given way."""

    def total(x, axis=None):
        axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        moved = np.moveaxis(x, axes, range(len(axes)))
        return add_up(moved.reshape(-1, *moved.shape[len(axes) :]))

    def mean(x, axis=None):
        summed = total(x, axis)
        return summed / summed.dtype.type(x.size // summed.size)

    def matmul(a, b):
        left, right = (a[None] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
        products = left[..., :, :, None].astype(np.float32) * right[..., None, :, :].astype(np.float32)
        product = add_up(np.moveaxis(products, -2, 0).astype(a.dtype))
        product = product[..., 0, :] if a.ndim == 1 else product
        return product[..., 0] if b.ndim == 1 else product

    class Session(NumPySession):
        def __init__(self):
            super().__init__(BACKEND, np)
            own = {"sum": total, "mean": mean, "vecdot": lambda a, b: total(a * b, -1), "matmul": matmul}
            own["tensordot"] = lambda a, b, axes: matmul(a, b)
            self.xp = namespace(xp, **own)

    return Session()


def test_numpy_keeps_products_in_float32_and_not_every_sum():
    found = probe(BACKEND.open())
    assert found["float16"].accumulation == Accumulation(products=True, functions=tuple(FUNCTIONS))
    assert found["float32"].accumulation == found["float64"].accumulation == Accumulation()


@pytest.mark.parametrize("add_up", [one_by_one, pairwise, on_two_threads])
def test_sums_that_are_kept_in_a_half_are_found_in_any_order(add_up, monkeypatch):
    monkeypatch.setattr(asking, "LARGEST", 2**8)  # one by one in Python
    monkeypatch.setattr(asking, "MULTIPLIED", (4, 2**6, 4))
    assert not accumulation(session_with(add_up), "float16").sums


def test_sums_that_are_kept_in_float32_are_found():
    assert accumulation(session_with(in_float32), "float16").sums


def test_a_single_sum_of_two_parts_is_found_among_those_that_are_right(monkeypatch):
    session = session_with(in_float32)
    right = session.xp.sum
    session.xp = namespace(
        session.xp, sum=lambda x, axis=None: on_two_threads(x) if x.size == LARGEST and x.ndim == 1 else right(x, axis)
    )
    assert not accumulation(session, "float16").sums


@pytest.mark.parametrize("form", ["matmul", "tensordot", "vector"])
def test_products_that_are_kept_in_a_half_are_found(form):
    session = BACKEND.open()
    halved = session_with(pairwise).xp
    own = {
        "matmul": {"matmul": halved.matmul},
        "tensordot": {"tensordot": halved.tensordot},
        "vector": {"matmul": lambda a, b: (halved if a.ndim == b.ndim == 1 else xp).matmul(a, b)},
    }[form]
    session.xp = namespace(session.xp, **own)
    assert not accumulation(session, "float16").products


def test_nothing_is_established_of_a_function_that_raises_and_of_arrays_in_parts():
    session = session_with(in_float32)
    session.xp = namespace(session.xp, sum=lambda *arguments, **options: 1 / 0)
    assert not accumulation(session, "float16").sums
    session = session_with(in_float32)
    session.device = "cpu:2"
    assert accumulation(session, "float16") == Accumulation()


def test_a_chain_that_is_kept_in_float32_is_found():
    session = BACKEND.open()
    assert not accumulation(session, "float16").chains
    session.to_device = lambda array, dtype=None: np.asarray(array, np.float32)
    session.to_numpy = lambda array: np.asarray(array).astype(np.float16)
    assert accumulation(session, "float16").chains


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_rounds_twice_is_found(name):
    session = BACKEND.open()
    right = getattr(xp, name)

    def rounded_before(*arrays):
        with np.errstate(all="ignore"):
            return right(*arrays).astype(np.float16) * np.float16(1.0009765625)

    session.xp = namespace(xp, **{name: rounded_before})
    assert accumulation(session, "float16").functions == tuple(f for f in FUNCTIONS if f != name)


def test_a_division_by_a_single_number_that_is_a_product_is_found():
    session = BACKEND.open()

    def divide(x, y):
        with np.errstate(all="ignore"):
            return x * np.float16(1 / y) if np.size(y) == 1 else np.divide(x, y)

    session.xp = namespace(xp, divide=divide)
    assert "divide" not in accumulation(session, "float16").functions


def test_compiled_questions_are_asked_as_one_function():
    session = session_with(in_float32)
    compiled = []
    session.compile = lambda function: compiled.append(function) or function
    assert accumulation(session, "float16", "compiled").sums
    assert len(compiled) == 3
    assert accumulation(BACKEND.open(), "float16", "compiled") == Accumulation()
