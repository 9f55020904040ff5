"""The component in Haystack pipelines, which are also saved and run asynchronously."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from haystack import Document, Pipeline
from haystack.components.joiners import DocumentJoiner
from haystack.core.errors import DeserializationError

from rankprompt import Reranker
from rankprompt.errors import InputError
from rankprompt.integrations.haystack import RankpromptRanker
from tests.cascade.toy_models import teacher

__all__ = ["teacher"]

QUERY = "why is the sky blue"
TEXTS = ["a mill by the river", "bees", "blue light is scattered", "a boat"]
DOCUMENTS = [Document(content=text, meta={"source": f"{text}.txt"}) for text in TEXTS]


def test_a_pipeline_runs_in_both_ways_and_is_saved(teacher: Path) -> None:
    pipeline = Pipeline()
    pipeline.add_component("found", DocumentJoiner())
    pipeline.add_component("ranker", RankpromptRanker(str(teacher), top_k=3, options={"seed": 3}))
    pipeline.connect("found.documents", "ranker.documents")
    data: dict[str, Any] = {"found": {"documents": DOCUMENTS}, "ranker": {"query": QUERY}}
    expected = pipeline.run(data)["ranker"]["documents"]
    assert [document.meta["source"] for document in expected] == [
        f"{document.content}.txt" for document in expected
    ]
    assert len(expected) == 3
    assert DOCUMENTS[0].score is None

    text = pipeline.dumps()
    with pytest.raises(DeserializationError, match="rankprompt"):
        Pipeline.loads(text)
    loaded = Pipeline.loads(text, allowed_modules=["rankprompt.*"])
    assert loaded.dumps() == text
    assert asyncio.run(loaded.run_async(data))["ranker"]["documents"] == expected


def test_a_run_has_a_limit_and_a_threshold_of_its_own(teacher: Path) -> None:
    ranker = RankpromptRanker(str(teacher), top_k=3)
    best, second, *_ = ranker.run(QUERY, DOCUMENTS)["documents"]
    assert ranker.run(QUERY, DOCUMENTS, top_k=1)["documents"] == [best]
    assert best.score is not None
    assert second.score is not None
    between = (best.score + second.score) / 2
    assert ranker.run(QUERY, DOCUMENTS, threshold=between)["documents"] == [best]


def test_it_is_warmed_up_before_a_run(teacher: Path) -> None:
    reranker = Reranker(str(teacher))
    ranker = RankpromptRanker(reranker)
    asyncio.run(ranker.warm_up_async())
    ranker.warm_up()
    assert reranker.usage.prompts == 2


def test_mistakes_are_told_when_it_is_made(teacher: Path) -> None:
    with pytest.raises(InputError, match="`top_k` must be a whole number of at least 0, not -1"):
        RankpromptRanker(str(teacher), top_k=-1)
    with pytest.raises(InputError, match="unknown option `sead`"):
        RankpromptRanker(str(teacher), options={"sead": 1})
