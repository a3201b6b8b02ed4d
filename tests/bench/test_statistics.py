from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from multigrad.bench.analysis import intervals, moderation
from multigrad.bench.analysis.moderation import Comparison, Estimate, Noise
from multigrad.bench.analysis.times import Times, beside, turns_of
from multigrad.bench.plan.protocol import FULL


def times_of(turns):
    """The times of cells of one problem, given their seconds per call by cell, round and turn."""
    logs = {cell: {r: np.log(t) for r, t in rounds.items()} for cell, rounds in turns.items()}
    return Times(logs, dict.fromkeys(logs, ("problem", "")), dict.fromkeys(logs, ("somewhere",)))


def in_turns(rng, medians, rounds, *, between=0.01, within=0.01, turns=6, phases=True):
    """Cells in some rounds on a machine whose speed changes by a factor of two in phases that all of them feel."""
    found = {cell: {} for cell in medians}
    for r in range(rounds):
        machine = 1 + rng.random(turns).cumsum() % 1 if phases else np.ones(turns)
        for cell, median in medians.items():
            own = np.exp(between * rng.standard_normal())
            found[cell][r] = median * own * machine * np.exp(within * rng.standard_normal(turns))
    return found


def apart_of(times, after, before):
    """The ratio of two cells as if they had been measured in different runs."""
    return times.estimate(after).less(times.estimate(before)).ratio(0.95)


def test_the_prior_of_the_variances_is_what_they_were_drawn_from():
    rng = np.random.default_rng(1)
    degrees, variance = 4.0, 0.03**2
    own = variance * degrees / rng.chisquare(degrees, 4000)
    noise = Noise.of([[Comparison(np.sqrt(v) * rng.standard_normal(4), "p")] for v in own])
    assert noise.degrees == pytest.approx(degrees, rel=0.15)
    assert noise.variance * noise.places["p"] == pytest.approx(variance, rel=0.1)
    assert noise.most == 4000 * 3


def test_the_moderated_variance_lies_between_ones_own_and_that_of_all():
    noise = Noise(variance=4.0, degrees=6.0, most=100.0, places={"p": 1.0})
    own = Comparison(np.array([-1.0, 0.0, 1.0]), "p")
    assert noise.moderated(own) == ((6 * 4 + 2 * 1) / 8, 8)
    assert noise.moderated(Comparison(np.zeros(1), "p")) == (4.0, 6)
    assert noise.moderated(Comparison(np.zeros(1), "pp")) == (8.0, 6)
    assert replace(noise, degrees=math.inf).moderated(own) == (4.0, 100)
    # Nobody has more degrees of freedom than all comparisons together.
    assert replace(noise, most=1.0).moderated(own)[1] == 2
    assert replace(noise, most=3.0).moderated(own)[1] == 3


def test_each_place_has_the_noise_that_it_brings():
    rng = np.random.default_rng(3)
    true = {"quiet": 0.01, "loud": 0.1}
    groups = []
    for _ in range(40):
        cells = [(place, true[place] * rng.standard_normal(4)) for place in ("quiet", "quiet", "loud", "loud")]
        groups.append([Comparison(a - b, (p, q)) for (p, a), (q, b) in itertools.combinations(cells, 2)])
    noise = Noise.of(groups)
    for place, deviation in true.items():
        assert math.sqrt(noise.places[place]) == pytest.approx(deviation, rel=0.25)
    # Then all comparisons seem to have one variance, and lend each other much.
    assert noise.degrees > 6
    assert Noise.of([[replace(c, places="xx") for c in group] for group in groups]).degrees < 3


def test_of_one_comparison_there_is_no_more_to_know_than_student_knew():
    rounds = np.array([0.1, 0.13, 0.08])
    one = Comparison(rounds, ("p",))
    found = Estimate.of(one, Noise.of([[one]])).ratio(0.95)
    wide = scipy.stats.t.ppf(0.975, 2) * rounds.std(ddof=1) / math.sqrt(3)
    assert math.log(found.high / found.low) / 2 == pytest.approx(wide, rel=0.02)
    assert found.chance == pytest.approx(scipy.stats.ttest_1samp(rounds, 0.0).pvalue, rel=0.05)


def test_the_inverse_of_the_trigamma_function():
    for x in (0.3, 1.0, 5.0, 200.0):
        assert moderation._inverse_trigamma(float(scipy.special.polygamma(1, x))) == pytest.approx(x, rel=1e-6)
    assert moderation._inverse_trigamma(1e9) == pytest.approx(1e9**-0.5)
    assert moderation._inverse_trigamma(1e-9) == pytest.approx(1e9)


def test_without_a_second_round_anywhere_nothing_is_known_of_the_noise():
    times = times_of({"a": {0: np.ones(3)}, "b": {0: 2 * np.ones(3)}})
    assert times.ratio("b", "a").estimate == pytest.approx(2)
    assert math.isnan(times.ratio("b", "a").low)
    assert math.isnan(times.time("a").high)
    assert intervals.word(times.ratio("b", "a")) == "unclear"


