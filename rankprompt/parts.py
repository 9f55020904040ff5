"""A part of the candidates is judged at a time, so a million queries need no more memory than few.

Whoever judges (this process, a server's client, a worker of a cluster), a part is judged in the
same way, and what came of it is added up.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rankprompt.answering import Answering, AsyncAnswering, Costs
from rankprompt.diagnostics import summarise
from rankprompt.judges import AsyncPairwiseJudge, OracleJudge, PairwiseJudge
from rankprompt.prior import AsyncPriorJudge, PriorJudge
from rankprompt.prompt import Prompt
from rankprompt.readings import reading
from rankprompt.records import Candidates, Qrels
from rankprompt.reranking import Reranked, arerank, rerank
from rankprompt.settings import Job

__all__ = ["Judged", "Outcome", "ask", "ask_oracle", "ask_server"]

_OnJudged = Callable[[int], None]


class Judged(NamedTuple):
    """What came of a part.

    ``rankings`` and ``rounds`` are as in ``Reranked``; ``asked``, ``from_journal`` and ``unasked``
    count as the judge's do, ``cut`` the passages cut to fit; ``tally`` is ``Diagnostics.tally``.
    """

    rankings: dict[str, list[str]]
    rounds: int
    asked: int
    from_journal: int
    unasked: int
    cut: int
    tally: Counter[str]


@dataclass
class Outcome:
    """What came of all parts, whoever judged.

    Attributes:
        rounds: asked one after the other, of the part that had the most.
        asked: comparisons that cost at least one prompt.
        from_journal: comparisons that cost nothing.
        unasked: comparisons that the budget did not reach.
        cut: passages cut to fit.
        tally: as ``Diagnostics.tally``.
        model: has a name, a fingerprint and a context length; None for an oracle.
        costs: of the model; an oracle has none.
        replaced: workers that died, each replaced by another.
        queries_cut: that a teacher did not read to their ends.
    """

    rounds: int = 0
    asked: int = 0
    from_journal: int = 0
    unasked: int = 0
    cut: int = 0
    tally: Counter[str] = field(default_factory=Counter)
    model: Any = None
    costs: Costs = field(default_factory=Costs)
    replaced: int = 0
    queries_cut: int = 0

    def take(self, judged: Judged) -> None:
        """Adds a part."""
        self.rounds = max(self.rounds, judged.rounds)
        self.asked += judged.asked
        self.from_journal += judged.from_journal
        self.unasked += judged.unasked
        self.cut += judged.cut
        self.tally.update(judged.tally)

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
    judge = PairwiseJudge(answering, reading(prompt, job.mode), **job.judging, on_judged=on_judged)
    prior = PriorJudge(judge, part, job.prior or 0.0)
    return _judged(rerank(part, prior, job.ranker(job.method or ""), **job.arranging), judge)


async def ask_server(
    part: Sequence[Candidates],
    answering: AsyncAnswering,
    job: Job,
    prompt: Prompt,
    on_judged: _OnJudged,
) -> Judged:
    """Has a model behind a server judge a part."""
    judge = AsyncPairwiseJudge(
        answering, reading(prompt, job.mode), **job.judging, on_judged=on_judged
    )
    prior = AsyncPriorJudge(judge, part, job.prior or 0.0)
    ranked = await arerank(
        part, prior, job.ranker(job.method or ""), queries=2 * job.concurrency, **job.arranging
    )
    return _judged(ranked, judge)


def ask_oracle(part: Sequence[Candidates], qrels: Qrels, job: Job, on_judged: _OnJudged) -> Judged:
    """Has the grades judge a part."""
    judge = OracleJudge(qrels, **job.erring, on_judged=on_judged)
    prior = PriorJudge(judge, part, job.prior or 0.0)
    rankings, rounds = rerank(part, prior, job.ranker(job.method or ""), **job.arranging)
    return Judged(rankings, rounds, judge.asked, 0, 0, 0, judge.diagnostics.tally())


def _judged(ranked: Reranked, judge: PairwiseJudge | AsyncPairwiseJudge) -> Judged:
    return Judged(
        *ranked,
        judge.asked,
        judge.from_journal,
        judge.unasked,
        len(judge.cut),
        judge.diagnostics.tally(),
    )
