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
from rankprompt.journal.store import Journal, key
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.judges.first_stage_prior import FirstStagePrior
from rankprompt.judges.pairwise import PairwiseJudge
from rankprompt.llm import Answer, Request, Usage, load_model
from rankprompt.pipeline.blocks import Outcome, ask
from rankprompt.pipeline.config import Job
from rankprompt.pipeline.ray import Cluster, Workers, WorkerSettings, scale_out
from rankprompt.pipeline.ray.cluster import connected
from rankprompt.prompts.prompt import Prompt, load_prompt
from rankprompt.rankers import method
from rankprompt.rankers.reranking import Reranked, rerank
from rankprompt.retrieval import bm25
from rankprompt.types import Candidates, Document, Query
from tests.fakes import PROMPT, FakeModel

NO_RAY = "Ray is not installed: pip install 'rankprompt[ray]'"
TWO = Cluster(workers=2, cpus_per_worker=1, together=2)
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


def logged(name: str, *, device: str, **_: Any) -> Logged:
    return Logged(name, device=device)


def missing(name: str, **_: Any) -> Logged:
    raise InputError(f"there is no {name}")


def lacking(_: str, **__: Any) -> Logged:
    raise ImportError("No module named 'torch'")


def broken(_: str, **__: Any) -> Logged:
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


def settings(folder: Path, fate: str = "", load: str = "logged", **changes: Any) -> WorkerSettings:
    nowhere = folder / "unread"
    job = Job(nowhere, nowhere, nowhere, nowhere, method="heapsort", k=3, prior=0.1, decide="soft")
    job = replace(job, model=f"log:{folder}:{fate}", **changes)
    return WorkerSettings(job, PROMPT, f"tests.pipeline.test_ray:{load}")


def alone(
    candidates: Sequence[Candidates], answering: CachedModel, job: Job, prompt: Prompt
) -> Any:
    """The run on one machine; gives the judge, too."""
    judge = PairwiseJudge(
        answering,
        pairwise_adapter(prompt, job.mode),
        decide=job.decide or "",
        passage_tokens=job.passage_tokens,
    )
    ranker = method(job.method or "").ranker(job.k, job.k, False)
    return judge, rerank(
        candidates,
        judge,
        adjust=FirstStagePrior(candidates, job.prior or 0.0).adjust,
        ranker=ranker,
    )


def kept(journal: Path) -> dict[bytes, str]:
    with closing(sqlite3.connect(journal)) as database:
        return dict(database.execute("select key, value from answers"))


class Far(NamedTuple):
    """What came from the cluster: rankings in the order of the queries' numbers."""

    rankings: dict[str, list[str]]
    outcome: Outcome


def gathered(
    candidates: Sequence[Candidates], chosen: WorkerSettings, journal: Journal, cluster: Cluster
) -> Far:
    found: dict[str, list[str]] = {}
    outcome = scale_out(candidates, chosen, journal, cluster, keep=found.update)
    ordered = {one.query.id: found.pop(one.query.id) for one in candidates}
    assert not found
    return Far(ordered, outcome)


def run(folder: Path, fate: str = "", cluster: Cluster = TWO, **changes: Any) -> Far:
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
        judge, ranked = alone(made(), answering, chosen.job, chosen.prompt)
    return judge, ranked, folder / "near.journal"


def same_run(far: Far, near: tuple[PairwiseJudge, Reranked, Path], folder: Path) -> None:
    judge, ranked, journal = near
    assert far.rankings == ranked.rankings
    assert far.outcome.rounds == ranked.rounds
    assert far.outcome.asked + far.outcome.from_journal == judge.asked + judge.cache_hits
    assert far.outcome.diagnostics == judge.diagnostics.summary()
    assert far.outcome.cut == len(judge.truncated)
    assert kept(folder / "far.journal") == kept(journal)


