import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from hashlib import blake2b
from itertools import groupby, pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel
from rankprompt.journal.costs import Costs
from rankprompt.journal.store import Journal
from rankprompt.llm.base import Answer, Request, Usage


class Killed(BaseException):
    """Stands for a kill -9: a BaseException that nothing catches."""


class BatchSensitiveModel:
    """A model whose numbers vary with the batch of a request.

    A real model's vary in the last digits; here all digits do.
    """

    name, context_length = "batch-sensitive", 100

    def __init__(self, *, size: int = 3, fingerprint: str = "f", lives: int = 10**9) -> None:
        self.size, self.fingerprint, self.lives = size, fingerprint, lives
        self.batches: list[list[str]] = []

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        # Fewer requests make different batches, not only fewer ones.
        order = Random(len(requests)).sample(range(len(requests)), len(requests))
        return [order[start : start + self.size] for start in range(0, len(order), self.size)]

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        if len(self.batches) == self.lives:
            raise Killed
        prompts = [request.prompt for request in requests]
        self.batches.append(prompts)
        batch = blake2b(repr(prompts).encode()).digest()
        answers = [
            Answer((len(prompt) + batch[0] / 7, -batch[1] / 3), (1, 2), f"{batch[2]}")
            for prompt in prompts
        ]
        return answers, Usage(sum(map(len, prompts)), 1)

    def length(self, request: Request) -> int:
        return len(request.prompt)

    def truncate(self, text: str, tokens: int) -> str:
        return text[:tokens]

    def escape(self, text: str) -> str:
        return text


def chunk(*lengths: int) -> list[Request]:
    return [Request("p" * length, (" A", " B")) for length in lengths]


# Chunks that share requests with earlier ones, repeat requests, or are repeated as a whole.
CHUNKS = [
    chunk(1, 2, 3, 4, 5, 6, 7),
    chunk(20, 3, 21, 22, 20, 23, 5, 24, 25, 26),
    chunk(7, 1),
    chunk(30, 31, 22, 23, 30),
    chunk(7, 6, 5, 4, 3, 2, 1),
    chunk(40, 20, 41, 42, 43, 44, 45, 46, 1),
]
BATCHES = 3 + 3 + 1 + 3


def ask(model: CachedModel, requests: Sequence[Request]) -> tuple[list[Answer | None], list[bool]]:
    replies = model.answer(requests)
    return [reply.answer for reply in replies], [reply.cache_hit for reply in replies]


def run(
    model: BatchSensitiveModel, journal: Journal, chunks: Sequence[Sequence[Request]]
) -> list[Answer | None]:
    cached = CachedModel(model, journal)
    return [answer for requests in chunks for answer in ask(cached, requests)[0]]


@pytest.fixture(scope="module")
def uninterrupted() -> list[Answer | None]:
    model = BatchSensitiveModel()
    with closing(Journal(None)) as journal:
        answers = run(model, journal, CHUNKS)
    assert len(model.batches) == BATCHES
    return answers


@pytest.mark.parametrize("lives", range(BATCHES))
def test_a_killed_run_ends_as_if_it_had_not_been_killed(
    tmp_path: Path, lives: int, uninterrupted: list[Answer | None]
) -> None:
    path = tmp_path / "j.journal"
    with closing(Journal(path)) as journal, pytest.raises(Killed):
        run(BatchSensitiveModel(lives=lives), journal, CHUNKS)
    model = BatchSensitiveModel()
    with closing(Journal(path)) as journal:
        assert run(model, journal, CHUNKS) == uninterrupted
        different = len({request for requests in CHUNKS for request in requests})
        assert journal.totals() == (different, different)
    assert len(model.batches) == BATCHES - lives


def test_a_run_killed_at_every_batch_ends_all_the_same(uninterrupted: list[Answer | None]) -> None:
    with closing(Journal(None)) as journal:
        for _ in range(BATCHES - 1):
            with pytest.raises(Killed):
                run(BatchSensitiveModel(lives=1), journal, CHUNKS)
        assert run(BatchSensitiveModel(lives=1), journal, CHUNKS) == uninterrupted
        answers, prompts = journal.totals()
        assert answers == prompts


@given(
    st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=9), min_size=1, max_size=4),
    st.integers(1, 4),
    st.integers(0, 8),
)
def test_any_run_killed_at_any_batch_ends_all_the_same(
    lengths: list[list[int]], size: int, lives: int
) -> None:
    chunks = [chunk(*chunk_lengths) for chunk_lengths in lengths]
    with closing(Journal(None)) as whole, closing(Journal(None)) as broken:
        expected = run(BatchSensitiveModel(size=size), whole, chunks)
        killed = BatchSensitiveModel(size=size, lives=lives)
        try:
            assert run(killed, broken, chunks) == expected
        except Killed:
            assert run(BatchSensitiveModel(size=size), broken, chunks) == expected
        assert broken.totals() == whole.totals()


def test_the_model_of_these_tests_varies_with_the_batch() -> None:
    # Otherwise the tests above would show nothing.
    (alone,), _ = BatchSensitiveModel().answer(chunk(5))
    (_, beside), _ = BatchSensitiveModel().answer(chunk(6, 5))
    assert alone != beside


def test_a_second_run_asks_nothing() -> None:
    with closing(Journal(None)) as journal:
        answers = run(BatchSensitiveModel(), journal, CHUNKS)
        model = BatchSensitiveModel(lives=0)
        cached = CachedModel(model, journal)
        again = [ask(cached, requests) for requests in CHUNKS]
    assert [answer for chunk_answers, _ in again for answer in chunk_answers] == answers
    # A prompt counts as the journal's the first time that the run needs it.
    needed: set[Request] = set()
    for requests, (_, cache_hits) in zip(CHUNKS, again, strict=True):
        assert cache_hits == [request not in needed for request in requests]
        needed.update(requests)
    assert cached.costs == Costs(
        prompts_from_journal=len(needed),
        seconds=cached.costs.seconds,
    )


