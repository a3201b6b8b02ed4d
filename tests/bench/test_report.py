"""The report of a run: what it says is in the data, what is missing is said, and nobody's text does harm."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import altair
import pytest
from altair.utils.schemapi import SchemaValidationError
from made_up_run import made_up
from multigrad.bench import cli, load_run, write_reports
from multigrad.bench.report import charts, drawing, pictures
from multigrad.bench.report.conclusions import MOST, NO_SAMPLES, conclusions
from multigrad.bench.report.figures import Figures
from multigrad.bench.report.html import html
from multigrad.bench.report.markdown import markdown
from multigrad.bench.report.plain import visible
from multigrad.bench.store import machine
from multigrad.bench.store.folder import MATRIX, RUN, SAMPLES, SUMMARY
from multigrad.bench.store.run import read_info

EVIL = "<script>alert(1)</script>"
COMMENT = "a<!--b</SCRIPT  >\u202ecod\u2066.exe\u200f\nFAIL =cmd()"
REASON = f"line one\nline two {EVIL} <img src=x onerror=alert(2)> \u202e"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up(tmp_path_factory.mktemp("run") / "run")


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return html(load_run(folder))


def without_scripts(page: str) -> str:
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def data_of(page: str) -> Any:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, flags=re.DOTALL)
    return json.loads(text)


def part(page: str, name: str) -> str:
    """Return the section of that name."""
    (found,) = re.findall(rf'<section id="{name}".*?</section>', page, flags=re.DOTALL)
    return found


# The figures


def test_speed_up_is_autodiff_over_analytic_with_its_interval(folder: Path) -> None:
    pairs = Figures.of(load_run(folder)).speed_ups
    assert len(pairs) == 4 * 4 * 4
    assert all(pair["low"] <= pair["ratio"] <= pair["high"] for pair in pairs)
    assert 1.3 < sorted(pair["ratio"] for pair in pairs)[len(pairs) // 2] < 2.2


def test_without_samples_times_are_shown_and_not_compared(tmp_path: Path) -> None:
    folder = made_up(tmp_path / "run")
    (folder / SAMPLES).unlink()
    figures = Figures.of(load_run(folder))
    assert NO_SAMPLES in conclusions(figures).paragraphs()
    assert not figures.speed_ups
    assert len(figures.cells) == 144


def test_compiling_pays_when_its_price_is_saved(folder: Path) -> None:
    for row in Figures.of(load_run(folder)).break_even:
        if row["calls"]:
            price, saved = row["compiled_first_s"] - row["eager_first_s"], row["eager_s"] - row["compiled_s"]
            assert (row["calls"] - 1) * saved < price <= row["calls"] * saved * (1 + 1e-9)
        elif row["calls"] is None:
            assert row["compiled_s"] >= row["eager_s"]


def test_text_is_in_one_line_and_what_would_turn_it_is_seen() -> None:
    assert visible("a\n\tb\u202ec\u200fd") == "a b⟨U+202E⟩c⟨U+200F⟩d"
    assert visible("∂f/∂x̄ μ 数") == "∂f/∂x̄ μ 数"
    assert visible("half \ud800") == "half ⟨U+D800⟩"


# The page


def test_the_page_asks_for_nothing_from_anywhere(page: str) -> None:
    assert not re.findall(r"""\s(?:src|srcset|data|action|poster|background)\s*=""", without_scripts(page))
    assert all(link.startswith("#") for link in re.findall(r'href="([^"]*)"', without_scripts(page)))
    assert not re.findall(r"url\(|@import|<link|<iframe|<object|<embed|<base", without_scripts(page))
    assert "://" not in without_scripts(page)
    assert "default-src 'none'" in page


def test_the_page_runs_its_own_two_scripts_and_names_them_in_its_policy(page: str) -> None:
    from multigrad.bench.report.html import _hash

    scripts = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert len(scripts) == 2
    assert all(f"'{_hash(script)}'" in policy.replace("&#39;", "'") for script in scripts)
    assert "unsafe-eval" not in policy
    assert "script-src 'unsafe-inline'" not in policy


def test_the_sections_stand_in_their_order(page: str) -> None:
    names = re.findall(r'<section id="([\w-]+)"', page)
    assert names == [
        "answer", "matrix", "fastest", "speed-up", "calls", "memory", "roofline", "accuracy", "noise", "environment",
        "again",
    ]  # fmt: skip
    assert "multigrad run --quick" in part(page, "again")
    assert "git checkout 0123456789abcdef" in part(page, "again")


def test_failures_stand_first_with_their_diagnosis(page: str) -> None:
    matrix = part(page, "matrix")
    assert matrix.index("a factor 2 is missing") < matrix.index('<table id="grid"')
    rows = re.findall(r'<tr data-verdict="(\w+)"><th scope="row"><bdi>(\w+)', matrix)
    assert rows[0] == ("FAIL", "operation_3")
    assert {verdict for verdict, _ in rows[2:]} == {"PASS"}
    assert "no CUDA device" in matrix


def test_only_a_time_that_cannot_be_trusted_has_a_mark(tmp_path: Path) -> None:
    run = load_run(made_up(tmp_path / "run"))
    timed = run.summary["median_s"].notna()
    flags = ["spread-within" if i else "died" for i in range(len(run.summary))]
    rows = re.findall(
        r'<tr data-cell="\d+">.*?</tr>',
        part(html(replace(run, summary=run.summary.assign(flags=flags))), "fastest"),
        flags=re.DOTALL,
    )
    assert len(rows) == timed.sum()
    marked = [row for row in rows if re.search(r'<td data-sort="[^"]*" class="barred"><bdi>[\d.]', row)]
    assert len(marked) == 1
    assert "! a process died at it" in marked[0]
    assert sum("<bdi>unsteady</bdi>" in row for row in rows) == len(rows) - 1


def test_malicious_text_stays_text(tmp_path: Path) -> None:
    folder = made_up(tmp_path / "run", names={0: EVIL, 3: COMMENT}, reason=REASON)
    info = read_info(folder)
    info["command"] = f"multigrad run '{EVIL}'"
    info["host"]["cpu"] = f"{EVIL}\u202e"
    (folder / RUN).write_text(json.dumps(info), encoding="utf-8")
    text = html(load_run(folder))
    plain = without_scripts(text)
    assert "<script>alert" not in text
    assert "<img" not in plain
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in plain
    assert not set(text) & set("\u202e\u2066\u200f"), "no sign that turns the letters is left"
    assert text.count("<script") == text.count("</script>") == 3
    # The same names are whole in the data.
    assert EVIL in {c["operation"] for c in data_of(text)["cells"]}
    assert visible(COMMENT) in {c["operation"] for c in data_of(text)["cells"]}
    said = markdown(load_run(folder))
    # An indented line is code, which Markdown shows as it is.
    assert not [line for line in said.splitlines() if "<script" in line and not line.startswith("    ")]
    assert "\u202e" not in said


@pytest.mark.parametrize(
    ("missing", "section", "words"),
    [
        ("matrix", "matrix", "This run has no correctness matrix"),
        ("matrix", "accuracy", "no cell that was both judged in ulp and timed"),
        ("summary", "answer", "Nothing was timed"),
        ("summary", "fastest", "Nothing was timed in this run."),
        ("summary", "speed-up", "No cell was timed both hand-derived and by autodiff"),
        ("summary", "roofline", "none has a place under a roof"),
        ("samples", "noise", "This run keeps no samples"),
        ("memory", "memory", "leaves memory out"),
        ("noise floor", "noise", "the noise floor of this run is not known"),
        ("command", "again", "does not say which command"),
        ("environment", "environment", "not recorded"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, missing: str, section: str, words: str) -> None:
    folder = made_up(tmp_path / "run", operations=2, sizes=2, memory=missing != "memory")
    files = {"matrix": [MATRIX], "summary": [SUMMARY, SAMPLES], "samples": [SAMPLES]}
    for name in files.get(missing, []):
        (folder / name).unlink()
    info = read_info(folder)
    gone = {
        "noise floor": ["noise_floor"],
        "command": ["command"],
        "environment": ["host", "workers", "git", "versions"],
    }
    info = {k: v for k, v in info.items() if k not in gone.get(missing, [])}
    (folder / RUN).write_text(json.dumps(info), encoding="utf-8")
    text = part(html(load_run(folder)), section)
    assert words in text
    if missing in ("summary", "memory", "samples") and section != "answer":
        assert '<div class="plot"' not in text, "there is no empty chart"


def test_every_chart_has_a_title_words_and_words_for_its_absence(folder: Path) -> None:
    for chart in charts.charts(Figures.of(load_run(folder))):
        assert chart.rows
        assert chart.title
        assert len(chart.description) > 80
        assert chart.absent.endswith(".")


def test_every_specification_is_one_by_the_schema_of_vega_lite(folder: Path) -> None:
    for chart in charts.charts(Figures.of(load_run(folder))):
        assert chart.specification(validate=True) == chart.specification()
    wrong = replace(chart, make=lambda _: altair.Chart(altair.Data(name="rows")).mark_point(size="large"))
    with pytest.raises(SchemaValidationError):
        wrong.specification(validate=True)


def test_a_thousand_cells_and_a_hundred_thousand_samples_are_under_ten_megabytes(tmp_path: Path) -> None:
    folder = made_up(tmp_path / "run", operations=28, sizes=4, rounds=5, blocks=20)
    run = load_run(folder)
    assert run.summary["median_s"].notna().sum() >= 1000
    assert len(run.samples) >= 100_000
    assert len(html(run).encode()) < 10_000_000


# The files and the commands


def test_the_command_writes_both_reports_and_the_pictures(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "pictures"
    monkeypatch.setattr(sys, "argv", ["multigrad", "report", str(folder), "--svg", str(place), "--png", str(place)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert str(folder / "report.md") in said
    assert str(folder / "report.html") in said
    names = {path.name for path in place.iterdir()}
    assert {"speed-up.svg", "speed-up.png", "time-operation-0.svg", "noise.png"} <= names
    assert (place / "speed-up.png").read_bytes().startswith(b"\x89PNG")


def test_without_the_libraries_markdown_is_written_and_the_install_line_is_said(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(folder, tmp_path / "run", ignore=shutil.ignore_patterns("report.*"))
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "vl_convert" else find(name, *a))
    said = write_reports(copy)
    assert 'need vl_convert, not installed; pip install "multigrad[report]"' in said[-1]
    assert (copy / "report.md").exists()
    assert not (copy / "report.html").exists()
    with pytest.raises(Exception, match=r"multigrad\[report\]"):
        write_reports(copy, svg=tmp_path)


def test_the_command_of_a_run_can_be_given_to_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["run", "my file.py::f", "--quick"]
    monkeypatch.setattr(sys, "argv", ["/somewhere/multigrad", *arguments])
    assert shlex.split(machine.command()) == ["multigrad", *arguments]
    monkeypatch.setattr(sys, "argv", ["/somewhere/bench/cli/__main__.py", *arguments])
    assert shlex.split(machine.command()) == ["python", "-m", "multigrad.bench.cli", *arguments]


def test_markdown_begins_with_the_answer(folder: Path) -> None:
    text = markdown(load_run(folder))
    assert text.index("Over 16 problems") < text.index("| machine | Imaginary |")
    assert "geometric mean of 1" not in text


def test_a_picture_knows_its_data(folder: Path) -> None:
    figures = Figures.of(load_run(folder))
    one, again = (next(pictures.pictures(figures)) for _ in range(2))
    assert one.digest == again.digest
    assert one.svg().startswith(f"<!-- multigrad report: {one.digest} -->\n<svg")
    other = pictures.Picture(one.name, {**one.specification, "width": 1})
    assert other.digest != one.digest


def test_a_picture_of_dots_has_its_letters() -> None:
    def drawn(title: str) -> bytes:
        axis = {"field": "x", "type": "quantitative", "title": title}
        rows = {"values": [{"x": 1}]}
        config = {"font": drawing.FONT}
        return pictures.Picture("a", {"data": rows, "mark": "point", "encoding": {"x": axis}, "config": config}).png()

    assert drawn("iiiiii") != drawn("WWWWWW")


# In a browser


class Opened:
    """A page that is open, and what it asked for and complained about."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(offline=True, **{"viewport": {"width": 1280, "height": 900}, **options})
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: said.type == "error" and self.errors.append(said.text))
        self.page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        self.page.goto(path.as_uri())
        # From a timer: what a debugger evaluates at once is let through by a page's security policy.
        self.page.evaluate("setTimeout(async () => { await multigradDrawAll(); window.allDrawn = true; }, 0), 0")
        self.page.wait_for_function("window.allDrawn || undefined", timeout=20_000)


