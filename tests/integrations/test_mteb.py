"""The MTEB model, evaluated by ``mteb.evaluate`` on local tasks made of the sample collection."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rankprompt import Reranker
from rankprompt.errors import InputError, MissingPackageError
from rankprompt.eval import parse_measures, score
from rankprompt.integrations.mteb import RankpromptSearch
from tests.integrations.collection import Sample, read_sample
from tests.llm.rerankers.classifiers import save_classifier
from tests.llm.tiny_rerankers import save_reranker


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reranker]:
    with Reranker(str(save_classifier(tmp_path_factory.mktemp("model")))) as opened:
        yield opened


@pytest.fixture(scope="module")
def collection() -> Sample:
    return read_sample(8, 12)


def datasets_of(collection: Sample) -> tuple[Any, Any]:
    """The queries and the corpus, whose titles are blank, as in many tasks."""
    from datasets import Dataset

    corpus = [
        {"id": name, "title": "", "text": document.text}
        for name, document in collection.documents.items()
    ]
    queries = [{"id": name, "text": text} for name, text in collection.queries.items()]
    return Dataset.from_list(queries), Dataset.from_list(corpus)


def task_of(collection: Sample, *, ranked: bool) -> Any:
    import mteb
    from mteb.abstasks.retrieval import AbsTaskRetrieval

    queries, corpus = datasets_of(collection)
    top_ranked = {name: list(scores) for name, scores in collection.first_stage.items()}
    split = {
        "queries": queries,
        "corpus": corpus,
        "relevant_docs": {
            query: {name: grade for name, grade in of.items() if grade > 0}
            for query, of in collection.qrels.items()
        },
        "top_ranked": top_ranked if ranked else None,
    }

    class Task(AbsTaskRetrieval):  # type: ignore[misc]
        metadata = mteb.TaskMetadata(
            type="Reranking" if ranked else "Retrieval",
            name="SampleReranking" if ranked else "SampleRetrieval",
            description="The sample collection.",
            dataset={"path": "local", "revision": "1"},
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
            reference=None, date=None, domains=None, task_subtypes=None, license=None,
            annotations_creators=None, dialect=None, sample_creation=None, bibtex_citation="",
        )  # fmt: skip

        def load_data(self, *_: Any, **__: Any) -> None:
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    return Task()


def evaluate(model: RankpromptSearch, task: Any, folder: Path) -> tuple[dict[str, float], Any]:
    """MTEB's scores, and the run that they are of."""
    import mteb

    (result,) = mteb.evaluate(
        model, task, cache=None, prediction_folder=folder, show_progress_bar=False,
        co2_tracker=False,
    ).task_results  # fmt: skip
    (path,) = folder.glob("*.json")
    return result.scores["test"][0], json.loads(path.read_text())["default"]["test"]


@pytest.mark.parametrize("ranked", [True, False], ids=["reranking", "retrieval"])
def test_mteb_measures_what_our_evaluation_does(
    reranker: Reranker, collection: Sample, tmp_path: Path, ranked: bool
) -> None:
    model = RankpromptSearch(reranker, depth=12)
    found, run = evaluate(model, task_of(collection, ranked=ranked), tmp_path)
    for query, text in collection.queries.items():
        ids = list(collection.first_stage[query])
        expected = reranker.rank(text, collection.texts(query))
        assert list(run[query]) == [ids[one.index] for one in expected]
        assert list(run[query].values()) == pytest.approx([one.score for one in expected], abs=1e-6)
    measures = parse_measures(["ndcg@10", "map@100", "mrr"])
    ours = score(run, collection.qrels, measures).means
    # MTEB rounds to five decimals.
    assert found["ndcg_at_10"] == pytest.approx(ours["ndcg@10"], abs=1e-5)
    assert found["map_at_100"] == pytest.approx(ours["map@100"], abs=1e-5)
    assert found["mrr_at_100"] == pytest.approx(ours["mrr"], abs=1e-5)
    assert 0 < found["ndcg_at_10"] < 1


@pytest.mark.model
def test_the_embedded_model_improves_the_first_stage(collection: Sample, tmp_path: Path) -> None:
    with Reranker() as reranker:
        found, _ = evaluate(RankpromptSearch(reranker), task_of(collection, ranked=True), tmp_path)
    first = score(collection.first_stage, collection.qrels, parse_measures(["ndcg@10"])).means
    assert found["ndcg_at_10"] > first["ndcg@10"]


def test_candidates_and_top_k_are_kept_to(reranker: Reranker, collection: Sample) -> None:
    queries, corpus = datasets_of(collection)
    model = RankpromptSearch(reranker)
    model.index(corpus)
    first, second, *_ = collection.queries
    top_ranked = {first: ["en-d003", "en-d001", "en-d003", "en-d002"], second: []}
    found = model.search(queries, top_k=2, top_ranked=top_ranked)
    texts = [collection.documents[name].text for name in ("en-d003", "en-d001", "en-d002")]
    best = reranker.rank(collection.queries[first], texts, top_k=2)
    assert list(found[first]) == [("en-d003", "en-d001", "en-d002")[one.index] for one in best]
    assert found == {name: found[first] if name == first else {} for name in collection.queries}
    with pytest.raises(InputError, match="no document 'lost'"):
        model.search(queries, top_k=2, top_ranked={first: ["lost"]})
    with pytest.raises(InputError, match="without texts"):
        model.index(corpus.remove_columns("text"))


def test_instructions_of_queries_fill_the_prompt_where_it_has_a_slot(
    reranker: Reranker, collection: Sample, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queries, corpus = datasets_of(collection)
    given = ["Prefer honey.", "", "Prefer honey.", "Prefer tides."]
    queries = queries.select(range(4)).add_column("instruction", given)
    top_ranked = {name: list(scores)[:4] for name, scores in collection.first_stage.items()}
    with Reranker(str(save_reranker(tmp_path, "qwen3")), prompt="qwen3-reranker") as instructed:
        model = RankpromptSearch(instructed)
        model.index(corpus)
        found = model.search(queries, top_k=10, top_ranked=top_ranked)
        for query, instruction in zip(queries["id"], given, strict=True):
            options = {"instruction": instruction} if instruction else {}
            expected = instructed.with_options(**options).rank(
                collection.queries[query], collection.texts(query)[:4]
            )
            scores = [one.score for one in expected]
            assert list(found[query].values()) == pytest.approx(scores, abs=1e-5)
        plain = instructed.rank(collection.queries["en-q01"], collection.texts("en-q01")[:4])
        assert list(found["en-q01"].values()) != pytest.approx([one.score for one in plain])
        assert model.mteb_model_meta.use_instructions
    without = RankpromptSearch(reranker)
    without.index(corpus)
    with caplog.at_level(logging.WARNING, "rankprompt"):
        without.search(queries, top_k=10, top_ranked=top_ranked)
    assert "no slot for the instructions" in caplog.text
    assert not without.mteb_model_meta.use_instructions


def test_results_of_other_options_are_kept_apart(reranker: Reranker) -> None:
    models = [
        RankpromptSearch(reranker),
        RankpromptSearch(reranker, depth=50),
        RankpromptSearch(reranker.with_options(depth=20)),
        RankpromptSearch(Reranker("openai:org/model", base_url="http://localhost/v1")),
    ]
    metas = [model.mteb_model_meta for model in models]
    assert len({(meta.name, meta.experiment_name) for meta in metas}) == len(models)
    assert metas[-1].name == "rankprompt/openai-org-model"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, reranker: Reranker) -> None:
    monkeypatch.setitem(sys.modules, "mteb", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'rankprompt\[mteb\]'"):
        RankpromptSearch(reranker)
