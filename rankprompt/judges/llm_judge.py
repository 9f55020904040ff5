"""What asking a language model means, whatever is asked and whoever waits for the answers."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

from rankprompt.errors import InputError, ModelError
from rankprompt.journal.cached_model import Answering, AsyncAnswering
from rankprompt.llm.base import Answer, Request
from rankprompt.rankers.coroutines import all_or_none
from rankprompt.types import Document, Query, Question

__all__ = ["CHUNK", "Asking", "InLockStep", "SideBySide"]

Q = TypeVar("Q", bound=Question)
A = TypeVar("A")

# Questions rendered at a time: enough for batches of alike length, small in memory (an allpair
# round over 43 queries holds 212,850 comparisons).
CHUNK = 256
# Tokens may fall otherwise where texts meet than where they stand alone; of each passage.
_SLACK = 4


class Asking(Generic[Q, A]):
    """Puts questions to a model, counts them, and keeps passages within the context.

    A kind of question says how it is put (``_requests``), what the answers mean (``_conclude``),
    and what stands in for them where the budget is spent (``_unknown``).

    Args:
        answering: the model behind its journal.
        passage_tokens: the most tokens of a passage that are shown; None for as many as fit into
            the model's context.
        on_judged: called with the number of questions judged, after each chunk.

    Attributes:
        cut: the (query id, document id) whose text was cut to fit.
        marked: the (query id,) and (query id, document id) whose text spells out special tokens,
            which the model is shown as they are written.
        from_journal: questions that cost nothing, all their answers being in the journal.
        asked: questions that cost at least one prompt.
        unasked: questions that the budget did not reach; each was answered by ``_unknown``.
    """

    def __init__(
        self,
        answering: Answering | AsyncAnswering,
        *,
        passage_tokens: int | None = None,
        on_judged: Callable[[int], None] = lambda _: None,
    ) -> None:
        if passage_tokens is not None and passage_tokens < 1:
            raise InputError(f"passage_tokens must be a whole number from 1, not {passage_tokens}")
        self._answering: Any = answering
        self._model = answering.model
        self._passage_tokens, self._on_judged = passage_tokens, on_judged
        # A sort shows a passage many times; count its tokens once.
        self._cut = lru_cache(maxsize=1 << 16)(answering.model.cut)
        self._plain = lru_cache(maxsize=1 << 16)(answering.model.plain)
        self._room = lru_cache(maxsize=1 << 12)(self._measure_room)
        self.cut: set[tuple[str, str]] = set()
        self.marked: set[tuple[str, ...]] = set()
        self.asked = self.from_journal = self.unasked = 0

    def _requests(self, question: Q) -> dict[bool, list[Request]]:
        """What is asked of the model, by "are the documents shown the other way round?"."""
        raise NotImplementedError

    def _conclude(self, question: Q, heard: Mapping[bool, Sequence[Answer]]) -> A:
        """What the answers mean, by the same."""
        raise NotImplementedError

    def _unknown(self, question: Q) -> A:
        """What stands in for an answer that the budget did not reach."""
        raise NotImplementedError

    def _bare(self, query: Query, number: int) -> list[Request]:
        """The requests about this many passages without a text."""
        raise NotImplementedError

    def _read(self, text: str, *name: str) -> str:
        """A text of others, to be read as it is written; ``name`` is what it is counted by."""
        found = self._plain(text)
        if found != text:
            self.marked.add(name)
        return found

    def _show(self, query: Query, documents: Sequence[Document], number: int) -> list[str]:
        """The documents' texts, cut to fit where a request shows this many of them."""
        room = self._room(query, number)
        texts = []
        for document in documents:
            whole = self._read(document.text, query.id, document.id)
            text = self._cut(whole, room)
            if len(text) < len(whole):
                self.cut.add((query.id, document.id))
            texts.append(text)
        return texts

    def _measure_room(self, query: Query, number: int) -> int:
        """The tokens of each passage that may be shown beside a query and the other passages."""
        model = self._model
        bare = max(map(model.length, self._bare(query, number)))
        room = (model.context_length - bare - _SLACK * max(number, 2)) // number
        if room < 1:
            some, hint = "passages", ""
            if number > 2:
                some, hint = f"{number} passages", "; show fewer at a time with --set-size"
            raise ModelError(
                f"query {query.id} leaves no room for {some}: prompt and query take {bare} of "
                f"the {model.context_length} tokens of {model.name}{hint}"
            )
        return min(room, self._passage_tokens or room)

    def _put(self, questions: Sequence[Q]) -> tuple[list[Request], list[dict[bool, slice]]]:
        """All requests of some questions, and where each question's stand."""
        requests: list[Request] = []
        places: list[dict[bool, slice]] = []
        for question in questions:
            places.append({})
            for way, asked in self._requests(question).items():
                places[-1][way] = slice(len(requests), len(requests) + len(asked))
                requests += asked
        return requests, places

    def _hear(
        self,
        questions: Sequence[Q],
        places: Sequence[Mapping[bool, slice]],
        answers: Sequence[Answer | None],
        known: Sequence[bool],
    ) -> list[A]:
        concluded = []
        for question, ways in zip(questions, places, strict=True):
            heard = {way: answers[at] for way, at in ways.items()}
            if any(answer is None for part in heard.values() for answer in part):
                self.unasked += 1
                concluded.append(self._unknown(question))
                continue
            read = {way: [one for one in part if one] for way, part in heard.items()}
            concluded.append(self._conclude(question, read))
            if all(all(known[at]) for at in ways.values()):
                self.from_journal += 1
            else:
                self.asked += 1
        self._on_judged(len(questions))
        return concluded


class InLockStep(Asking[Q, A]):
    """Asks a model that answers in batches."""

    def __call__(self, questions: Sequence[Q]) -> list[A]:
        """Judges a round, chunk by chunk."""
        answers = []
        for start in range(0, len(questions), CHUNK):
            chunk = questions[start : start + CHUNK]
            requests, places = self._put(chunk)
            answers += self._hear(chunk, places, *self._answering(requests))
        return answers


class SideBySide(Asking[Q, A]):
    """Asks a model behind a server, many calls at a time."""

    async def __call__(self, questions: Sequence[Q]) -> list[A]:
        """Judges a round; each of its questions is asked as soon as the server has room."""
        answers = []
        for start in range(0, len(questions), CHUNK):
            chunk = questions[start : start + CHUNK]
            answers += await all_or_none(map(self._judge, chunk))
        return answers

    async def _judge(self, question: Q) -> A:
        requests, places = self._put([question])
        (answer,) = self._hear([question], places, *await self._answering(requests))
        return answer
