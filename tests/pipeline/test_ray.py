"""Workers on a real Ray cluster write the run of a single machine, even where workers die."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.errors import InputError, JournalError, ModelError
from rankprompt.files import read_documents, read_queries
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges.guard import AnswerGuard
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.llm import load_model
from rankprompt.pipeline.execution import rerank_locally
from rankprompt.pipeline.ray import WorkerConfig, Workers
from rankprompt.pipeline.ray.cluster import connected
from rankprompt.pipeline.results import ModelCard
from rankprompt.pipeline.validation import validate
from rankprompt.rankers.reranking import Reranked
from rankprompt.retrieval import bm25
from rankprompt.types import Candidates, Query
from tests.configs import change
from tests.pipeline.ray_runs import (
    BATCH,
    DEADLY,
    NO_RAY,
    ONE,
    TWO,
    Journals,
    LoggingModel,
    alone,
    build_candidates,
    logged_batches,
    rerank_on_cluster,
    run,
    same_run,
    settings,
    stored,
)


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A real cluster on this machine, with two workers, which the tests connect to."""
    pytest.importorskip("ray", reason=NO_RAY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        with connected(TWO) as module:
            yield module
    assert not module.is_initialized()


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> tuple[PairwiseJudge, Reranked, Path]:
    """The judge, the reranking and the journal of a single machine."""
    folder = tmp_path_factory.mktemp("near")
    config = settings(folder)
    with closing(Journal(folder / "near.journal")) as journal:
        cached = CachedModel(LoggingModel(config.job.model, device="cpu"), journal)
        judge, ranked = alone(build_candidates(), cached, config.job)
    return judge, ranked, folder / "near.journal"


@pytest.mark.usefixtures("ray")
def test_two_workers_make_the_run_of_one_machine_and_a_second_one_asks_nothing(
    tmp_path: Path, near: tuple[PairwiseJudge, Reranked, Path]
) -> None:
    far = run(tmp_path)
    same_run(far, near, tmp_path)
    assert far.totals.asked == near[0].asked
    prompts = list(chain(*logged_batches(tmp_path)))
    assert len(set(prompts)) == len(prompts) == far.costs.prompts
    assert far.costs.batches == len(logged_batches(tmp_path))
    assert far.costs.tokens > far.costs.prompts
    assert far.model == ModelCard(f"log:{tmp_path}:", "fake 1", 400)
    with Journals(tmp_path) as journal:
        assert journal.totals() == (len(prompts), len(prompts))
    assert far.replaced == 0

    again = run(tmp_path)
    same_run(again, near, tmp_path)
    assert again.totals.asked == again.costs.prompts == 0
    assert len(logged_batches(tmp_path)) == far.costs.batches


@pytest.mark.usefixtures("ray")
def test_workers_ask_selections_as_one_machine_does(tmp_path: Path) -> None:
    options = {"method": "setwise-heapsort", "prior": None, "decide": None, "prompt": "setwise"}
    config = settings(tmp_path)
    job = validate(change(config.job.config, **options))
    config = replace(config, job=job)
    with closing(Journal(None)) as journal:
        cached = CachedModel(LoggingModel(config.job.model, device="cpu"), journal)
        near = rerank_locally(build_candidates(), cached, config.job, AnswerGuard(), lambda _: None)
    with Journals(tmp_path) as journal:
        far = rerank_on_cluster(build_candidates(), config, journal, TWO)
    assert far.rankings == near.rankings
    assert far.totals.asked == near.asked
    assert far.totals.diagnostics["questions"] == near.tally["questions"] > 0


@pytest.mark.usefixtures("ray")
def test_a_worker_killed_half_way_is_replaced_and_only_its_batch_is_asked_again(
    tmp_path: Path,
    near: tuple[PairwiseJudge, Reranked, Path],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    far = run(tmp_path, "once")
    assert (tmp_path / "killed").exists()
    same_run(far, near, tmp_path)
    assert far.replaced == 1
    assert "a worker died" in caplog.text
    assert capfd.readouterr().out == ""  # stdout is for results
    batches = logged_batches(tmp_path)
    twice = {name for name, times in Counter(chain(*batches)).items() if times > 1}
    assert 0 < len(twice) <= BATCH
    assert any(
        twice <= set(batch) for batch in batches
    )  # the batch that was in flight when it was killed
    with Journals(tmp_path) as journal:
        answers, paid = journal.totals()
    assert answers == paid == len(set(chain(*batches)))
    # The costs of the dead worker count, too, except those of the lost batch.
    assert far.costs.prompts == answers
    assert far.costs.batches == len(batches) - 1


@pytest.mark.usefixtures("ray")
def test_a_query_that_kills_every_worker_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"^query {DEADLY}: 3 workers died over it"):
        run(tmp_path, "deadly")
    with Journals(tmp_path) as journal:
        answers, paid = journal.totals()
    assert answers == paid > 0


@pytest.mark.usefixtures("ray")
def test_candidates_are_drawn_as_they_are_needed_and_an_interrupt_leaves_the_journal_whole(
    tmp_path: Path,
) -> None:
    drawn = 0

    def stream() -> Iterator[Candidates]:
        nonlocal drawn
        for query in build_candidates(1000):
            drawn += 1
            yield query

    progress: list[int] = []
    finished = 0

    def interrupted(journal: Journal) -> None:
        nonlocal finished
        with Workers(settings(tmp_path), journal, TWO) as workers:
            for done in workers.rerank(stream(), progress.append):
                finished += len(done.result.rankings)
                # Two blocks in flight, four waiting, and one being made.
                assert drawn - finished <= (2 + 4 + 1) * 2  # together
                if finished > 30:
                    raise KeyboardInterrupt

    with Journals(tmp_path) as journal, pytest.raises(KeyboardInterrupt):
        interrupted(journal)
    assert sum(progress) > 0
    with Journals(tmp_path) as journal:
        answers, paid = journal.totals()
    prompts = list(chain(*logged_batches(tmp_path)))
    assert answers == paid <= len(set(prompts)) == len(prompts) <= answers + 2 * BATCH


@pytest.mark.usefixtures("ray")
def test_what_a_worker_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    name = f"log:{tmp_path}:"
    with pytest.raises(InputError, match=f"^there is no {name}$"):
        run(tmp_path, load="missing", cluster=ONE)
    with pytest.raises(ModelError, match=f"^workers die while they load {name}: "):
        run(tmp_path, load="broken", cluster=ONE)
    with pytest.raises(ModelError, match="install the same packages on every machine"):
        run(tmp_path, load="lacking", cluster=ONE)
    with pytest.raises(InputError, match="a query id stands twice"), Journals(tmp_path) as journal:
        rerank_on_cluster(
            [*build_candidates(1), *build_candidates(1)], settings(tmp_path), journal, ONE
        )
    with pytest.raises(InputError, match="more than the 0 of this machine"):
        run(tmp_path, cluster=replace(ONE, gpus_per_worker=1.0))


@pytest.mark.usefixtures("ray")
def test_a_journal_that_fails_stops_the_run(tmp_path: Path) -> None:
    with Journals(tmp_path) as journal, Workers(settings(tmp_path), journal, ONE) as workers:
        with closing(sqlite3.connect(tmp_path / "far.journal")) as database:
            database.execute("drop table answers")
        with pytest.raises(JournalError, match="the journal failed: no such table"):
            list(workers.rerank(build_candidates()))


@pytest.mark.usefixtures("ray")
def test_no_candidates_make_an_empty_run(tmp_path: Path) -> None:
    with Journals(tmp_path) as journal:
        far = rerank_on_cluster([], settings(tmp_path), journal, ONE)
    assert far.rankings == {}
    assert far.model.fingerprint == "fake 1"
    assert far.totals.diagnostics["position_bias"] is None


@pytest.mark.model
@pytest.mark.usefixtures("ray")
def test_the_real_model_makes_the_run_of_one_machine(tmp_path: Path) -> None:
    source = sample("en")
    queries = dict(list(read_queries(source / "queries.tsv").items())[:2])
    documents = read_documents(source / "docs.jsonl")
    candidates = [
        Candidates(
            Query(query, queries[query]),
            tuple(documents[name] for name in list(scores)[:4]),
            tuple(scores.values())[:4],
        )
        for query, scores in bm25(queries, documents, depth=4).items()
    ]
    options = {"dtype": "float32", "passage_tokens": 40, "decide": "agreement", "device": "cpu"}
    config = change(settings(tmp_path).job.config, model="smollm2-135m", prior=0.0, **options)
    job = validate(config)
    with closing(Journal(tmp_path / "near.journal")) as journal:
        model = load_model(job.model, dtype="float32", device="cpu")
        judge, ranked = alone(candidates, CachedModel(model, journal), job)
    with Journals(tmp_path) as journal:
        far = rerank_on_cluster(candidates, WorkerConfig(job), journal, TWO)
    assert far.rankings == ranked.rankings
    assert far.totals.diagnostics == judge.diagnostics.summary()
    assert far.totals.asked == judge.asked
    # Numbers may vary with the batch, but prompts and their keys may not.
    assert stored(tmp_path / "far.journal").keys() == stored(tmp_path / "near.journal").keys()
