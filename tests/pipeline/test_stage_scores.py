"""The scores of a run that several stages made."""

import math
from pathlib import Path
from typing import Any

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.errors import InputError
from rankprompt.eval.calibration import Calibration
from rankprompt.eval.judged_values import model_of
from rankprompt.eval.platt import PlattMap
from rankprompt.files import read_documents, read_queries, write_run
from rankprompt.files.scores_file import ScoredDocument, read_scores
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.rerank import run_rerank
from rankprompt.retrieval import bm25
from tests.configs import change, configure
from tests.fakes import FakeModel, by_hash

RELEVANCE = "probability of relevance"
YES = "pointwise:graded@{depth} prompt=relevance-yes-no"
PAIRS = "allpair:paired@{depth} prompt=prp"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RerankConfig:
    """Three queries with ten candidates, and a model that answers every prompt."""
    queries = dict(list(read_queries(sample("en") / "queries.tsv").items())[:3])
    first = bm25(queries, read_documents(sample("en") / "docs.jsonl"), depth=10)
    write_run(tmp_path / "bm25.trec", {query: list(found) for query, found in first.items()}, "b")

    def load(name: str, **_: object) -> FakeModel:
        model = FakeModel(by_hash)
        model.name, model.fingerprint = name, f"weights of {Path(name).name}"
        return model

    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", load)
    return configure(
        run=tmp_path / "bm25.trec",
        queries=sample("en") / "queries.tsv",
        docs=sample("en") / "docs.jsonl",
    )


def rerank(
    config: RerankConfig, folder: Path, **options: Any
) -> tuple[dict[str, Any], dict[str, dict[str, ScoredDocument]]]:
    """The scores of the manifest, and the table."""
    name = f"{len(list(folder.iterdir()))}"
    table = folder / f"{name}.tsv"
    options |= {"output": folder / f"{name}.trec", "scores": table}
    manifest = run_rerank(change(config, **options))
    return manifest["scores"], read_scores(table)


def test_pairs_on_top_hand_out_the_probabilities_of_the_stage_before(
    config: RerankConfig, tmp_path: Path
) -> None:
    stages = YES.format(depth=10), PAIRS.format(depth=4)
    _, before = rerank(config, tmp_path, stage=stages[:1])
    described, after = rerank(config, tmp_path, stage=stages)
    assert described["meaning"] == RELEVANCE
    assert [one["model"] for one in described["values"]] == ["graded"]
    moved = 0
    for query, documents in before.items():
        names, again = list(documents), list(after[query])
        assert sorted(again[:4]) == sorted(names[:4])
        assert again[4:] == names[4:]
        moved += again != names
        # The same scores in the order of the pairs; each document keeps its own number.
        assert [one.score for one in after[query].values()] == [
            one.score for one in documents.values()
        ]
        assert all(after[query][name].value == documents[name].value for name in names)
    assert moved


def test_a_later_probability_replaces_what_pairs_said(config: RerankConfig, tmp_path: Path) -> None:
    stages = PAIRS.format(depth=10), YES.format(depth=3)
    described, scores = rerank(config, tmp_path, stage=stages)
    wins = "mean probability of being preferred to another candidate"
    assert described["meaning"] == f"{RELEVANCE}; below the first 3, {wins}"
    _, alone = rerank(config, tmp_path, method="pointwise", model="x", prompt="relevance-yes-no")
    for query, documents in scores.items():
        for name in list(documents)[:3]:
            assert documents[name].value == alone[query][name].value


def test_a_calibration_is_of_the_stage_that_gives_probabilities(
    config: RerankConfig, tmp_path: Path
) -> None:
    stages = YES.format(depth=10), PAIRS.format(depth=4)
    path = tmp_path / "calibration.json"

    def fit(model: str | None, fingerprint: str | None = None) -> None:
        fitted = PlattMap("platt", 2.0, -1.0)
        Calibration(model, 1, 5, 50, 20, False, fitted, fingerprint).write(path)

    fit("graded, paired")
    described, scores = rerank(config, tmp_path, stage=stages, calibration=path)
    assert described["meaning"] == RELEVANCE
    for documents in scores.values():
        # Below the second stage, nothing has been handed out.
        for one in list(documents.values())[4:]:
            assert one.value is not None
            expected = 1 / (1 + math.exp(1 - 2 * one.value))
            assert one.score == pytest.approx(expected, abs=2e-5)
    below = stages[0], "pointwise:again@4 prompt=relevance-yes-no"
    fit("again")
    described, _ = rerank(config, tmp_path, stage=below, calibration=path)
    assert described["meaning"] == f"{RELEVANCE}; below the first 4, {RELEVANCE}, not calibrated"
    assert [(one["model"], one["first"], one["calibrated"]) for one in described["values"]] == [
        ("again", 4, True), ("graded", 10, False),
    ]  # fmt: skip
    fit("graded")
    assert rerank(config, tmp_path, stage=stages, calibration=path)[1] == scores
    fit("paired")
    with pytest.raises(InputError, match="is of the model paired, not of graded"):
        rerank(config, tmp_path, stage=stages, calibration=path)


def test_a_calibration_of_another_model_of_the_same_last_name_is_refused(
    config: RerankConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, fitted = tmp_path / "calibration.json", PlattMap("platt", 2.0, -1.0)

    def run(model: str | None, fingerprint: str | None) -> list[str]:
        Calibration(model, 1, 5, 50, 20, False, fitted, fingerprint).write(path)
        caplog.clear()
        rerank(
            config, tmp_path, calibration=path,
            method="pointwise", model="b/best", prompt="relevance-yes-no",
        )  # fmt: skip
        return [one.message for one in caplog.records if "calibration" in one.message]

    assert run("a/best", "weights of best") == []  # moved
    with pytest.raises(InputError, match="is of the model a/best, not of b/best: their finger"):
        run("a/best", "other weights")
    (warning,) = run("b/best", "in bfloat16")
    assert "when b/best had another fingerprint" in warning
    (warning,) = run(None, None)
    assert "calibration.json names no model" in warning


def test_a_table_of_two_models_numbers_is_not_calibrated(
    config: RerankConfig, tmp_path: Path
) -> None:
    first, second = YES.format(depth=10), "pointwise:second@4 prompt=relevance-yes-no"

    def known(*stages: str) -> tuple[str | None, str | None]:
        name = len(list(tmp_path.iterdir()))
        rerank(config, tmp_path, stage=stages)
        return model_of(tmp_path / f"{name}.tsv")

    # The pairs only order, and a stage of the same depth has judged all documents again.
    assert known(first, PAIRS.format(depth=4)) == ("graded", "weights of graded")
    assert known(first, second.replace("@4", "@10")) == ("second", "weights of second")
    with pytest.raises(InputError, match=r"several stages, by second and graded.*run of one stage"):
        known(first, second)
    with pytest.raises(InputError, match="several stages, by graded and paired, which"):
        known(PAIRS.format(depth=10), YES.format(depth=3))
