"""The adapters to other frameworks, as the contract of all of them uses them.

A framework is imported when its adapter is described, not before.
"""

import warnings
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rankprompt import Reranker

__all__ = ["ADAPTERS", "Adapter"]


@dataclass(frozen=True)
class Adapter:
    """What the contract needs of an adapter.

    Attributes:
        make: from a model (a folder's path or a Reranker) and the most documents of a result.
        documents: the framework's documents of texts, with their positions in their metadata.
        rank: an adapter, a query and documents give documents, best first.
        read: a document's position in its metadata, and its score.
        arank: as ``rank``; None where the framework has nothing asynchronous.
        reload: saves an adapter and loads it; None where the framework saves none.
    """

    make: Callable[[Any, int | None], Any]
    documents: Callable[[Sequence[str]], Any]
    rank: Callable[[Any, str, Any], Sequence[Any]]
    read: Callable[[Any], tuple[int, float]]
    arank: Callable[[Any, str, Any], Awaitable[Sequence[Any]]] | None = None
    reload: Callable[[Any], Any] | None = None


def _langchain() -> Adapter:
    from langchain_core.documents import Document

    from rankprompt.integrations.langchain import RankpromptCompressor as Compressor

    return Adapter(
        make=lambda model, top: Compressor(model, top_n=top),
        documents=lambda texts: [
            # All with one id.
            Document(page_content=text, id="same", metadata={"position": position})
            for position, text in enumerate(texts)
        ],
        rank=lambda one, query, documents: one.compress_documents(documents, query),
        read=lambda found: (found.metadata["position"], found.metadata["relevance_score"]),
        arank=lambda one, query, documents: one.acompress_documents(documents, query),
        reload=lambda one: Compressor.model_validate_json(one.model_dump_json()),
    )


def _llama_index() -> Adapter:
    from llama_index.core.schema import NodeWithScore, TextNode

    from rankprompt.integrations.llama_index import RankpromptRerank

    return Adapter(
        make=lambda model, top: RankpromptRerank(model, top_n=top),
        documents=lambda texts: [
            NodeWithScore(
                node=TextNode(
                    id_="same",
                    text=text,
                    metadata={"position": position},
                    excluded_embed_metadata_keys=["position"],
                ),
                score=0.5,
            )
            for position, text in enumerate(texts)
        ],
        rank=lambda one, query, nodes: one.postprocess_nodes(nodes, query_str=query),
        read=lambda found: (found.node.metadata["position"], found.score),
        arank=lambda one, query, nodes: one.apostprocess_nodes(nodes, query_str=query),
        reload=lambda one: RankpromptRerank.from_json(one.to_json()),
    )


def _haystack() -> Adapter:
    from haystack import Document

    from rankprompt.integrations.haystack import RankpromptRanker

    async def arank(one: Any, query: str, documents: Any) -> Sequence[Any]:
        return (await one.run_async(query, documents))["documents"]  # type: ignore[no-any-return]

    return Adapter(
        make=lambda model, top: RankpromptRanker(model, top_k=top),
        documents=lambda texts: [
            Document(id="same", content=text or None, meta={"position": position})
            for position, text in enumerate(texts)
        ],
        rank=lambda one, query, documents: one.run(query, documents)["documents"],
        read=lambda found: (found.meta["position"], found.score),
        arank=arank,
        reload=lambda one: RankpromptRanker.from_dict(one.to_dict()),
    )


def _open(model: Any) -> Reranker:
    return model if isinstance(model, Reranker) else Reranker(model)


def _pyterrier() -> Adapter:
    import pandas as pd

    def make(model: Any, top: int | None) -> Any:
        transformer = _open(model).pyterrier()
        return transformer if top is None else transformer % top

    def rank(one: Any, query: str, frame: Any) -> Sequence[Any]:
        with warnings.catch_warnings():
            # PyTerrier 1.1 changes frames in place, of which pandas 3.1 warns.
            warnings.filterwarnings("ignore", "The inplace keyword", DeprecationWarning)
            return list(one(frame.assign(qid="q", query=query)).itertuples())

    return Adapter(
        make=make,
        documents=lambda texts: pd.DataFrame(
            {"docno": "same", "text": list(texts), "position": range(len(texts))}
        ),
        rank=rank,
        read=lambda found: (int(found.position), found.score),
    )


def _mteb() -> Adapter:
    from datasets import Dataset

    from rankprompt.integrations.mteb import RankpromptSearch

    def rank(made: Any, query: str, corpus: Any) -> Sequence[Any]:
        model, top = made
        model.index(corpus)
        found = model.search(
            Dataset.from_dict({"id": ["q"], "text": [query]}),
            top_k=1000 if top is None else top,
            top_ranked={"q": list(corpus["id"])},
        )
        return list(found["q"].items())

    return Adapter(
        make=lambda model, top: (RankpromptSearch(_open(model)), top),
        documents=lambda texts: Dataset.from_dict(
            {"id": [str(index) for index in range(len(texts))], "text": list(texts)}
        ),
        rank=rank,
        read=lambda found: (int(found[0]), found[1]),
    )


def _sentence_transformers() -> Adapter:
    from rankprompt.integrations.sentence_transformers import RankpromptCrossEncoder

    return Adapter(
        make=lambda model, top: (RankpromptCrossEncoder(_open(model)), top),
        documents=list,
        rank=lambda made, query, texts: made[0].rank(query, texts, top_k=made[1]),
        read=lambda found: (found["corpus_id"], found["score"]),
    )


ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "langchain": _langchain,
    "llama_index": _llama_index,
    "haystack": _haystack,
    "pyterrier": _pyterrier,
    "mteb": _mteb,
    "sentence_transformers": _sentence_transformers,
}
