from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.costs import Costs
from rankprompt.journal.store import Journal
from rankprompt.llm.base import Answer, Request, Usage


class Killed(BaseException):
    """Stands for a kill -9: nothing may catch it."""


class Moody:
    """A model whose numbers vary with the company that a request is answered in.

    So do a real model's, in the last digits; here no digit stays the same.
    """

    name, context_length = "moody", 100

    def __init__(self, *, size: int = 3, fingerprint: str = "f", lives: int = 10**9) -> None:
        self.size, self.fingerprint, self.lives = size, fingerprint, lives
        self.asked: list[list[str]] = []

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        # Fewer requests make other batches altogether, not only fewer.
        order = Random(len(requests)).sample(range(len(requests)), len(requests))
        return [order[start : start + self.size] for start in range(0, len(order), self.size)]

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        if len(self.asked) == self.lives:
            raise Killed
        prompts = [request.prompt for request in requests]
        self.asked.append(prompts)
        company = blake2b(repr(prompts).encode()).digest()
        answers = [
            Answer((len(prompt) + company[0] / 7, -company[1] / 3), (1, 2), f"{company[2]}")
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


# Chunks that share requests with earlier ones, hold some twice, or come again as a whole.
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


def run(model: Moody, journal: Journal, chunks: Sequence[Sequence[Request]]) -> list[Answer | None]:
    answering = CachedModel(model, journal)
    return [answer for one in chunks for answer in ask(answering, one)[0]]


@pytest.fixture(scope="module")
def uninterrupted() -> list[Answer | None]:
    model = Moody()
    with closing(Journal(None)) as journal:
        answers = run(model, journal, CHUNKS)
    assert len(model.asked) == BATCHES
    return answers


@pytest.mark.parametrize("lives", range(BATCHES))
def test_a_killed_run_ends_as_if_it_had_not_been_killed(
    tmp_path: Path, lives: int, uninterrupted: list[Answer | None]
) -> None:
    path = tmp_path / "j.journal"
    with closing(Journal(path)) as journal, pytest.raises(Killed):
        run(Moody(lives=lives), journal, CHUNKS)
    model = Moody()
    with closing(Journal(path)) as journal:
        assert run(model, journal, CHUNKS) == uninterrupted
        different = len({request for one in CHUNKS for request in one})
        assert journal.totals() == (different, different)
    assert len(model.asked) == BATCHES - lives


def test_a_run_killed_at_every_batch_ends_all_the_same(uninterrupted: list[Answer | None]) -> None:
    with closing(Journal(None)) as journal:
        for _ in range(BATCHES - 1):
            with pytest.raises(Killed):
                run(Moody(lives=1), journal, CHUNKS)
        assert run(Moody(lives=1), journal, CHUNKS) == uninterrupted
        answers, asked = journal.totals()
        assert answers == asked


@given(
    st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=9), min_size=1, max_size=4),
    st.integers(1, 4),
    st.integers(0, 8),
)
def test_any_run_killed_at_any_batch_ends_all_the_same(
    lengths: list[list[int]], size: int, lives: int
) -> None:
    chunks = [chunk(*one) for one in lengths]
    with closing(Journal(None)) as whole, closing(Journal(None)) as broken:
        expected = run(Moody(size=size), whole, chunks)
        killed = Moody(size=size, lives=lives)
        try:
            assert run(killed, broken, chunks) == expected
        except Killed:
            assert run(Moody(size=size), broken, chunks) == expected
        assert broken.totals() == whole.totals()


def test_the_model_of_these_tests_is_moody() -> None:
    # Else the tests above would show nothing.
    (alone,), _ = Moody().answer(chunk(5))
    (_, beside), _ = Moody().answer(chunk(6, 5))
    assert alone != beside


def test_a_second_run_asks_nothing() -> None:
    with closing(Journal(None)) as journal:
        answers = run(Moody(), journal, CHUNKS)
        model = Moody(lives=0)
        answering = CachedModel(model, journal)
        again = [ask(answering, one) for one in CHUNKS]
    assert [answer for one, _ in again for answer in one] == answers
    assert all(all(known) for _, known in again)
    assert answering.costs == Costs(
        prompts_from_journal=sum(len(set(one)) for one in CHUNKS), seconds=answering.costs.seconds
    )


