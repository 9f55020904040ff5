"""The plan of stages is what their run turns out to be."""

from pathlib import Path
from typing import Any

import pytest

from rankprompt.errors import InputError
from rankprompt.files import read_qrels, read_run
from rankprompt.pipeline.config import ModelConfig, RerankConfig
from rankprompt.pipeline.rerank import run_rerank
from tests.fakes import FakeModel
from tests.planning.plans import plan, with_settings
from tests.planning.test_plan import QRELS, folder_of, ndcg

ORACLE = f"oracle:{QRELS}"
NO_MODEL = ModelConfig().name


def test_counts_and_quality_are_those_of_a_run(english: RerankConfig, tmp_path: Path) -> None:
    job = with_settings(
        english,
        tmp_path,
        model=NO_MODEL,
        stage=(f"pointwise:{ORACLE}@9", f"heapsort:{ORACLE}@5 k=3"),
    )
    manifest = run_rerank(job)
    made = plan(job, measure=ndcg)
    assert (made["staged"], made["grades"]) == (True, str(QRELS))
    *rows, total = made["methods"]
    assert [row["method"] for row in rows] == [f"pointwise:{ORACLE}@9", f"heapsort:{ORACLE}@5"]
    for row, stage in zip(rows, manifest["stages"], strict=True):
        assert row["comparisons"] == stage["costs"]["comparisons_asked"]
        assert row["rounds"] == stage["costs"]["rounds"]
    assert (total["method"], total["question"]) == ("all stages", "question")
    assert total["comparisons"] == manifest["costs"]["comparisons_asked"]
    assert total["rounds"] == manifest["costs"]["rounds"]
    ranked = read_run(tmp_path / "out.trec")
    known = {query: grades for query, grades in read_qrels(QRELS).items() if query in ranked}
    assert total["quality"]["0.0"] == pytest.approx(ndcg(ranked, known))
    assert total["quality"] == rows[-1]["quality"]
    assert (total["tokens"], total["seconds"], total["cost"]) == (None, None, None)


def test_prompts_tokens_and_money_are_those_of_each_stages_model(
    english: RerankConfig, model: FakeModel, tmp_path: Path
) -> None:
    prompt = f"prompt={folder_of(english) / 'choice.toml'}"
    job = with_settings(
        english,
        tmp_path,
        model=NO_MODEL,
        stage=(
            f"pointwise:{ORACLE}@9",
            f"heapsort:fake@5 k=3 {prompt} price_in=3",
            f"allpair:fake@3 {prompt} order=single passage_tokens=9",
        ),
    )
    graded, sorted_, compared, total = plan(job)["methods"]
    assert model.prompts == []
    assert graded["tokens"] is None
    assert sorted_["comparisons"] < sorted_["prompts"] <= 2 * sorted_["comparisons"]
    assert compared["prompts"] == compared["comparisons"]
    for name in ("prompts", "tokens", "written_tokens"):
        assert total[name] == sum(row[name] or 0 for row in (graded, sorted_, compared))
    assert total["cost"] == sorted_["cost"] == pytest.approx(3e-6 * sorted_["tokens"])
    assert compared["cost"] is None


@pytest.mark.parametrize(
    ("stages", "settings", "message"),
    [
        ((f"pointwise:{ORACLE}", "cascade@5"), {}, "stage 2 asks none"),
        ((f"pointwise:{ORACLE}",), {"judge_model": "fitted:x"}, "needs the `model`"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    english: RerankConfig,
    tmp_path: Path,
    stages: tuple[str, ...],
    settings: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(InputError, match=message):
        plan(
            with_settings(english, tmp_path, model=NO_MODEL, stage=stages), qrels=QRELS, **settings
        )