def test_a_cell_with_one_round_borrows_the_noise_of_the_others():
    rng = np.random.default_rng(0)
    turns = in_turns(rng, dict.fromkeys("abcd", 1.0), 4, phases=False)
    turns["e"] = {2: np.full(6, 3.0)}
    times = times_of(turns)
    found = times.ratio("e", "a")
    assert 2.8 < found.low < 3 < found.high < 3.3
    assert times.time("e").low < 3 < times.time("e").high


@pytest.mark.parametrize("rounds", [2, 5, 10])
def test_the_interval_covers_the_true_ratio_as_promised(rounds):
    rng = np.random.default_rng(rounds)
    covered = []
    for _ in range(60):
        times = times_of(in_turns(rng, {i: 1.0 + i for i in range(6)}, rounds))
        for i in range(5):
            found = times.ratio(i + 1, i)
            covered.append(found.low <= (2 + i) / (1 + i) <= found.high)
    assert 0.92 <= np.mean(covered) <= 0.985


@pytest.mark.parametrize(("quotient", "word"), [(1.0, "same"), (1.1, "slower"), (1 / 1.1, "faster")])
def test_pairs_find_what_the_drift_of_the_machine_would_hide(quotient, word):
    rng = np.random.default_rng(9)
    paired, apart = [], []
    for _ in range(100):
        turns = in_turns(rng, {"before": 1.0, "after": quotient, "more": 2.0}, 5)
        times = times_of(turns)
        paired.append(intervals.word(times.ratio("after", "before")))
        apart.append(intervals.word(apart_of(times, "after", "before")))
    assert paired.count(word) >= 90
    assert apart.count(word) <= 50


@pytest.mark.parametrize("rounds", [2, 5])
def test_equals_are_called_faster_or_slower_in_at_most_one_percent(rounds):
    rng = np.random.default_rng(7)
    words = []
    for _ in range(60):
        times = times_of(in_turns(rng, dict.fromkeys(range(6), 1.0), rounds, between=0.02))
        words += [intervals.word(times.ratio(i + 1, i)) for i in range(5)]
    assert sum(w in ("faster", "slower") for w in words) <= 3


def test_a_planted_third_is_found_with_two_rounds():
    rng = np.random.default_rng(8)
    words = []
    for _ in range(60):
        times = times_of(in_turns(rng, {i: 1.3**i for i in range(6)}, 2, between=0.02))
        words += [intervals.word(times.ratio(i + 1, i)) for i in range(5)]
    assert words.count("slower") >= 0.98 * len(words)


def test_swapping_the_sides_inverts_the_interval():
    times = times_of(in_turns(np.random.default_rng(2), {"a": 1.0, "b": 1.2}, 4))
    for there, back in (
        (times.ratio("a", "b"), times.ratio("b", "a")),
        (apart_of(times, "a", "b"), apart_of(times, "b", "a")),
    ):
        assert (back.estimate, back.low, back.high) == pytest.approx(
            (1 / there.estimate, 1 / there.high, 1 / there.low)
        )


def test_only_rounds_and_turns_that_both_sides_had_are_pairs():
    after = {0: np.array([2.0, 2.0, 9.0]), 1: np.array([4.0]), 3: np.array([9.0])}
    before = {0: np.array([1.0, 1.0]), 1: np.array([2.0, 9.0]), 2: np.array([9.0])}
    times = times_of({"after": after, "before": before})
    assert np.exp(times.quotients("after", "before")) == pytest.approx([2, 2])
    # Of processes that share no turn, the medians are what there is.
    before[1][0] = np.nan
    assert np.exp(times_of({"after": after, "before": before}).quotients("after", "before")) == pytest.approx(
        [2, 4 / 9]
    )
    assert times_of({"after": {3: after[3]}, "before": before}).ratio("after", "before").estimate == pytest.approx(
        9 / np.exp(intervals.hodges_lehmann(np.log([1, 9, 9])))
    )


def test_two_sides_in_turns_are_put_together():
    rng = np.random.default_rng(4)
    turns = in_turns(rng, {("old", i): 1.0 + i for i in range(4)} | {("new", i): 1.2 + 1.2 * i for i in range(4)}, 3)
    old, new = (times_of({i: turns[side, i] for i in range(4)}) for side in ("old", "new"))
    words = [intervals.word(beside(old, new).ratio((1, i), (0, i))) for i in range(4)]
    assert words == ["slower"] * 4


def test_the_median_of_a_turn_is_of_its_own_blocks():
    values, turns = np.array([1.0, 3.0, 2.0, 5.0, 9.0]), np.array([0, 0, 0, 1, 2])
    lost = np.zeros(5, dtype=bool)
    assert intervals.turn_medians(values, turns, lost).tolist() == [2, 5, 9]
    lost[[2, 3]] = True
    assert np.array_equal(intervals.turn_medians(values, turns, lost), [2, np.nan, 9], equal_nan=True)


