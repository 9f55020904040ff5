"""The values that rooms hand to each other: queries, documents, runs, questions and answers."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Self, TypeAlias

__all__ = [
    "QUESTION_NOUNS",
    "Candidates",
    "Document",
    "Grade",
    "ListwiseQuestion",
    "PairwiseQuestion",
    "Permutation",
    "PointwiseQuestion",
    "Preference",
    "Progress",
    "Qrels",
    "Query",
    "Question",
    "QuestionKind",
    "Run",
    "SelectionProbabilities",
    "SetwiseQuestion",
    "no_progress",
]

Run: TypeAlias = Mapping[str, Mapping[str, float]]
"""Scores by query id and document id; a query's documents stand best first."""

Qrels: TypeAlias = Mapping[str, Mapping[str, int]]
"""Relevance grades by query id and document id; higher is more relevant, 0 and below is not."""

Preference: TypeAlias = float
"""The probability that the first document is the more relevant; 0.5 is a tie."""

Grade: TypeAlias = float | None
"""How relevant a document is, higher is more, on a scale that its judge keeps to; None: unknown."""

SelectionProbabilities: TypeAlias = tuple[float, ...]
"""The probability of each document that it is the most relevant; they add up to 1."""

Permutation: TypeAlias = tuple[int, ...]
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


class PairwiseQuestion(NamedTuple):
    """Which of two documents is more relevant to the query? The answer is a ``Preference``."""

    query: Query
    first: Document
    second: Document

    @classmethod
    def of(cls, query: Query, documents: Sequence[Document]) -> Self:
        """The question about these two documents."""
        return cls(query, *documents)

    @property
    def documents(self) -> tuple[Document, ...]:
        """The two documents, in the order of the question."""
        return self[1:]


class PointwiseQuestion(NamedTuple):
    """How relevant to the query is one document? The answer is a ``Grade``."""

    query: Query
    document: Document

    @classmethod
    def of(cls, query: Query, documents: Sequence[Document]) -> Self:
        """The question about the one document in the sequence."""
        return cls(query, *documents)

    @property
    def documents(self) -> tuple[Document, ...]:
        """The document, as a tuple of one."""
        return self[1:]


class SetwiseQuestion(NamedTuple):
    """Which of several documents is the most relevant? The answer is ``SelectionProbabilities``."""

    query: Query
    documents: tuple[Document, ...]

    @classmethod
    def of(cls, query: Query, documents: Sequence[Document]) -> Self:
        """The question about these documents, to be shown in this order."""
        return cls(query, tuple(documents))


class ListwiseQuestion(NamedTuple):
    """What is the order of several documents by relevance? The answer is a ``Permutation``."""

    query: Query
    documents: tuple[Document, ...]

    @classmethod
    def of(cls, query: Query, documents: Sequence[Document]) -> Self:
        """The question about these documents, to be shown in this order."""
        return cls(query, tuple(documents))


Question: TypeAlias = PairwiseQuestion | PointwiseQuestion | SetwiseQuestion | ListwiseQuestion
"""A question to a judge."""

QuestionKind: TypeAlias = type[Question]
"""A class of questions. A ranker asks questions of one kind (``Method.question``)."""

QUESTION_NOUNS: Mapping[QuestionKind, str] = {
    PairwiseQuestion: "comparison",
    PointwiseQuestion: "grading",
    SetwiseQuestion: "selection",
    ListwiseQuestion: "listing",
}
"""What a question of each kind is called in manifests, plans and messages."""

Progress: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Opens a progress bar, given a description and about how many steps there will be; the bar is a
context whose value is called with the number of steps done since the last call."""


def no_progress(description: str, steps: int) -> AbstractContextManager[Callable[[int], None]]:
    """Opens a progress bar that shows nothing."""
    del description, steps
    return nullcontext(lambda _: None)
