"""LlamaIndex: a node postprocessor."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from pydantic import ConfigDict, Field, PrivateAttr

from rankprompt.api.reranker import Reranker
from rankprompt.errors import InputError, naming_extras
from rankprompt.integrations.settings import Position, TextRanker, check_update
from rankprompt.llm.rerankers.names import MINILM

with naming_extras():
    from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
    from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle
    from llama_index_instrumentation import get_dispatcher

__all__ = ["RankpromptRerank"]

_dispatcher = get_dispatcher(__name__)


class RankpromptRerank(BaseNodePostprocessor):
    """Reranks the nodes that a LlamaIndex retriever found.

    The result is nodes with scores from 0 to 1, best first; the nodes that were given keep theirs.
    A node's text is what LlamaIndex would embed, its metadata included. Nodes without any text come
    last.

    Args:
        model: as that of ``Reranker``; or a reranker, whose model is then shared; None where stages
            name a model each.
        method: as that of ``Reranker``.
        k: as that of ``Reranker``.
        top_n: the most nodes of the result; None for all.
        threshold: nodes with a lower score are left out.
        options: further keywords of ``Reranker``, such as ``base_url``. Keys belong into the
            environment; no serialised postprocessor holds any.
        callback_manager: LlamaIndex's.

    Raises:
        InputError: an option that cannot work.

    Examples:
        >>> from rankprompt.integrations.llama_index import RankpromptRerank
        >>> rerank = RankpromptRerank("ms-marco-minilm-l12", top_n=5)
        >>> rerank.postprocess_nodes([], query_str="why is the sky blue")
        []
    """

    model_config = ConfigDict(validate_assignment=True)

    model: str | None = Field(MINILM, frozen=True)
    method: str | None = Field(None, frozen=True)
    k: int | None = Field(None, frozen=True)
    top_n: int | None = Field(None, ge=0)
    threshold: float | None = Field(None, frozen=True)
    options: dict[str, Any] = Field(default_factory=dict, frozen=True)
    _ranker: TextRanker = PrivateAttr()

    def __init__(
        self,
        model: str | Reranker | None = MINILM,
        *,
        method: str | None = None,
        k: int | None = None,
        top_n: int | None = None,
        threshold: float | None = None,
        options: Mapping[str, Any] | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        ranker = TextRanker(model, method=method, k=k, threshold=threshold, options=options)
        fields: dict[str, Any] = {
            "top_n": top_n,
            "callback_manager": callback_manager or CallbackManager(),
        }
        super().__init__(**fields, **ranker.settings)
        self._ranker = ranker

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, which shares the model; of the arguments, only ``top_n`` may change.

        Raises:
            InputError: another one changes, to which the model would not listen.
        """
        check_update(update)
        copied = super().model_copy(update=update, deep=deep)
        copied.top_n = copied.top_n  # which pydantic checks on assignment alone
        return copied

    @classmethod
    def class_name(cls) -> str:
        """The name by which LlamaIndex saves it."""
        return "RankpromptRerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        with self._reported(nodes, query_bundle) as (query, found):
            found += _scored(nodes, self._ranker.rank(query, _texts(nodes), self.top_n))
        return found

    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        with self._reported(nodes, query_bundle) as (query, found):
            found += _scored(nodes, await self._ranker.arank(query, _texts(nodes), self.top_n))
        return found

    @contextmanager
    def _reported(
        self, nodes: list[NodeWithScore], query: QueryBundle | None
    ) -> Iterator[tuple[str, list[NodeWithScore]]]:
        """Sends the events of a reranking; gives the query and a list for the result."""
        if query is None:
            raise InputError("a query is missing: give `query_bundle` or `query_str`")
        top_n = len(nodes) if self.top_n is None else self.top_n
        name = self.model or self._ranker.reranker.job.title
        _dispatcher.event(ReRankStartEvent(query=query, nodes=nodes, top_n=top_n, model_name=name))
        payload: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: name,
            EventPayload.QUERY_STR: query.query_str,
            EventPayload.TOP_K: top_n,
        }
        found: list[NodeWithScore] = []
        with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
            yield query.query_str, found
            event.on_end(payload={EventPayload.NODES: found})
        _dispatcher.event(ReRankEndEvent(nodes=found))


def _texts(nodes: Sequence[NodeWithScore]) -> list[str]:
    return [one.node.get_content(metadata_mode=MetadataMode.EMBED) for one in nodes]


def _scored(nodes: Sequence[NodeWithScore], ranked: Sequence[Position]) -> list[NodeWithScore]:
    return [nodes[index].model_copy(update={"score": score}) for index, score in ranked]
