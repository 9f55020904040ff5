"""What reranking some queries gave: rankings, counts, and what the answers say about the judge."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from rankprompt.judges.diagnostics import summarise
from rankprompt.judges.registry import LanguageModelJudge, Oracle
from rankprompt.rankers.reranking import Reranked
from rankprompt.rankers.scores import DocumentScore

__all__ = ["BlockResult", "ModelCard", "Totals", "judged_by"]


class ModelCard(NamedTuple):
    """What a model is known by in a manifest.

    ``context_length`` is None for a teacher, ``dtype`` for all but a local model,
    ``tokens_counted_by`` and ``choices_read_from`` for all but a model behind a server.
    """

    name: str
    fingerprint: str
    context_length: int | None = None
    dtype: str | None = None
    tokens_counted_by: str | None = None
    choices_read_from: str | None = None


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
