"""Judges: comparisons in, preferences out, in the same order."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from rankprompt.answering import Answering, AsyncAnswering
from rankprompt.diagnostics import Diagnostics
from rankprompt.errors import InputError, ModelError
from rankprompt.flows import all_or_none
from rankprompt.models.base import Answer, AsyncLanguageModel, LanguageModel, Request
from rankprompt.oracle import OracleJudge
from rankprompt.readings import Reading
from rankprompt.records import Comparison, Preference, Query
from rankprompt.seeds import uniform

__all__ = [
    "AsyncJudge",
    "AsyncPairwiseJudge",
    "Judge",
    "OracleJudge",
    "PairwiseJudge",
    "passage_room",
]

# Comparisons rendered at a time: enough for batches of alike length, small in memory (an allpair
# round over 43 queries holds 212,850 comparisons).
CHUNK = 256
# Tokens may fall otherwise where texts meet than where they stand alone.
_SLACK = 8


def passage_room(
    model: LanguageModel | AsyncLanguageModel, reading: Reading, query: str, name: str
) -> int:
    """The tokens of each passage that may be shown beside a query.

    Args:
        model: that reads them.
        reading: what is asked.
        query: its text.
        name: what to call it where it leaves no room.

    Raises:
        ModelError: it leaves no room.
    """
    bare = max(map(model.length, reading.requests(query, "", "")))
    room = (model.context_length - bare - _SLACK) // reading.passages
    if room < 1:
        raise ModelError(
            f"query {name} leaves no room for passages: prompt and query take {bare} of "
            f"the {model.context_length} tokens of {model.name}"
        )
    return room


class Judge(Protocol):
    """Says of each pair how probable it is that the first document is the more relevant."""

    def __call__(self, comparisons: Sequence[Comparison]) -> list[Preference]:
        """Preferences, in the same order; 0.5 is a tie."""


class AsyncJudge(Protocol):
    """A judge that others need not wait for."""

    async def __call__(self, comparisons: Sequence[Comparison]) -> list[Preference]:
        """Preferences, in the same order; 0.5 is a tie."""


class _Asked(NamedTuple):
    """Requests about comparisons; for each of these, where they stand, by "shown swapped?"."""

    requests: list[Request]
    places: list[dict[bool, slice]]


class _Pairwise:
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
        passage_tokens: the most tokens of a passage that are shown; None for as many as fit into
            the model's context.
        on_judged: called with the number of comparisons judged, after each chunk.

    Attributes:
        diagnostics: position bias, contradictions, unreadable answers.
        cut: the (query id, document id) whose text was cut to fit.
        from_journal: comparisons that cost nothing, all their answers being in the journal.
        asked: comparisons that cost at least one prompt.
        unasked: comparisons that the budget did not reach; each was taken as a tie.
    """

    def __init__(
        self,
        answering: Answering | AsyncAnswering,
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
        self._model, self._reading = answering.model, reading
        self._order, self._decide, self._seed = order, decide, seed
        self._passage_tokens, self._on_judged = passage_tokens, on_judged
        # A sort shows a passage many times; count its tokens once.
        self._cut = lru_cache(maxsize=1 << 16)(answering.model.cut)
        self._room = lru_cache(maxsize=1 << 12)(self._measure_room)
        self.diagnostics = Diagnostics()
        self.cut: set[tuple[str, str]] = set()
        self.asked = self.from_journal = self.unasked = 0

    def _ask(self, comparisons: Sequence[Comparison]) -> _Asked:
        asked = _Asked([], [])
        for comparison in comparisons:
            asked.places.append({})
            for swapped in self._orders(comparison):
                start = len(asked.requests)
                asked.requests.extend(self._requests(comparison, swapped))
                asked.places[-1][swapped] = slice(start, len(asked.requests))
        return asked

    def _hear(
        self,
        comparisons: Sequence[Comparison],
        asked: _Asked,
        answers: Sequence[Answer | None],
        known: Sequence[bool],
    ) -> list[Preference]:
        preferences = []
        for comparison, orders in zip(comparisons, asked.places, strict=True):
            heard = {swapped: answers[at] for swapped, at in orders.items()}
            if any(answer is None for part in heard.values() for answer in part):
                self.unasked += 1
                preferences.append(0.5)
                continue
            shown = {
                swapped: self._reading.read([one for one in part if one])
                for swapped, part in heard.items()
            }
            preference = self._conclude(shown)
            # Which passage is shown first means nothing where each is shown alone.
            self.diagnostics.add(comparison, shown if self._reading.ordered else {}, preference)
            if all(all(known[at]) for at in orders.values()):
                self.from_journal += 1
            else:
                self.asked += 1
            preferences.append(preference)
        self._on_judged(len(comparisons))
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
        room = passage_room(self._model, self._reading, query.text, query.id)
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


class PairwiseJudge(_Pairwise):
    """A language model, asked about pairs (Pairwise Ranking Prompting, arXiv 2306.17563)."""

    def __init__(self, answering: Answering, reading: Reading, **settings: Any) -> None:
        super().__init__(answering, reading, **settings)
        self._answering = answering

    def __call__(self, comparisons: Sequence[Comparison]) -> list[Preference]:
        """Judges a round, chunk by chunk."""
        preferences = []
        for start in range(0, len(comparisons), CHUNK):
            chunk = comparisons[start : start + CHUNK]
            asked = self._ask(chunk)
            preferences += self._hear(chunk, asked, *self._answering(asked.requests))
        return preferences


class AsyncPairwiseJudge(_Pairwise):
    """A language model behind a server, asked about many pairs at a time; as ``PairwiseJudge``."""

    def __init__(self, answering: AsyncAnswering, reading: Reading, **settings: Any) -> None:
        super().__init__(answering, reading, **settings)
        self._answering = answering

    async def __call__(self, comparisons: Sequence[Comparison]) -> list[Preference]:
        """Judges a round; each of its comparisons is asked as soon as the server has room."""
        preferences = []
        for start in range(0, len(comparisons), CHUNK):
            chunk = comparisons[start : start + CHUNK]
            preferences += await all_or_none(map(self._judge, chunk))
        return preferences

    async def _judge(self, comparison: Comparison) -> Preference:
        asked = self._ask([comparison])
        (preference,) = self._hear([comparison], asked, *await self._answering(asked.requests))
        return preference
