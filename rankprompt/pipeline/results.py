"""What reranking some queries gave: rankings, counts, and what the answers say about the judge."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from rankprompt.judges.diagnostics import summarise
from rankprompt.judges.registry import LanguageModelJudge, Oracle
from rankprompt.llm.base import LanguageModel
from rankprompt.rankers.reranking import Reranked

__all__ = ["BlockResult", "ModelCard", "Totals", "judged_by", "model_card"]


class ModelCard(NamedTuple):
    """What a model is known by in a manifest.

    ``context_length`` is None for a teacher, ``dtype`` for all but a local model,
    ``tokens_counted_by`` and ``choices_read_from`` for all but a model behind a server. ``weights``
    says which weights a name of several stands for, and ``queries_cut`` counts the queries that a
    reranker truncated; both are None for other models.
    """

    name: str
    fingerprint: str
    context_length: int | None = None
    dtype: str | None = None
    tokens_counted_by: str | None = None
    choices_read_from: str | None = None
    weights: str | None = None
    queries_cut: int | None = None


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


class BlockResult(NamedTuple):
    """The result of some queries.

    ``rankings`` and ``rounds`` are as in ``Reranked``; ``asked``, ``cache_hits``, ``repeated`` and
    ``unasked`` count questions, ``truncated`` passages and ``escaped`` texts, as the judge does;
    ``tally`` is what the judge's diagnostics counted.
    """

    rankings: dict[str, list[str]]
    rounds: int = 0
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
