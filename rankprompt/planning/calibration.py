"""The speed of a model, measured on a few seconds of real prompts."""

import time
from collections.abc import Sequence
from contextlib import closing
from itertools import combinations
from typing import NamedTuple, cast

from rankprompt.journal.cached_model import ConcurrentCachedModel
from rankprompt.journal.store import Journal
from rankprompt.llm import AsyncLanguageModel, LanguageModel, Request
from rankprompt.planning.prices import PriceMeter
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Candidates, PairwiseQuestion, Question

__all__ = ["Speed", "calibrate"]

_SECONDS = 2.0  # a set of prompts that takes this long shows a model's speed well enough


class Speed(NamedTuple):
    """The speed that ``prompts`` prompts showed, which took ``seconds`` together.

    ``latency`` is the time of one pair alone, in seconds: a round takes no less. A server's tokens
    can only be guessed from outside: ``scale`` is the number of its tokens for each token counted,
    and ``written`` the number of tokens that it wrote for each prompt.
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


class _Timing(NamedTuple):
    seconds: float
    tokens: int
    written: int


async def calibrate(
    meter: PriceMeter,
    candidates: Sequence[Candidates],
    *,
    server: bool,
    concurrency: int,
    seed: int,
) -> Speed | None:
    """Measures a model on real prompts, whose answers are thrown away.

    Sets of prompts double in size until one takes a while. A set holds all pairs among a few
    passages of a query, so that starts of prompts are shared about as often as in a sort of 100.

    Args:
        meter: renders pairs, and has the model.
        candidates: queries with their documents.
        server: whether the model is behind a server.
        concurrency: the most calls to a server in flight.
        seed: of the draw of queries and passages.

    Returns:
        None where there is no model, or nothing to compare.
    """
    model = meter.model
    order = sorted(
        (query for query in candidates if len(query.documents) > 1),
        key=lambda query: uniform(seed, "calibration", query.query.id),
    )
    if not model or not order:
        return None

    async def time_requests(requests: Sequence[Request]) -> _Timing:
        if server:
            return await _time_server(cast(AsyncLanguageModel, model), requests, concurrency)
        return _time_local(cast(LanguageModel, model), requests, meter)

    def draw(queries: Sequence[Candidates], documents: slice) -> list[Request]:
        pairs: list[Question] = []
        for query, all_documents, _ in queries:
            mixed = sorted(
                all_documents, key=lambda one: uniform(seed, "calibration", query.id, one.id)
            )
            pairs += [PairwiseQuestion(query, *pair) for pair in combinations(mixed[documents], 2)]
        return meter.requests(pairs)

    await time_requests(draw(order[-1:], slice(-2, None)))  # a model's first prompts are slow
    latency = (await time_requests(draw(order[:1], slice(-2, None)))).seconds
    few = slice(5 if meter.ordered else 20)
    start, width, timing = 0, 1, _Timing(0.0, 0, 0)
    requests: list[Request] = []
    # A server is paid for, and is busy with a few times as many calls as may be in flight.
    enough = 4 * concurrency if server else float("inf")
    while start < len(order) and timing.seconds < _SECONDS and len(requests) < enough:
        requests = draw(order[start : start + width], few)
        timing = await time_requests(requests)
        start, width = start + width, 2 * width
    scale = timing.tokens / meter.tokens(requests)
    meter.forget()
    return Speed(
        timing.tokens / timing.seconds,
        latency,
        len(requests),
        timing.seconds,
        scale,
        timing.written / len(requests),
    )


async def _time_server(
    model: AsyncLanguageModel, requests: Sequence[Request], concurrency: int
) -> _Timing:
    # As a run asks it, with what goes into one call together.
    with closing(Journal(None)) as journal:
        cached = ConcurrentCachedModel(model, journal, concurrency=concurrency)
        start = time.perf_counter()
        await cached.answer(requests)
        seconds = time.perf_counter() - start
    return _Timing(seconds, cached.costs.tokens, cached.costs.written)


def _time_local(model: LanguageModel, requests: Sequence[Request], meter: PriceMeter) -> _Timing:
    start = time.perf_counter()
    for batch in model.plan(requests):
        model.answer([requests[index] for index in batch])
    seconds = time.perf_counter() - start
    return _Timing(seconds, meter.tokens(requests), sum(one.max_tokens for one in requests))
