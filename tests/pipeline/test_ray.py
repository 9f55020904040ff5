"""Workers on a real Ray cluster: the same run as on one machine, whatever dies."""

import json
import os
import signal
import socket
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.errors import InputError, JournalError, ModelError
from rankprompt.files import read_documents, read_queries
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.costs import Costs
from rankprompt.journal.store import Journal, key
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.first_stage_prior import FirstStagePrior
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.llm import Answer, Request, Usage, load_model
from rankprompt.pipeline.execution import rerank_locally
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.ray import RayCluster, WorkerConfig, Workers
from rankprompt.pipeline.ray.cluster import connected
from rankprompt.pipeline.results import ModelCard, Totals
from rankprompt.pipeline.validation import validate
from rankprompt.prompts.prompt import Prompt
from rankprompt.rankers.reranking import Reranked, rerank
from rankprompt.retrieval import bm25
from rankprompt.types import Candidates, Document, Query
from tests.configs import change, configure
from tests.fakes import PROMPT, FakeModel

NO_RAY = "Ray is not installed: pip install 'rankprompt[ray]'"
TWO = RayCluster(workers=2, cpus_per_worker=1, together=2)
QUERIES, DEPTH, BATCH = 9, 6, 4
DEADLY = "q6"
KILLED_AT = 7  # the batch, of those that all workers have asked together


class Logged(FakeModel):
    """Notes what it is asked before it answers; may die at a batch, or of a text.

    The name says how: "log:FOLDER", with ":once" to die at one batch of the whole run, or with
    ":deadly" to die of every prompt about DEADLY.
    """

    def __init__(self, name: str, *, device: str) -> None:
        super().__init__(context_length=400, batch_size=BATCH)
        assert device == "cpu", "no GPU was reserved"
        _, folder, self._fate = name.split(":")
        self._folder = Path(folder)

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        with (self._folder / "asked.jsonl").open("a") as file:
            file.write(json.dumps([key(self.fingerprint, one).hex() for one in requests]) + "\n")
        if self._fate == "once" and len(asked(self._folder)) >= KILLED_AT:
            try:
                (self._folder / "killed").touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        if self._fate == "deadly" and any(f"text of {DEADLY}\n" in one.prompt for one in requests):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().answer(requests)


def logged(job: RerankJob, device: str) -> Logged:
    return Logged(job.model, device=device)


def missing(job: RerankJob, _: str) -> Logged:
    raise InputError(f"there is no {job.model}")


def lacking(_: RerankJob, __: str) -> Logged:
    raise ImportError("No module named 'torch'")


def broken(_: RerankJob, __: str) -> Logged:
    os._exit(1)


def asked(folder: Path) -> list[list[str]]:
    return [json.loads(line) for line in (folder / "asked.jsonl").read_text().splitlines()]


def made(count: int = QUERIES) -> list[Candidates]:
    return [
        Candidates(
            Query(f"q{number}", f"text of q{number}"),
            tuple(Document(f"d{i}", f"passage {i} for q{number}") for i in range(DEPTH)),
            tuple(float(-i) for i in range(DEPTH)),
        )
        for number in range(count)
    ]


