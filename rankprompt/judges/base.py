"""A language model as a judge: the steps that all kinds of questions share."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

from rankprompt.errors import InputError, ModelError
from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel, Reply
from rankprompt.judges.adapters.base import ParsedAnswer
from rankprompt.judges.chunks import Chunk, ReadReplies, announced
from rankprompt.judges.guard import AnswerGuard, Source
from rankprompt.llm.base import Answer, Request
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.rankers.driver import drive, drive_async
from rankprompt.types import Document, Query, Question

__all__ = ["CHUNK", "LLMJudge"]

Q = TypeVar("Q", bound=Question)
A = TypeVar("A")

CHUNK = 256
"""Questions rendered at a time: enough for batches of prompts of similar length, but small in
memory, where an allpair round over 43 queries holds 212,850 comparisons."""

# A passage may have more tokens between other texts than alone: tokens to spare for each passage.
_SPARE_TOKENS = 4


A_co = TypeVar("A_co", covariant=True)


class _Parser(Protocol[A_co]):
    def parse(self, answers: Sequence[Answer], number: int, /) -> ParsedAnswer[A_co]: ...


class LLMJudge(ABC, Generic[Q, A]):
    """Turns questions into requests to a language model, and the model's replies into answers.

    A subclass for a kind of question defines how the question is rendered (``_render``), what the
    replies mean (``_conclude``), and the answer where the budget is spent (``_fallback``). Where no
    reply can be read, both give a ``Fallback``, or None as a grade.

    Args:
        model: the model behind its journal.
        parser: parses the replies to a question, in one order.
        guard: stops a run whose answers cannot be read; None for a guard of the judge's own.
        passage_tokens: the most tokens of a passage to show; None for as many as fit into the
            model's context.
        on_judged: called with the number of questions judged, after each chunk of questions.

    Attributes:
        chunk: the most questions rendered at a time; a model whose answers take hours is better
            asked all questions of a round at once.
        truncated: the (query id, document id) of passages that were truncated to fit.
        escaped: the (query id,) and (query id, document id) of texts that contain special tokens;
            these are escaped, so that the model reads them as plain text.
        asked: the number of questions that cost at least one prompt.
        cache_hits: the number of questions that cost nothing, because the journal had answers from
            an earlier run.
        repeated: the number of questions that cost nothing, because this run had needed all
            answers before.
        unasked: the number of questions that the budget did not reach; ``_fallback`` answered them.

    Raises:
        InputError: ``passage_tokens`` is below 1.
    """

    def __init__(
        self,
        model: CachedModel | ConcurrentCachedModel,
        parser: _Parser[A],
        *,
        guard: AnswerGuard | None = None,
        passage_tokens: int | None = None,
        on_judged: Callable[[int], None] = lambda _: None,
    ) -> None:
        if passage_tokens is not None and passage_tokens < 1:
            raise InputError(f"`passage_tokens` must be at least 1, not {passage_tokens}")
        self._cached, self._model, self._parser = model, model.model, parser
        self.guard = guard or AnswerGuard()
        self._passage_tokens, self._on_judged = passage_tokens, on_judged
        self.chunk = CHUNK
        # A sort shows a passage many times; its tokens are counted once.
        self._truncate = lru_cache(maxsize=1 << 16)(self._model.truncate)
        self._escape = lru_cache(maxsize=1 << 16)(self._model.escape)
        self._tokens_per_passage = lru_cache(maxsize=1 << 12)(self._measure_space)
        self.truncated: set[tuple[str, str]] = set()
        self.escaped: set[tuple[str, ...]] = set()
        self.asked = self.cache_hits = self.repeated = self.unasked = 0

    def ask(self, questions: Sequence[Q]) -> QuestionGenerator[Request, Reply, list[A]]:
        """Judges a round of questions: yields chunks of requests, receives their replies.

        Returns:
            The answers, in the order of ``questions``.

        Raises:
            ModelError: a query leaves no room for passages in the model's context.
        """
        answers: list[A] = []
        chunks = self._render_chunks(questions)
        if prepare := getattr(self._model, "prepare", None):
            chunks = announced(chunks, prepare)
        for chunk in chunks:
            found = yield from self._read(chunk)
            pairs = zip(chunk.questions, found, strict=True)
            more = [self._follow(question, one.parsed) for question, one in pairs]
            if any(more):
                followed = yield from self._read(Chunk(chunk.questions, more))
                found = [
                    ReadReplies(one.replies | two.replies, one.parsed | two.parsed)
                    for one, two in zip(found, followed, strict=True)
                ]
            answers += map(self._judge, chunk.questions, found)
            self._on_judged(len(chunk.questions))
        return answers

    def _render_chunks(self, questions: Sequence[Q]) -> Iterator[Chunk[Q]]:
        for start in range(0, len(questions), self.chunk):
            chunk = questions[start : start + self.chunk]
            yield Chunk(chunk, [self._render(question) for question in chunk])

    def _read(self, chunk: Chunk[Q]) -> QuestionGenerator[Request, Reply, list[ReadReplies[A]]]:
        """Yields the requests of a chunk; returns what was read about each question."""
        groups, requests = chunk.groups, chunk.requests
        replies = yield requests
        parsed, unreadable = self._parse(groups, replies)
        stored = (pair for pair in zip(requests, replies, strict=True) if pair[1].cache_hit)
        stale = {request: unreadable[request] for request, _ in stored if request in unreadable}
        if stale:
            # The journal of an earlier run may hold answers that are none.
            self._cached.forget(stale)
            renewed = dict(zip(stale, (yield list(stale)), strict=True))
            replies = [
                renewed.get(request, reply)
                for request, reply in zip(requests, replies, strict=True)
            ]
            parsed, unreadable = self._parse(groups, replies)
        if unreadable:
            self._cached.forget(unreadable)
        remaining, results = iter(replies), iter(parsed)
        return [
            ReadReplies(
                {swapped: [next(remaining) for _ in order] for swapped, order in orders.items()},
                {swapped: next(results) for swapped in orders},
            )
            for orders in chunk.rendered
        ]

    def _parse(
        self, groups: Sequence[tuple[Q, Sequence[Request]]], replies: Sequence[Reply]
    ) -> tuple[list[ParsedAnswer[A] | None], dict[Request, Answer]]:
        """Parses the replies to each question in each order.

        Returns:
            What was parsed, None where the budget did not reach; and the answers that cannot be
            read.
        """
        parsed: list[ParsedAnswer[A] | None] = []
        unreadable: dict[Request, Answer] = {}
        remaining = iter(replies)
        for question, order in groups:
            answers = [reply.answer for reply in [next(remaining) for _ in order] if reply.answer]
            if len(answers) < len(order):
                parsed.append(None)
                continue
            result = self._parser.parse(answers, len(question.documents))
            parsed.append(result)
            if result.answer is None:
                broken = [_is_broken(answer) for answer in answers]
                unreadable |= {
                    request: answer
                    for request, answer, alone in zip(order, answers, broken, strict=True)
                    if alone or not any(broken)
                }
        return parsed, unreadable

    def __call__(self, questions: Sequence[Q]) -> list[A]:
        """Judges a round with a model that answers in batches."""
        if not isinstance(self._cached, CachedModel):
            raise TypeError("a model that answers concurrently is asked by ask_concurrently")
        return drive(self.ask(questions), self._cached.answer)

    async def ask_concurrently(self, questions: Sequence[Q]) -> list[A]:
        """Judges a round with a model behind a server."""
        if not isinstance(self._cached, ConcurrentCachedModel):
            raise TypeError("a model that answers in batches is asked by calling the judge")
        return await drive_async(self.ask(questions), self._cached.answer)

    @abstractmethod
    def _render(self, question: Q) -> Mapping[bool, Sequence[Request]]:
        """The requests about a question, by whether its documents are shown in reverse order."""

    def _follow(
        self, question: Q, parsed: Mapping[bool, ParsedAnswer[A] | None]
    ) -> Mapping[bool, Sequence[Request]]:
        """The requests about a question that only what was parsed makes necessary, as _render."""
        del question, parsed
        return {}

    @abstractmethod
    def _render_empty(self, query: Query, passages: int) -> Sequence[Request]:
        """The requests about a query and a number of empty passages."""

    @abstractmethod
    def _conclude(self, question: Q, parsed: Mapping[bool, ParsedAnswer[A]], source: Source) -> A:
        """The answer to a question, from what was parsed of the replies in each order."""

    @abstractmethod
    def _fallback(self, question: Q) -> A:
        """The answer to a question that was not asked because the budget was spent."""

    def _judge(self, question: Q, found: ReadReplies[A]) -> A:
        replies, parsed = found
        complete = {swapped: result for swapped, result in parsed.items() if result is not None}
        if len(complete) < len(parsed):
            self.unasked += 1
            return self._fallback(question)
        every = [reply for order in replies.values() for reply in order]
        source: Source = "model"
        if all(reply.repeated for reply in every):
            source = "repeated"
            self.repeated += 1
        elif all(reply.cache_hit or reply.repeated for reply in every):
            source = "journal"
            self.cache_hits += 1
        else:
            self.asked += 1
        for swapped, result in complete.items():
            order_answers = [reply.answer for reply in replies[swapped] if reply.answer]
            if any(answer.problem == "refused" for answer in order_answers):
                names = [document.id for document in question.documents]
                self.guard.refuse(question.query.id, names)
            self.guard.add(order_answers, readable=result.answer is not None, source=source)
        return self._conclude(question, complete, source)

    def _escaped(self, text: str, *name: str) -> str:
        """Escapes special tokens in a user's text, which is counted under the ids ``name``."""
        escaped = self._escape(text)
        if escaped != text:
            self.escaped.add(name)
        return escaped

    def _passages(self, query: Query, documents: Sequence[Document], number: int) -> list[str]:
        """The documents' texts, truncated so that ``number`` of them fit into a request."""
        tokens = self._tokens_per_passage(query, number)
        texts = []
        for document in documents:
            text = self._escaped(document.text, query.id, document.id)
            shown = self._truncate(text, tokens)
            if len(shown) < len(text):
                self.truncated.add((query.id, document.id))
            texts.append(shown)
        return texts

    def _measure_space(self, query: Query, number: int) -> int:
        """The most tokens of a passage where ``number`` passages are shown beside the query."""
        model = self._model
        used = max(map(model.length, self._render_empty(query, number)))
        tokens = (model.context_length - used - _SPARE_TOKENS * max(number, 2)) // number
        if tokens < 1:
            passages, hint = "passages", ""
            if number > 2:
                passages, hint = f"{number} passages", "; show fewer at a time with `set_size`"
            raise ModelError(
                f"query {query.id} leaves no room for {passages}: prompt and query take {used} of "
                f"the {model.context_length} tokens of {model.name}{hint}"
            )
        return min(tokens, self._passage_tokens or tokens)


def _is_broken(answer: Answer) -> bool:
    """Whether an answer is none by itself, whatever the answers beside it are."""
    return bool(answer.problem) or any(map(math.isnan, answer.loglikelihoods))
