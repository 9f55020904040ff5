"""The PyTerrier transformer, against PyTerrier's own pipelines and Experiment, without Java."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyterrier as pt
import pytest

from rankprompt import Reranker
from rankprompt.errors import InputError
from rankprompt.eval import ndcg_at_10
from tests.integrations.collection import Sample, read_sample
from tests.llm.rerankers.classifiers import save_classifier

# PyTerrier 1.1 changes frames in place, of which pandas 3.1 warns.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reranker]:
    with Reranker(str(save_classifier(tmp_path_factory.mktemp("model")))) as opened:
        yield opened


@pytest.fixture(scope="module")
def collection() -> Sample:
    return read_sample(8, 12)


def results(collection: Sample) -> pd.DataFrame:
    rows = [
        {"qid": query, "query": collection.queries[query], "docno": name, "score": score}
        for query, scores in collection.first_stage.items()
        for name, score in scores.items()
    ]
    return pt.model.add_ranks(pd.DataFrame(rows))


def with_text(collection: Sample) -> Any:
    return pt.apply.text(lambda row: collection.documents[row["docno"]].text)


def run_of(frame: pd.DataFrame) -> dict[str, dict[str, float]]:
    groups = frame.groupby("qid")
    return {
        qid: dict(zip(rows["docno"], map(float, rows["score"]), strict=True))
        for qid, rows in groups
    }


def evaluate_pipeline(reranker: Reranker, collection: Sample) -> tuple[pd.DataFrame, pd.DataFrame]:
    first = results(collection)
    pipeline = pt.Transformer.from_df(first) % 10 >> with_text(collection) >> reranker.pyterrier()
    topics = pd.DataFrame(collection.queries.items(), columns=["qid", "query"])
    qrels = pd.DataFrame(
        [
            (query, name, grade)
            for query, of in collection.qrels.items()
            for name, grade in of.items()
        ],
        columns=["qid", "docno", "label"],
    )
    table = pt.Experiment({"bm25": first, "better": pipeline}, topics, qrels, ["ndcg_cut_10"])
    return table.set_index("name"), pipeline(topics)


def test_an_experiment_measures_what_our_evaluation_does(
    reranker: Reranker, collection: Sample
) -> None:
    table, frame = evaluate_pipeline(reranker, collection)
    ndcg = ndcg_at_10(collection.qrels)
    assert table.loc["bm25", "ndcg_cut_10"] == pytest.approx(ndcg(collection.first_stage), abs=1e-9)
    assert table.loc["better", "ndcg_cut_10"] == pytest.approx(ndcg(run_of(frame)), abs=1e-9)
    assert table["ndcg_cut_10"].nunique() == 2


@pytest.mark.model
def test_the_embedded_model_improves_the_first_stage(collection: Sample) -> None:
    with Reranker() as reranker:
        table, _ = evaluate_pipeline(reranker, collection)
    assert table.loc["better", "ndcg_cut_10"] > table.loc["bm25", "ndcg_cut_10"]


@pytest.mark.parametrize("columns", [["score", "rank"], ["score"], ["rank"], []])
def test_the_ranking_is_that_of_the_reranker(
    reranker: Reranker, collection: Sample, columns: list[str]
) -> None:
    frame = with_text(collection)(results(collection)).assign(note=lambda rows: rows.index)
    frame = frame[["qid", "query", "docno", "text", "note", *columns]]
    given = frame.sample(frac=1, random_state=3) if columns else frame
    before = given.copy()
    # A method for which the input order matters: it reranks the first five alone.
    reranked = reranker.with_options(depth=5).pyterrier().transform(given)
    pd.testing.assert_frame_equal(given, before)
    assert sorted(reranked["note"]) == sorted(frame["note"])
    for query, rows in reranked.groupby("qid"):
        expected = reranker.with_options(depth=5).rank(
            collection.queries[query], collection.texts(query)
        )
        assert list(rows["text"]) == [one.text for one in expected]
        assert list(rows["score"]) == pytest.approx([one.score for one in expected], abs=1e-6)
        assert list(rows["rank"]) == list(range(len(rows)))


def test_missing_texts_and_documents_given_twice_stay(reranker: Reranker) -> None:
    rows = [("q", "a mill", "d1", "The mill"), ("q", "a mill", "d2", None),
            ("q", "a mill", "d1", "The mill"), ("r", "boats", "d1", "The mill")]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["qid", "query", "docno", "body"])
    reranked = reranker.pyterrier(text_field="body").transform(frame)
    assert list(reranked["docno"]) == ["d1", "d1", "d2", "d1"]
    assert list(reranked["rank"]) == [0, 1, 2, 0]


def test_a_frame_without_rows_stays_one(reranker: Reranker) -> None:
    empty = pd.DataFrame(columns=["qid", "query", "docno", "text", "more"])
    reranked = reranker.pyterrier().transform(empty)
    assert not len(reranked)
    assert list(reranked.columns) == [*empty.columns, "score", "rank"]


def test_a_missing_column_is_named(reranker: Reranker) -> None:
    frame = pd.DataFrame([("q", "boats", "d1")], columns=["qid", "query", "docno"])
    with pytest.raises(pt.validate.InputValidationError, match=r"pt\.text\.get_text"):
        reranker.pyterrier().transform(frame)
    with pytest.raises(pt.validate.InputValidationError, match=r"missing_columns=\['query'\]"):
        reranker.pyterrier().transform(frame.assign(text="boats").drop(columns="query"))


def test_pyterrier_can_inspect_and_print_it(reranker: Reranker) -> None:
    transformer = reranker.pyterrier()
    assert pt.inspect.transformer_inputs(transformer) == [["qid", "query", "docno", "text"]]
    assert repr(transformer).startswith("RankpromptTransformer('pointwise with ")
    assert "RankpromptTransformer" in repr(pt.apply.query(len) >> transformer)


@pytest.mark.parametrize("text", [" ", None])
def test_a_query_without_text_is_named(reranker: Reranker, text: str | None) -> None:
    frame = pd.DataFrame({"qid": ["q1", "q2"], "query": ["a mill", text]})
    frame = frame.assign(docno="d", text="a boat")
    with pytest.raises(InputError, match="query 'q2': its text must not be blank"):
        reranker.pyterrier()(frame)
