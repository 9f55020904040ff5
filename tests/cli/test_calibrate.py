"""``rankprompt calibrate``."""

import json
import random
import re
from pathlib import Path

import pytest

from rankprompt.eval.calibration import read_calibration
from tests.cli.conftest import Command
from tests.cli.refusals import refused

HEADER = "query\tdocument\trank\tscore\tvalue\n"


@pytest.fixture
def files(tmp_path: Path) -> list[object]:
    """The words of a command on 30 queries of 20 documents, whose scores are overconfident."""
    source = random.Random(0)
    lines, grades = [HEADER], []
    for query in range(30):
        for document in range(20):
            relevant = source.random() < 0.3
            value = source.gauss(1.5 if relevant else -0.5, 1)
            score = 0.999 if value > 0 else 0.001
            lines.append(f"q{query}\td{document}\t{document + 1}\t{score}\t{value}\n")
            if document < 15:
                grades.append(f"q{query} 0 d{document} {2 * relevant}\n")
    (tmp_path / "scores.tsv").write_text("".join(lines))
    (tmp_path / "qrels.trec").write_text("".join(grades))
    return [
        "calibrate", tmp_path / "scores.tsv", "--qrels", tmp_path / "qrels.trec",
        "--output", tmp_path / "calibration.json",
    ]  # fmt: skip


def table(err: str) -> dict[str, tuple[float, float]]:
    """The two figures of each row by its name."""
    found = re.findall(r"^ *(\S.*?) {2,}([0-9.]+) +([0-9.]+) *$", err, re.MULTILINE)
    return {name: (float(error), float(brier)) for name, error, brier in found}


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_a_calibration_is_written_and_its_errors_are_told(
    method: str, command: Command, files: list[object], tmp_path: Path
) -> None:
    ran = command(*files, "--method", method)
    assert (ran.code, ran.out) == (0, "")
    fitted = read_calibration(tmp_path / "calibration.json")
    assert (fitted.method, fitted.level) == (method, 1)
    assert (fitted.queries, fitted.documents) == (30, 450)
    assert (
        f"calibration.json: {method} on 450 judged documents of 30 queries, {fitted.relevant} of "
        "them relevant (grade 1 or higher)"
    ) in ran.err
    rows = table(ran.err)
    before, after, honest = (
        rows[name]
        for name in (
            "scores of the run", f"{method}, of what it was fitted on",
            f"{method}, cross-validated",
        )
    )  # fmt: skip
    assert before[0] > 0.15
    assert max(after[0], honest[0]) < 0.08
    assert after[1] < honest[1] < rows["the share of relevant documents for all"][1] < before[1]


def test_documents_without_a_grade_count_where_asked(
    command: Command, files: list[object], tmp_path: Path
) -> None:
    qrels = tmp_path / "qrels.trec"
    lines = qrels.read_text().splitlines(keepends=True)
    qrels.write_text("".join(line for line in lines if not line.endswith(" 0\n")))
    refused(command(*files), "all of .* are relevant.*needs both, see --unjudged-as-irrelevant")
    assert not (tmp_path / "calibration.json").exists()
    assert command(*files, "--unjudged-as-irrelevant").code == 0
    fitted = read_calibration(tmp_path / "calibration.json")
    assert (fitted.documents, fitted.unjudged_as_irrelevant) == (600, True)


def test_one_query_is_told_that_it_allows_no_cross_validation(
    command: Command, files: list[object], tmp_path: Path
) -> None:
    scores, qrels = tmp_path / "scores.tsv", tmp_path / "qrels.trec"
    scores.write_text(HEADER + "".join(f"q\td{n}\t{n + 1}\t0.5\t{-n}\n" for n in range(24)))
    qrels.write_text("".join(f"q 0 d{n} {int(n < 6)}\n" for n in range(24)))
    ran = command(*files)
    assert ran.code == 0
    assert "no cross-validation: cross-validation needs two judged queries or more" in ran.err
    assert "cross-validated" not in table(ran.err)


def test_values_that_say_nothing_are_told(
    command: Command, files: list[object], tmp_path: Path
) -> None:
    scores = tmp_path / "scores.tsv"
    scores.write_text(
        HEADER + re.sub(r"\S+$", "1", scores.read_text(), flags=re.M).split("\n", 1)[1]
    )
    ran = command(*files, "--method", "platt")
    assert ran.code == 0
    assert "the values do not rise with relevance" in ran.err


def test_what_cannot_be_calibrated_is_one_line(
    command: Command, files: list[object], tmp_path: Path
) -> None:
    output, scores = tmp_path / "calibration.json", tmp_path / "scores.tsv"
    refused(command(*files, "--method", "isotonik"), "did you mean 'isotonic'")
    refused(command(*files, "--level", 0), "give a --level of 1 or more, not 0")
    refused(command(*files, "--level", 3), "none of 450 judged documents is relevant")
    refused(command(*files[:-1], scores), "this input would be overwritten; name another --output")
    refused(command(*files[:-1], tmp_path), "it is a directory")
    scores.write_text(scores.read_text() + "q\td\t1\t2\t\n")
    refused(command(*files), r"scores\.tsv:602: expected a score from 0 to 1, found '2'")
    scores.write_text(HEADER + "other\td1\t1\t0.5\t3\n")
    refused(command(*files), "0 documents have both a value and a grade")
    scores.write_text(json.dumps({"a": 1}))
    refused(command(*files), r"scores\.tsv:1: expected the header")
    assert not output.exists()
