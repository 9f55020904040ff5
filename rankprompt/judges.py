"""Judges: comparisons in, preferences out, in the same order."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

from rankprompt.answering import Answering
from rankprompt.diagnostics import Diagnostics
from rankprompt.errors import InputError, ModelError
from rankprompt.models.base import Request
from rankprompt.readings import Reading
from rankprompt.records import Comparison, Preference, Qrels, Query
from rankprompt.seeds import uniform

__all__ = ["Judge", "OracleJudge", "PairwiseJudge"]

# Comparisons rendered at a time: enough for batches of alike length, small in memory (an allpair
# round over 43 queries holds 212,850 comparisons).
CHUNK = 256
# Tokens may fall otherwise where texts meet than where they stand alone.
_SLACK = 8


class Judge(Protocol):
    """Says of each pair how probable it is that the first document is the more relevant."""

    def __call__(self, comparisons: Sequence[Comparison]) -> list[Preference]:
        """Preferences, in the same order; 0.5 is a tie."""


class PairwiseJudge:
    """A language model, asked about pairs (Pairwise Ranking Prompting, arXiv 2306.17563).

    Args:
        answering: the model behind its journal.
        reading: what is asked about an ordered pair, and what the answers mean.
        order: "both" asks a pair in both orders (section 3.1); "single" in one, drawn at random
            but always the same for a pair and a seed: position bias becomes noise of mean zero at
            half the price (arXiv 2605.14236).
        decide: "agreement" is the paper's rule: a win where the orders agree, else a tie. "soft" is
            the mean probability over the orders.
        seed: of the single order.
        passage_tokens: the most tokens of a passage that are shown; None for as many as fit into
            the model's context.
        on_judged: called with the number of comparisons judged, after each chunk.

    Attributes:
        diagnostics: position bias, contradictions, unreadable answers.
        cut: the (query id, document id) whose text was cut to fit.
        from_journal: comparisons that cost nothing, all their answers being in the journal.
        asked: comparisons that cost at least one prompt.
    """

    def __init__(
        self,
        answering: Answering,
        reading: Reading,
        *,
        order: str = "both",
        decide: str = "agreement",
        seed: int = 0,
        passage_tokens: int | None = None,
        on_judged: Callable[[int], None] = lambda _: None,
    ) -> None:
        if order not in ("both", "single"):
            raise InputError(f"order must be both or single, not {order!r}")
        if decide not in ("agreement", "soft"):
            raise InputError(f"decide must be agreement or soft, not {decide!r}")
        if passage_tokens is not None and passage_tokens < 1:
            raise InputError(f"passage_tokens must be a whole number from 1, not {passage_tokens}")
        self._answering, self._reading = answering, reading
        self._order, self._decide, self._seed = order, decide, seed
        self._passage_tokens, self._on_judged = passage_tokens, on_judged
        # A sort shows a passage many times; count its tokens once.
        self._cut = lru_cache(maxsize=1 << 16)(answering.model.cut)
        self._room = lru_cache(maxsize=1 << 12)(self._measure_room)
        self.diagnostics = Diagnostics()
        self.cut: set[tuple[str, str]] = set()
        self.asked = self.from_journal = 0

    def __call__(self, comparisons: Sequence[Comparison]) -> list[Preference]:
        """Judges a round, chunk by chunk."""
        preferences = []
        for start in range(0, len(comparisons), CHUNK):
            chunk = comparisons[start : start + CHUNK]
            preferences += self._judge(chunk)
            self._on_judged(len(chunk))
        return preferences

    def _judge(self, comparisons: Sequence[Comparison]) -> list[Preference]:
        requests: list[Request] = []
        # For each comparison: shown swapped? -> where its requests stand.
        places: list[dict[bool, slice]] = []
        for comparison in comparisons:
            places.append({})
            for swapped in self._orders(comparison):
                start = len(requests)
                requests += self._requests(comparison, swapped)
                places[-1][swapped] = slice(start, len(requests))
        answers, known = self._answering(requests)
        preferences = []
        for comparison, orders in zip(comparisons, places, strict=True):
            shown = {swapped: self._reading.read(answers[at]) for swapped, at in orders.items()}
            preference = self._conclude(shown)
            # Which passage is shown first means nothing where each is shown alone.
            self.diagnostics.add(comparison, shown if self._reading.ordered else {}, preference)
            if all(all(known[at]) for at in orders.values()):
                self.from_journal += 1
            else:
                self.asked += 1
            preferences.append(preference)
        return preferences

    def _orders(self, comparison: Comparison) -> tuple[bool, ...]:
        if not self._reading.ordered:
            return (False,)
        if self._order == "both":
            return (False, True)
        one, other = sorted((comparison.first.id, comparison.second.id))
        ascending = uniform(self._seed, "order", comparison.query.id, one, other) < 0.5
        return ((comparison.first.id == one) != ascending,)

    def _requests(self, comparison: Comparison, swapped: bool) -> list[Request]:
        query, first, second = comparison
        room = self._room(query)
        texts = []
        for document in (second, first) if swapped else (first, second):
            text = self._cut(document.text, room)
            if len(text) < len(document.text):
                self.cut.add((query.id, document.id))
            texts.append(text)
        return self._reading.requests(query.text, *texts)

    def _measure_room(self, query: Query) -> int:
        """The tokens of each passage that may be shown beside a query."""
        model = self._answering.model
        bare = max(map(model.length, self._reading.requests(query.text, "", "")))
        room = (model.context_length - bare - _SLACK) // self._reading.passages
        if room < 1:
            raise ModelError(
                f"query {query.id} leaves no room for passages: prompt and query take {bare} of "
                f"the {model.context_length} tokens of {model.name}"
            )
        return min(room, self._passage_tokens or room)

    def _conclude(self, shown: dict[bool, float | None]) -> Preference:
        votes = []
        for swapped, answer in shown.items():
            first = 0.5 if answer is None else 1 - answer if swapped else answer
            votes.append(first if self._decide == "soft" else (first > 0.5) + 0.5 * (first == 0.5))
        mean = sum(votes) / len(votes)
        if self._decide == "soft" or mean in (0, 1):
            return mean
        return 0.5


class OracleJudge:
    """A judge that reads the qrels: what would a method give with a perfect, or a noisy, judge?

    Args:
        qrels: relevance grades; an unjudged document counts as grade 0.
        noise: the probability that an answer is wrong, that is, the other way round. Equal grades
            are a tie and stay one.
        seed: of the noise. A pair asked again errs again.
        on_judged: called with the number of comparisons judged.
    """

    def __init__(
        self,
        qrels: Qrels,
        *,
        noise: float = 0.0,
        seed: int = 0,
        on_judged: Callable[[int], None] = lambda _: None,
    ) -> None:
        if not 0 <= noise <= 1:
            raise InputError(f"noise must be a probability, not {noise}")
        self._qrels, self._noise, self._seed, self._on_judged = qrels, noise, seed, on_judged
        self.diagnostics = Diagnostics()
        self.asked = 0

    def __call__(self, comparisons: Sequence[Comparison]) -> list[Preference]:
        """Judges a round by the grades."""
        preferences = [self._judge(comparison) for comparison in comparisons]
        self.asked += len(comparisons)
        self._on_judged(len(comparisons))
        return preferences

    def _judge(self, comparison: Comparison) -> Preference:
        query, first, second = comparison
        grades = self._qrels.get(query.id, {})
        gap = grades.get(first.id, 0) - grades.get(second.id, 0)
        preference = (gap > 0) + 0.5 * (gap == 0)
        if self._noise and gap:
            pair = sorted((first.id, second.id))
            if uniform(self._seed, "noise", query.id, *pair) < self._noise:
                preference = 1 - preference
        self.diagnostics.add(comparison, {}, preference)
        return preference
