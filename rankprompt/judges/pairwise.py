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

# By order "lazy", so many of the pairs are asked in both orders whatever the first answer is.
_MEASURED = 1 / 8


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
            of mean zero, at half the cost (arXiv 2605.14236). "lazy" is for rankers that only ask
            whether the first document wins (``Method.strict``): the second document is shown first,
            and the other order is asked only if the first document still wins. That finds the wins
            of "both" with fewer prompts (ours); other answers are 0.5. An eighth of the pairs,
            drawn by the seed, is asked in both orders, for the guard and the diagnostics.
        decide: "agreement" is the paper's rule: a win where the orders agree, otherwise a tie.
            "soft" is the mean probability over the orders (ours).
        seed: the seed of the single order, and of the pairs that "lazy" asks in both.
        guard: as in ``LLMJudge``.
        passage_tokens: as in ``LLMJudge``.
        on_judged: as in ``LLMJudge``.

    Attributes:
        diagnostics: position bias, contradictions and unreadable answers.

    Raises:
        InputError: an unknown ``order`` or ``decide``, "lazy" with "soft", or ``passage_tokens`` is
            below 1.
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
        if order not in ("both", "lazy", "single"):
            raise InputError(f"`order` must be both, lazy or single, not {order!r}")
        if decide not in ("agreement", "soft"):
            raise InputError(f"`decide` must be agreement or soft, not {decide!r}")
        if order == "lazy" and decide == "soft":
            raise InputError("`order` lazy goes with `decide` agreement: soft averages both orders")
        super().__init__(
            model, adapter, guard=guard, passage_tokens=passage_tokens, on_judged=on_judged
        )
        self._adapter, self._order, self._decide, self._seed = adapter, order, decide, seed
        self.diagnostics = PairwiseDiagnostics()

    def _render(self, question: PairwiseQuestion) -> Mapping[bool, Sequence[Request]]:
        return self._render_orders(question, self._orders(question))

    def _render_orders(
        self, question: PairwiseQuestion, orders: Sequence[bool]
    ) -> Mapping[bool, Sequence[Request]]:
        query, first, second = question
        requests = {}
        for swapped in orders:
            shown = (second, first) if swapped else (first, second)
            passages = self._passages(query, shown, self._adapter.passages)
            requests[swapped] = self._adapter.requests(
                self._escaped(query.text, query.id), passages
            )
        return requests

    def _follow(
        self, question: PairwiseQuestion, parsed: Mapping[bool, ParsedAnswer[Preference] | None]
    ) -> Mapping[bool, Sequence[Request]]:
        if self._order != "lazy" or list(parsed) != [True]:
            return {}
        result = parsed[True]
        if result is None or result.answer is None or result.answer >= 0.5:
            return {}
        return self._render_orders(question, (False,))

    def _render_empty(self, query: Query, passages: int) -> Sequence[Request]:
        del passages
        return self._adapter.requests(self._escaped(query.text, query.id), ("", ""))

    def _orders(self, question: PairwiseQuestion) -> tuple[bool, ...]:
        if not self._adapter.ordered:
            return (False,)
        if self._order == "both":
            return (False, True)
        if self._order == "lazy":
            return (False, True) if self._is_measured(question) else (True,)
        lower, higher = sorted((question.first.id, question.second.id))
        ascending = uniform(self._seed, "order", question.query.id, lower, higher) < 0.5
        return ((question.first.id == lower) != ascending,)

    def _is_measured(self, question: PairwiseQuestion) -> bool:
        """Whether the orders that are asked do not depend on the answers."""
        if self._order != "lazy":
            return True
        names = sorted((question.first.id, question.second.id))
        return uniform(self._seed, "measured", question.query.id, *names) < _MEASURED

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
        # Shown one way alone by order "lazy", the first document does not win, which may be a tie.
        settled = self._order != "lazy" or len(votes) == 2 or not self._adapter.ordered
        preference = mean if self._decide == "soft" or (settled and mean in (0, 1)) else 0.5
        # A second order that was asked because of the first answer tells nothing about all pairs.
        measured = self._is_measured(question)
        pair = len(answers) == 2 and None not in answers.values()
        if pair and measured and self._decide == "agreement":
            self.guard.add_pair(tie=preference == 0.5, source=source)
        if not self._adapter.ordered:
            texts = (question.query.text, question.first.text, question.second.text)
            for answer in answers.values():
                if answer is not None:
                    self.guard.add_score(answer, source, texts=texts)
        # Passages that are shown alone have no order, hence no position bias.
        shown = {
            swapped: answer
            for swapped, answer in answers.items()
            if self._adapter.ordered and (measured or answer is None)
        }
        self.diagnostics.add(question, shown, preference)
        unreadable = all(answer is None for answer in answers.values())
        return FallbackPreference(preference) if unreadable else preference

    def _fallback(self, question: PairwiseQuestion) -> Preference:
        del question
        return FallbackPreference(0.5)
