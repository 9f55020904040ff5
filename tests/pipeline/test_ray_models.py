"""Kinds of models on a real Ray cluster: they make what one process makes, to the byte."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.errors import ModelError
from rankprompt.files import read_documents, read_queries, write_run
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.judges.guard import AnswerGuard
from rankprompt.llm.base import Answer, Request
from rankprompt.pipeline.execution import rerank_locally
from rankprompt.pipeline.model_access import load_local
from rankprompt.pipeline.ray import RayModel, WorkerConfig
from rankprompt.pipeline.ray.cluster import connected
from rankprompt.pipeline.rerank import run_rerank
from rankprompt.pipeline.validation import validate
from rankprompt.retrieval import bm25
from tests.configs import change, configure
from tests.llm.rerankers.classifiers import save_classifier
from tests.pipeline.ray_runs import (
    BATCH,
    DEADLY,
    NO_RAY,
    ONE,
    TWO,
    Journals,
    LoggingModel,
    build_candidates,
    logged_batches,
    rerank_on_cluster,
    settings,
    stored,
)


@pytest.fixture(scope="module", autouse=True)
def ray() -> Iterator[Any]:
    """A real cluster on this machine, with two workers, which the tests connect to."""
    pytest.importorskip("ray", reason=NO_RAY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        with connected(TWO) as module:
            yield module


def requests(deadly: str = "") -> list[Request]:
    asked = [
        Request(f"prompt {number} {'word ' * (number % 7)}", (" a", " b")) for number in range(60)
    ]
    return [*asked, Request(f"text of {deadly}\n", (" a", " b"))] if deadly else asked


def answers(folder: Path, fate: str, asked: list[Request]) -> tuple[list[Answer | None], RayModel]:
    with (
        RayModel(settings(folder, fate), TWO) as model,
        closing(Journal(folder / "far.journal")) as journal,
    ):
        cached = CachedModel(model, journal)
        replies = cached.answer(asked)
        assert model.truncate("one two three", 2) == "one two"
        assert model.length(Request("one two", (" a",))) == 3
        assert model.escape("<|end|>") == "< |end|>"
    return [reply.answer for reply in replies], model


def test_batches_are_answered_as_in_one_process(tmp_path: Path) -> None:
    asked = requests()
    near = tmp_path / "near"
    near.mkdir()
    with closing(Journal(None)) as journal:
        alone = CachedModel(LoggingModel(f"log:{near}:", device="cpu"), journal)
        expected = [reply.answer for reply in alone.answer(asked)]
    found, model = answers(tmp_path, "", asked)
    assert found == expected
    assert (model.name, model.fingerprint, model.context_length) == (
        f"log:{tmp_path}:",
        "fake 1",
        400,
    )
    assert sorted(logged_batches(tmp_path)) == sorted(logged_batches(near))
    # What the journal holds is not asked again.
    assert answers(tmp_path, "", asked)[0] == expected
    assert len(logged_batches(tmp_path)) == len(logged_batches(near))


def test_a_worker_that_dies_over_a_batch_is_replaced(tmp_path: Path) -> None:
    asked = requests()
    found, model = answers(tmp_path, "once", asked)
    assert model.replaced == 1
    assert None not in found
    batches = Counter(map(tuple, logged_batches(tmp_path)))
    assert sorted(batches.values()) == [*[1] * (len(batches) - 1), 2]
    assert all(len(batch) <= BATCH for batch in batches)


def test_a_prompt_that_kills_every_worker_ends_it_and_the_others_are_kept(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"^3 workers died over the same prompts"):
        answers(tmp_path, "deadly", requests(DEADLY))
    prompts = chain(*logged_batches(tmp_path))
    assert set(stored(tmp_path / "far.journal")) <= {bytes.fromhex(one) for one in prompts}


def test_a_cross_encoder_on_a_worker_makes_the_run_of_one_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_classifier(tmp_path / "model")
    monkeypatch.chdir(tmp_path)  # a worker has another folder
    unset = dict.fromkeys(("method", "prompt", "prior", "decide"))
    options = {"model": "cross-encoder:model", "device": "cpu", "batch_tokens": 60, **unset}
    job = validate(change(settings(tmp_path).job.config, **options))
    with closing(Journal(tmp_path / "near.journal")) as journal:
        cached = CachedModel(load_local(job), journal)
        near = rerank_locally(build_candidates(), cached, job, AnswerGuard(), lambda _: None)
    with Journals(tmp_path) as journal:
        far = rerank_on_cluster(build_candidates(), WorkerConfig(job), journal, ONE)
    assert (far.rankings, far.totals.asked) == (near.rankings, near.asked)
    assert stored(tmp_path / "far.journal").keys() == stored(tmp_path / "near.journal").keys()


@pytest.mark.model
def test_stages_of_the_real_cross_encoder_make_the_run_of_one_machine(tmp_path: Path) -> None:
    queries = dict(list(read_queries(sample("en") / "queries.tsv").items())[:4])
    first = bm25(queries, read_documents(sample("en") / "docs.jsonl"), depth=5)
    write_run(tmp_path / "bm25.trec", {query: list(found) for query, found in first.items()}, "b")
    config = configure(
        run=tmp_path / "bm25.trec",
        queries=sample("en") / "queries.tsv",
        docs=sample("en") / "docs.jsonl",
        stage=(
            "pointwise:ms-marco-minilm-l12@5",
            f"allpair:oracle:{sample('en') / 'qrels.trec'}@4",
            "pointwise:ms-marco-minilm-l12@3 passage_tokens=12",
        ),
        threads=1,
    )
    near = run_rerank(change(config, output=tmp_path / "near.trec"))
    far = run_rerank(change(config, output=tmp_path / "far.trec", ray="local", together=1))
    assert (tmp_path / "far.trec").read_bytes() == (tmp_path / "near.trec").read_bytes()
    assert near["diagnostics"] == far["diagnostics"]
    assert far["workers_replaced"] == 0
    for one, other in zip(near["stages"], far["stages"], strict=True):
        assert one["model"].get("fingerprint") == other["model"].get("fingerprint")
        assert one["costs"].get("prompts") == other["costs"].get("prompts")
