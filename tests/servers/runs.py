"""Rerankings by a model behind a server, and by the same rules without a server."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import pytest

from rankprompt.journal.budget import Budget
from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel
from rankprompt.journal.costs import Costs
from rankprompt.journal.store import Journal
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.guard import AnswerGuard
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.llm.openai.model import OpenAIModel
from rankprompt.prompts.prompt import Prompt
from rankprompt.prompts.template import parse_template
from rankprompt.rankers import METHODS, RankerSettings
from rankprompt.rankers.reranking import Reranked, rerank, rerank_concurrently
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Candidates, Document, Query
from tests.fakes import PROMPT, FakeModel, shows
from tests.servers.speaker import echo_answer

KEY = "sk-a-secret-of-the-user"
CHAT = Prompt("chat", "choice", PROMPT.text, PROMPT.target, PROMPT.options, chat=True)
LIKELIHOOD = Prompt(
    "l", "likelihood", parse_template("{passage} asks:"), parse_template(" {query}"), ()
)
WAYS = {
    "chat, scoring": (CHAT, "scoring"),
    "chat, generation": (CHAT, "generation"),
    "completions, scoring": (PROMPT, "scoring"),
    "completions, generation": (PROMPT, "generation"),
    "completions, likelihood": (LIKELIHOOD, "scoring"),
}
CANDIDATES = [
    Candidates(
        Query(f"q{q}", f"what about {q}"),
        tuple(Document(f"d{q}-{place}", f"words of {q} and {place}") for place in range(9)),
        tuple(float(-place) for place in range(9)),
    )
    for q in range(4)
]


def prefer(first: str, second: str) -> float | None:
    """A model of many opinions, which favours A, and sometimes has nothing to say."""
    if uniform(0, "mute", first, second) < 0.03:
        return None
    gap = uniform(0, "grade", first) - uniform(0, "grade", second)
    return min(0.99, max(0.01, 0.53 + gap))


class Done(NamedTuple):
    ranked: Reranked
    judge: PairwiseJudge
    costs: Costs


def locally(
    way: str, method: str = "heapsort", candidates: Sequence[Candidates] = CANDIDATES
) -> Done:
    prompt, mode = WAYS[way]
    fake = FakeModel(echo_answer if prompt is LIKELIHOOD else shows(prefer))
    with closing(Journal(None)) as journal:
        answering = CachedModel(fake, journal)
        judge = PairwiseJudge(answering, pairwise_adapter(prompt, mode), decide="soft")
        ranked = rerank(candidates, judge, METHODS[method].bind(RankerSettings(4, 3, False)))
    return Done(ranked, judge, answering.costs)


def served(
    url: str,
    journal: Journal,
    way: str = "chat, scoring",
    method: str = "heapsort",
    *,
    concurrency: int = 16,
    budget: Budget | None = None,
    on_judged: Callable[[int], None] = lambda _: None,
    guard: AnswerGuard | None = None,
    **settings: Any,
) -> Done:
    async def go() -> Done:
        chosen = {"pause": lambda repeated: 0.001 * 2**repeated, "timeout": 5.0, **settings}
        model = OpenAIModel("m", base_url=url, **chosen)
        prompt, mode = WAYS[way]
        try:
            answering = ConcurrentCachedModel(
                model, journal, budget or Budget(), concurrency=concurrency
            )
            judge = PairwiseJudge(
                answering,
                pairwise_adapter(prompt, mode),
                decide="soft",
                guard=guard,
                on_judged=on_judged,
            )
            ranked = await rerank_concurrently(
                CANDIDATES,
                judge.ask_concurrently,
                METHODS[method].bind(RankerSettings(4, 3, False)),
            )
        finally:
            await model.close()
        return Done(ranked, judge, answering.costs)

    return asyncio.run(go())


def agree(found: Done, expected: Done) -> None:
    assert found.ranked == expected.ranked
    assert found.costs.prompts == expected.costs.prompts
    assert (found.judge.asked, found.judge.unasked) == (expected.judge.asked, 0)
    ours, theirs = found.judge.diagnostics.summary(), expected.judge.diagnostics.summary()
    assert ours == pytest.approx(theirs)
