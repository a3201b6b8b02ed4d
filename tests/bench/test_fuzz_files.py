"""Files that somebody sent, damaged in every way: each is read, or refused in one line; nothing else comes out.

A mutation is named by its seed, which says what is damaged and how: ``python test_fuzz_files.py 17`` repeats one,
``python test_fuzz_files.py 0 2000`` counts what comes out of many.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import csv
import gzip
import io
import json
import logging
import math
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_run import made_up, made_up_events, made_up_fleet
from multigrad.bench import compare, load_run, merge
from multigrad.bench.analysis.answer import answer, study_of
from multigrad.bench.analysis.compare import find_run, geometric_means, within
from multigrad.bench.analysis.load import rebuild
from multigrad.bench.cli import matrix_table, timing_tables
from multigrad.bench.plan import study as studies
from multigrad.bench.report import exports, html
from multigrad.bench.report import markdown as report_markdown
from multigrad.bench.report.comparison import markdown
from multigrad.bench.report.figures import Figures
from multigrad.bench.report.junit import junit
from multigrad.bench.report.results import Results
from multigrad.bench.store.folder import JOURNAL, RUN, SAMPLES, SUMMARY
from multigrad.bench.store.frames import read_rows, write_frame
from multigrad.bench.store.journal import Journal, journal_events
from multigrad.bench.store.rows import SampleRow, SummaryRow

from multigrad import BadInput
from multigrad.ops.find import load_operations
from multigrad.proof.certificate import read_certificate, verify, write_certificate
from multigrad.truth.inputs import load_inputs, read_inputs

HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 10**6, 10**12, 2**53, 2**63, -(2**63), 10**30, 10**400, 0.5, -0.5,
    1e308, -1e308, 1e-308, math.inf, -math.inf, math.nan, "", " ", "x", "0", "1e999", "nan", "\x00", "\ud800", "\u202e",
    "</script><script>alert(1)", "=cmd()", "a\nb", "|`*<b>", "(" * 500, "é" * 5000, [], {}, [[]], [None], {"": None},
    {"a": {"b": [1]}}, [1e308] * 3,
)  # fmt: skip
"""Values that do not belong where they are put."""

TEXTS = ("", "inf", "-inf", "nan", "1e308", "1e999", "-1", "0", "1" * 400, "9" * 19, "1_000", "٣", "\x00", "\ud800",
         "'=1", '"', "a,b", "\r", "</script>", "True", "None", "n=" + "9" * 400, "n=" + "(" * 500,
         "x" * 200_000)  # fmt: skip
"""The same for a cell of a table."""

CPU_S, WAIT_S = 20, 300
"""What takes longer hangs: it computes without end, or waits for a pipe."""


def random_place(rng: random.Random, value: Any) -> tuple[Any, Any] | None:
    """Return a container somewhere in a value, at any depth, and a key of it."""
    places: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, dict | list):
            keys = [*one] if isinstance(one, dict) else [*range(len(one))]
            places += [(one, key) for key in keys]
            stack += [one[key] for key in keys]
    return rng.choice(places) if places else None


def mutate_json(rng: random.Random, value: Any) -> Any:
    """Return a value in which something is missing, added, exchanged or nested."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        place = random_place(rng, value)
        if place is None:
            break
        container, key = place
        how = rng.randrange(6)
        if how == 0:
            del container[key]
        elif how == 1:
            other = random_place(rng, value)
            if other is not None:
                container[key] = copy.deepcopy(other[0][other[1]])
        elif how == 2 and isinstance(container, list):
            container.extend(copy.deepcopy(container[key : key + 1]) * rng.choice((1, 3)))
        elif how == 2:
            container[rng.choice(("", "x", "cell", "__class__"))] = container.pop(key)
        elif how == 3 and isinstance(container, list):
            rng.shuffle(container)
        elif how == 4:
            for _ in range(rng.choice((1, 40, 3000))):
                container[key] = [container[key]]
            break
        else:
            container[key] = rng.choice(HOSTILE)
    return value


