"""What a reranking of texts gives: the documents, best first, with scores and what they cost."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, overload

from rankprompt.rankers.scores import Meaning
from rankprompt.types import Judgment

__all__ = ["JudgedQuestion", "RankedDocument", "Ranking", "Usage"]


@dataclass(frozen=True)
class RankedDocument:
    """A document in a ranking.

    Attributes:
        index: the document's position, from 0, among the documents that were given.
        id: its id; that of a text without one is its index.
        score: from 0 to 1, strictly decreasing; ``Ranking.meaning`` says what it means.
        rank: its position in the ranking, from 1.
        text: the passage that was judged.
        document: the document as it was given, with all that it carries.
        value: the judge's own number; None where the document was not judged.
    """

    index: int
    id: str
    score: float
    rank: int
    text: str
    document: Any
    value: float | None = None


class JudgedQuestion(NamedTuple):
    """A question about some of the documents, and the answer by which they were ranked.

    Attributes:
        kind: "comparison", "grading", "selection" or "listing".
        indices: the documents that were shown, as positions among those that were given.
        answer: of a comparison, the probability that the first document is more relevant; of a
            grading, the grade, or None where it is unknown; of a selection, each document's
            probability of being the most relevant; of a listing, the documents' order, as positions
            in ``indices``.
        answered: False where the budget did not reach the question or the answer cannot be read.
        stage: the number of the stage that asked it, from 1.
    """

    kind: str
    indices: tuple[int, ...]
    answer: Judgment
    answered: bool = True
    stage: int = 1


@dataclass(frozen=True)
class Usage:
    """What reranking cost.

    Attributes:
        questions: the questions that have an answer.
        unasked: the questions that the budget did not reach; they counted as ties.
        prompts: the prompts that the model was asked; a reranker's prompt is a passage.
        prompts_from_journal: the prompts that the journal answered at no cost.
        tokens: the tokens that the model read and wrote.
        written_tokens: of these, the tokens that it wrote.
        seconds: the time that it took, from the call to the result.
        cost: in money, at the prices given.
    """

    questions: int = 0
    unasked: int = 0
    prompts: int = 0
    prompts_from_journal: int = 0
    tokens: int = 0
    written_tokens: int = 0
    seconds: float = 0.0
    cost: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        """The sum of two usages."""
        mine, more = asdict(self), asdict(other)
        return Usage(**{name: mine[name] + more[name] for name in mine})

    def __radd__(self, start: int) -> "Usage":
        """Itself, added to the 0 from which ``sum`` starts."""
        return self if start == 0 else NotImplemented


@dataclass(frozen=True)
class Ranking(Sequence[RankedDocument]):
    """The documents of a query, best first.

    Attributes:
        query: the query.
        documents: the documents, best first, without those that ``top_k`` or ``threshold`` left
            out.
        meaning: what the scores mean, such as "probability of relevance".
        usage: what ranking them cost; of ``rank_many``, all queries together.
        explanation: the questions that were asked and their answers, with ``explain=True``.
    """

    query: str
    documents: tuple[RankedDocument, ...]
    meaning: Meaning
    usage: Usage
    explanation: tuple[JudgedQuestion, ...] | None = None

    @overload
    def __getitem__(self, index: int) -> RankedDocument: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RankedDocument]: ...
    def __getitem__(self, index: int | slice) -> RankedDocument | Sequence[RankedDocument]:
        """The document at a position, from 0."""
        return self.documents[index]

    def __iter__(self) -> Iterator[RankedDocument]:
        """The documents, best first."""
        return iter(self.documents)

    def __len__(self) -> int:
        """The number of documents."""
        return len(self.documents)

    def top_k(self, k: int) -> "Ranking":
        """The ranking of the first ``k`` documents."""
        return replace(self, documents=self.documents[: max(0, k)])

    def as_run(self) -> dict[str, float]:
        """The scores by document id, best first: a query's part of a run."""
        return {document.id: document.score for document in self.documents}

    def to_records(self) -> list[dict[str, Any]]:
        """The documents as dictionaries, such as a table's rows."""
        return [
            {"rank": one.rank, "id": one.id, "index": one.index, "score": one.score,
             "text": one.text}
            for one in self.documents
        ]  # fmt: skip
