"""The CrossEncoder's shape, against sentence-transformers' CrossEncoder and its evaluator."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rankprompt import Reranker
from rankprompt.errors import InputError
from rankprompt.integrations.sentence_transformers import RankpromptCrossEncoder
from tests.integrations.collection import Sample, read_sample
from tests.llm import tiny
from tests.llm.rerankers.classifiers import save_classifier

QUERY, TEXTS = "a mill at the river", tiny.SENTENCES[:5]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def ours(folder: Path) -> Iterator[RankpromptCrossEncoder]:
    with Reranker(str(folder)) as reranker:
        yield RankpromptCrossEncoder(reranker)


@pytest.fixture(scope="module")
def theirs(folder: Path) -> Any:
    from sentence_transformers import CrossEncoder

    return CrossEncoder(str(folder), device="cpu", activation_fn=torch.nn.Sigmoid())


@pytest.fixture(scope="module")
def collection() -> Sample:
    return read_sample(8, 12)


def samples_of(collection: Sample, length: int = 10_000) -> list[dict[str, Any]]:
    """For each query, its candidates and those of them that are relevant."""
    return [
        {
            "query": text,
            "documents": [text[:length] for text in collection.texts(query)],
            "positive": [
                collection.documents[name].text[:length]
                for name, grade in collection.qrels[query].items()
                if grade > 0 and name in collection.first_stage[query]
            ],
        }
        for query, text in collection.queries.items()
    ]


@pytest.mark.parametrize("options", [{}, {"top_k": 2}, {"return_documents": True}])
def test_it_ranks_and_scores_as_the_cross_encoder_does(
    ours: RankpromptCrossEncoder, theirs: Any, options: dict[str, Any]
) -> None:
    found, expected = (model.rank(QUERY, TEXTS, **options) for model in (ours, theirs))
    assert [one.keys() for one in found] == [one.keys() for one in expected]
    assert [one["corpus_id"] for one in found] == [one["corpus_id"] for one in expected]
    assert [one.get("text") for one in found] == [one.get("text") for one in expected]
    scores = [one["score"] for one in expected]
    assert max(scores) - min(scores) > 0.01
    assert [one["score"] for one in found] == pytest.approx(scores, abs=1e-5)


def test_pairs_are_scored_in_their_order(ours: RankpromptCrossEncoder, theirs: Any) -> None:
    pairs = [(query, text) for text in TEXTS[:4] for query in (QUERY, "boats")] + [
        (QUERY, TEXTS[0])
    ]
    found, expected = ours.predict(pairs, batch_size=2), theirs.predict(pairs)
    assert found.dtype == expected.dtype
    assert found == pytest.approx(expected, abs=1e-5)
    assert torch.equal(ours.predict(pairs, convert_to_tensor=True), torch.from_numpy(found))
    assert ours.predict(pairs[0]) == pytest.approx(theirs.predict(pairs[0]), abs=1e-5)
    assert ours.predict([]).shape == theirs.predict([]).shape == (0,)
    conversions: list[dict[str, Any]] = [{"convert_to_numpy": False}, {"convert_to_tensor": True}]
    for convert in conversions:
        for given in (pairs, pairs[0]):
            one, other = (model.predict(given, **convert) for model in (ours, theirs))
            assert type(one) is type(other)
            assert one[0].shape == other[0].shape if given is pairs else one.shape == other.shape
    array: Any = np.array(pairs[:2])
    assert ours.predict(array) == pytest.approx(found[:2], abs=1e-5)


@pytest.mark.parametrize("name", ["rank", "predict"])
def test_arguments_have_the_order_of_the_cross_encoder(name: str) -> None:
    from sentence_transformers import CrossEncoder

    expected = list(inspect.signature(getattr(CrossEncoder, name)).parameters)
    found = list(inspect.signature(getattr(RankpromptCrossEncoder, name)).parameters)
    assert [one for one in found if one != "others"] == [one for one in expected if one != "kwargs"]


def test_a_threshold_leaves_documents_out_of_rankings_and_not_out_of_scores(
    ours: RankpromptCrossEncoder,
) -> None:
    best, second = (one["score"] for one in ours.rank(QUERY, TEXTS, top_k=2))
    strict = RankpromptCrossEncoder(ours.reranker.with_options(threshold=(best + second) / 2))
    assert len(strict.rank(QUERY, TEXTS)) == 1
    assert all(strict.predict([(QUERY, text) for text in TEXTS]) > 0)


def test_the_evaluator_gives_both_the_same_metrics(
    ours: RankpromptCrossEncoder, theirs: Any, collection: Sample, tmp_path: Path
) -> None:
    from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator

    # Longer texts do not fit into the tiny context, and are not cut at the same token.
    evaluator = CrossEncoderRerankingEvaluator(samples_of(collection, 80), name="sample")
    expected = evaluator(theirs, str(tmp_path))
    found = evaluator(ours, str(tmp_path))
    assert found == pytest.approx(expected, abs=1e-9)
    assert 0 < found["sample_ndcg@10"] < 1


@pytest.mark.model
def test_the_embedded_model_improves_the_first_stage(collection: Sample) -> None:
    from sentence_transformers.cross_encoder.evaluation import CrossEncoderRerankingEvaluator

    with Reranker() as reranker:
        evaluator = CrossEncoderRerankingEvaluator(samples_of(collection), write_csv=False)
        found = evaluator(RankpromptCrossEncoder(reranker))
    assert found["ndcg@10"] > found["base_ndcg@10"]


@pytest.mark.parametrize(
    ("options", "named"),
    [({"activation_fn": torch.nn.Identity()}, "activation_fn"), ({"prompt": "x"}, "prompt"),
     ({"device": "cuda"}, "device")],
)  # fmt: skip
def test_what_would_change_scores_is_refused(
    ours: RankpromptCrossEncoder, options: dict[str, Any], named: str
) -> None:
    with pytest.raises(InputError, match=f"`{named}` plays no part"):
        ours.rank(QUERY, TEXTS, **options)
    with pytest.raises(InputError, match=f"`{named}` plays no part"):
        ours.predict([(QUERY, TEXTS[0])], **options)


@pytest.mark.parametrize("inputs", ["ab", ["abc", "de", "f"], [("a", "b", "c")], [("a",)]])
def test_what_are_no_pairs_is_refused(ours: RankpromptCrossEncoder, inputs: Any) -> None:
    with pytest.raises(InputError, match="pairs of a query and a document"):
        ours.predict(inputs)


@pytest.mark.parametrize("query", ["", " ", None, ["a"]])
def test_a_query_without_text_is_named(ours: RankpromptCrossEncoder, query: Any) -> None:
    with pytest.raises(InputError, match="the query of pair 1 must be a text that is not blank"):
        ours.predict([(QUERY, "a"), (query, "b")])
