from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from multigrad.bench.analysis import intervals


def processes(rng, median, *, between=0.01, within=0.03, count=5, blocks=50):
    """Timings with known noise: each process has its own speed, each block a long tail to the slow side."""
    speeds = median * (1 + between * rng.standard_normal(count))
    return [speed * (1 + within * rng.exponential(size=blocks)) for speed in speeds]


def drawn_medians(series, resamples, rng):
    """The same bootstrap by really drawing."""
    found = []
    for _ in range(resamples):
        chosen = [series[i] for i in rng.integers(0, len(series), len(series))]
        found.append(np.median([np.median(rng.choice(s, len(s))) for s in chosen]))
    return np.array(found)


@pytest.mark.parametrize("blocks", [1, 2, 9, 10])
def test_the_bootstrap_that_does_not_draw_has_the_distribution_of_the_one_that_does(blocks):
    rng = np.random.default_rng(3)
    series = processes(rng, 1.0, count=4, blocks=blocks, within=0.3)
    quick = intervals.resampled_medians(series, 20_000, np.random.default_rng(0))
    drawn = drawn_medians(series, 4_000, np.random.default_rng(1))
    probabilities = [0.025, 0.25, 0.5, 0.75, 0.975]
    scale = drawn.std()
    assert np.allclose(np.quantile(quick, probabilities), np.quantile(drawn, probabilities), atol=0.15 * scale)
    assert quick.std() == pytest.approx(scale, rel=0.06)


def test_processes_may_have_different_numbers_of_blocks():
    series = [np.array([1.0]), np.array([2.0, 2.0]), np.array([3.0, 3.0, 3.0])]
    found = intervals.interval(series)
    assert (found.estimate, found.low, found.high) == (2.0, 1.0, 3.0)


def test_the_interval_covers_the_true_median_in_nearly_the_promised_share_of_runs():
    rng = np.random.default_rng(11)
    covered = 0
    for i in range(300):
        series = [m + 0.01 * rng.standard_normal(20) for m in 1 + 0.05 * rng.standard_normal(9)]
        found = intervals.interval(series, seed=i, resamples=500)
        covered += found.low <= 1 <= found.high
    assert covered >= 0.88 * 300


def test_an_interval_from_one_process_would_be_fiction():
    rng = np.random.default_rng(5)
    series = processes(rng, 1.0, between=0.1, within=0.001)
    one, all_of_them = intervals.interval(series[:1]), intervals.interval(series)
    assert (one.high - one.low) < 0.1 * (all_of_them.high - all_of_them.low)


@pytest.mark.parametrize("between", [0.003, 0.01, 0.02])
def test_a_pair_of_equals_is_called_faster_or_slower_in_at_most_one_percent(between):
    rng = np.random.default_rng(7)
    words = []
    for i in range(400):
        pair = [processes(rng, 1e-3, between=between) for _ in range(2)]
        words.append(intervals.word(intervals.ratio(*pair, seed=i, resamples=500)))
    assert sum(w in ("faster", "slower") for w in words) <= 4


@pytest.mark.parametrize("between", [0.003, 0.01])
def test_a_planted_slowdown_of_ten_percent_is_found_in_at_least_95_percent(between):
    rng = np.random.default_rng(8)
    words = []
    for i in range(300):
        after, before = processes(rng, 1.1e-3, between=between), processes(rng, 1e-3, between=between)
        words.append(intervals.word(intervals.ratio(after, before, seed=i, resamples=500)))
    assert words.count("slower") >= 285
    assert "faster" not in words


def test_words_need_the_whole_interval():
    interval = intervals.Interval
    assert intervals.word(interval(1.2, 1.06, 1.3)) == "slower"
    assert intervals.word(interval(1.2, 1.04, 1.3)) == "unclear"
    assert intervals.word(interval(1.0, 0.97, 1.03)) == "same"
    assert intervals.word(interval(0.8, 0.7, 0.9)) == "faster"
    assert intervals.word(interval(1.0, 0.9, 1.1)) == "unclear"


def test_a_noisy_floor_demands_more():
    ratio = intervals.Interval(1.12, 1.10, 1.14)
    assert intervals.word(ratio, floor=0.02) == "slower"
    assert intervals.word(ratio, floor=0.06) == "unclear"
    assert intervals.word(ratio, floor=0.08) == "same"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.5, 2), min_size=3, max_size=3), st.floats(0, 0.1))
def test_swapping_the_runs_swaps_the_words(values, floor):
    low, middle, high = sorted(values)
    swapped = {"faster": "slower", "slower": "faster", "same": "same", "unclear": "unclear"}
    there = intervals.word(intervals.Interval(middle, low, high), floor)
    back = intervals.word(intervals.Interval(1 / middle, 1 / high, 1 / low), floor)
    factor = 1 + intervals.margin(floor)
    if min(abs(v - f) for v in (low, high) for f in (factor, 1 / factor)) > 1e-9:
        assert back == swapped[there]


def test_the_noise_floor_is_the_worst_pair():
    assert intervals.noise_floor([]) is None
    assert intervals.noise_floor([1.0, 1.02]) == pytest.approx(0.02)
    assert intervals.noise_floor([1 / 1.02]) == pytest.approx(0.02)


