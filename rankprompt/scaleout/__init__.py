"""Many machines: workers on Ray rerank queries and stream them back to one driver.

Each worker is an actor that holds one model. Candidates and settings travel to it, rankings and
counts travel back, and every model batch is committed to the driver's journal before the worker
goes on. So a worker that dies loses the batch under way and no more: another takes its place, its
queries are asked again, and all that it had asked is found in the journal.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from rankprompt.answering import Costs
from rankprompt.errors import InputError
from rankprompt.journal import Journal
from rankprompt.records import Candidates
from rankprompt.scaleout.cluster import Cluster
from rankprompt.scaleout.worker import Card, Finished, WorkerSettings, add, summarise
from rankprompt.scaleout.workers import Workers

__all__ = ["Card", "Cluster", "Finished", "ScaledOut", "WorkerSettings", "Workers", "scale_out"]


@dataclass
class ScaledOut:
    """What ``scale_out`` returns.

    Attributes:
        model: what the workers loaded.
        rankings: document ids, best first, by query id, in the order of the candidates.
        rounds: those of the queries that had the most.
        costs: of all workers, the dead among them; ``seconds`` overlap.
        asked: comparisons that cost at least one prompt.
        from_journal: comparisons that cost nothing; what a worker asked before it died is among
            them.
        cut: passages cut to fit.
        replaced: workers that died, each replaced by another.
        diagnostics: as ``Diagnostics.summary``.
    """

    model: Card
    rankings: dict[str, list[str]] = field(default_factory=dict)
    rounds: int = 0
    costs: Costs = field(default_factory=Costs)
    asked: int = 0
    from_journal: int = 0
    cut: int = 0
    replaced: int = 0
    diagnostics: dict[str, float | int | None] = field(default_factory=dict)


def scale_out(
    candidates: Iterable[Candidates],
    settings: WorkerSettings,
    journal: Journal,
    cluster: Cluster,
    on_judged: Callable[[int], None] = lambda _: None,
) -> ScaledOut:
    """Reranks on a cluster, as ``rerank`` does on one machine.

    Args:
        candidates: drawn as they are needed.
        settings: of each worker.
        journal: a file; others may have it open.
        cluster: where the workers run.
        on_judged: called with the number of comparisons judged, about every second.

    Raises:
        InputError: settings that cannot work, or a query id that stands twice.
        ModelError: Ray is not installed, the model cannot be loaded, or workers keep dying.
        JournalError: the journal fails.
    """
    with Workers(settings, journal, cluster) as workers:
        whole = ScaledOut(workers.model, costs=workers.lost)
        parts: dict[int, dict[str, list[str]]] = {}
        tally: Counter[str] = Counter()
        for done in workers.rerank(_distinct(candidates), on_judged):
            parts[done.place] = done.rankings
            whole.rounds = max(whole.rounds, done.rounds)
            add(whole.costs, done.costs)
            whole.asked += done.asked
            whole.from_journal += done.from_journal
            whole.cut += done.cut
            tally.update(done.tally)
        whole.replaced = workers.replaced
    for _, rankings in sorted(parts.items()):
        whole.rankings |= rankings
    whole.diagnostics = summarise(tally)
    return whole


def _distinct(candidates: Iterable[Candidates]) -> Iterator[Candidates]:
    seen = set()
    for one in candidates:
        if one.query.id in seen:
            raise InputError("a query id stands twice among the candidates")
        seen.add(one.query.id)
        yield one
