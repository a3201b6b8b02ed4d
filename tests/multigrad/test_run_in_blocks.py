"""What is run in blocks is what is run at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from multigrad import backend
from multigrad.extra import blocks
from multigrad.extra.blocks import in_blocks, join_blocks, run_in_blocks
from multigrad.extra.hooks import Hooks


def namespace(seen: list[int], joined: bool = False) -> Any:
    """Return a namespace that runs in blocks and notes how long each of them is."""

    def own(function: Any, arrays: Any, *, axis: int, fused: bool, **how: int) -> Any:
        def noted(*parts: Any) -> Any:
            seen.append(parts[0].shape[axis])
            return function(*parts)

        if joined:
            return join_blocks(np.concatenate, noted, arrays, axis=axis, **how)
        return run_in_blocks(lambda block, shape: np.empty(shape, dtype=block.dtype), noted, arrays, axis=axis, **how)

    return backend.namespace(np, Hooks(in_blocks=own))


def several(X: Any, Y: Any) -> tuple[Any, ...]:
    return X + Y, np.sum(X, axis=2), X > Y, np.sum(X, axis=1), np.sum(X * Y, axis=(0, 1))


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize(("per_block", "wanted"), [(1, [1] * 7), (3, [3, 3, 1]), (7, [7]), (9, [7])])
def test_blocks_are_joined_and_sums_are_added_up(
    per_block: int, wanted: list[int], joined: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, Y = np.random.default_rng(0).standard_normal((2, 2, 7, 5))
    monkeypatch.setattr(blocks, "BLOCK_BYTES", per_block * 2 * 5 * 8 + 1)
    seen: list[int] = []
    found = in_blocks(namespace(seen, joined), several, X, Y, axis=1, sums=2)
    assert seen == wanted
    for result, whole in zip(found, several(X, Y), strict=True):
        assert result.dtype == whole.dtype
        np.testing.assert_allclose(result, whole, rtol=1e-13, atol=1e-14)


def test_what_is_kept_in_work_decides_where_it_is_more_than_the_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1000)
    seen: list[int] = []
    in_blocks(namespace(seen), lambda X: (X,), np.ones((4, 3), dtype=np.float32), elements=100)
    assert seen == [2, 2]


def test_nothing_at_all_is_run_once() -> None:
    seen: list[int] = []
    assert in_blocks(namespace(seen), lambda X: (X,), np.ones((0, 3)))[0].shape == (0, 3)
    assert seen == [0]


def test_a_namespace_without_blocks_runs_the_function_at_once() -> None:
    assert in_blocks(np, lambda X: (X.shape,), np.ones((10**6, 2))) == ((10**6, 2),)


def test_threads_that_share_a_block_have_as_much_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 24)
    seen: list[int] = []

    def noted(X: Any) -> tuple[Any]:
        seen.append(X.shape[0])
        return (X,)

    run_in_blocks(lambda block, shape: np.empty(shape), noted, [np.ones((6, 3))], axis=0, sums=0, elements=0, threads=2)
    assert seen == [2, 2, 2]


@pytest.mark.parametrize("fused", [False, True])
def test_a_hook_is_told_whether_a_compiler_makes_one_pass(fused: bool) -> None:
    own = backend.namespace(np, Hooks(in_blocks=lambda function, arrays, *, fused, **how: (fused,)))
    assert in_blocks(own, lambda X: (X,), np.ones(3), fused=fused) == (fused,)
