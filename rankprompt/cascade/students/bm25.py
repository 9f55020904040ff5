"""The student ``bm25``: needs no model and no training, and is hard to beat (arXiv 2411.06254)."""

from collections.abc import Sequence

from rankprompt.retrieval.analyzer import words
from rankprompt.retrieval.bm25 import bm25
from rankprompt.types import Document

__all__ = ["BM25Student"]


class BM25Student:
    """Scores windows by BM25 as if they were the collection.

    How rare a word is (idf) is counted over the windows of all of the query's candidates: a word
    that every candidate has is worth little, as it tells their windows apart little.

    Args:
        language: decides what a word is.

    Raises:
        UnknownNameError: no such language.
    """

    def __init__(self, language: str = "en") -> None:
        words(language)
        self._language = language

    def __call__(self, query: str, windows: Sequence[str]) -> list[float]:
        """Scores windows, in their order; 0 where no word is in common."""
        if not windows:
            return []
        documents = {str(place): Document(str(place), text) for place, text in enumerate(windows)}
        found = bm25({"": query}, documents, depth=len(windows), language=self._language)[""]
        return [found.get(place, 0.0) for place in documents]
