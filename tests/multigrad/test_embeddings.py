"""Rows of a table, and sums of rows: on every backend, those that scatter and those that cannot."""

from __future__ import annotations

import array_api_compat.numpy as xp
import numpy as np
import pytest

from multigrad.catalogue.embeddings import embedding
from multigrad.proof.prove import prove


def test_the_gradient_sums_the_rows_of_a_number_and_is_zero_for_the_others():
    E, t = np.arange(8.0).reshape(4, 2), np.array([[3, 0, 3], [3, 2, 0]])
    Y, pullback = embedding(xp, E, t)
    np.testing.assert_array_equal(Y, E[t])
    Y_bar = np.arange(12.0).reshape(2, 3, 2)
    np.testing.assert_array_equal(pullback(Y_bar), [[2 + 10, 3 + 11], [0, 0], [8, 9], [0 + 4 + 6, 1 + 5 + 7]])


@pytest.mark.parametrize("size", ["tiny", "blocks"])
def test_the_gradient_is_proven_both_ways(size):
    proof = prove(embedding, size)
    assert proof.passed
    assert proof.probability is not None
