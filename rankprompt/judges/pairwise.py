"""The judge of pairwise questions, which are asked in a single order or in both."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from rankprompt.errors import InputError
from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel
from rankprompt.judges.adapters.base import PairwiseAdapter, ParsedAnswer
from rankprompt.judges.base import LLMJudge
from rankprompt.judges.diagnostics import PairwiseDiagnostics
from rankprompt.judges.guard import AnswerGuard, Source
from rankprompt.llm.base import Request
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import FallbackPreference, PairwiseQuestion, Preference, Query

__all__ = ["Judge", "PairwiseJudge"]


class Judge(Protocol):
    """Judges pairs: the probability that the first document of each is more relevant."""

    def __call__(self, questions: Sequence[PairwiseQuestion], /) -> list[Preference]:
        """The preferences, in the order of the questions; 0.5 is a tie."""


class PairwiseJudge(LLMJudge[PairwiseQuestion, Preference]):
    """A language model that compares two passages (Pairwise Ranking Prompting, arXiv 2306.17563).

    Args:
        model: the model behind its journal.
        adapter: turns an ordered pair into requests, and parses the replies.
        order: "both" asks a pair in both orders (section 3.1). "single" asks it in an order that is
            drawn by the seed and is always the same for a pair, so that position bias becomes noise
            of mean zero, at half the cost (arXiv 2605.14236).
        decide: "agreement" is the paper's rule: a win where the orders agree, otherwise a tie.
            "soft" is the mean probability over the orders (ours).
        seed: the seed of the single order.
        guard: as in ``LLMJudge``.
        passage_tokens: as in ``LLMJudge``.
        on_judged: as in ``LLMJudge``.

    Attributes:
        diagnostics: position bias, contradictions and unreadable answers.

    Raises:
        InputError: an unknown ``order`` or ``decide``, or ``passage_tokens`` is below 1.
    """

    def __init__(
        self,
        model: CachedModel | ConcurrentCachedModel,
        adapter: PairwiseAdapter,
        *,
        order: str = "both",
        decide: str = "agreement",
        seed: int = 0,
        guard: AnswerGuard | None = None,
        passage_tokens: int | None = None,
        on_judged: Callable[[int], None] = lambda _: None,
    ) -> None:
        if order not in ("both", "single"):
            raise InputError(f"`order` must be both or single, not {order!r}")
        if decide not in ("agreement", "soft"):
            raise InputError(f"`decide` must be agreement or soft, not {decide!r}")
        super().__init__(
            model, adapter, guard=guard, passage_tokens=passage_tokens, on_judged=on_judged
        )
        self._adapter, self._order, self._decide, self._seed = adapter, order, decide, seed
        self.diagnostics = PairwiseDiagnostics()

    def _render(self, question: PairwiseQuestion) -> Mapping[bool, Sequence[Request]]:
        query, first, second = question
        requests = {}
        for swapped in self._orders(question):
            shown = (second, first) if swapped else (first, second)
            passages = self._passages(query, shown, self._adapter.passages)
            requests[swapped] = self._adapter.requests(
                self._escaped(query.text, query.id), passages
            )
        return requests

    def _render_empty(self, query: Query, passages: int) -> Sequence[Request]:
        del passages
        return self._adapter.requests(self._escaped(query.text, query.id), ("", ""))

    def _orders(self, question: PairwiseQuestion) -> tuple[bool, ...]:
        if not self._adapter.ordered:
            return (False,)
        if self._order == "both":
            return (False, True)
        lower, higher = sorted((question.first.id, question.second.id))
        ascending = uniform(self._seed, "order", question.query.id, lower, higher) < 0.5
        return ((question.first.id == lower) != ascending,)

    def _conclude(
        self,
        question: PairwiseQuestion,
        parsed: Mapping[bool, ParsedAnswer[Preference]],
        source: Source,
    ) -> Preference:
        answers = {swapped: result.answer for swapped, result in parsed.items()}
        votes = []
        for swapped, answer in answers.items():
            first = 0.5 if answer is None else 1 - answer if swapped else answer
            votes.append(first if self._decide == "soft" else (first > 0.5) + 0.5 * (first == 0.5))
        mean = sum(votes) / len(votes)
        preference = mean if self._decide == "soft" or mean in (0, 1) else 0.5
        if len(answers) == 2 and self._decide == "agreement" and None not in answers.values():
            self.guard.add_pair(tie=preference == 0.5, source=source)
        if not self._adapter.ordered:
            texts = (question.query.text, question.first.text, question.second.text)
            for answer in answers.values():
                if answer is not None:
                    self.guard.add_score(answer, source, texts=texts)
        # Passages that are shown alone have no order, hence no position bias.
        self.diagnostics.add(question, answers if self._adapter.ordered else {}, preference)
        unreadable = all(answer is None for answer in answers.values())
        return FallbackPreference(preference) if unreadable else preference

    def _fallback(self, question: PairwiseQuestion) -> Preference:
        del question
        return FallbackPreference(0.5)