def settings(
    folder: Path, fate: str = "", load: str = "logged", prompt: Prompt = PROMPT, **changes: Any
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
    return WorkerConfig(job, f"tests.pipeline.test_ray:{load}")


def alone(candidates: Sequence[Candidates], answering: CachedModel, job: RerankJob) -> Any:
    """The run on one machine; gives the judge, too."""
    assert job.prompt is not None
    judging = job.config.judge
    judge = PairwiseJudge(
        answering,
        pairwise_adapter(job.prompt, judging.mode),
        decide=judging.decide or "",
        passage_tokens=judging.passage_tokens,
    )
    prior = FirstStagePrior(candidates, judging.prior or 0.0)
    return judge, rerank(candidates, judge, job.ranker, adjust=prior.adjust)


def kept(journal: Path) -> dict[bytes, str]:
    with closing(sqlite3.connect(journal)) as database:
        return dict(database.execute("select key, value from answers"))


class Far(NamedTuple):
    """What came from the cluster: rankings in the order of the queries' numbers."""

    rankings: dict[str, list[str]]
    totals: Totals
    costs: Costs
    model: ModelCard
    replaced: int


def gathered(
    candidates: Sequence[Candidates], chosen: WorkerConfig, journal: Journal, cluster: RayCluster
) -> Far:
    found: dict[str, list[str]] = {}
    totals = Totals()
    with Workers(chosen, journal, cluster) as workers:
        for finished in workers.rerank(candidates):
            found |= finished.result.rankings
            totals.add(finished.result)
    ordered = {one.query.id: found.pop(one.query.id) for one in candidates}
    assert not found
    return Far(ordered, totals, workers.costs, workers.model, workers.replaced)


def run(folder: Path, fate: str = "", cluster: RayCluster = TWO, **changes: Any) -> Far:
    with Journals(folder) as journal:
        return gathered(made(), settings(folder, fate, **changes), journal, cluster)


class Journals(closing[Journal]):
    """A journal as a context."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Journal(folder / "far.journal"))


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A real cluster on this machine, for two workers; the tests' own scale_outs use it."""
    pytest.importorskip("ray", reason=NO_RAY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        with connected(TWO) as found:
            yield found
    assert not found.is_initialized()


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> tuple[PairwiseJudge, Reranked, Path]:
    """What one machine makes of the same queries."""
    folder = tmp_path_factory.mktemp("near")
    chosen = settings(folder)
    with closing(Journal(folder / "near.journal")) as journal:
        answering = CachedModel(Logged(chosen.job.model, device="cpu"), journal)
        judge, ranked = alone(made(), answering, chosen.job)
    return judge, ranked, folder / "near.journal"


def same_run(far: Far, near: tuple[PairwiseJudge, Reranked, Path], folder: Path) -> None:
    judge, ranked, journal = near
    assert far.rankings == ranked.rankings
    assert far.totals.rounds == ranked.rounds
    assert far.totals.asked + far.totals.cache_hits == judge.asked + judge.cache_hits
    assert far.totals.diagnostics == judge.diagnostics.summary()
    assert far.totals.truncated == len(judge.truncated)
    assert kept(folder / "far.journal") == kept(journal)


@pytest.mark.usefixtures("ray")
def test_two_workers_make_the_run_of_one_machine_and_a_second_one_asks_nothing(
    tmp_path: Path, near: tuple[PairwiseJudge, Reranked, Path]
) -> None:
    far = run(tmp_path)
    same_run(far, near, tmp_path)
    assert far.totals.asked == near[0].asked
    prompts = list(chain(*asked(tmp_path)))
    assert len(set(prompts)) == len(prompts) == far.costs.prompts
    assert far.costs.batches == len(asked(tmp_path))
    assert far.costs.tokens > far.costs.prompts
    assert far.model == ModelCard(f"log:{tmp_path}:", "fake 1", 400)
    with Journals(tmp_path) as journal:
        assert journal.totals() == (len(prompts), len(prompts))
    assert far.replaced == 0

    again = run(tmp_path)
    same_run(again, near, tmp_path)
    assert again.totals.asked == again.costs.prompts == 0
    assert len(asked(tmp_path)) == far.costs.batches


@pytest.mark.usefixtures("ray")
def test_workers_ask_selections_as_one_machine_does(tmp_path: Path) -> None:
    options = {"method": "setwise-heapsort", "prior": None, "decide": None, "prompt": "setwise"}
    chosen = settings(tmp_path)
    job = validate(change(chosen.job.config, **options))
    chosen = replace(chosen, job=job)
    with closing(Journal(None)) as journal:
        answering = CachedModel(Logged(chosen.job.model, device="cpu"), journal)
        near = rerank_locally(made(), answering, chosen.job, lambda _: None)
    with Journals(tmp_path) as journal:
        far = gathered(made(), chosen, journal, TWO)
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
    batches = asked(tmp_path)
    twice = {name for name, times in Counter(chain(*batches)).items() if times > 1}
    assert 0 < len(twice) <= BATCH
    assert any(twice <= set(batch) for batch in batches)  # the one under way when it was killed
    with Journals(tmp_path) as journal:
        answers, paid = journal.totals()
    assert answers == paid == len(set(chain(*batches)))
    # What the dead worker had spent counts, too; only the lost batch cannot.
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
        for one in made(1000):
            drawn += 1
            yield one

    progress: list[int] = []
    finished = 0

    def interrupted(journal: Journal) -> None:
        nonlocal finished
        with Workers(settings(tmp_path), journal, TWO) as workers:
            for done in workers.rerank(stream(), progress.append):
                finished += len(done.result.rankings)
                # Under way, waiting, and one group in hand.
                assert drawn - finished <= (2 + 4 + 1) * TWO.together
                if finished > 30:
                    raise KeyboardInterrupt

    with Journals(tmp_path) as journal, pytest.raises(KeyboardInterrupt):
        interrupted(journal)
    assert sum(progress) > 0
    with Journals(tmp_path) as journal:
        answers, paid = journal.totals()
    prompts = list(chain(*asked(tmp_path)))
    assert answers == paid <= len(set(prompts)) == len(prompts) <= answers + 2 * BATCH


@pytest.mark.usefixtures("ray")
def test_what_a_worker_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    name = f"log:{tmp_path}:"
    with pytest.raises(InputError, match=f"^there is no {name}$"):
        run(tmp_path, load="missing")
    with pytest.raises(ModelError, match=f"^workers die while they load {name}: "):
        run(tmp_path, load="broken")
    with pytest.raises(ModelError, match="install the same packages on every machine"):
        run(tmp_path, load="lacking")
    with pytest.raises(InputError, match="a query id stands twice"), Journals(tmp_path) as journal:
        gathered([*made(1), *made(1)], settings(tmp_path), journal, TWO)
    with pytest.raises(InputError, match="more than the 0 of this machine"):
        run(tmp_path, cluster=replace(TWO, gpus_per_worker=1.0))


@pytest.mark.usefixtures("ray")
def test_a_journal_that_fails_stops_the_run(tmp_path: Path) -> None:
    with Journals(tmp_path) as journal, Workers(settings(tmp_path), journal, TWO) as workers:
        with closing(sqlite3.connect(tmp_path / "far.journal")) as database:
            database.execute("drop table answers")
        with pytest.raises(JournalError, match="the journal failed: no such table"):
            list(workers.rerank(made()))


@pytest.mark.usefixtures("ray")
def test_no_candidates_make_an_empty_run(tmp_path: Path) -> None:
    with Journals(tmp_path) as journal:
        far = gathered([], settings(tmp_path), journal, TWO)
    assert far.rankings == {}
    assert far.model.fingerprint == "fake 1"
    assert far.totals.diagnostics["position_bias"] is None


def test_without_ray_the_pip_line_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModelError, match=r"pip install 'rankprompt\[ray\]'$"):
        run(tmp_path)


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    for name in ("workers", "together", "cpus_per_worker"):
        with pytest.raises(InputError, match="must be at least 1, not 0"):
            RayCluster(**{name: 0})  # type: ignore[arg-type]
    for gpus in (-1.0, 1.5, float("nan")):
        with pytest.raises(InputError, match="a fraction or a whole number"):
            RayCluster(gpus_per_worker=gpus)
    with pytest.raises(InputError, match="for a Ray client"):
        RayCluster(address="ray://head:10001")
    with pytest.raises(InputError, match="in memory cannot be shared"):
        Workers(settings(tmp_path), Journal(None), TWO)
    with Journals(tmp_path) as journal:
        with pytest.raises(InputError, match="cannot keep a budget"):
            Workers(settings(tmp_path, max_prompts=1), journal, TWO)
        for name in ("openai:some", "oracle:some.trec"):
            more = {"base_url": "http://localhost:1"} if name.startswith("openai") else {}
            config = change(
                settings(tmp_path).job.config, model=name, prompt=None, prior=0.0, **more
            )
            with pytest.raises(InputError, match="hold local models"):
                Workers(WorkerConfig(validate(config)), journal, TWO)


def test_an_address_where_nobody_answers_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason=NO_RAY)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(InputError, match=f"^cannot use Ray at {address}: .*refused"):
        connected(RayCluster(address=address)).__enter__()


