"""The scores of ``rankprompt rerank``: in the run, in a table, by a threshold, calibrated."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from rankprompt.eval.calibration import Calibration
from rankprompt.eval.platt import PlattMap
from rankprompt.files import read_run
from rankprompt.files.scores_file import read_scores
from rankprompt.llm.base import Answer, Request
from tests.cli.conftest import BEST, Collection, Command
from tests.cli.refusals import refused
from tests.fakes import FakeModel, by_hash


def manifest(collection: Collection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(collection.output.with_suffix(".json").read_text())
    return found


def calibration(path: Path, model: str | None = None) -> Path:
    """A calibration by which the number x means a probability of 1 / (1 + exp(2 - x))."""
    Calibration(model, 1, 5, 50, 20, False, PlattMap("platt", 1.0, -2.0)).write(path)
    return path


def test_a_run_holds_probabilities_and_the_table_the_grades(
    command: Command, collection: Collection
) -> None:
    table = collection.folder / "scores.tsv"
    assert command(*collection.rerank(method="pointwise", scores=table)).code == 0
    assert collection.ranking() == BEST
    scores = read_scores(table)
    # The largest grade is 3.
    found = {name: (round(one.score, 4), one.value) for name, one in scores["q1"].items()}
    assert found == {"d3": (1.0, 3.0), "d4": (0.3333, 1.0), "d1": (0.0, 0.0), "d2": (0.0, 0.0)}
    run = read_run(collection.output)
    assert {query: {name: one.score for name, one in documents.items()}
            for query, documents in scores.items()} == run  # fmt: skip
    meaning = "grade as a share of the largest grade"
    described = manifest(collection)["scores"]
    assert (described["meaning"], described["calibration"]) == (meaning, None)
    (values,) = described["values"]
    assert (values["meaning"], values["model"], values["calibrated"]) == (meaning, None, False)


@pytest.mark.parametrize(
    ("method", "meaning"),
    [
        ("heapsort", "mean probability of being preferred to another candidate"),
        ("setwise-heapsort", "mean probability of being selected among the documents shown"),
        ("listwise", "share of the documents shown with it that it was ranked above"),
    ],
)
def test_the_manifest_says_what_the_scores_mean(
    command: Command, collection: Collection, method: str, meaning: str
) -> None:
    assert command(*collection.rerank(method=method)).code == 0
    assert collection.ranking() == BEST
    assert manifest(collection)["scores"]["meaning"] == meaning


def test_a_models_answer_of_yes_is_a_probability_of_relevance(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: Request) -> Answer:
        good = "Rivers wash" in request.prompt and "salt" in request.prompt
        return Answer((math.log(0.8), math.log(0.2)) if good else (math.log(0.1), math.log(0.9)))

    monkeypatch.setattr(
        "rankprompt.pipeline.model_access.load_model", lambda *_, **__: FakeModel(answer)
    )
    given = {"model": "a/model", "method": "pointwise", "prompt": "relevance-yes-no"}
    table = collection.folder / "scores.tsv"
    ran = command(*collection.rerank(**given, scores=table, threshold=0.5))
    assert ran.code == 0
    assert collection.ranking() == {"q1": "d3"}
    (found,) = read_scores(table)["q1"].values()
    assert (round(found.score, 5), round(found.value or 0, 9)) == (0.8, 0.8)
    made = manifest(collection)["scores"]
    assert made["meaning"] == "probability of relevance"
    assert made["none_relevant"] == ["q2"]
    assert (made["kept"], made["dropped"]) == (1, 5)
    assert "; 1 of 6 documents reach the threshold; nothing relevant to query q2: no" in ran.err


def test_where_nothing_is_relevant_the_run_is_empty(
    command: Command, collection: Collection
) -> None:
    collection.qrels.write_text("q1 0 d3 1\nq2 0 d2 0\n")
    ran = command(*collection.rerank(method="heapsort", threshold=0.99))
    assert ran.code == 0
    assert collection.output.read_text() == ""
    assert manifest(collection)["scores"]["none_relevant"] == ["q1", "q2"]
    assert "nothing relevant to 2 queries (q1, q2)" in ran.err


def test_a_query_about_which_nothing_was_asked_is_not_called_irrelevant(
    command: Command, collection: Collection
) -> None:
    collection.run.write_text(collection.run.read_text() + "q3 Q0 d1 1 3 first\n")
    with collection.queries.open("a") as file:
        file.write("q3\tonly one document\n")
    ran = command(*collection.rerank(method="heapsort", threshold=0.1))
    made = manifest(collection)["scores"]
    assert (made["none_relevant"], made["not_judged"]) == ([], ["q3"])
    assert "query q3 left out: nothing was asked about the documents" in ran.err


@pytest.mark.parametrize("method", ["allpair", "setwise-heapsort", "listwise"])
def test_what_the_budget_did_not_reach_is_not_judged(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(
        "rankprompt.pipeline.model_access.load_model", lambda *_, **__: FakeModel(by_hash)
    )
    given = {"method": method, "model": "a/model", "max_prompts": 1, "threshold": 0.01}
    ran = command(*collection.rerank(**given))
    assert ran.code == 0, ran.err
    made = manifest(collection)["scores"]
    assert "q2" in made["not_judged"]
    assert made["none_relevant"] == []


def test_a_calibration_makes_win_probabilities_probabilities_of_relevance(
    command: Command, collection: Collection
) -> None:
    path, table = calibration(collection.folder / "calibration.json"), collection.folder / "s.tsv"
    plain = collection.folder / "plain.tsv"
    assert command(*collection.rerank(method="allpair", scores=plain)).code == 0
    given = collection.rerank(method="allpair", scores=table, calibration=path)
    assert command(*given).code == 0
    assert collection.ranking() == BEST
    for query, documents in read_scores(plain).items():
        for name, before in documents.items():
            after = read_scores(table)[query][name]
            assert before.value is not None
            assert after.value == before.value
            expected = 1 / (1 + math.exp(2 - before.value))
            assert after.score == pytest.approx(expected, abs=1e-5)
    made = manifest(collection)["scores"]
    assert made["meaning"] == "probability of relevance"
    assert made["calibration"]["method"] == "platt"
    assert made["calibration"]["documents"] == 50


def test_a_calibration_of_another_model_is_refused(
    command: Command, collection: Collection
) -> None:
    path = calibration(collection.folder / "calibration.json", "a/model")
    ran = command(*collection.rerank(calibration=path))
    refused(ran, r"--calibration .* is of the model a/model, not of .*qrels\.trec; make one with")


def test_what_rerank_writes_calibrate_reads(command: Command, collection: Collection) -> None:
    queries = [f"q{number}" for number in range(1, 13)]
    documents = ["d1", "d2", "d3", "d4"]
    collection.run.write_text(
        "".join(f"{q} Q0 {d} {r} {9 - r} first\n" for q in queries for r, d in enumerate(documents))
    )
    collection.queries.write_text("".join(f"{query}\twhy\n" for query in queries))
    collection.qrels.write_text(
        "".join(f"{q} 0 d3 1\n{q} 0 d1 0\n{q} 0 d2 0\n{q} 0 d4 0\n" for q in queries)
    )
    table, fitted = collection.folder / "s.tsv", collection.folder / "calibration.json"
    words = collection.rerank(method="allpair", noise=0.3, scores=table)
    assert command(*words).code == 0
    before = collection.ranking()
    ran = command("calibrate", table, "--qrels", collection.qrels, "--output", fitted)
    assert ran.code == 0, ran.err
    assert command(*words, "--calibration", fitted).code == 0
    assert collection.ranking() == before
    scores = read_scores(table)
    mean = sum(one.score for named in scores.values() for one in named.values()) / 48
    # Calibrated on these documents, the probabilities add up to the number of relevant ones.
    assert mean == pytest.approx(1 / 4, abs=0.01)


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("threshold", 1.5, "--threshold must be from 0 to 1"),
        ("calibration", "docs.jsonl", "docs.jsonl"),
        ("calibration", "absent.json", "cannot read .*absent.json: No such file"),
        ("scores", "docs.jsonl", "docs.jsonl: this input would be overwritten"),
        ("scores", "better.json", "run, manifest, journal and scores need names that differ"),
        ("scores", "absent/s.tsv", "absent"),
        ("scores", "s.tsv.gz", r"s\.tsv\.gz: runs and scores are plain text; name it without \.gz"),
        ("output", "run.trec.XZ", r"run\.trec\.XZ: runs and scores are plain text"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_asked(
    command: Command, collection: Collection, option: str, value: object, problem: str
) -> None:
    if isinstance(value, str):
        value = collection.folder / value.replace("better", collection.output.stem)
    ran = command(*collection.rerank(**{option: value}))
    refused(ran, problem)
    assert not collection.output.exists()