def json_bytes(value: Any) -> bytes:
    """Return the JSON of a value of any depth."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        return json.dumps(value).encode()
    finally:
        sys.setrecursionlimit(limit)


def mutate_bytes(rng: random.Random, data: bytes) -> bytes:
    """Return bytes of which some are lost, turned, doubled or put in."""
    how = rng.randrange(6)
    at = rng.randrange(len(data) + 1)
    upto = min(len(data), at + rng.choice((1, 4, 60, 1000)))
    if how == 0:
        return data[:at]
    if how == 1:
        return data[:at] + data[upto:]
    if how == 2:
        return data[:upto] + data[at:]
    if how == 3:
        junk = rng.choice((b"\x00", b"\xef\xbb\xbf", b"\r", b"\xff\xfe", b"\n", b'"', b"[" * 5000, b"9" * 5000))
        return data[:at] + junk + data[at:]
    turned = bytearray(data)
    for _ in range(rng.choice((1, 5, 50))):
        if turned:
            turned[rng.randrange(len(turned))] = rng.randrange(256)
    return bytes(turned)


def mutate_table(rng: random.Random, data: bytes) -> bytes:
    """Return a CSV table with other cells, rows or columns."""
    rows = [*csv.reader(io.StringIO(data.decode()))]
    for _ in range(rng.choice((1, 1, 3))):
        how = rng.randrange(6)
        if how == 0:
            rng.shuffle(rows)
        elif how == 1:
            rows.append(rows[rng.randrange(len(rows))])
        elif how == 2 and len(rows) > 1:
            del rows[rng.randrange(len(rows))]
        elif how == 3:
            column = rng.randrange(len(rows[0]))
            rows = [[text for i, text in enumerate(row) if i != column] for row in rows]
        else:
            row = rng.choice(rows[rng.randrange(2) :] or rows)
            if row:
                row[rng.randrange(len(row))] = rng.choice(TEXTS)
    file = io.StringIO()
    csv.writer(file, lineterminator=rng.choice(("\n", "\n", "\r\n", "\r"))).writerows(rows)
    return file.getvalue().encode(errors="surrogatepass")


def mutate_lines(rng: random.Random, data: bytes) -> bytes:
    """Return a journal with other events."""
    lines = data.splitlines(keepends=True)
    how = rng.randrange(5)
    if how == 0:
        rng.shuffle(lines)
    elif how == 1:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    elif how == 2:
        del lines[rng.randrange(len(lines))]
    else:
        number = rng.randrange(len(lines))
        lines[number] = json_bytes(mutate_json(rng, json.loads(lines[number]))) + b"\n"
    return b"".join(lines)


def mutate_toml(rng: random.Random, data: bytes) -> bytes:
    """Return a study with other values, or other lines."""
    lines = data.decode().splitlines()
    number = rng.randrange(len(lines))
    junk = ("1e999", "-1", "nan", "[]", "{}", '""', "9" * 40, "[1, 'a']", "1979-05-27", "true", "[" * 3000)
    how = rng.randrange(4)
    if how == 0:
        del lines[number]
    elif how == 1:
        lines.insert(number, rng.choice(lines))
    else:
        lines[number] = re.sub(r"=.*", f"= {rng.choice(junk)}".replace("\\", r"\\"), lines[number])
    return "\n".join(lines).encode()


def npy_bytes(header: str, data: bytes, version: int = 1) -> bytes:
    """Return an .npy file with a header of one's own."""
    text = header.encode("latin-1", errors="replace") + b"\n"
    size = len(text).to_bytes(2 if version == 1 else 4, "little") if len(text) < 2**16 or version > 1 else b"\xff\xff"
    return b"\x93NUMPY" + bytes((version, 0)) + size + text + data


