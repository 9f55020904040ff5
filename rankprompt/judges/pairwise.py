"""Judges: questions in, answers out, in the same order."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rankprompt.errors import InputError
from rankprompt.journal.cached_model import Answering, AsyncAnswering
from rankprompt.judges.adapters.pairwise import Reading
from rankprompt.judges.diagnostics import Diagnostics
from rankprompt.judges.llm_judge import CHUNK, Asking, InLockStep, SideBySide
from rankprompt.judges.simulated.pairwise_oracle import OracleJudge
from rankprompt.llm.base import Answer, Request
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Comparison, Preference, Query

__all__ = ["CHUNK", "AsyncJudge", "AsyncPairwiseJudge", "Judge", "OracleJudge", "PairwiseJudge"]


class Judge(Protocol):
    """Says of each pair how probable it is that the first document is the more relevant."""

    def __call__(self, comparisons: Sequence[Comparison], /) -> list[Preference]:
        """Preferences, in the same order; 0.5 is a tie."""


class AsyncJudge(Protocol):
    """A judge that others need not wait for."""

    async def __call__(self, comparisons: Sequence[Comparison], /) -> list[Preference]:
        """Preferences, in the same order; 0.5 is a tie."""


class _Pairwise(Asking[Comparison, Preference]):
    """What asking a language model about pairs means, whoever waits for the answers.

    Args:
        answering: the model behind its journal.
        reading: what is asked about an ordered pair, and what the answers mean.
        order: "both" asks a pair in both orders (section 3.1); "single" in one, drawn at random
            but always the same for a pair and a seed: position bias becomes noise of mean zero at
            half the price (arXiv 2605.14236).
        decide: "agreement" is the paper's rule: a win where the orders agree, else a tie. "soft" is
            the mean probability over the orders.
        seed: of the single order.
        settings: of ``Asking``.

    Attributes:
        diagnostics: position bias, contradictions, unreadable answers.
    """

    def __init__(
        self,
        answering: Answering | AsyncAnswering,
        reading: Reading,
        *,
        order: str = "both",
        decide: str = "agreement",
        seed: int = 0,
        **settings: Any,
    ) -> None:
        if order not in ("both", "single"):
            raise InputError(f"order must be both or single, not {order!r}")
        if decide not in ("agreement", "soft"):
            raise InputError(f"decide must be agreement or soft, not {decide!r}")
        super().__init__(answering, **settings)
        self._reading, self._order, self._decide, self._seed = reading, order, decide, seed
        self.diagnostics = Diagnostics()

    def _requests(self, question: Comparison) -> dict[bool, list[Request]]:
        query, first, second = question
        found = {}
        for swapped in self._orders(question):
            shown = (second, first) if swapped else (first, second)
            texts = self._show(query, shown, self._reading.passages)
            found[swapped] = self._reading.requests(self._read(query.text, query.id), *texts)
        return found

    def _bare(self, query: Query, _: int) -> list[Request]:
        return self._reading.requests(self._read(query.text, query.id), "", "")

    def _orders(self, comparison: Comparison) -> tuple[bool, ...]:
        if not self._reading.ordered:
            return (False,)
        if self._order == "both":
            return (False, True)
        one, other = sorted((comparison.first.id, comparison.second.id))
        ascending = uniform(self._seed, "order", comparison.query.id, one, other) < 0.5
        return ((comparison.first.id == one) != ascending,)

    def _conclude(self, question: Comparison, heard: Mapping[bool, Sequence[Answer]]) -> Preference:
        shown = {swapped: self._reading.read(answers) for swapped, answers in heard.items()}
        votes = []
        for swapped, answer in shown.items():
            first = 0.5 if answer is None else 1 - answer if swapped else answer
            votes.append(first if self._decide == "soft" else (first > 0.5) + 0.5 * (first == 0.5))
        mean = sum(votes) / len(votes)
        preference = mean if self._decide == "soft" or mean in (0, 1) else 0.5
        # Which passage is shown first means nothing where each is shown alone.
        self.diagnostics.add(question, shown if self._reading.ordered else {}, preference)
        return preference

    def _unknown(self, _: Comparison) -> Preference:
        return 0.5


class PairwiseJudge(_Pairwise, InLockStep[Comparison, Preference]):
    """A language model, asked about pairs (Pairwise Ranking Prompting, arXiv 2306.17563)."""


class AsyncPairwiseJudge(_Pairwise, SideBySide[Comparison, Preference]):
    """A language model behind a server, asked about many pairs at a time; as ``PairwiseJudge``."""
