"""Haystack: a ranker component."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rankprompt.api.reranker import Reranker
from rankprompt.errors import naming_extras
from rankprompt.integrations.settings import Position, TextRanker
from rankprompt.llm.rerankers.names import MINILM

with naming_extras():
    from haystack import Document, component, default_from_dict, default_to_dict

__all__ = ["RankpromptRanker"]


@component
class RankpromptRanker:
    """Reranks documents in a Haystack pipeline.

    The result is copies of the documents with scores from 0 to 1, best first. Documents without any
    text come last.

    Args:
        model: as that of ``Reranker``; or a reranker, whose model is then shared; None where stages
            name a model each.
        method: as that of ``Reranker``.
        k: as that of ``Reranker``.
        top_k: the most documents of the result; None for all.
        threshold: documents with a lower score are left out.
        options: further keywords of ``Reranker``, such as ``base_url``. Keys belong into the
            environment; no serialised pipeline holds any.

    Raises:
        InputError: an option that cannot work.

    Examples:
        >>> from rankprompt.integrations.haystack import RankpromptRanker
        >>> ranker = RankpromptRanker("ms-marco-minilm-l12", top_k=5)
        >>> ranker.run("why is the sky blue", documents=[])
        {'documents': []}
    """

    def __init__(
        self,
        model: str | Reranker | None = MINILM,
        *,
        method: str | None = None,
        k: int | None = None,
        top_k: int | None = None,
        threshold: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._ranker = TextRanker(model, method=method, k=k, threshold=threshold, options=options)
        self._ranker.rank("a query", [], top_k)  # which checks top_k, and asks nothing
        self.top_k = top_k

    def warm_up(self) -> None:
        """Loads the model, the first time that it is called."""
        self._ranker.warm_up()

    async def warm_up_async(self) -> None:
        """As ``warm_up``, without blocking the event loop."""
        await asyncio.to_thread(self._ranker.warm_up)

    def to_dict(self) -> dict[str, Any]:
        """The component's settings, as Haystack saves them."""
        saved: dict[str, Any] = default_to_dict(self, top_k=self.top_k, **self._ranker.settings)
        return saved

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "RankpromptRanker":
        """Makes a component from what ``to_dict`` gave.

        Raises:
            InputError: an option that cannot work.
        """
        made: RankpromptRanker = default_from_dict(cls, data)
        return made

    @component.output_types(documents=list[Document])
    def run(
        self,
        query: str,
        documents: list[Document],
        top_k: int | None = None,
        threshold: float | None = None,
    ) -> dict[str, list[Document]]:
        """Reranks documents.

        Args:
            query: the query's text.
            documents: the documents; where a first stage found them, best first.
            top_k: in place of the component's own.
            threshold: in place of the component's own.

        Returns:
            ``documents``: the documents, best first.

        Raises:
            RankpromptError: as ``Reranker.rank``.
        """
        top_k = self.top_k if top_k is None else top_k
        return _scored(documents, self._ranker.rank(query, _texts(documents), top_k, threshold))

    @component.output_types(documents=list[Document])
    async def run_async(
        self,
        query: str,
        documents: list[Document],
        top_k: int | None = None,
        threshold: float | None = None,
    ) -> dict[str, list[Document]]:
        """As ``run``, without blocking the event loop."""
        top_k = self.top_k if top_k is None else top_k
        ranked = await self._ranker.arank(query, _texts(documents), top_k, threshold)
        return _scored(documents, ranked)


def _texts(documents: Sequence[Document]) -> list[str]:
    return [document.content or "" for document in documents]


def _scored(documents: Sequence[Document], ranked: Sequence[Position]) -> dict[str, list[Document]]:
    return {"documents": [replace(documents[index], score=score) for index, score in ranked]}