def test_a_second_run_cut_into_other_chunks_asks_nothing() -> None:
    with closing(Journal(None)) as journal:
        answers = run(BatchSensitiveModel(), journal, CHUNKS)
        singly = [[request] for requests in CHUNKS for request in requests]
        assert run(BatchSensitiveModel(lives=0), journal, singly) == answers


def test_identical_prompts_are_asked_once() -> None:
    model = BatchSensitiveModel(size=10)
    with closing(Journal(None)) as journal:
        answers, cache_hits = ask(CachedModel(model, journal), chunk(1, 2, 1, 1, 2))
        assert journal.totals() == (2, 2)
    assert sorted(model.batches[0]) == ["p", "pp"]
    assert len(model.batches) == 1
    first, second = answers[:2]
    assert first != second
    assert answers == [first, second, first, first, second]
    assert cache_hits == [False] * 5


def test_the_same_prompt_with_other_options_or_another_model_is_another() -> None:
    with closing(Journal(None)) as journal:
        model, other_model = BatchSensitiveModel(), BatchSensitiveModel(fingerprint="g")
        ask(CachedModel(model, journal), chunk(1))
        ask(CachedModel(model, journal), [Request("p", (" A", " C"))])
        ask(CachedModel(other_model, journal), chunk(1))
        assert journal.totals() == (3, 3)
    assert (len(model.batches), len(other_model.batches)) == (2, 1)


def test_costs_are_counted() -> None:
    with closing(Journal(None)) as journal:
        cached = CachedModel(BatchSensitiveModel(size=2), journal)
        ask(cached, chunk(1, 2, 3, 1))
        assert replace(cached.costs, seconds=0) == Costs(
            prompts=3, batches=2, largest_batch=2, tokens=6, padding=2
        )
        _, cache_hits = ask(cached, chunk(4, 3, 1, 3))
        # The journal had none of them before this run.
        assert cache_hits == [False] * 4
        assert replace(cached.costs, seconds=0) == Costs(
            prompts=4,
            batches=3,
            largest_batch=2,
            tokens=10,
            padding=3,
        )
        assert cached.costs.seconds > 0


def test_the_costs_of_two_are_added_up() -> None:
    whole = Costs(prompts=5, batches=2, largest_batch=4, tokens=50, seconds=1.5)
    whole.merge(Costs(prompts=6, batches=2, largest_batch=3, tokens=60, retries=1, seconds=2))
    assert whole == Costs(
        prompts=11, batches=4, largest_batch=4, tokens=110, retries=1, seconds=3.5
    )


def test_nothing_to_ask() -> None:
    with closing(Journal(None)) as journal:
        assert CachedModel(BatchSensitiveModel(lives=0), journal).answer([]) == []


def test_two_over_one_journal_never_ask_the_same(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    with closing(Journal(path)) as journal, closing(Journal(path)) as shared:
        here, there = (
            CachedModel(BatchSensitiveModel(), journal),
            CachedModel(BatchSensitiveModel(), shared),
        )
        for turn, (first, second) in enumerate(pairwise(CHUNKS)):
            answers = ask(here if turn % 2 else there, first)[0]
            assert ask(here, first)[0] == ask(there, first)[0] == answers
            ask(there, second)
        assert journal.totals() == shared.totals() == (23, 23)
    assert here.costs.prompts + there.costs.prompts == 23


class OvertakenModel(BatchSensitiveModel):
    """While it answers its first batch, another process answers the other requests."""

    def __init__(self, other: CachedModel) -> None:
        super().__init__()
        self.other = other

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        if not self.batches:
            batch = {request.prompt for request in requests}
            self.other.answer([request for request in CHUNKS[0] if request.prompt not in batch])
        return super().answer(requests)


def test_what_another_process_answers_meanwhile_is_taken_from_it(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    with closing(Journal(path)) as journal, closing(Journal(path)) as shared:
        there = CachedModel(BatchSensitiveModel(size=2), shared)
        here = CachedModel(OvertakenModel(there), journal)
        answers, cache_hits = ask(here, CHUNKS[0])
        assert answers == ask(there, CHUNKS[0])[0]
        assert journal.totals() == (7, 7)
    first = here.model.plan(CHUNKS[0])[0]
    assert cache_hits == [i not in first for i in range(7)]
    assert (here.costs.prompts, here.costs.prompts_from_journal) == (3, 4)


class Server:
    """Records the order in which prompts arrive."""

    name, fingerprint, context_length = "server", "f", 100

    def __init__(self) -> None:
        self.arrived: list[str] = []

    async def answer(self, request: Request) -> tuple[Answer, Usage]:
        self.arrived.append(request.prompt)
        return Answer(text=request.prompt), Usage(1, 0)


@given(st.permutations([f"{first} or {second}?" for first in "abcd" for second in "abcd"]))
def test_prompts_that_begin_alike_reach_a_server_together(prompts: list[str]) -> None:
    server: Any = Server()
    cached = ConcurrentCachedModel(server, Journal(None), concurrency=1)
    replies = asyncio.run(cached.answer([Request(prompt, max_tokens=9) for prompt in prompts]))
    assert [reply.answer and reply.answer.text for reply in replies] == prompts
    assert len(list(groupby(server.arrived, key=lambda prompt: prompt[0]))) == 4
    assert sorted(server.arrived) == sorted(prompts)
