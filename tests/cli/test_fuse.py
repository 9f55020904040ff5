"""``rankprompt fuse``. What runs ranx is a process of its own, in which it does not compile."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Collection, Command

OTHER = """\
q1 Q0 d3 1 0.9 other
q1 Q0 d5 2 0.8 other
q1 Q0 d1 3 0.7 other
"""
FUSED = {"q1": "d1 d3 d2 d5 d4", "q2": "d4 d2"}


@pytest.fixture
def other(collection: Collection) -> Path:
    path = collection.folder / "other.trec"
    path.write_text(OTHER)
    return path


def fuse(*words: object) -> subprocess.CompletedProcess[str]:
    script = "from rankprompt.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", script, "fuse", *map(str, words)], capture_output=True, text=True
    )


def test_two_runs_become_one(collection: Collection, other: Path) -> None:
    ran = fuse(collection.run, other, "--output", collection.output)
    assert (ran.returncode, ran.stdout) == (0, "")
    assert ran.stderr.startswith(
        f"rankprompt: {collection.output}: 2 runs; 2 queries; 7 candidates; "
        f"{other} lacks 1 of the queries; "
    )
    assert ran.stderr.count("\n") == 1
    assert collection.ranking() == FUSED
    manifest = json.loads((collection.folder / "out.json").read_text())
    assert manifest["settings"]["k"] == 60
    assert [one["path"] for one in manifest["inputs"]["runs"]] == [str(collection.run), str(other)]
    assert manifest["queries_missing"] == {str(collection.run): 0, str(other): 1}


def test_lines_in_another_order_are_the_same_runs(collection: Collection, other: Path) -> None:
    for path in (collection.run, other):
        path.write_text("".join(sorted(path.read_text().splitlines(keepends=True), reverse=True)))
    words = ["--method", "combsum", "--weights", "0.9, 0.1", "--depth", 2, "--json"]
    ran = fuse(collection.run, other, "--output", collection.output, *words)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert collection.ranking() == {"q2": "d4 d2", "q1": "d1 d2"}
    manifest = json.loads(ran.stdout)
    assert manifest == json.loads((collection.folder / "out.json").read_text())
    settings = manifest["settings"]
    assert (settings["norm"], settings["k"], settings["weights"]) == ("min-max", None, [0.9, 0.1])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "fusion needs two or more runs, not 1"),
        (["other.trec", "other.trec"], "each run may be given once"),
        (["other.trec", "--depth", "0"], "--depth must be at least 1, not 0"),
        (["other.trec", "--weights", "a"], "--weights are numbers, as in 0.3,0.7, not 'a'"),
        (["other.trec", "--weights", "1,2"], "rrf takes no --weights"),
        (
            ["other.trec", "--weights", "", "--method", "borda"],
            "--weights needs 2 numbers, one for each run, not 0",
        ),
        (["other.trec", "--method", "rff"], "did you mean 'rrf'?"),
        (["missing.trec"], "cannot read missing.trec"),
        (["other.trec", "--output", "other.trec"], "this input would be overwritten"),
        (["other.trec", "--output", "missing/out.trec"], "cannot write missing/out.trec"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    command: Command,
    collection: Collection,
    other: Path,
    words: list[str],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(collection.folder)
    ran = command("fuse", "run.trec", "--output", "out.trec", *words)
    assert (ran.code, ran.out) == (2, "")
    assert problem in ran.err
    assert ran.err.count("\n") == 1
    assert not collection.output.exists()
    assert other.read_text() == OTHER