def test_a_process_whose_every_block_was_disturbed_is_left_out_unless_there_is_no_other():
    blocks, turns = np.ones(4), np.array([0, 0, 1, 1])
    calm, disturbed = np.zeros(4, dtype=bool), np.ones(4, dtype=bool)
    found = turns_of({0: (40 * blocks, turns, disturbed), 1: (blocks, turns, calm)}, FULL)
    assert {r: np.exp(t).tolist() for r, t in found.items()} == {1: [1, 1]}
    found = turns_of({0: (40 * blocks, turns, disturbed), 1: (blocks, turns, disturbed)}, FULL)
    assert {r: np.exp(t).tolist() for r, t in found.items()} == {0: pytest.approx([40, 40]), 1: [1, 1]}


def test_a_slow_first_block_is_left_out():
    values, turns = np.array([5.0, 1.0, 3.0, 5.0]), np.array([0, 0, 0, 1])
    none = np.zeros(4, dtype=bool)
    assert intervals.turn_medians(values, turns, none, 1.1).tolist() == [2, 5]
    assert intervals.turn_medians(values, turns, none, 3.0).tolist() == [3, 5]
    assert intervals.turn_medians(values[::-1], turns, none, 1.1).tolist() == [2, 5]  # 5, 3, 1 and then 5


def test_a_block_is_lost_that_others_kept_waiting_or_else_one_that_lost_its_processor_and_time():
    nobody_says = np.nan
    waited = np.array([0.2, 0.05, nobody_says, nobody_says, nobody_says])
    cpu, switches = np.array([1.0, 0.5, 0.8, 0.8, 1.0]), np.array([0, 3, 1, 0, 1])
    assert intervals.kept_waiting(np.ones(5), waited, cpu, switches).tolist() == [True, False, True, False, False]


def test_a_wild_round_does_not_move_the_ratio_far():
    quotients = [0.09, 0.1, 0.11, 0.1, 0.09, 0.1, 0.11, 0.1]
    tame, wild = (intervals.hodges_lehmann(np.array([*quotients[:7], last])) for last in (0.1, 5.0))
    assert wild == pytest.approx(tame, abs=0.01)


def ratio(estimate, low, high, chance):
    return intervals.Ratio(estimate, low, high, chance)


def test_a_word_needs_an_effect_that_noise_would_not_make():
    assert intervals.word(ratio(1.2, 1.06, 1.3, 1e-3)) == "slower"
    assert intervals.word(ratio(1.06, 1.01, 1.11, 1e-3)) == "slower"
    assert intervals.word(ratio(1.2, 1.01, 1.4, 0.02)) == "unclear"
    assert intervals.word(ratio(1.04, 1.03, 1.06, 1e-9)) == "unclear"
    assert intervals.word(ratio(1.0, 0.97, 1.03, 1.0)) == "same"
    assert intervals.word(ratio(1.04, 1.03, 1.05, 1e-9)) == "same"
    assert intervals.word(ratio(0.8, 0.7, 0.9, 1e-3)) == "faster"
    assert intervals.word(ratio(1.0, 0.9, 1.1, 1.0)) == "unclear"


def test_equals_that_differ_beyond_their_intervals_demand_more():
    found = ratio(1.12, 1.10, 1.14, 1e-6)
    assert intervals.word(found, unexplained=0.02) == "slower"
    assert intervals.word(found, unexplained=0.065) == "unclear"
    assert intervals.word(found, unexplained=0.08) == "same"


def test_what_equals_differ_by_beyond_their_intervals_is_unexplained():
    pairs = [{"low": 0.9, "high": 1.2}, {"low": None, "high": None}]
    assert intervals.unexplained(pairs) == 0
    assert intervals.unexplained([*pairs, {"low": 1.03, "high": 1.1}]) == pytest.approx(0.03)
    assert intervals.unexplained([*pairs, {"low": 0.8, "high": 1 / 1.04}]) == pytest.approx(0.04)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.5, 2), min_size=3, max_size=3), st.floats(0, 0.1), st.floats(0, 0.02))
def test_swapping_the_runs_swaps_the_words(values, floor, chance):
    low, middle, high = sorted(values)
    swapped = {"faster": "slower", "slower": "faster", "same": "same", "unclear": "unclear"}
    there = intervals.word(ratio(middle, low, high, chance), floor)
    back = intervals.word(ratio(1 / middle, 1 / high, 1 / low, chance), floor)
    factor = 1 + intervals.margin(floor)
    if min(abs(v - f) for v in values for f in (factor, 1 / factor)) > 1e-9:
        assert back == swapped[there]


def test_the_noise_floor_is_the_worst_pair():
    assert intervals.noise_floor([]) is None
    assert intervals.noise_floor([1.0, 1.02]) == pytest.approx(0.02)
    assert intervals.noise_floor([1 / 1.02]) == pytest.approx(0.02)
