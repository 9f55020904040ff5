"""First stages: candidates where there is no run yet."""

from collections.abc import Mapping

from rankprompt.errors import InputError
from rankprompt.records import Document

__all__ = ["bm25"]


def bm25(
    queries: Mapping[str, str],
    documents: Mapping[str, Document],
    *,
    depth: int = 100,
    k1: float = 0.9,
    b: float = 0.4,
) -> dict[str, dict[str, float]]:
    """Ranks English documents by BM25 (Lucene's form, with bm25s), stemmed, without stop words.

    Args:
        queries: texts by query id.
        documents: by id.
        depth: documents a query, at the most; those without a word in common are left out.
        k1: how soon a repeated word counts no more; 0.9 and 0.4 are Anserini's settings.
        b: how much a long document is marked down, from 0 to 1.

    Returns:
        Scores by query and document, best first, equal scores by document id.

    Raises:
        InputError: there are no documents.
    """
    import bm25s
    import Stemmer

    if not documents:
        raise InputError("no documents to search in")
    names = list(documents)
    stemmer = Stemmer.Stemmer("english")

    def words(texts: list[str]) -> "list[list[str]]":
        found: list[list[str]] = bm25s.tokenize(
            texts, stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False
        )
        return found

    indexed = words([one.text for one in documents.values()])
    if not any(indexed):  # bm25s cannot index an empty vocabulary
        return {query: {} for query in queries}
    engine = bm25s.BM25(k1=k1, b=b, method="lucene")
    engine.index(indexed, show_progress=False)
    run = {}
    for query, tokens in zip(queries, words(list(queries.values())), strict=True):
        scores = engine.get_scores(tokens) if tokens else []
        found = sorted(
            ((-float(score), name) for score, name in zip(scores, names, strict=False) if score > 0)
        )
        run[query] = {name: -score for score, name in found[:depth]}
    return run
