"""What a run keeps of what it asked: with the next block of queries, only what has no answer."""

import asyncio
from contextlib import closing

import pytest

from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel
from rankprompt.journal.memory import Memory
from rankprompt.journal.store import Entry, Journal
from rankprompt.llm.base import Answer, Request
from tests.fakes import FakeModel, FakeServer
from tests.journal.journals import CHUNK, answer, name

REQUESTS = [Request("one", (" A", " B")), Request("another", (" A", " B"))]


@pytest.mark.parametrize("served", [False, True])
def test_a_prompt_of_two_blocks_is_asked_once_and_then_from_the_journal(served: bool) -> None:
    with closing(Journal(None)) as journal:
        local = CachedModel(FakeModel(), journal)
        server = ConcurrentCachedModel(FakeServer(), journal)

        def ask() -> list[tuple[bool, bool]]:
            replies = asyncio.run(server.answer(REQUESTS)) if served else local.answer(REQUESTS)
            return [(reply.cache_hit, reply.repeated) for reply in replies]

        model = server if served else local
        assert ask() == [(False, False)] * 2
        assert ask() == [(False, True)] * 2
        model.begin_block()
        assert ask() == [(True, False)] * 2
        assert ask() == [(False, True)] * 2
        assert (model.costs.prompts, model.costs.prompts_from_journal) == (2, 2)


def test_what_has_no_answer_is_kept_over_blocks() -> None:
    with closing(Journal(None)) as journal:
        memory = Memory(journal)
        refused = Answer(problem="refused")
        answers = {name(1): refused, name(2): answer(2)}
        memory.put(answers, chunk=CHUNK, tokens=1, padding=0)
        memory.begin()
        found = memory.get([name(1), name(2)])
        assert found == {name(1): Entry(refused, b""), name(2): Entry(answer(2), CHUNK)}
        assert journal.totals() == (1, 2)