@pytest.fixture
def opened(browser: Any, folder: Path, page: str) -> Iterator[Opened]:
    (folder / "report.html").write_text(page, encoding="utf-8")
    one = Opened(browser, folder / "report.html")
    yield one
    one.context.close()


def test_every_chart_is_drawn_offline_without_a_complaint(opened: Opened, tmp_path: Path) -> None:
    assert opened.page.locator(".plot svg").count() == 8
    for marks in opened.page.locator(".plot svg").all():
        assert marks.locator(".mark-symbol path, .mark-rule line").count() > 3
    assert len(opened.requests) == 1
    assert not opened.errors
    assert len(opened.page.screenshot(path=tmp_path / "page.png", full_page=True)) > 50_000


def test_a_script_that_is_not_the_page_s_own_is_not_run(opened: Opened) -> None:
    opened.page.evaluate(
        "() => { const script = document.createElement('script'); script.textContent = 'window.injected = 1'; "
        "document.body.append(script); }"
    )
    assert opened.page.evaluate("window.injected === undefined")
    assert any("Content Security Policy" in error for error in opened.errors)


def test_the_page_begins_with_the_answer_and_draws_it_without_a_script(opened: Opened, page: str) -> None:
    panels = opened.page.locator("#answer .panel")
    assert panels.count() == MOST + 1
    answer = part(page, "answer")
    assert "<script" not in answer
    assert answer.index("Is it right?") < answer.index("Over 16 problems") < answer.index("operation_0, m=8 k=8")
    lengths = opened.page.locator("#answer .panel").nth(1).locator("i.ours:not(.reach)")
    widths = lengths.evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().width)")
    assert len(widths) == 5
    assert widths == sorted(widths)
    assert min(widths) > 0
    assert panels.nth(1).locator("tr.best th").first.inner_text() in panels.nth(1).locator("strong").first.inner_text()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_words_and_bars_of_a_problem_are_on_the_first_screen(
    browser: Any, tmp_path: Path, width: int, height: int
) -> None:
    folder = made_up(tmp_path / "run", operations=2, sizes=1)
    (folder / "report.html").write_text(html(load_run(folder)), encoding="utf-8")
    one = Opened(browser, folder / "report.html", viewport={"width": width, "height": height})
    box = one.page.locator("#answer .panel").first.locator("table.bars").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= height
    one.context.close()


