"""The records that cross boundaries, and nothing else does."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

__all__ = ["Candidates", "Comparison", "Document", "Preference", "Qrels", "Query", "Run"]

Run: TypeAlias = Mapping[str, Mapping[str, float]]
"""Scores by query id and document id; a query's documents stand best first."""

Qrels: TypeAlias = Mapping[str, Mapping[str, int]]
"""Relevance grades by query id and document id; higher is more relevant, 0 and below is not."""

Preference: TypeAlias = float
"""The probability that the first document is the more relevant; 0.5 is a tie."""


class Query(NamedTuple):
    """A query: its id in the run and qrels, and its text."""

    id: str
    text: str


class Document(NamedTuple):
    """A document or passage: its id, and the text that a judge reads."""

    id: str
    text: str


class Candidates(NamedTuple):
    """A query with the documents that a first stage found for it.

    ``documents`` stand best first; ``scores`` are the first stage's, in the same order
    (higher is better).
    """

    query: Query
    documents: tuple[Document, ...]
    scores: tuple[float, ...]


class Comparison(NamedTuple):
    """A question to a judge: which of two documents is more relevant to the query?"""

    query: Query
    first: Document
    second: Document
