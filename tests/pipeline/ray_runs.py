"""Runs on a Ray cluster with a model that logs its batches and may kill its process."""

import json
import os
import signal
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from rankprompt.errors import InputError
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.costs import Costs
from rankprompt.journal.store import Journal, key
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.first_stage_prior import FirstStagePrior
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.llm import Answer, Request, Usage
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.ray import RayCluster, WorkerConfig, Workers
from rankprompt.pipeline.results import ModelCard, Totals
from rankprompt.pipeline.validation import validate
from rankprompt.prompts.prompt import Prompt
from rankprompt.rankers.reranking import Reranked, rerank
from rankprompt.rankers.scores import DocumentScore
from rankprompt.types import Candidates, Document, Query
from tests.configs import configure
from tests.fakes import PROMPT, FakeModel

NO_RAY = "Ray is not installed: pip install 'rankprompt[ray]'"

TWO = RayCluster(workers=2, cpus_per_worker=1, together=2)
ONE = replace(TWO, workers=1)  # where a second worker, a process to start, would show nothing


QUERIES, DEPTH, BATCH = 9, 6, 4


DEADLY = "q6"


KILLED_AT = 7  # the number of the batch, over all workers, at which a worker is killed


class LoggingModel(FakeModel):
    """Logs its requests before it answers, and may kill its process.

    The name defines how: "log:FOLDER:" never does, "log:FOLDER:once" does at a batch of the whole
    run, and "log:FOLDER:deadly" at every prompt about DEADLY.
    """

    def __init__(self, name: str, *, device: str) -> None:
        super().__init__(context_length=400, batch_size=BATCH)
        assert device == "cpu", "no GPU was reserved"
        _, folder, self._fate = name.split(":")
        self._folder = Path(folder)

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        with (self._folder / "batches.jsonl").open("a") as file:
            file.write(
                json.dumps([key(self.fingerprint, request).hex() for request in requests]) + "\n"
            )
        if self._fate == "once" and len(logged_batches(self._folder)) >= KILLED_AT:
            try:
                (self._folder / "killed").touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        if self._fate == "deadly" and any(
            f"text of {DEADLY}\n" in request.prompt for request in requests
        ):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().answer(requests)


def logging_model(job: RerankJob, device: str) -> LoggingModel:
    return LoggingModel(job.model, device=device)


class FarModel(LoggingModel):
    """Notes the node that it runs on, and that its process has no journal open."""

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        import ray

        opened = [str(one.resolve()) for one in Path("/proc/self/fd").iterdir()]
        assert not any(".journal" in one for one in opened), opened
        (self._folder / f"node-{ray.get_runtime_context().get_node_id()}").touch()
        return super().answer(requests)


def far_model(job: RerankJob, device: str) -> FarModel:
    return FarModel(job.model, device=device)


def missing(job: RerankJob, _: str) -> LoggingModel:
    raise InputError(f"there is no {job.model}")


def lacking(_: RerankJob, __: str) -> LoggingModel:
    raise ImportError("No module named 'torch'")


def broken(_: RerankJob, __: str) -> LoggingModel:
    os._exit(1)


def logged_batches(folder: Path) -> list[list[str]]:
    return [json.loads(line) for line in (folder / "batches.jsonl").read_text().splitlines()]


def build_candidates(count: int = QUERIES) -> list[Candidates]:
    return [
        Candidates(
            Query(f"q{number}", f"text of q{number}"),
            tuple(Document(f"d{i}", f"passage {i} for q{number}") for i in range(DEPTH)),
            tuple(float(-i) for i in range(DEPTH)),
        )
        for number in range(count)
    ]


def settings(
    folder: Path,
    fate: str = "",
    load: str = "logging_model",
    prompt: Prompt = PROMPT,
    **changes: Any,
) -> WorkerConfig:
    options = {
        **dict.fromkeys(("run", "queries", "docs"), folder / "unread"),
        "output": folder / "out.trec",
        "model": f"log:{folder}:{fate}",
        "method": "heapsort",
        "k": 3,
        "prior": 0.1,
        "decide": "soft",
        "prompt": "prp",
        **changes,
    }
    job = replace(validate(configure(**options)), prompt=prompt)
    return WorkerConfig(job, f"tests.pipeline.ray_runs:{load}")


def alone(candidates: Sequence[Candidates], cached: CachedModel, job: RerankJob) -> Any:
    """The judge and the reranking on a single machine."""
    assert job.prompt is not None
    judging = job.config.judge
    judge = PairwiseJudge(
        cached,
        pairwise_adapter(job.prompt, judging.mode),
        decide=judging.decide or "",
        passage_tokens=judging.passage_tokens,
    )
    prior = FirstStagePrior(candidates, judging.prior or 0.0)
    return judge, rerank(candidates, judge, job.ranker, adjust=prior.adjust)


def stored(journal: Path) -> dict[bytes, str]:
    with closing(sqlite3.connect(journal)) as database:
        return dict(database.execute("select key, value from answers"))


class ClusterRun(NamedTuple):
    """The results of a cluster; its rankings are in the order of the candidates."""

    rankings: dict[str, list[str]]
    scores: dict[str, Mapping[str, DocumentScore]]
    totals: Totals
    costs: Costs
    model: ModelCard
    replaced: int


def rerank_on_cluster(
    candidates: Sequence[Candidates], config: WorkerConfig, journal: Journal, cluster: RayCluster
) -> ClusterRun:
    rankings: dict[str, list[str]] = {}
    scores: dict[str, Mapping[str, DocumentScore]] = {}
    totals = Totals()
    with Workers(config, journal, cluster) as workers:
        for finished in workers.rerank(candidates):
            rankings |= finished.result.rankings
            scores |= finished.result.scores
            totals.add(finished.result)
    ordered = {query.query.id: rankings.pop(query.query.id) for query in candidates}
    assert not rankings
    return ClusterRun(ordered, scores, totals, workers.costs, workers.model, workers.replaced)


def run(folder: Path, fate: str = "", cluster: RayCluster = TWO, **changes: Any) -> ClusterRun:
    with Journals(folder) as journal:
        return rerank_on_cluster(
            build_candidates(), settings(folder, fate, **changes), journal, cluster
        )


class Journals(closing[Journal]):
    """A journal as a context."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Journal(folder / "far.journal"))


def same_run(far: ClusterRun, near: tuple[PairwiseJudge, Reranked, Path], folder: Path) -> None:
    judge, ranked, journal = near
    assert far.rankings == ranked.rankings
    assert far.scores == ranked.scores
    assert far.totals.rounds == ranked.rounds
    counts = far.totals.asked + far.totals.cache_hits + far.totals.repeated
    assert counts == judge.asked + judge.cache_hits + judge.repeated
    assert far.totals.diagnostics == judge.diagnostics.summary()
    assert far.totals.truncated == len(judge.truncated)
    assert stored(folder / "far.journal") == stored(journal)
