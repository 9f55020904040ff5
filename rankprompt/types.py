"""The values that packages exchange: queries, documents, runs, questions and their answers."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Self, TypeAlias

__all__ = [
    "QUESTION_NOUNS",
    "Candidates",
    "Document",
    "Fallback",
    "FallbackPermutation",
    "FallbackPreference",
    "FallbackProbabilities",
    "Grade",
    "Judgment",
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
"""Scores by query id and document id, higher is better; a query's documents are best first."""

Qrels: TypeAlias = Mapping[str, Mapping[str, int]]
"""Relevance grades by query id and document id; higher is more relevant, 0 and below is not
relevant."""

Preference: TypeAlias = float
"""The probability, from 0 to 1, that the first of two documents is more relevant; 0.5 is a tie."""

Grade: TypeAlias = float | None
"""How relevant a document is, on a scale of its judge's own; higher is more relevant, and None is
unknown."""

SelectionProbabilities: TypeAlias = tuple[float, ...]
"""The probability of each document that it is the most relevant, in the order shown; the sum is
1."""

Permutation: TypeAlias = tuple[int, ...]
"""The indices of documents in the order shown, from 0, the most relevant first; each index
once."""

Judgment: TypeAlias = Preference | Grade | SelectionProbabilities | Permutation
"""A judge's answer to a question; the question's class says which of these it is."""


class Fallback:
    """Marks a judgment that stands in for an answer that is missing or unreadable.

    It ranks as any other judgment of its value does, but no score of a document is made of it. An
    unknown grade, None, needs no mark.
    """

    __slots__ = ()


class FallbackPreference(Fallback, float):
    """A preference that nobody has stated."""

    __slots__ = ()


class FallbackProbabilities(Fallback, tuple[float, ...]):
    """Selection probabilities that nobody has stated."""

    __slots__ = ()


class FallbackPermutation(Fallback, tuple[int, ...]):
    """An order that nobody has stated."""

    __slots__ = ()


class Query(NamedTuple):
    """A query: its id in the run and qrels, and its text."""

    id: str
    text: str


class Document(NamedTuple):
    """A document or passage: its id, and the text that a judge reads."""

    id: str
    text: str


class Candidates(NamedTuple):
    """A query with the documents that a first stage retrieved for it.

    Attributes:
        query: the query.
        documents: best first.
        scores: the first stage's scores, in the order of ``documents``; higher is better.

    Examples:
        >>> from rankprompt.types import Candidates, Document, Query
        >>> mill, boats = Document("d7", "An old mill."), Document("d2", "Boats at anchor.")
        >>> candidates = Candidates(Query("q1", "windmills"), (mill, boats), (7.5, 2.25))
        >>> [document.id for document in candidates.documents]
        ['d7', 'd2']
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
        """The question about a document, given as a sequence of length 1."""
        return cls(query, *documents)

    @property
    def documents(self) -> tuple[Document, ...]:
        """The document, as a tuple of length 1."""
        return self[1:]


class SetwiseQuestion(NamedTuple):
    """Which of several documents is the most relevant? The answer is ``SelectionProbabilities``."""

    query: Query
    documents: tuple[Document, ...]

    @classmethod
    def of(cls, query: Query, documents: Sequence[Document]) -> Self:
        """The question about these documents, which are shown in this order."""
        return cls(query, tuple(documents))


class ListwiseQuestion(NamedTuple):
    """What is the order of several documents by relevance? The answer is a ``Permutation``."""

    query: Query
    documents: tuple[Document, ...]

    @classmethod
    def of(cls, query: Query, documents: Sequence[Document]) -> Self:
        """The question about these documents, which are shown in this order."""
        return cls(query, tuple(documents))


Question: TypeAlias = PairwiseQuestion | PointwiseQuestion | SetwiseQuestion | ListwiseQuestion
"""A question to a judge."""

QuestionKind: TypeAlias = type[Question]
"""A class of questions. A ranker asks questions of a single kind (``Method.question``)."""

QUESTION_NOUNS: Mapping[QuestionKind, str] = {
    PairwiseQuestion: "comparison",
    PointwiseQuestion: "grading",
    SetwiseQuestion: "selection",
    ListwiseQuestion: "listing",
}
"""The noun for a question of each kind in manifests, plans and messages."""

Progress: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Opens a progress bar, given a description and about how many steps there will be; the bar is a
context whose value is called with the number of steps done since the last call."""


def no_progress(description: str, steps: int) -> AbstractContextManager[Callable[[int], None]]:
    """Opens a progress bar that shows nothing."""
    del description, steps
    return nullcontext(lambda _: None)
