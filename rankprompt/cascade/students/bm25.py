"""The student ``bm25``: no model and no training, and hard to beat (KeyB2, arXiv 2411.06254)."""

from collections.abc import Sequence

from rankprompt.cascade.students.base import Student, StudentConfig, TextsOnly
from rankprompt.retrieval.analyzer import words
from rankprompt.retrieval.bm25 import bm25
from rankprompt.types import Document

__all__ = ["BM25Student", "load"]


class BM25Student:
    """Scores windows by BM25 as if they were a collection.

    Inverse document frequencies are counted over the windows of all candidates of the query: a word
    that occurs in every candidate hardly tells their windows apart.

    Args:
        language: Selects the analyzer that splits a text into words.

    Raises:
        UnknownNameError: No language has this name.
    """

    def __init__(self, language: str = "en") -> None:
        words(language)
        self._language = language

    def __call__(self, query: str, windows: Sequence[str]) -> list[float]:
        """Scores windows, in their order; 0 for a window that shares no word with the query."""
        if not windows:
            return []
        documents = {str(index): Document(str(index), text) for index, text in enumerate(windows)}
        run = bm25({"": query}, documents, depth=len(windows), language=self._language)
        return [run[""].get(index, 0.0) for index in documents]


def load(config: StudentConfig) -> Student:
    """Returns the student ``bm25``."""
    return TextsOnly(BM25Student(config.language))
