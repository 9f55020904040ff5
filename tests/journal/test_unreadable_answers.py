"""Answers that are none: asked once in a run, and again in the next."""

from collections.abc import Sequence
from contextlib import closing

from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.llm.base import Answer, Request, Usage
from tests.journal.test_cached_model import BatchSensitiveModel, ask, chunk


class ThinkingModel(BatchSensitiveModel):
    """Gives no answer to every second prompt that it has not seen before."""

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        seen = {prompt for batch in self.batches for prompt in batch}
        answers, usage = super().answer(requests)
        return [
            Answer(problem="thinking") if len(request.prompt) % 2 and request.prompt not in seen
            else answer
            for request, answer in zip(requests, answers, strict=True)
        ], usage  # fmt: skip


def test_a_run_asks_once_for_what_has_no_answer_and_the_next_run_asks_again() -> None:
    model = ThinkingModel(size=10)
    with closing(Journal(None)) as journal:
        cached = CachedModel(model, journal)
        first, _ = ask(cached, chunk(1, 2, 3))
        assert [answer.problem for answer in first if answer] == ["thinking", "", "thinking"]
        assert ask(cached, chunk(3, 2, 1))[0] == first[::-1]
        assert cached.costs.prompts == 3
        again = CachedModel(model, journal)
        second, cache_hits = ask(again, chunk(1, 2, 3))
        assert all(answer and not answer.problem for answer in second)
        assert cache_hits == [False, True, False]
        assert ask(CachedModel(model, journal), chunk(1, 2, 3)) == (second, [True] * 3)


def test_what_a_judge_cannot_read_is_forgotten() -> None:
    model = BatchSensitiveModel(size=10)
    with closing(Journal(None)) as journal:
        cached = CachedModel(model, journal)
        requests = chunk(1, 2)
        first, _ = ask(cached, requests)
        assert first[0]
        cached.forget({requests[0]: first[0]})
        # Once is enough in a run.
        assert ask(cached, requests)[0] == first
        assert cached.costs.prompts == 2
        again = CachedModel(model, journal)
        # What the journal still had is asked for once it is forgotten.
        assert ask(again, requests)[1] == [False, True]
        later = CachedModel(model, journal)
        answers, _ = ask(later, requests)
        assert answers[1]
        later.forget({requests[1]: answers[1]})
        assert ask(later, requests)[0][0] == answers[0]
        assert later.costs.prompts == 1