def test_chips_choose_what_tables_and_charts_show(opened: Opened) -> None:
    chip = opened.page.locator("#chips").get_by_role("button", name="jax", exact=True)
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    rows = opened.page.locator("#table-cells tbody tr:visible")
    assert rows.count()
    assert not any("jax" in row.inner_text() for row in rows.all()[:20])


def test_a_selector_changes_the_chart(opened: Opened) -> None:
    select = opened.page.locator("#chart-time select")
    before = opened.page.locator("#chart-time .plot").inner_html()
    select.select_option("operation_2")
    opened.page.wait_for_function(
        "before => document.querySelector('#chart-time .plot svg') && "
        "document.querySelector('#chart-time .plot').innerHTML !== before",
        arg=before,
    )


def test_a_table_sorts_by_its_figures_and_filters_by_words(opened: Opened) -> None:
    table = opened.page.locator("#table-cells")
    table.get_by_role("button", name="time [95 %]").click()
    times = [
        float(v) for v in table.locator("tbody td:nth-child(6)").evaluate_all("cells => cells.map(c => c.dataset.sort)")
    ]
    assert times == sorted(times)
    assert table.locator("th[aria-sort=ascending]").count() == 1
    table.get_by_role("button", name="time [95 %]").click()
    assert table.locator("th[aria-sort=descending]").count() == 1
    table.get_by_role("searchbox").fill("operation_1 torch")
    rows = table.locator("tbody tr:visible")
    assert 0 < rows.count() < len(times)
    assert all("operation_1" in row.inner_text() and "torch" in row.inner_text() for row in rows.all())
    assert "rows" in table.locator(".count").inner_text()


