"""What a run is said to show, of made-up problems: who is fastest, who ties, what deriving by hand gains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from multigrad.bench.analysis.flags import FLAGS
from multigrad.bench.analysis.intervals import Interval, Word
from multigrad.bench.analysis.problems import Gain, Problem, Timed, Total
from multigrad.bench.report.bars import Scale, chart
from multigrad.bench.report.conclusions import MOST, NOTHING_TIMED, Conclusions, conclusions, paragraph
from multigrad.bench.report.doubts import WORDS, notes, said
from multigrad.bench.report.figures import Figures
from multigrad.bench.report.names import place_names
from multigrad.bench.report.quantities import factor, give_or_take, reach, span
from multigrad.bench.store.rows import place_of
from multigrad.bench.store.run import Run, no_run


def timed(
    where: str,
    seconds: float,
    over: tuple[float, float, float] | None = None,
    *,
    tied: bool = False,
    variant: str = "analytic",
    flags: str = "",
    barred: Sequence[str] = (),
    device: str = "cpu",
) -> Timed:
    backend, mode = where.split()
    row: dict[str, Any] = {
        "operation": "f", "variant": variant, "mode": mode, "backend": backend, "device": device, "dtype": "float32",
        "sizes": "n=8", "threads": 2, "precision": "strict", "machine": "", "median_s": seconds, "flags": flags,
        "ci_low_s": 0.97 * seconds, "ci_high_s": 1.04 * seconds, "first_call_s": 0.1, "roof_percent": 50.0,
    }  # fmt: skip
    return Timed(row, place_of(row), Interval(*over) if over else None, tied, tuple(barred))


BEST = (1.0, 1.0, 1.0)
NUMPY = timed("numpy eager", 299e-6, BEST, tied=True)
COMPILED = timed("jax compiled", 540e-6, (1.81, 1.62, 2.2))
JAX = timed("jax eager", 900e-6, (3.0, 2.5, 3.5))
TORCH = timed("torch eager", 810e-6, (2.72, 2.5, 2.9))


FUSED = timed("torch eager", 400e-6, (1.3, 1.2, 1.4), variant="fused")


def gain(one: Timed, ratio: tuple[float, float, float], word: Word, *barred: str, over: str = "autodiff") -> Gain:
    return Gain(one.where, Interval(*ratio), word, barred, one.row, {**one.row, "variant": over})


def problem(
    places: Sequence[Timed] = (NUMPY, COMPILED, TORCH, JAX),
    others: Sequence[Timed] = (),
    gains: Sequence[Gain] = (),
    brought: Sequence[Gain] = (),
    **more: Any,
) -> Problem:
    known = {"operation": "relu_regression", "dtype": "float32", "sizes": "m=1797 k=64 n=10", "threads": 2}
    known |= {"precision": "strict", "machine": "", "ranked": "analytic"}
    return Problem(**{**known, **more}, places=places, others=others, gains=gains, brought=brought)  # type: ignore[arg-type]


def figures_of(*problems: Problem, totals: Sequence[Total] = (), machines: Sequence[str] = ()) -> Figures:
    nothing = no_run()
    made = Figures(Run(None, {"machines": {name: {} for name in machines}}, nothing.summary, nothing.samples))
    rows = [one.row for p in problems for one in (*p.places, *p.others)]
    cells = [
        {**row, "where": one.where}
        for row, one in zip(rows, (o for p in problems for o in (*p.places, *p.others)), strict=True)
    ]
    vars(made).update(problems=list(problems), totals=list(totals), names=place_names(rows), cells=cells)
    return made


def said_of(*problems: Problem, **more: Any) -> Conclusions:
    return conclusions(figures_of(*problems, **more))


def text_of(one: Problem) -> str:
    """Return the paragraph of one problem, with common spaces."""
    return said_of(one).problems[0].text.replace("\u202f", " ")


def test_a_paragraph_says_who_is_fastest_and_what_deriving_by_hand_gains() -> None:
    gains = [
        gain(COMPILED, (1.03, 0.9, 1.2), "unclear"),
        gain(TORCH, (1.23, 1.12, 1.4), "faster"),
        gain(JAX, (4.5, 4.2, 4.9), "faster"),
    ]
    assert text_of(problem(gains=gains)) == (
        "relu_regression, m=1797 k=64 n=10, float32. Fastest: NumPy, 299 µs (±4 %). JAX compiled takes 1.8 × as long "
        "(1.6–2.2), PyTorch 2.7 ×, JAX eager 3.0 ×. Deriving by hand gains 1.2 × over autodiff on PyTorch (1.12–1.40) "
        "and 4.5 × on JAX eager (4.2–4.9); it ties with autodiff within the noise on JAX compiled (0.90–1.20)."
    )


def test_places_that_tie_with_the_best_are_named_with_it() -> None:
    tied = timed("jax compiled", 310e-6, (1.03, 0.95, 1.1), tied=True)
    assert (
        "Fastest: NumPy and JAX compiled, which tie, 299 µs (±4 %). PyTorch takes 2.7 × as long (2.5–2.9)."
        in text_of(problem([NUMPY, tied, TORCH]))
    )


def test_many_places_are_counted_beyond_the_first() -> None:
    many = [timed(f"b{i} eager", 1e-3 * i, (float(i), i - 0.1, i + 0.1)) for i in range(2, 9)]
    assert "b4 4.0 ×, b5 5.0 ×, 3 more up to 8.0 ×." in text_of(problem([NUMPY, *many]))


def test_another_variant_that_is_faster_than_every_place_is_named() -> None:
    fused = timed("torch eager", 200e-6, (0.7, 0.65, 0.75), variant="native")
    assert "PyTorch's own form with its fused functions is faster still: 0.70 × (0.65–0.75)." in text_of(
        problem(others=[fused])
    )
    perhaps = timed("torch eager", 200e-6, (0.9, 0.7, 1.1), variant="native")
    assert "faster still" not in text_of(problem(others=[perhaps]))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (problem([NUMPY]), "Only NumPy was timed: 299 µs (±4 %)."),
        (problem(), "Autodiff was not timed beside it, so what deriving by hand gains is not known."),
        (
            problem([timed("numpy eager", 1e-4, BEST, tied=True, variant="forward"), TORCH], ranked="forward"),
            "Fastest for the forward part: NumPy, 100 µs (±4 %).",
        ),
        (
            problem([NUMPY, TORCH], ranked="forward"),
            "The hand-derived gradient was not timed, so what it gains is not known.",
        ),
        (
            problem([timed("torch eager", 1e-3, barred=["died"]), timed("jax eager", 1e-3, barred=["oversubscribed"])]),
            "No time of the hand-derived gradient can be trusted. "
            "Not compared: PyTorch (a process died at it), JAX (more threads ran than were allowed).",
        ),
        (
            problem([NUMPY, timed("torch eager", 1e-3, barred=["above-roof"])]),
            "Not compared: PyTorch (faster than the machine can be).",
        ),
        (
            problem(gains=[gain(TORCH, (2.0, 1.9, 2.1), "unclear", "died")]),
            "no time of autodiff beside it can be trusted (a process died at it).",
        ),
        (
            problem(gains=[gain(TORCH, (0.5, 0.4, 0.6), "slower")]),
            "Deriving by hand takes 2.0 × as long as autodiff on PyTorch (1.7–2.5).",
        ),
        (
            problem(gains=[gain(TORCH, (1.4, 1.02, 1.9), "unclear"), gain(JAX, (1.0, 0.98, 1.02), "same")]),
            "Deriving by hand probably gains 1.4 × over autodiff on PyTorch (1.02–1.90); "
            "it ties with autodiff on JAX eager (0.98–1.02).",
        ),
        (
            problem([NUMPY, timed("jax compiled", 1e-3, (3.0, 2.0, 4.0), device="cpu:8")]),
            "JAX compiled on cpu:8 takes 3.0 ×",
        ),
    ],
)  # fmt: skip
def test_whatever_is_missing_the_words_stay_honest(given: Problem, words: str) -> None:
    assert words in text_of(given)


def test_what_differs_between_problems_is_in_their_names() -> None:
    both = said_of(problem(threads=1), problem(machine="atlas"), machines=("atlas", "borea"))
    assert [one.title for one in both.problems] == [
        "relu_regression, m=1797 k=64 n=10, float32, 1 thread, on ",
        "relu_regression, m=1797 k=64 n=10, float32, 2 threads, on atlas",
    ]


def total(where: str, ratio: tuple[float, float, float], wins: int, problems: int = 12) -> Total:
    return Total(where, Interval(*ratio), problems, wins)


def test_all_problems_together_rank_the_places_with_an_interval() -> None:
    totals = [total("jax compiled", (1.06, 1.02, 1.1), 9), total("numpy eager", (1.3, 1.2, 1.4), 4)]
    gains = [gain(TORCH, (2.0, 1.9, 2.1), "faster"), gain(JAX, (0.5, 0.4, 0.6), "slower")]
    found = said_of(*[problem(gains=gains)] * 14, totals=totals)
    assert found.whole is not None
    assert found.whole.text.replace("\u202f", " ") == (
        "Over 12 of 14 problems, those with a sound time at every place. Nearest to the best: JAX compiled, 1.06 × the "
        "best time (1.02–1.10) on average, fastest or tied in 9. On average NumPy 1.3 × (1.2–1.4) beside the best. "
        "Deriving by hand is faster than autodiff in 14 of 28 comparisons, slower in 14, and within the noise of it in "
        "0; on average autodiff takes 2.0 × as long on PyTorch and 0.50 × on JAX eager."
    )
    told = found.paragraphs()
    assert told[1] == found.whole.text
    assert len(told) == 2 + MOST + 1
    assert told[-1] == "10 more problems are in the tables."


def test_one_that_is_always_fastest_is_said_to_be_without_a_mean() -> None:
    found = said_of(
        problem(), problem(), totals=[total("numpy eager", BEST, 2, 2), total("jax eager", (2, 1, 3), 0, 2)]
    )
    assert found.whole is not None
    assert found.whole.fastest == "Fastest: NumPy, alone or in a tie, in each."
    assert found.paragraphs()[-1] == found.whole.text, "of a few problems each has its word first"


def test_without_a_ranking_over_all_the_reason_is_said() -> None:
    alone = said_of(problem([NUMPY]), problem([NUMPY])).whole
    assert alone is not None
    assert alone.fastest == "Only one place was timed, so there is no ranking over all."
    assert said_of(problem()).whole is None


def test_of_a_run_without_times_that_is_said() -> None:
    assert said_of().paragraphs() == [
        "Nothing was judged in this run.",
        NOTHING_TIMED,
    ]


def test_no_paragraph_speaks_of_flags_or_means() -> None:
    texts = " ".join(said_of(problem(), problem(), totals=[total("numpy eager", BEST, 2, 2)]).paragraphs())
    assert not [word for word in ("flag", "geometric", "!", "unclear", "nan") if word in texts]


# What is doubtful


def test_every_flag_has_its_words() -> None:
    assert WORDS.keys() == FLAGS.keys()


def test_only_what_bars_a_time_has_a_mark() -> None:
    assert said("preempted spread-within spread-turns") == "disturbed by other programs, unsteady"
    assert said("spread-within died") == "! unsteady, a process died at it"
    assert said("no-cost") == said(float("nan")) == ""


def test_notes_say_whose_time_it_is_the_least_steady_first() -> None:
    wild = timed("torch eager", 1e-3, flags="spread-turns preempted", variant="autodiff")
    wild.row["ci_high_s"] = 1.5e-3  # type: ignore[index]
    barred = timed("jax eager", 1e-3, flags="oversubscribed", barred=["oversubscribed"])
    calm = timed("numpy eager", 1e-3, flags="spread-within no-cost")
    names = place_names(one.row for one in (wild, barred, calm))
    assert [note.replace("\u202f", " ") for note in notes([calm, barred, wild], names)] == [
        "! not compared: JAX (more threads ran than were allowed)",
        "unsteady: PyTorch autodiff ±50 %, NumPy ±4 %",
        "disturbed by other programs: PyTorch autodiff",
    ]


def test_a_place_is_called_what_tells_it_apart() -> None:
    rows = [one.row for one in (NUMPY, COMPILED, JAX, timed("torch eager", 1, device="cuda"), timed("mine eager", 1))]
    assert list(place_names(rows).values()) == ["NumPy", "JAX compiled", "JAX eager", "PyTorch on cuda", "mine"]


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1.0, "1.00"), (0.962, "0.96"), (1.19, "1.19"), (1.24, "1.2"), (2.04, "2.0"), (9.96, "10"), (1387, "1\u202f400"),
     (0.042, "0.042"), (float("inf"), "∞")],
)  # fmt: skip
def test_a_factor_has_few_digits(ratio: float, text: str) -> None:
    assert factor(ratio) == text


def test_a_narrow_interval_has_the_digits_that_tell_its_ends_apart() -> None:
    assert span(1.62, 2.2) == "1.6–2.2"
    assert span(1.281, 1.312) == "1.28–1.31"
    assert span(1.151, 1.203) == "1.15–1.20"
    assert span(1.2812, 1.2834) == "1.281–1.283"


def test_an_interval_is_as_wide_as_its_further_end() -> None:
    assert give_or_take(reach(1.0, 0.95, 1.18)) == "±18\u202f%"
    assert give_or_take(reach(1.0, 0.999, 1.001)) == "±<1\u202f%"
    assert give_or_take(reach(1.0, 0.9, 3.2)) == "up to 3.2\u202f×"
    assert give_or_take(float("nan")) == ""


def test_an_implementation_is_one_more_place_and_has_its_gains_over_what_the_framework_brings() -> None:
    brought = [
        gain(FUSED, (1.8, 1.7, 1.9), "faster"),
        gain(FUSED, (0.8, 0.76, 0.84), "slower", over="native"),
        gain(timed("torch eager", 1.0, variant="other"), (1.0, 0.98, 1.02), "same"),
    ]
    found = problem([NUMPY, FUSED, TORCH], gains=[gain(TORCH, (0.9, 0.85, 0.95), "slower")], brought=brought)
    other = timed("torch eager", 1.0, variant="other")
    figures = figures_of(replace(found, places=[*found.places, other]))
    said = paragraph(figures.problems[0], figures)
    assert said.rest.startswith("PyTorch fused takes 1.3 × as long (1.2–1.4)")
    assert said.gain == (
        "Deriving by hand takes 1.11 × as long as autodiff on PyTorch (1.05–1.18). "
        "PyTorch fused gains 1.8 × over autodiff (1.7–1.9); it takes 1.2 × as long as the framework's own "
        "form (1.19–1.32). PyTorch other ties with autodiff (0.98–1.02)."
    )
    (panel,) = chart(figures).first
    assert [line.where for line in panel.lines][:3] == ["NumPy", "PyTorch fused", "PyTorch"]
    assert [line.gain for line in panel.lines][:3] == ["", "1.8 ×", "0.90 ×"]


# The bars


def test_bars_are_longer_for_what_takes_longer_and_the_fastest_has_one() -> None:
    autodiff = timed("torch eager", 1e-3, (3.0, 2.9, 3.1), variant="autodiff")
    found = problem(others=[autodiff], gains=[gain(TORCH, (1.2, 1.1, 1.3), "faster")])
    (panel,) = chart(figures_of(found)).first
    assert [line.where for line in panel.lines] == ["NumPy", "JAX compiled", "PyTorch", "JAX eager"]
    ends = [line.bar.end for line in panel.lines if line.bar]
    assert 0 < ends[0] < ends[1] < ends[2] < ends[3] <= 100
    assert all(line.bar.low <= line.bar.end <= line.bar.high for line in panel.lines if line.bar)
    assert [bool(line.other) for line in panel.lines] == [False, False, True, False]
    assert [line.gain for line in panel.lines] == ["", "", "1.2\u202f×", ""]
    assert panel.lines[0].ratio == "fastest"
    assert panel.lines[0].best


def test_of_many_problems_the_rest_have_their_panels_too() -> None:
    totals = [total("numpy eager", BEST, 6, 6), total("jax eager", (2, 1, 3), 0, 6)]
    found = chart(figures_of(*[problem()] * 6, totals=totals))
    assert (len(found.first), len(found.rest)) == (MOST, 6 - MOST)
    assert found.whole is not None
    assert [line.time for line in found.whole.lines] == ["6 of 6", "0 of 6"]
    few = chart(figures_of(*[problem()] * 2, totals=totals))
    assert few.whole is not None
    assert not few.whole.lines, "two panels say it already"


def test_a_time_that_is_not_compared_has_a_reason_in_place_of_a_bar() -> None:
    (panel,) = chart(figures_of(problem([NUMPY, timed("torch eager", 1e-3, barred=["died"])]))).first
    assert panel.lines[1].bar is None
    assert panel.lines[1].ratio == "a process died at it"


@pytest.mark.parametrize("most", [1.0, 1.3, 3.0, 12.0, 900.0, 4e5])
def test_a_scale_has_few_marks_and_always_that_of_the_fastest(most: float) -> None:
    ticks = Scale.of([Interval(1, 1, 1), Interval(most, most, most)]).ticks()
    assert ticks[0][1] == "1\u202f×"
    assert len(ticks) <= 3
    assert all(0 <= at <= 100 for at, _ in ticks)
