"""Other states of the source: an older run measured again, another commit in the same rounds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fast_protocol import FAST
from multigrad.bench import compare, load_run, measure
from multigrad.bench.measurement import worktree
from multigrad.bench.plan.cells import parse_size

from multigrad import BadInput

SLOWER = '''
import time
from multigrad import operation

@operation("(n)->()", sizes={"only": {"n": 64}})
def square(xp, x):
    """f = Σ x²; x̄ = 2 x f̄."""
    end = time.perf_counter() + {call_s}
    while time.perf_counter() < end:
        pass
    return xp.sum(x * x), lambda f_bar: 2 * f_bar * x
'''
ONE = {"backend": "numpy", "variant": "forward", "dtype": "float64", "threads": 1, "mode": "eager", "protocol": FAST}


def git(folder, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet")
    for call_s in ("2e-4", "6e-3"):
        (folder / "mine.py").write_text(SLOWER.replace("{call_s}", call_s))
        git(folder, "add", ".")
        git(folder, "commit", "--quiet", "-m", call_s)
    return folder


def test_another_commit_is_measured_in_the_same_rounds(repository, tmp_path):
    file = f"{repository / 'mine.py'}::square"
    run = measure(file, against_commit="HEAD~1", folder=tmp_path / "run", **ONE)
    assert set(run.samples["round"]) == set(run.before.samples["round"]) == {0, 1}
    assert set(run.before.samples["twin"]) == {0}
    (before,), (after,) = run.before.summary["min_s"], run.summary["min_s"]
    assert 2e-4 <= before < 3e-3
    assert after >= 6e-3
    assert run.before.info["git"]["commit"] == run.info["against_commit"]
    again = load_run(tmp_path / "run")
    frame = compare(again.before, again)
    assert frame["ratio"].iloc[0] > 1.5
    trees = subprocess.run(["git", "-C", str(repository), "worktree", "list"], capture_output=True, text=True)
    assert len(trees.stdout.splitlines()) == 1


def before_the_rooms():
    """Return the commit before every module moved: the parent of the first one that git blame looks past."""
    lines = (worktree.ROOT / ".git-blame-ignore-revs").read_text().splitlines()
    revision = f"{next(line for line in lines if line and not line.startswith('#'))}~1"
    try:
        return worktree.commit(worktree.ROOT, revision)
    except BadInput as error:
        pytest.skip(f"{error}; this clone is shallow: git fetch --unshallow brings {revision}")


@pytest.mark.skipif(not (worktree.ROOT / ".git").exists(), reason="this source is no checkout")
@pytest.mark.parametrize("revision", [lambda: "HEAD", before_the_rooms], ids=["HEAD", "before the rooms"])
def test_the_catalogue_of_another_commit_is_its_own(tmp_path, revision):
    options = {**ONE, "size": "tiny", "rounds": 1}
    run = measure("linear_map", against_commit=revision(), folder=tmp_path / "run", **options)
    for side in (run, run.before):
        assert side.summary["verdict"].tolist() == ["PASS"]
        assert (side.samples["kind"] == "latency").sum() >= FAST.process_blocks
        assert side.info["workers"][0]["facts"]["turns"]


def test_a_commit_that_is_not_there_is_one_line(repository):
    with pytest.raises(BadInput, match=r"git rev-parse in .*: fatal: "):
        measure(f"{repository / 'mine.py'}::square", against_commit="nowhere", **ONE)


def test_the_cells_of_an_older_run_are_measured_again(square, cube, tmp_path):
    older = measure([square, cube], folder=tmp_path / "old", size={"n": 33}, **ONE)
    newer = measure([square, cube], against=tmp_path / "old", rounds=1)
    assert newer.summary["sizes"].tolist() == older.summary["sizes"].tolist() == ["n=33", "n=33"]
    assert newer.info["against"] == "old"
    assert newer.info["protocol"]["block_s"] == FAST.block_s
    assert compare(older, newer)["ratio"].notna().all()
    with pytest.raises(BadInput, match="no operation named 'square' here, which the other run measured"):
        measure(cube, against=tmp_path / "old")


def test_the_catalogues_operation_is_not_measured_again_for_anothers_of_its_name(tmp_path):
    own = tmp_path / "own.py"
    own.write_text((Path(__file__).parent / "fake_operations.py").read_text().replace("def square", "def relu"))
    folder = tmp_path / "old"
    older = measure(f"{own}::relu", folder=folder, size={"n": 33}, **ONE)
    assert older.info["own_operations"] == {"relu": "own.py"}
    with pytest.raises(BadInput, match=r"the relu that the other run measured is that of own\.py, which was not given"):
        measure("relu", against=folder)
    older = measure("relu", folder=tmp_path / "catalogue", size="tiny", **ONE)
    assert older.info["own_operations"] == {}
    with pytest.raises(BadInput, match="the relu that the other run measured is the catalogue's, which was not given"):
        measure(f"{own}::relu", against=tmp_path / "catalogue")


def test_a_size_comes_back_from_its_text():
    assert parse_size("m=5 pads=(1,1) mode=valid") == {"m": 5, "pads": (1, 1), "mode": "valid"}


@pytest.mark.parametrize(
    ("size", "said"), [({}, "the size {} lacks 'n'; square has n"), ({"n": 3, "q": 1}, "gives 'q'; square has n")]
)
def test_a_size_that_does_not_fit_is_one_line(square, size, said):
    with pytest.raises(BadInput, match=said):
        measure(square, size=size, **ONE)
