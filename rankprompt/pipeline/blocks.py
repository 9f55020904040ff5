"""A part of the candidates is judged at a time, so a million queries need no more memory than few.

Whoever judges (this process, a server's client, a worker of a cluster), a part is judged in the
same way, and what came of it is added up.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rankprompt.journal.cached_model import CachedModel, ConcurrentCachedModel
from rankprompt.journal.costs import Costs
from rankprompt.judges.diagnostics import summarise
from rankprompt.judges.first_stage_prior import FirstStagePrior
from rankprompt.judges.registry import LanguageModelJudge, make_judge, make_oracle
from rankprompt.pipeline.config import Job
from rankprompt.prompts.prompt import Prompt
from rankprompt.rankers.reranking import Adjust, Reranked, rerank, rerank_concurrently
from rankprompt.types import Candidates, PairwiseQuestion, Qrels

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
    model: CachedModel,
    job: Job,
    prompt: Prompt,
    on_judged: _OnJudged,
) -> Judged:
    """Has a model on this machine judge a part."""
    judge = make_judge(job.question, model, prompt, **job.judging, on_judged=on_judged)
    ranker, adjust = job.ranker(job.method or ""), _adjust(part, job)
    return _judged(rerank(part, judge, ranker, adjust=adjust, **job.arranging), judge)


async def ask_server(
    part: Sequence[Candidates],
    model: ConcurrentCachedModel,
    job: Job,
    prompt: Prompt,
    on_judged: _OnJudged,
) -> Judged:
    """Has a model behind a server judge a part."""
    judge = make_judge(job.question, model, prompt, **job.judging, on_judged=on_judged)
    ranked = await rerank_concurrently(
        part,
        judge.ask_concurrently,
        job.ranker(job.method or ""),
        adjust=_adjust(part, job),
        concurrency=2 * job.concurrency,
        **job.arranging,
    )
    return _judged(ranked, judge)


def ask_oracle(part: Sequence[Candidates], qrels: Qrels, job: Job, on_judged: _OnJudged) -> Judged:
    """Has the grades judge a part."""
    judge = make_oracle(job.question, qrels, **job.erring, on_judged=on_judged)
    ranker, adjust = job.ranker(job.method or ""), _adjust(part, job)
    rankings, rounds = rerank(part, judge, ranker, adjust=adjust, **job.arranging)
    return Judged(rankings, rounds, judge.asked, 0, 0, 0, judge.diagnostics.tally())


def _adjust(part: Sequence[Candidates], job: Job) -> Adjust | None:
    """The first stage's prior, where pairs are compared."""
    if job.question is not PairwiseQuestion:
        return None
    return FirstStagePrior(part, job.prior or 0.0).adjust


def _judged(ranked: Reranked, judge: LanguageModelJudge) -> Judged:
    return Judged(
        *ranked,
        judge.asked,
        judge.cache_hits,
        judge.unasked,
        len(judge.truncated),
        judge.diagnostics.tally(),
        len(judge.escaped),
    )