def mutate_npz(rng: random.Random, data: bytes) -> bytes:
    """Return an archive with other names, headers, data or compression."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    number = rng.randrange(len(members))
    name, held = members[number]
    how = rng.randrange(6)
    if how == 0:
        names = ("../X.npy", "X", "/X.npy", "X.npy/", "X\x00.npy", "é.npy", "X.npy", "W.npy", " ", "x" * 5000)
        members[number] = rng.choice(names), held
    elif how == 1:
        members.append(rng.choice(members))
    elif how == 2:
        shapes = ("(5, 4)", "(10**12,)", "(99999999999,)", "(-1,)", "(5.0,)", "(True,)", "None", "()", "(0,)",
                  "(" * 3000, "(" + "1," * 200 + ")", "(4, 5)", "(2,) * 3", "(18446744073709551616,)")  # fmt: skip
        kinds = ("'<f8'", "'>f8'", "'<f2'", "'<f16'", "'|O'", "'<c16'", "'<M8[s]'", "'<m8'", "'<U4'", "'|S8'", "'|V8'",
                 "[('a', '<f8')]", "'<i8'", "'|b1'", "('<f8', (2,))", "'<U0'", "3", "'x'", "None")  # fmt: skip
        order = rng.choice(("False", "True", "1", "'x'"))
        shape, kind = rng.choice(shapes), rng.choice(kinds)
        header = f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}}}"
        header += rng.choice(("", " " * 20_000, "#"))
        members[number] = name, npy_bytes(header, held[128:], rng.choice((1, 1, 2, 3, 9)))
    elif how == 3:
        members[number] = name, mutate_bytes(rng, held)
    elif how == 4:
        file = io.BytesIO()
        np.save(file, np.array([{"a": 1}, Payload()], dtype=object), allow_pickle=True)
        members[number] = name, file.getvalue()
    file = io.BytesIO()
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", rng.choice(kinds)) as archive:
        warnings.simplefilter("ignore")
        for member, held in members:
            archive.writestr(member, held)
    made = file.getvalue()
    return mutate_bytes(rng, made) if how == 5 else made


RAN: list[str] = []
"""What ran, and must not have."""


def run_payload() -> None:
    """Say that a pickle was loaded."""
    RAN.append("a pickle")


class Payload:
    """An object whose pickle runs code."""

    def __reduce__(self) -> Any:
        return run_payload, ()


def replace_file(rng: random.Random, path: Path) -> None:
    """Put something in a file's place that is none."""
    path.unlink()
    how = rng.randrange(6)
    if how == 0:
        path.mkdir()
    elif how == 1:
        os.mkfifo(path)
    elif how == 2:
        path.symlink_to("/dev/zero")
    elif how == 3:
        path.symlink_to(path)
    elif how == 4:
        path.symlink_to(path.parent / "nowhere")
    # else it is gone


def mutate(rng: random.Random, path: Path) -> None:
    """Damage a file."""
    chosen = rng.randrange(10)
    if chosen == 0:
        replace_file(rng, path)
        return
    data = path.read_bytes()
    if chosen < 3:
        path.write_bytes(mutate_bytes(rng, data))
        return
    inner = gzip.decompress(data) if path.suffix == ".gz" else data
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    kinds: dict[str, Callable[[random.Random, bytes], bytes]] = {
        "csv": mutate_table, "jsonl": mutate_lines, "toml": mutate_toml, "npz": mutate_npz,
        "json": lambda rng, data: json_bytes(mutate_json(rng, json.loads(data))),
    }  # fmt: skip
    made = kinds[kind](rng, inner)
    path.write_bytes(gzip.compress(made) if path.suffix == ".gz" else made)


# What is damaged, and what reads it


def pages(folder: Path) -> None:
    """Write the reports of a run."""
    figures = Figures.of(load_run(folder))
    report_markdown.markdown(figures)
    page = html.html(figures)
    assert "<script>alert" not in page


def compared(folder: Path) -> None:
    """Compare a run with a sound one, both ways, and within itself."""
    sound = folder.parent / "sound"
    for sides in ((folder, sound), (sound, folder)):
        markdown(compare(*sides, force=True))
    markdown(within(folder, "variant", "autodiff", "analytic"))


def merged(folder: Path) -> None:
    """Merge a run with a sound one, and read what was written."""
    out = folder.parent / "merged again"
    load_run(merge([folder, folder.parent / "sound"], out).folder)  # type: ignore[arg-type]


def exported(folder: Path) -> None:
    """Export a run in every format."""
    for name in exports.FORMATS:
        with contextlib.suppress(BadInput):  # pyperf's is of one machine
            exports.export(folder, name)


def answered(folder: Path) -> None:
    """Answer studies from a run: its own, and one of each kind."""
    run = load_run(folder)
    own = study_of(run)
    of_each_kind = {str(one.answer["kind"]): one for one in studies.studies().values()}
    for one in [*([own] if own else []), *of_each_kind.values()]:
        with contextlib.suppress(BadInput):
            answer(one, run)


