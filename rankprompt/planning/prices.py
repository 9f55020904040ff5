"""What questions cost with a model: prompts and tokens counted, its speed measured."""

import asyncio
import time
from collections.abc import Hashable, Iterable, Mapping, Sequence
from heapq import nsmallest
from itertools import combinations
from typing import NamedTuple, TypeAlias, cast

from rankprompt.journal.cached_model import CachedModel, Reply
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.registry import make_judge
from rankprompt.llm import (
    AsyncLanguageModel,
    LanguageModel,
    Request,
    Usage,
    load_model,
    load_server,
)
from rankprompt.pipeline.config import Job
from rankprompt.prompts.prompt import Prompt
from rankprompt.rankers.driver import drive
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Candidates, PairwiseQuestion, PointwiseQuestion, Question, QuestionKind

__all__ = ["Meter", "Price", "Speed", "calibrate", "load"]

Model: TypeAlias = LanguageModel | AsyncLanguageModel

_SAMPLE = 16  # questions of a query and a method, whose prompts stand for all of them
_SECONDS = 2.0  # a set of prompts that takes as long shows a model's speed well enough


def load(job: Job) -> Model:
    """Loads the model of a job, or reaches for its server."""
    if job.server is not None:
        return load_server(job.server, base_url=job.base_url or "")
    return load_model(job.model, **job.loading)


class Price(NamedTuple):
    """Prompts, their tokens (with the longest answers that they allow), and of these the answers'.

    Tokens are None where there is no model to count them.
    """

    prompts: int
    tokens: int | None
    written: int | None


class Meter:
    """Renders questions of a kind as the judge of a job does, and counts prompts and tokens.

    Args:
        job: resolved.
        kind: of the questions.
        prompt: puts them; None for an oracle, whose plan counts the prompts that a prompt with all
            the passages would take.
        model: None where tokens are not to be counted.
    """

    def __init__(
        self, job: Job, kind: QuestionKind, prompt: Prompt | None, model: Model | None
    ) -> None:
        self.model, self.kind, self.prompt = model, kind, prompt
        self._pairs = kind is PairwiseQuestion
        asks = pairwise_adapter(prompt, job.mode) if prompt and self._pairs else None
        self.ordered = asks is None or asks.ordered
        # A passage by itself has few prompts: each is counted.
        self._exact = not self.ordered or kind is PointwiseQuestion
        self._seed = job.seed
        # Of a question; or of a passage, where the passages of a pair are read one at a time.
        self._prompts = 1 + (job.order == "both") if self._pairs and self.ordered else 1
        self._lengths: dict[Request, int] = {}
        if prompt and model:
            if asks and self.ordered:
                self._prompts *= len(asks.requests("", ("", "")))
            cached = CachedModel(cast(LanguageModel, model), Journal(None))
            self._judge = make_judge(kind, cached, prompt, **job.judging)

    def parts(self, question: Question) -> tuple[Hashable, ...]:
        """What a question asks the model about, and need not ask again: its texts, or each."""
        texts = tuple(document.text for document in question.documents)
        if not self._pairs:
            return (texts,)
        return (min(texts, texts[::-1]),) if self.ordered else texts

    def requests(self, questions: Sequence[Question]) -> list[Request]:
        """The distinct requests about some questions."""
        distinct: dict[Request, None] = {}

        def record(requests: Sequence[Request]) -> list[Reply]:
            distinct.update(dict.fromkeys(requests))
            return [Reply(None, False)] * len(requests)

        drive(self._judge.ask(questions), record)  # type: ignore[arg-type]
        return list(distinct)

    def tokens(self, requests: Iterable[Request]) -> int:
        """The tokens of requests; each is counted once while ``forget`` is not called."""
        total = 0
        for request in requests:
            if request not in self._lengths:
                self._lengths[request] = self.model.length(request) if self.model else 0
            total += self._lengths[request]
        return total

    def forget(self) -> None:
        """Forgets the requests counted so far: another query has others."""
        self._lengths = {}

    def price(self, asked: Mapping[Hashable, Question]) -> Price:
        """What it takes to ask about one query's parts.

        Args:
            asked: a question that asks about the part, by part.

        Returns:
            Exact where passages are read one at a time, and where questions are few; of many, a
            seeded sample stands for all.
        """
        prompts = len(asked) * self._prompts
        if not self.model:
            return Price(prompts, None, None)
        questions: Sequence[Question] = list(asked.values())
        sampled = not self._exact and len(questions) > _SAMPLE
        if sampled:
            questions = nsmallest(_SAMPLE, questions, key=self._draw)
        requests = self.requests(questions)
        tokens, written = self.tokens(requests), sum(one.max_tokens for one in requests)
        if not sampled:
            return Price(len(requests), tokens, written)
        share = prompts / len(requests)
        return Price(prompts, round(share * tokens), round(share * written))

    def _draw(self, question: Question) -> float:
        names = sorted(document.id for document in question.documents)
        return uniform(self._seed, "sample", question.query.id, *names)