def test_the_same_seed_gives_the_same_interval():
    series = processes(np.random.default_rng(1), 1.0)
    assert intervals.interval(series, seed=4) == intervals.interval(series, seed=4)


def taken_in_turns(rng, quotient, rounds, *, between=0.01, within=0.01, turns=6):
    """Two sides of some rounds on a machine whose speed changes by a factor of two in phases that both sides feel."""
    after, before = {}, {}
    for r in range(rounds):
        machine = 1 + rng.random(turns).cumsum() % 1
        own = np.exp(between * rng.standard_normal())
        before[r], after[r] = (machine * (1 + within * rng.standard_normal(turns)) for _ in range(2))
        after[r] *= quotient * own
    return after, before


@pytest.mark.parametrize("rounds", [2, 3, 4, 5, 8])
def test_the_interval_of_pairs_covers_the_true_ratio_as_promised_also_with_few_rounds(rounds):
    rng = np.random.default_rng(rounds)
    covered = 0
    for i in range(400):
        found = intervals.paired_ratio(*taken_in_turns(rng, 1.07, rounds), seed=i, resamples=500)
        covered += found.low <= 1.07 <= found.high
    assert covered >= 0.93 * 400


@pytest.mark.parametrize(("quotient", "word"), [(1.0, "same"), (1.1, "slower"), (1 / 1.1, "faster")])
def test_pairs_find_what_the_drift_of_the_machine_would_hide(quotient, word):
    rng = np.random.default_rng(9)
    paired, apart = [], []
    for i in range(100):
        after, before = taken_in_turns(rng, quotient, 5)
        paired.append(intervals.word(intervals.paired_ratio(after, before, seed=i, resamples=500)))
        apart.append(intervals.word(intervals.ratio([*after.values()], [*before.values()], seed=i, resamples=500)))
    assert paired.count(word) >= 95
    assert apart.count(word) <= 50


def test_swapping_the_sides_of_pairs_inverts_the_interval():
    after, before = taken_in_turns(np.random.default_rng(2), 1.2, 4)
    there, back = intervals.paired_ratio(after, before), intervals.paired_ratio(before, after)
    assert (back.estimate, back.high) == pytest.approx((1 / there.estimate, 1 / there.low), rel=0.01)


def test_only_rounds_and_turns_that_both_sides_had_are_pairs():
    after = {0: np.array([2.0, 2.0, 9.0]), 1: np.array([4.0]), 3: np.array([9.0])}
    before = {0: np.array([1.0, 1.0]), 1: np.array([2.0, 9.0]), 2: np.array([9.0])}
    assert intervals.paired_ratio(after, before).estimate == pytest.approx(2)
    before[1][0] = np.nan
    assert intervals.paired_ratio(after, before) is None
    assert intervals.paired_ratio({0: after[0]}, before) is None


def test_the_median_of_a_turn_is_of_its_own_blocks():
    values, turns = np.array([1.0, 3.0, 2.0, 5.0, 9.0]), np.array([0, 0, 0, 1, 2])
    lost = np.zeros(5, dtype=bool)
    assert intervals.turn_medians(values, turns, lost).tolist() == [2, 5, 9]
    lost[[2, 3]] = True
    assert np.array_equal(intervals.turn_medians(values, turns, lost), [2, np.nan, 9], equal_nan=True)


def test_a_block_is_lost_that_others_kept_waiting_or_else_one_that_lost_its_processor_and_time():
    nobody_says = np.nan
    waited = np.array([0.2, 0.05, nobody_says, nobody_says, nobody_says])
    cpu, switches = np.array([1.0, 0.5, 0.8, 0.8, 1.0]), np.array([0, 3, 1, 0, 1])
    assert intervals.kept_waiting(np.ones(5), waited, cpu, switches).tolist() == [True, False, True, False, False]


@pytest.mark.parametrize("rounds", [6, 8, 11, 15])
def test_of_six_rounds_or_more_the_interval_is_what_the_signed_rank_test_leaves(rounds):
    quotients = np.random.default_rng(rounds).normal(0.1, 0.05, rounds)
    ones = dict.fromkeys(range(rounds), np.ones(1))
    found = intervals.paired_ratio({r: np.exp(q) * np.ones(1) for r, q in enumerate(quotients)}, ones)
    for end, outward in ((found.low, -1), (found.high, 1)):
        inside, outside = (quotients - math.log(end) - outward * shift for shift in (-1e-9, 1e-9))
        assert scipy.stats.wilcoxon(inside).pvalue > 0.05 >= scipy.stats.wilcoxon(outside).pvalue
    assert found.low < found.estimate < found.high


def test_a_wild_round_does_not_move_the_ratio_far():
    quotients = [0.09, 0.1, 0.11, 0.1, 0.09, 0.1, 0.11, 0.1]
    ones = dict.fromkeys(range(8), np.ones(1))
    tame, wild = (
        intervals.paired_ratio({r: np.exp(q) * np.ones(1) for r, q in enumerate([*quotients[:7], last])}, ones)
        for last in (0.1, 5.0)
    )
    assert wild.estimate == pytest.approx(tame.estimate, rel=0.01)
    assert wild.low == pytest.approx(tame.low, rel=0.02)