def shown(folder: Path) -> None:
    """Print the tables of a run, and write what a CI reads."""
    run = load_run(folder)
    with contextlib.redirect_stdout(io.StringIO()):
        timing_tables.show_summary(run)
        timing_tables.show_scaling(run)
        if run.matrix is not None:
            matrix_table.show_matrix(run.matrix, verbose=True)
            junit(run.matrix)
        if run.info.get("machines"):
            timing_tables.show_machines(run)
        frame = compare(folder, folder.parent / "sound", force=True)
        timing_tables.show_comparison(frame, geometric_means(frame))


def documented(folder: Path) -> None:
    """Read a run as the pages of the documentation do."""
    Results.read([folder])


def found_by_commit(folder: Path) -> None:
    """Look for a run by its commit."""
    find_run("0123456", folder.parent.parent)


def written(folder: Path) -> None:
    """Rebuild a run from its journal, and write its reports."""
    rebuild(folder)
    pages(folder)


def resumed(folder: Path) -> None:
    """Open a journal to go on with it."""
    journal = Journal(folder, new=False)
    journal.close()
    _, events = journal_events(folder)
    collections.deque(events, maxlen=0)


def verified(folder: Path) -> None:
    """Verify a certificate."""
    verify(folder / "certificates.json")


def certified(folder: Path) -> None:
    """Read a certificate."""
    read_certificate(folder / "certificates.json")


def asked(folder: Path) -> None:
    """Read a study, and answer it from a sound run."""
    one = studies.study(folder / "mine.toml")
    answer(one, load_run(folder.parent / "sound"))


def given(folder: Path) -> None:
    """Read inputs."""
    (op,) = load_operations(["linear_map"])
    load_inputs(op, str(folder / "inputs.npz"))
    read_inputs(op, str(folder / "inputs.npz"))


@dataclass(frozen=True)
class Specimen:
    """Files of one kind, and those who read them."""

    make: Callable[[Path], Any]
    readers: tuple[Callable[[Path], Any], ...]
    weight: int


def make_run(folder: Path, *, sizes: int = 3) -> None:
    made_up(folder, operations=1, sizes=sizes, rounds=2, blocks=4)
    for name, row_class in ((SUMMARY, SummaryRow), (SAMPLES, SampleRow)):
        rows = read_rows(folder / name, row_class)
        few = (rows["backend"] != "jax") & (rows["mode"] == "eager")  # enough to be damaged, and fast to read
        write_frame(rows[few], folder / name)
    info = json.loads((folder / RUN).read_text())
    kind = {"kind": "within", "column": "variant", "before": "autodiff", "after": "analytic"}
    table = {"backend": "torch", "size": ["small", {"m": 5}], "threads": [1, "all"]}
    info["study"] = {"name": "mine", "question": "Which?", "cells": [table], "answer": kind}
    info["host"] |= {"hostname": folder.name, "system": "Linux", "architecture": "x86_64"}
    (folder / RUN).write_text(json.dumps(info))


def make_merged(folder: Path) -> None:
    merge([folder.parent / "sound", folder.parent / "other"], folder)