@pytest.mark.usefixtures("ray")
def test_two_workers_make_the_run_of_one_machine_and_a_second_one_asks_nothing(
    tmp_path: Path, near: tuple[PairwiseJudge, Reranked, Path]
) -> None:
    far = run(tmp_path)
    same_run(far, near, tmp_path)
    assert far.outcome.asked == near[0].asked
    prompts = list(chain(*asked(tmp_path)))
    assert len(set(prompts)) == len(prompts) == far.outcome.costs.prompts
    assert far.outcome.costs.batches == len(asked(tmp_path))
    assert far.outcome.costs.tokens > far.outcome.costs.prompts
    assert far.outcome.model == ("log:" + str(tmp_path) + ":", "fake 1", 400)
    with Journals(tmp_path) as journal:
        assert journal.totals() == (len(prompts), len(prompts))
    assert far.outcome.replaced == 0

    again = run(tmp_path)
    same_run(again, near, tmp_path)
    assert again.outcome.asked == again.outcome.costs.prompts == 0
    assert len(asked(tmp_path)) == far.outcome.costs.batches


@pytest.mark.usefixtures("ray")
def test_workers_ask_selections_as_one_machine_does(tmp_path: Path) -> None:
    sets = settings(tmp_path, method="setwise-heapsort", prior=0.0)
    chosen = replace(sets, prompt=load_prompt("setwise"))
    with closing(Journal(None)) as journal:
        answering = CachedModel(Logged(chosen.job.model, device="cpu"), journal)
        near = ask(made(), answering, chosen.job, chosen.prompt, lambda _: None)
    with Journals(tmp_path) as journal:
        far = gathered(made(), chosen, journal, TWO)
    assert far.rankings == near.rankings
    assert far.outcome.asked == near.asked
    assert far.outcome.diagnostics["questions"] == near.tally["questions"] > 0


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
    assert far.outcome.replaced == 1
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
    assert far.outcome.costs.prompts == answers
    assert far.outcome.costs.batches == len(batches) - 1


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
                finished += len(done.judged.rankings)
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
    assert far.outcome.model.fingerprint == "fake 1"
    assert far.outcome.diagnostics["position_bias"] is None


def test_without_ray_the_pip_line_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModelError, match=r"pip install 'rankprompt\[ray\]'$"):
        run(tmp_path)


def test_settings_that_cannot_work_are_refused(tmp_path: Path) -> None:
    for name in ("workers", "together", "cpus_per_worker"):
        with pytest.raises(InputError, match="must be at least 1, not 0"):
            Cluster(**{name: 0})  # type: ignore[arg-type]
    for gpus in (-1.0, 1.5, float("nan")):
        with pytest.raises(InputError, match="a fraction or a whole number"):
            Cluster(gpus_per_worker=gpus)
    with pytest.raises(InputError, match="for a Ray client"):
        Cluster(address="ray://head:10001")
    with pytest.raises(InputError, match="in memory cannot be shared"):
        Workers(settings(tmp_path), Journal(None), TWO)
    with Journals(tmp_path) as journal:
        with pytest.raises(InputError, match="cannot keep a budget"):
            Workers(settings(tmp_path, max_prompts=1), journal, TWO)
        for name in ("openai:some", "oracle:some.trec"):
            chosen = settings(tmp_path)
            with pytest.raises(InputError, match="hold local models"):
                Workers(replace(chosen, job=replace(chosen.job, model=name)), journal, TWO)


def test_an_address_where_nobody_answers_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason=NO_RAY)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(InputError, match=f"^cannot use Ray at {address}: .*refused"):
        connected(Cluster(address=address)).__enter__()


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
    prompt = load_prompt("prp")
    job = settings(tmp_path, dtype="float32", passage_tokens=40, decide="agreement").job
    job = replace(job, model="smollm2-135m", device="cpu", prior=0.0)
    with closing(Journal(tmp_path / "near.journal")) as journal:
        model = load_model(job.model, dtype="float32", device="cpu")
        judge, ranked = alone(candidates, CachedModel(model, journal), job, prompt)
    with Journals(tmp_path) as journal:
        far = gathered(candidates, WorkerSettings(job, prompt), journal, TWO)
    assert far.rankings == ranked.rankings
    assert far.outcome.diagnostics == judge.diagnostics.summary()
    assert far.outcome.asked == judge.asked
    # Numbers may vary with the batch, prompts and their keys may not.
    assert kept(tmp_path / "far.journal").keys() == kept(tmp_path / "near.journal").keys()
