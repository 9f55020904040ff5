"""The records that cross boundaries, and nothing else does."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self, TypeAlias

__all__ = [
    "Candidates",
    "Comparison",
    "Document",
    "Grade",
    "Grading",
    "Listing",
    "Order",
    "Preference",
    "Qrels",
    "Query",
    "Question",
    "Run",
    "Selection",
    "Shares",
]

Run: TypeAlias = Mapping[str, Mapping[str, float]]
"""Scores by query id and document id; a query's documents stand best first."""

Qrels: TypeAlias = Mapping[str, Mapping[str, int]]
"""Relevance grades by query id and document id; higher is more relevant, 0 and below is not."""

Preference: TypeAlias = float
"""The probability that the first document is the more relevant; 0.5 is a tie."""

Grade: TypeAlias = float | None
"""How relevant a document is, higher is more, on a scale that its judge keeps to; None: unknown."""

Shares: TypeAlias = tuple[float, ...]
"""The probability of each document that it is the most relevant; they add up to 1."""

Order: TypeAlias = tuple[int, ...]
"""The places of documents as they were shown, from 0, the most relevant first; each place once."""


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
    """A question to a judge: which of two documents is more relevant? Heard: Preference."""

    query: Query
    first: Document
    second: Document

    @classmethod
    def of(cls, query: Query, documents: Sequence[Document]) -> Self:
        """The question about these documents, of which there are two."""
        return cls(query, *documents)

    @property
    def documents(self) -> tuple[Document, ...]:
        """The documents asked about."""
        return self[1:]


class Grading(NamedTuple):
    """A question to a judge: how relevant to the query is a document, by itself? Heard: Grade."""

    query: Query
    document: Document

    @classmethod
    def of(cls, query: Query, documents: Sequence[Document]) -> Self:
        """The question about these documents, of which there is one."""
        return cls(query, *documents)

    @property
    def documents(self) -> tuple[Document, ...]:
        """The documents asked about."""
        return self[1:]


class Selection(NamedTuple):
    """A question to a judge: which of several documents is the most relevant? Heard: Shares."""

    query: Query
    documents: tuple[Document, ...]

    @classmethod
    def of(cls, query: Query, documents: Sequence[Document]) -> Self:
        """The question about these documents, to be shown in this order."""
        return cls(query, tuple(documents))


class Listing(NamedTuple):
    """A question to a judge: in which order of relevance do documents stand? Heard: Order."""

    query: Query
    documents: tuple[Document, ...]

    @classmethod
    def of(cls, query: Query, documents: Sequence[Document]) -> Self:
        """The question about these documents, to be shown in this order."""
        return cls(query, tuple(documents))


Question: TypeAlias = Comparison | Grading | Selection | Listing
"""What a ranker may ask; each ranker asks one kind (``Method.question``)."""
