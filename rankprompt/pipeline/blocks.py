"""A part of the candidates is judged at a time, so a million queries need no more memory than few.

Whoever judges (this process, a server's client, a worker of a cluster), a part is judged in the
same way, and what came of it is added up.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rankprompt.journal.cached_model import Answering, AsyncAnswering, Costs
from rankprompt.judges.diagnostics import summarise
from rankprompt.judges.first_stage_prior import AsyncPriorJudge, PriorJudge
from rankprompt.judges.pairwise import AsyncPairwiseJudge, OracleJudge, PairwiseJudge
from rankprompt.judges.registry import AsyncModelJudge, ModelJudge, judge, oracle, server_judge
from rankprompt.judges.simulated.set_oracle import SetOracle
from rankprompt.pipeline.config import Job
from rankprompt.prompts.prompt import Prompt
from rankprompt.rankers.reranking import Reranked, arerank, rerank
from rankprompt.types import Candidates, Qrels

__all__ = ["Judged", "Outcome", "ask", "ask_oracle", "ask_server"]

_OnJudged = Callable[[int], None]


class Judged(NamedTuple):
    """What came of a part.

    ``rankings`` and ``rounds`` are as in ``Reranked``; ``asked``, ``from_journal`` and ``unasked``
    count as the judge's do, ``cut`` the passages cut to fit; ``tally`` is ``Diagnostics.tally``,
    ``marked`` as in ``Outcome``.
    """

    rankings: dict[str, list[str]]
    rounds: int
    asked: int
    from_journal: int
    unasked: int
    cut: int
    tally: Counter[str]
    marked: int = 0


@dataclass
class Outcome:
    """What came of all parts, whoever judged.

    Attributes:
        rounds: asked one after the other, of the part that had the most.
        asked: questions that cost at least one prompt.
        from_journal: questions that cost nothing.
        unasked: questions that the budget did not reach.
        cut: passages cut to fit.
        tally: as ``Diagnostics.tally``.
        marked: queries and documents whose texts spell out special tokens of the model.
        model: has a name, a fingerprint and a context length; None for an oracle.
        costs: of the model; an oracle has none.
        replaced: workers that died, each replaced by another.
    """

    rounds: int = 0
    asked: int = 0
    from_journal: int = 0
    unasked: int = 0
    cut: int = 0
    tally: Counter[str] = field(default_factory=Counter)
    marked: int = 0
    model: Any = None
    costs: Costs = field(default_factory=Costs)
    replaced: int = 0

    def take(self, judged: Judged) -> None:
        """Adds a part."""
        self.rounds = max(self.rounds, judged.rounds)
        self.asked += judged.asked
        self.from_journal += judged.from_journal
        self.unasked += judged.unasked
        self.cut += judged.cut
        self.tally.update(judged.tally)
        self.marked += judged.marked

    @property
    def diagnostics(self) -> dict[str, float | int | None]:
        """What the answers say about the judge."""
        return summarise(self.tally)


def ask(
    part: Sequence[Candidates],
    answering: Answering,
    job: Job,
    prompt: Prompt,
    on_judged: _OnJudged,
) -> Judged:
    """Has a model on this machine judge a part."""
    asked = judge(job.question, answering, prompt, job, on_judged)
    prior = _with_prior(asked, part, job)
    return _judged(rerank(part, prior, job.ranker(job.method or ""), **job.arranging), asked)


async def ask_server(
    part: Sequence[Candidates],
    answering: AsyncAnswering,
    job: Job,
    prompt: Prompt,
    on_judged: _OnJudged,
) -> Judged:
    """Has a model behind a server judge a part."""
    asked = server_judge(job.question, answering, prompt, job, on_judged)
    prior = (
        AsyncPriorJudge(asked, part, job.prior or 0.0)
        if isinstance(asked, AsyncPairwiseJudge)
        else asked
    )
    ranked = await arerank(
        part, prior, job.ranker(job.method or ""), queries=2 * job.concurrency, **job.arranging
    )
    return _judged(ranked, asked)


def ask_oracle(part: Sequence[Candidates], qrels: Qrels, job: Job, on_judged: _OnJudged) -> Judged:
    """Has the grades judge a part."""
    asked = oracle(job.question, qrels, **job.erring, on_judged=on_judged)
    prior = _with_prior(asked, part, job)
    rankings, rounds = rerank(part, prior, job.ranker(job.method or ""), **job.arranging)
    return Judged(rankings, rounds, asked.asked, 0, 0, 0, asked.diagnostics.tally())


def _with_prior(
    asked: ModelJudge | SetOracle | OracleJudge, part: Sequence[Candidates], job: Job
) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """The judge with the first stage's opinion added, where it compares pairs."""
    if isinstance(asked, PairwiseJudge | OracleJudge):
        return PriorJudge(asked, part, job.prior or 0.0)
    return asked


def _judged(ranked: Reranked, judge: ModelJudge | AsyncModelJudge) -> Judged:
    return Judged(
        *ranked,
        judge.asked,
        judge.from_journal,
        judge.unasked,
        len(judge.cut),
        judge.diagnostics.tally(),
        len(judge.marked),
    )