def make_journal(events: Callable[[], list[dict[str, Any]]]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        folder.mkdir()
        lines = [json.dumps(event) + "\n" for event in events()]
        (folder / JOURNAL).write_text("".join(lines))

    return make


def make_certificate(folder: Path) -> None:
    folder.mkdir()
    write_certificate(folder / "certificates.json", ["linear_map"], points=1)


STUDY = """
question = "What does the pullback cost?"
[answer]
kind = "{kind}"
column = "variant"
before = ["autodiff"]
after = "analytic"
[[cells]]
operation = ["relu_regression", "linear_map"]
variant = "analytic"
size = ["medium", {{ m = 64, k = 64 }}]
threads = [1, "all"]
precision = "strict"
"""


def make_study(folder: Path) -> None:
    folder.mkdir()
    (folder / "mine.toml").write_text(STUDY.format(kind="best"))


def make_inputs(folder: Path) -> None:
    folder.mkdir()
    (op,) = load_operations(["linear_map"])
    arrays = op.make_inputs(op.size(next(iter(op.sizes))), 0, "gaussian")
    np.savez(folder / "inputs.npz", **dict(zip(op.inputs, arrays, strict=True)))


SPECIMENS = {
    "run": Specimen(make_run, (pages, compared, merged, exported, answered, shown, documented, found_by_commit), 8),
    "merged": Specimen(make_merged, (pages, compared, merged, exported, answered, shown), 2),
    "journal": Specimen(make_journal(made_up_events), (written, resumed), 6),
    "fleet": Specimen(make_journal(made_up_fleet), (written, resumed), 2),
    "certificate": Specimen(make_certificate, (certified, verified, documented), 3),
    "study": Specimen(make_study, (asked,), 3),
    "inputs": Specimen(make_inputs, (given,), 5),
}


def make_specimens(root: Path) -> Path:
    """Make one of each, and the sound runs that they are compared with."""
    for name in ("sound", "other"):
        make_run(root / name, sizes=1)
    for name, specimen in SPECIMENS.items():
        specimen.make(root / name)
    return root


class Hangs(Exception):
    """A file took longer than :data:`CPU_S` of computing or :data:`WAIT_S` in all."""


@contextlib.contextmanager
def not_hanging() -> Iterator[None]:
    """Raise in what hangs."""

    def stop(*_: Any) -> None:
        raise Hangs

    timers = ((signal.ITIMER_PROF, signal.SIGPROF, CPU_S), (signal.ITIMER_REAL, signal.SIGALRM, WAIT_S))
    before = [signal.signal(number, stop) for _, number, _ in timers]
    for timer, _, seconds in timers:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for (timer, number, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def comes_out(root: Path, seed: int) -> tuple[str, str]:
    """Damage a file as the seed says and read it; return what and by whom, and ``read``, ``refused`` or a traceback."""
    rng = random.Random(seed)
    name = rng.choices([*SPECIMENS], [specimen.weight for specimen in SPECIMENS.values()])[0]
    reader = rng.choice(SPECIMENS[name].readers)
    with tempfile.TemporaryDirectory(prefix="multigrad-fuzz-") as scratch:
        folder = Path(scratch) / "runs" / name
        for one in (name, "sound"):
            shutil.copytree(root / one, folder.parent / one)
        path = rng.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
        mutate(rng, path)
        what = f"seed {seed}: {path.name} of {name}, {reader.__name__}"
        RAN.clear()
        try:
            with not_hanging():
                reader(folder)
        except BadInput as error:
            if "\n" in str(error) or len(str(error)) > 2000:
                return what, f"not one line: {str(error)[:3000]!r}"
            outcome = "refused"
        except Exception:  # noqa: BLE001 - whatever else comes out is what is looked for
            return what, traceback.format_exc()
        else:
            outcome = "read"
        return what, f"{RAN[0]} ran" if RAN else outcome


@pytest.fixture(scope="module")
def specimens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_specimens(tmp_path_factory.mktemp("specimens"))


def failures(root: Path, seeds: range) -> list[str]:
    results = [comes_out(root, seed) for seed in seeds]
    assert {outcome for _, outcome in results} >= {"read", "refused"}
    return [f"{what}\n{outcome}" for what, outcome in results if outcome not in ("read", "refused")]


@pytest.mark.parametrize("name", SPECIMENS)
def test_what_is_not_damaged_is_read(specimens, tmp_path, name):
    for reader in SPECIMENS[name].readers:
        folder = tmp_path / reader.__name__ / "runs" / name
        for one in (name, "sound"):
            shutil.copytree(specimens / one, folder.parent / one)
        reader(folder)


def test_a_damaged_file_is_read_or_refused_in_one_line(specimens):
    assert not failures(specimens, range(150))


@pytest.mark.long
@pytest.mark.parametrize("start", range(0, 2000, 250))
def test_two_thousand_damaged_files_are_read_or_refused_in_one_line(specimens, start):
    assert not failures(specimens, range(start, start + 250))


def main() -> None:
    """Count what comes out of the seeds that are given: one, or the first and one beyond the last."""
    first, *last = map(int, sys.argv[1:])
    logging.disable()
    resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as scratch:
        root = make_specimens(Path(scratch))
        for seed in range(first, *(last or [first + 1])):
            what, outcome = comes_out(root, seed)
            counts[outcome if outcome in ("read", "refused") else outcome.strip().splitlines()[-1][:150]] += 1
            if outcome not in ("read", "refused"):
                print(what, outcome if not last else outcome.strip().splitlines()[-1][:200], flush=True)  # noqa: T201
    print(*counts.most_common(), sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
