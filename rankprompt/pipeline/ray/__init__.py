"""Many machines: workers on Ray rerank queries and stream them back to one driver.

Each worker is an actor that holds one model. Candidates and settings travel to it, rankings and
counts travel back, and every model batch is committed to the driver's journal before the worker
goes on. So a worker that dies loses the batch under way and no more: another takes its place, its
queries are asked again, and all that it had asked is found in the journal.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from rankprompt.errors import InputError
from rankprompt.journal.store import Journal
from rankprompt.pipeline.blocks import Outcome
from rankprompt.pipeline.ray.cluster import Cluster
from rankprompt.pipeline.ray.worker import Card, Finished, WorkerSettings
from rankprompt.pipeline.ray.workers import Workers
from rankprompt.types import Candidates

__all__ = ["Card", "Cluster", "Finished", "WorkerSettings", "Workers", "scale_out"]


def scale_out(
    candidates: Iterable[Candidates],
    settings: WorkerSettings,
    journal: Journal,
    cluster: Cluster,
    *,
    keep: Callable[[Mapping[str, list[str]]], None],
    on_judged: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """Reranks on a cluster, as ``rerank`` does on one machine.

    Args:
        candidates: drawn as they are needed.
        settings: of each worker.
        journal: a file; others may have it open.
        cluster: where the workers run.
        keep: called with the rankings of a few queries as they are done, in any order.
        on_judged: called with the number of comparisons judged, about every second.

    Returns:
        The outcome. Its costs are of all workers, the dead among them, and ``seconds`` overlap;
        what a worker asked before it died is among ``from_journal``.

    Raises:
        InputError: settings that cannot work, or a query id that stands twice.
        ModelError: Ray is not installed, the model cannot be loaded, or workers keep dying.
        JournalError: the journal fails.
    """
    with Workers(settings, journal, cluster) as workers:
        whole = Outcome(model=workers.model, costs=workers.lost)
        for done in workers.rerank(_distinct(candidates), on_judged):
            keep(done.judged.rankings)
            whole.take(done.judged)
            workers.lost.merge(done.costs)
        whole.replaced = workers.replaced
    return whole


def _distinct(candidates: Iterable[Candidates]) -> Iterator[Candidates]:
    seen = set()
    for one in candidates:
        if one.query.id in seen:
            raise InputError("a query id stands twice among the candidates")
        seen.add(one.query.id)
        yield one
