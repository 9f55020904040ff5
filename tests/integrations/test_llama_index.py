"""The postprocessor in LlamaIndex: texts, events, pickles, a missing query."""

import asyncio
import pickle
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import QueryBundle
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index_instrumentation import get_dispatcher
from pydantic import ValidationError

from rankprompt import Reranker
from rankprompt.errors import InputError
from rankprompt.integrations.llama_index import RankpromptRerank
from tests.cascade.toy_models import teacher

__all__ = ["teacher"]

QUERY = "why is the sky blue"
TEXTS = ["a mill by the river", "bees", "blue light is scattered", "a boat"]
NODES = [NodeWithScore(node=TextNode(text=text), score=0.5) for text in TEXTS]


class Listener(BaseEventHandler):
    heard: list[Any] = []  # noqa: RUF012 - a field of pydantic

    def handle(self, event: Any, **_: Any) -> None:
        self.heard.append(event)


def test_a_text_has_the_metadata_that_would_be_embedded(teacher: Path) -> None:
    reranker = Reranker(str(teacher))
    nodes = [
        NodeWithScore(
            node=TextNode(
                text=text,
                metadata={"title": f"of {text}", "path": "/secret"},
                excluded_embed_metadata_keys=["path"],
            )
        )
        for text in TEXTS
    ]
    found = RankpromptRerank(reranker).postprocess_nodes(nodes, QueryBundle(QUERY))
    expected = reranker.rank(QUERY, [f"title: of {text}\n\n{text}" for text in TEXTS])
    assert [(TEXTS.index(one.text), one.score) for one in found] == [
        (one.index, one.score) for one in expected
    ]


def test_it_sends_the_events_of_a_reranking(teacher: Path) -> None:
    listener, dispatcher = Listener(), get_dispatcher()
    rerank = RankpromptRerank(str(teacher), top_n=2)
    dispatcher.add_event_handler(listener)
    try:
        found = rerank.postprocess_nodes(NODES, query_str=QUERY)
    finally:
        dispatcher.event_handlers.remove(listener)
    start, end = listener.heard
    assert isinstance(start, ReRankStartEvent)
    assert (start.top_n, start.model_name, len(start.nodes)) == (2, str(teacher), 4)
    assert isinstance(end, ReRankEndEvent)
    assert end.nodes == found


def test_of_stages_the_events_name_all_and_a_copy_changes_only_the_number(teacher: Path) -> None:
    listener, dispatcher = Listener(heard=[]), get_dispatcher()
    rerank = RankpromptRerank(options={"stages": [f"pointwise:{teacher}@3"]})
    assert rerank.model is None
    dispatcher.add_event_handler(listener)
    try:
        found = rerank.model_copy(update={"top_n": 1}).postprocess_nodes(NODES, query_str=QUERY)
    finally:
        dispatcher.event_handlers.remove(listener)
    assert len(found) == 1
    assert listener.heard[0].model_name == f"pointwise with {teacher.name}"
    with pytest.raises(InputError, match="`k` cannot change in a copy"):
        rerank.model_copy(update={"k": 3})
    with pytest.raises(ValidationError, match="top_n"):
        rerank.top_n = -1


def test_a_pickle_is_loaded_as_its_like(teacher: Path) -> None:
    rerank = RankpromptRerank(str(teacher), top_n=2)
    loaded = pickle.loads(pickle.dumps(rerank))
    assert loaded.postprocess_nodes(NODES, query_str=QUERY) == rerank.postprocess_nodes(
        NODES, query_str=QUERY
    )


def test_a_query_is_needed(teacher: Path) -> None:
    rerank = RankpromptRerank(str(teacher))
    with pytest.raises(InputError, match="a query is missing: give `query_bundle` or `query_str`"):
        rerank.postprocess_nodes(NODES)
    with pytest.raises(InputError, match="a query is missing"):
        asyncio.run(rerank.apostprocess_nodes(NODES))