def test_the_matrix_tells_ratio_ulp_and_reason_to_mouse_and_keyboard(opened: Opened) -> None:
    tip = opened.page.locator("#tip")
    wrong = opened.page.locator("#grid td.FAIL").first
    wrong.hover()
    assert "a factor 2 is missing" in tip.inner_text()
    assert "ulp" in tip.inner_text()
    opened.page.locator("#grid td[tabindex='0']").focus()
    first = tip.inner_text()
    opened.page.keyboard.press("ArrowDown")
    opened.page.keyboard.press("ArrowRight")
    assert tip.is_visible()
    assert tip.inner_text() != first
    assert opened.page.locator("#grid td[tabindex='0']").count() == 1
    opened.page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_light_and_dark_follow_the_system_until_the_switch_is_used(browser: Any, folder: Path, page: str) -> None:
    (folder / "report.html").write_text(page, encoding="utf-8")
    one = Opened(browser, folder / "report.html", color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = one.page.evaluate(paper)
    switch = one.page.get_by_role("button", name="dark", exact=True)
    assert switch.get_attribute("aria-pressed") == "true"
    switch.click()
    assert one.page.evaluate(paper) == "rgb(255, 255, 255)" != dark
    assert switch.get_attribute("aria-pressed") == "false"
    one.context.close()


def test_the_page_fits_a_phone(browser: Any, folder: Path, page: str) -> None:
    (folder / "report.html").write_text(page, encoding="utf-8")
    one = Opened(browser, folder / "report.html", viewport={"width": 390, "height": 844})
    assert one.page.evaluate("document.documentElement.scrollWidth") == 390
    widest = one.page.locator(".plot").evaluate_all(
        "plots => Math.max(...plots.map(p => p.scrollWidth - p.clientWidth))"
    )
    assert widest <= 0
    one.context.close()


def test_malicious_names_do_nothing_in_a_browser(browser: Any, tmp_path: Path) -> None:
    folder = made_up(tmp_path / "run", names={0: EVIL, 1: "<img src=x onerror=alert(3)>", 3: COMMENT}, reason=REASON)
    (folder / "report.html").write_text(html(load_run(folder)), encoding="utf-8")
    one = Opened(browser, folder / "report.html")
    one.page.locator("#grid td.FAIL").first.hover()
    assert "line one line two <script>" in one.page.locator("#tip").inner_text()
    one.page.locator("#chart-speed_up .mark-symbol path").first.hover()
    one.page.wait_for_selector("#vg-tooltip-element.visible")
    assert one.page.locator("#vg-tooltip-element img, #vg-tooltip-element script").count() == 0
    assert one.page.locator("img").count() == 0
    assert one.page.locator(".plot svg").count() == 8
    assert not one.dialogs
    assert not one.errors
    assert len(one.requests) == 1
    one.context.close()


def test_a_page_of_a_run_without_timings_opens_without_a_complaint(browser: Any, tmp_path: Path) -> None:
    folder = made_up(tmp_path / "run", operations=2, sizes=2)
    (folder / SUMMARY).unlink()
    (folder / SAMPLES).unlink()
    (folder / "report.html").write_text(html(load_run(folder)), encoding="utf-8")
    one = Opened(browser, folder / "report.html")
    assert not one.errors
    assert one.page.locator(".plot").count() == 0
    one.context.close()