class Speed(NamedTuple):
    """What a calibration found with ``prompts`` that took ``seconds`` together.

    ``latency`` is what one pair alone takes, in seconds: a round takes no less. A server's tokens
    can only be guessed from outside: ``scale`` is how many there were to each one counted, and
    ``written`` how many of them a prompt had written.
    """

    tokens_per_second: float
    latency: float
    prompts: int
    seconds: float
    scale: float = 1.0
    written: float = 0.0

    def seconds_for(self, tokens: int, rounds: int) -> float:
        """About how long so many tokens take, in rounds that wait for one another."""
        return max(tokens / self.tokens_per_second, rounds * self.latency)


async def calibrate(meter: Meter, candidates: Sequence[Candidates], job: Job) -> Speed | None:
    """Measures a model on real prompts, whose answers are thrown away.

    Sets of prompts double in size until one takes a while. A set holds all pairs among a few
    passages of a query, so that starts of prompts are shared about as often as in a sort of 100.

    Returns:
        None where there is nothing to compare.
    """
    model = meter.model
    if not model:
        return None
    room = asyncio.Semaphore(job.concurrency)

    async def call(server: AsyncLanguageModel, request: Request) -> Usage:
        async with room:
            return (await server.answer(request))[1]

    async def timed(requests: Sequence[Request]) -> tuple[float, int, int]:
        """Seconds, tokens, and of these the written."""
        start = time.perf_counter()
        if job.server is not None:
            server = cast(AsyncLanguageModel, model)
            used = await asyncio.gather(*(call(server, request) for request in requests))
            took = time.perf_counter() - start
            return took, sum(one.tokens for one in used), sum(one.written for one in used)
        local = cast(LanguageModel, model)
        for batch in local.plan(requests):
            local.answer([requests[place] for place in batch])
        took = time.perf_counter() - start
        return took, meter.tokens(requests), sum(one.max_tokens for one in requests)

    def drawn(some: Sequence[Candidates], part: slice) -> list[Request]:
        pairs: list[Question] = []
        for query, documents, _ in some:
            mixed = sorted(
                documents, key=lambda one: uniform(job.seed, "calibration", query.id, one.id)
            )
            pairs += [PairwiseQuestion(query, *pair) for pair in combinations(mixed[part], 2)]
        return meter.requests(pairs)

    order = sorted(
        (one for one in candidates if len(one.documents) > 1),
        key=lambda one: uniform(job.seed, "calibration", one.query.id),
    )
    if not order:
        return None
    await timed(drawn(order[-1:], slice(-2, None)))  # a model's first prompts are slow
    latency, *_ = await timed(drawn(order[:1], slice(-2, None)))
    few = slice(5 if meter.ordered else 20)
    start, width, took, tokens, written = 0, 1, 0.0, 0, 0
    requests: list[Request] = []
    # A server is paid for, and is busy with a few times as many calls as may be under way.
    enough = 4 * job.concurrency if job.server is not None else float("inf")
    while start < len(order) and took < _SECONDS and len(requests) < enough:
        requests = drawn(order[start : start + width], few)
        took, tokens, written = await timed(requests)
        start, width = start + width, 2 * width
    scale, each = tokens / meter.tokens(requests), written / len(requests)
    meter.forget()
    return Speed(tokens / took, latency, len(requests), took, scale, each)
