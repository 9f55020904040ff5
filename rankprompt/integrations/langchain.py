"""LangChain: a document compressor."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import ConfigDict, Field, PrivateAttr

from rankprompt.api.reranker import Reranker
from rankprompt.errors import naming_extras
from rankprompt.integrations.settings import Position, TextRanker, check_update
from rankprompt.llm.rerankers.names import MINILM

with naming_extras():
    from langchain_core.callbacks import Callbacks
    from langchain_core.documents import BaseDocumentCompressor, Document
    from langchain_core.load.serializable import Serializable

__all__ = ["RankpromptCompressor"]


class RankpromptCompressor(BaseDocumentCompressor, Serializable):
    """Reranks what a LangChain retriever found.

    The result is copies of the documents, best first, whose metadata have ``relevance_score``, from
    0 to 1. Documents without any text come last.

    Args:
        model: as that of ``Reranker``; or a reranker, whose model is then shared; None where stages
            name a model each.
        method: as that of ``Reranker``.
        k: as that of ``Reranker``.
        top_n: the most documents of the result; None for all.
        threshold: documents with a lower score are left out.
        options: further keywords of ``Reranker``, such as ``base_url``. Keys belong into the
            environment; no serialised compressor holds any.

    Raises:
        InputError: an option that cannot work.

    Examples:
        >>> from langchain_core.documents import Document
        >>> from rankprompt.integrations.langchain import RankpromptCompressor
        >>> compressor = RankpromptCompressor("ms-marco-minilm-l12", top_n=5)
        >>> compressor.compress_documents([], "why is the sky blue")
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
    ) -> None:
        ranker = TextRanker(model, method=method, k=k, threshold=threshold, options=options)
        super().__init__(**{"top_n": top_n, **ranker.settings})
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
    def is_lc_serializable(cls) -> bool:
        """LangChain's ``dumps`` writes a compressor, and its ``loads`` makes it again."""
        return True

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002 - LangChain's signature
    ) -> list[Document]:
        """Reranks documents.

        Raises:
            RankpromptError: as ``Reranker.rank``.
        """
        return _scored(documents, self._ranker.rank(query, _texts(documents), self.top_n))

    async def acompress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002 - LangChain's signature
    ) -> list[Document]:
        """As ``compress_documents``, without blocking the event loop."""
        return _scored(documents, await self._ranker.arank(query, _texts(documents), self.top_n))


def _texts(documents: Sequence[Document]) -> list[str]:
    return [document.page_content for document in documents]


def _scored(documents: Sequence[Document], ranked: Sequence[Position]) -> list[Document]:
    return [
        documents[index].model_copy(
            update={"metadata": {**documents[index].metadata, "relevance_score": score}}
        )
        for index, score in ranked
    ]