def test_a_second_run_cut_into_other_chunks_asks_nothing() -> None:
    with closing(Journal(None)) as journal:
        answers = run(Moody(), journal, CHUNKS)
        singly = [[request] for one in CHUNKS for request in one]
        assert run(Moody(lives=0), journal, singly) == answers


def test_identical_prompts_are_asked_once() -> None:
    model = Moody(size=10)
    with closing(Journal(None)) as journal:
        answers, known = ask(CachedModel(model, journal), chunk(1, 2, 1, 1, 2))
        assert journal.totals() == (2, 2)
    assert sorted(model.asked[0]) == ["p", "pp"]
    assert len(model.asked) == 1
    one, other = answers[:2]
    assert one != other
    assert answers == [one, other, one, one, other]
    assert known == [False] * 5


def test_the_same_prompt_with_other_options_or_another_model_is_another() -> None:
    with closing(Journal(None)) as journal:
        one, other = Moody(), Moody(fingerprint="g")
        ask(CachedModel(one, journal), chunk(1))
        ask(CachedModel(one, journal), [Request("p", (" A", " C"))])
        ask(CachedModel(other, journal), chunk(1))
        assert journal.totals() == (3, 3)
    assert (len(one.asked), len(other.asked)) == (2, 1)


def test_costs_are_counted() -> None:
    with closing(Journal(None)) as journal:
        answering = CachedModel(Moody(size=2), journal)
        ask(answering, chunk(1, 2, 3, 1))
        assert replace(answering.costs, seconds=0) == Costs(
            prompts=3, batches=2, largest_batch=2, tokens=6, padding=2
        )
        _, known = ask(answering, chunk(4, 3, 1, 3))
        assert known == [False, True, True, True]
        assert replace(answering.costs, seconds=0) == Costs(
            prompts=4,
            prompts_from_journal=2,
            batches=3,
            largest_batch=2,
            tokens=10,
            padding=3,
        )
        assert answering.costs.seconds > 0


def test_the_costs_of_two_are_added_up() -> None:
    whole = Costs(prompts=5, batches=2, largest_batch=4, tokens=50, seconds=1.5)
    whole.merge(Costs(prompts=6, batches=2, largest_batch=3, tokens=60, retries=1, seconds=2))
    assert whole == Costs(
        prompts=11, batches=4, largest_batch=4, tokens=110, retries=1, seconds=3.5
    )


def test_nothing_to_ask() -> None:
    with closing(Journal(None)) as journal:
        assert CachedModel(Moody(lives=0), journal).answer([]) == []


def test_two_over_one_journal_never_ask_the_same(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    with closing(Journal(path)) as one, closing(Journal(path)) as other:
        here, there = CachedModel(Moody(), one), CachedModel(Moody(), other)
        for turn, (first, second) in enumerate(pairwise(CHUNKS)):
            told = ask(here if turn % 2 else there, first)[0]
            assert ask(here, first)[0] == ask(there, first)[0] == told
            ask(there, second)
        assert one.totals() == other.totals() == (23, 23)
    assert here.costs.prompts + there.costs.prompts == 23


class Meeting(Moody):
    """While it answers its first batch, another process answers all that is asked here."""

    def __init__(self, other: CachedModel) -> None:
        super().__init__()
        self.other = other

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        if not self.asked:
            # All but what is being asked right now.
            asked = {request.prompt for request in requests}
            self.other.answer([one for one in CHUNKS[0] if one.prompt not in asked])
        return super().answer(requests)


def test_what_another_process_answers_meanwhile_is_taken_from_it(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    with closing(Journal(path)) as one, closing(Journal(path)) as other:
        there = CachedModel(Moody(size=2), other)
        here = CachedModel(Meeting(there), one)
        answers, known = ask(here, CHUNKS[0])
        assert answers == ask(there, CHUNKS[0])[0]
        assert one.totals() == (7, 7)
    first = here.model.plan(CHUNKS[0])[0]
    assert known == [i not in first for i in range(7)]
    assert (here.costs.prompts, here.costs.prompts_from_journal) == (3, 4)
