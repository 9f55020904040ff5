"""What reranking some queries gave: rankings, counts, and what the answers say about the judge."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import NamedTuple

from rankprompt.journal.cached_model import ConcurrentCachedModel
from rankprompt.judges.diagnostics import summarise
from rankprompt.judges.registry import LanguageModelJudge, Oracle
from rankprompt.llm.base import LanguageModel
from rankprompt.rankers.reranking import Reranked
from rankprompt.rankers.scores import DocumentScore
from rankprompt.types import Candidates

__all__ = [
    "BlockResult", "ModelCard", "Totals", "join_stage_results", "judged_by", "model_card",
    "server_card",
]  # fmt: skip


class ModelCard(NamedTuple):
    """What a model is known by in a manifest.

    ``context_length`` is None for a teacher, ``dtype`` for all but a local model,
    ``tokens_counted_by``, ``choices_read_from`` and ``served_by`` (the server's program and
    version) for all but a model behind a server. ``weights`` says which weights a name of several
    stands for, and ``queries_cut`` counts the queries that a reranker truncated; both are None for
    other models. ``calls_in_flight`` is what ``concurrency`` auto has come to; None for a number.
    """

    name: str
    fingerprint: str
    context_length: int | None = None
    dtype: str | None = None
    tokens_counted_by: str | None = None
    choices_read_from: str | None = None
    served_by: str | None = None
    weights: str | None = None
    queries_cut: int | None = None
    calls_in_flight: int | None = None


def model_card(model: LanguageModel) -> ModelCard:
    """The card of a model on this machine."""
    return ModelCard(
        model.name,
        model.fingerprint,
        model.context_length,
        getattr(model, "dtype", None),
        weights=getattr(model, "weights", None),
        queries_cut=getattr(model, "queries_cut", None),
    )


def server_card(cached: ConcurrentCachedModel) -> ModelCard:
    """The card of a model behind a server, as far as is known by now."""
    model = cached.model
    return ModelCard(
        model.name,
        model.fingerprint,
        model.context_length,
        tokens_counted_by=getattr(model, "tokens_counted_by", None),
        choices_read_from=getattr(model, "choices_read_from", None),
        served_by=getattr(model, "served_by", None),
        calls_in_flight=cached.calls.reached,
    )


class BlockResult(NamedTuple):
    """The result of some queries.

    ``rankings``, ``rounds`` and ``scores`` are as in ``Reranked``; ``asked``, ``cache_hits``,
    ``repeated`` and ``unasked`` count questions, ``truncated`` passages and ``escaped`` texts, as
    the judge does; ``tally`` is what the judge's diagnostics counted.
    """

    rankings: dict[str, list[str]]
    rounds: int = 0
    scores: Mapping[str, Mapping[str, DocumentScore]] = MappingProxyType({})
    asked: int = 0
    cache_hits: int = 0
    repeated: int = 0
    unasked: int = 0
    truncated: int = 0
    escaped: int = 0
    tally: Mapping[str, int] = MappingProxyType({})

    @property
    def judged(self) -> int:
        """The number of questions that have an answer."""
        return self.asked + self.cache_hits + self.repeated


@dataclass
class Totals:
    """The results of all queries added up; ``rounds`` is the largest of any block."""

    rounds: int = 0
    asked: int = 0
    cache_hits: int = 0
    repeated: int = 0
    unasked: int = 0
    truncated: int = 0
    escaped: int = 0
    tally: Counter[str] = field(default_factory=Counter)

    def add(self, result: BlockResult) -> None:
        """Adds the result of some queries."""
        self.rounds = max(self.rounds, result.rounds)
        self.asked += result.asked
        self.cache_hits += result.cache_hits
        self.repeated += result.repeated
        self.unasked += result.unasked
        self.truncated += result.truncated
        self.escaped += result.escaped
        self.tally.update(result.tally)

    def as_result(
        self,
        rankings: dict[str, list[str]],
        scores: Mapping[str, Mapping[str, DocumentScore]],
    ) -> BlockResult:
        """The result of all these queries together, with their rankings and scores."""
        counts = {one.name: getattr(self, one.name) for one in fields(self)}
        return BlockResult(rankings, scores=scores, **counts)

    @property
    def diagnostics(self) -> dict[str, float | int | None]:
        """What the answers say about the judge."""
        return summarise(self.tally)


def judged_by(judge: LanguageModelJudge | Oracle, ranked: Reranked) -> BlockResult:
    """The result of a reranking, with the counts of the judge that answered."""
    tally = judge.diagnostics.tally()
    if isinstance(judge, Oracle):
        return BlockResult(*ranked, asked=judge.asked, tally=tally)
    return BlockResult(
        *ranked,
        asked=judge.asked,
        cache_hits=judge.cache_hits,
        repeated=judge.repeated,
        unasked=judge.unasked,
        truncated=len(judge.truncated),
        escaped=len(judge.escaped),
        tally=tally,
    )


def join_stage_results(
    results: Sequence[BlockResult],
    reranked: Sequence[Candidates],
    scores: Mapping[str, Mapping[str, DocumentScore]],
) -> BlockResult:
    """Joins what the stages gave for a block of queries.

    Args:
        results: of each stage, over the same queries.
        reranked: the queries with all their documents, as the last stage left them.
        scores: of these documents, as ``join_scores`` joins those of the stages.

    Returns:
        The last rankings, with the counts of all stages added up. Rounds are added up, too: a
        stage waits for the stage before.
    """
    totals = Totals()
    for result in results:
        totals.add(result)
    totals.rounds = sum(result.rounds for result in results)
    return totals.as_result(
        {query.query.id: [document.id for document in query.documents] for query in reranked},
        scores,
    )