@pytest.mark.model
@pytest.mark.usefixtures("ray")
def test_the_real_model_makes_the_run_of_one_machine(tmp_path: Path) -> None:
    source = sample("en")
    queries = dict(list(read_queries(source / "queries.tsv").items())[:2])
    documents = read_documents(source / "docs.jsonl")
    candidates = [
        Candidates(
            Query(query, queries[query]),
            tuple(documents[name] for name in list(found)[:4]),
            tuple(found.values())[:4],
        )
        for query, found in bm25(queries, documents, depth=4).items()
    ]
    options = {"dtype": "float32", "passage_tokens": 40, "decide": "agreement", "device": "cpu"}
    config = change(settings(tmp_path).job.config, model="smollm2-135m", prior=0.0, **options)
    job = validate(config)
    with closing(Journal(tmp_path / "near.journal")) as journal:
        model = load_model(job.model, dtype="float32", device="cpu")
        judge, ranked = alone(candidates, CachedModel(model, journal), job)
    with Journals(tmp_path) as journal:
        far = gathered(candidates, WorkerConfig(job), journal, TWO)
    assert far.rankings == ranked.rankings
    assert far.totals.diagnostics == judge.diagnostics.summary()
    assert far.totals.asked == judge.asked
    # Numbers may vary with the batch, prompts and their keys may not.
    assert kept(tmp_path / "far.journal").keys() == kept(tmp_path / "near.journal").keys()
