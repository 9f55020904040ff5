"""``rerank_run`` against ``rankprompt rerank``."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rankprompt.api.evaluation import evaluate
from rankprompt.api.rerank_run import RerankedRun, rerank_run
from rankprompt.api.run_sources import RunSource
from rankprompt.cli.app import app
from rankprompt.errors import InputError, MissingPackageError
from rankprompt.pipeline.config import RerankConfig
from tests.cli.conftest import DOCS, QRELS, QUERIES, RUN
from tests.configs import configure
from tests.fakes import FakeServer


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """A small collection that grades judge."""
    texts = {"run.trec": RUN, "queries.tsv": QUERIES, "docs.jsonl": DOCS, "qrels.trec": QRELS}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return {
        "run": tmp_path / "run.trec",
        "queries": str(tmp_path / "queries.tsv"),
        "docs": tmp_path / "docs.jsonl",
        "model": f"oracle:{tmp_path / 'qrels.trec'}",
        "output": tmp_path / "out.trec",
    }


def test_it_writes_what_the_command_writes(tmp_path: Path, options: dict[str, Any]) -> None:
    more: dict[str, Any] = {
        "noise": 0.2,
        "seed": 3,
        "method": "allpair",
        "scores": tmp_path / "out.tsv",
    }
    reranked = rerank_run(**options, **more)
    assert reranked.run == tmp_path / "out.trec"
    written = {path: path.read_bytes() for path in (reranked.run, tmp_path / "out.tsv")}
    assert reranked.manifest == json.loads((tmp_path / "out.json").read_text())
    words = [
        word
        for name, value in (options | more).items()
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    ran = CliRunner().invoke(app, ["rerank", *words, "--json"])
    assert ran.exit_code == 0, ran.output
    assert {path: path.read_bytes() for path in written} == written
    assert json.loads(ran.stdout)["config"] == reranked.manifest["config"]


def test_a_run_is_made_again_from_its_manifest_with_keywords_in_place(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    first = rerank_run(configure(method="allpair"), **options, scores=tmp_path / "out.tsv")
    again = rerank_run(tmp_path / "out.json", output=tmp_path / "again.trec")
    assert (again.run.name, again.scores) == ("again.trec", first.scores)
    assert again.manifest["config"]["ranker"]["method"] == "allpair"
    assert again.manifest["config"]["output"]["scores"] is None
    # d3 is the best of q1 by the grades.
    assert next(iter(first.scores["q1"])) == "d3"
    runs: dict[str, RunSource] = {"given": first.scores, "file": first.run}
    means = {one["mean"] for one in evaluate(tmp_path / "qrels.trec", runs).records}
    assert means == {1.0}


def test_stages_and_progress_are_given(options: dict[str, Any]) -> None:
    opened: list[tuple[str, int]] = []
    done: list[int] = []

    @contextmanager
    def progress(description: str, steps: int) -> Iterator[Callable[[int], None]]:
        opened.append((description, steps))
        yield done.append

    oracle = options.pop("model")
    stage = [f"pointwise:{oracle}@4", f"allpair:{oracle}@2"]
    reranked = rerank_run(**options, stage=stage, progress=progress)
    assert [stage["method"] for stage in reranked.manifest["stages"]] == ["pointwise", "allpair"]
    assert len(opened) == 2
    assert sum(done) == sum(steps for _, steps in opened) > 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"ouput": "x"}, "unknown option `ouput`; did you mean `output`?"),
        ({"depth": "3"}, "`depth` must be a whole number, not '3'"),
        ({"depth": 0}, "`depth` must be at least 1, not 0"),
        ({"method": "heapsrt"}, "did you mean 'heapsort'?"),
        ({"docs": "none.jsonl"}, "cannot read none.jsonl"),
        ({"config": 3}, "`config` must be a RerankConfig or the path of a file, not int"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    tmp_path: Path, options: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    before = {*tmp_path.iterdir()}
    with pytest.raises(InputError) as raised:
        rerank_run(**options | more)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert {*tmp_path.iterdir()} == before


def test_a_missing_package_is_named_with_its_pip_line(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise ModuleNotFoundError(name="torch")

    monkeypatch.setattr("rankprompt.pipeline.rerank.run_rerank", missing)
    with pytest.raises(MissingPackageError, match="pip install 'rankprompt\\[local\\]'"):
        rerank_run(RerankConfig(), **options)


def test_a_server_is_asked_where_an_event_loop_runs_as_in_a_notebook(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = FakeServer()
    monkeypatch.setattr("rankprompt.pipeline.model_access.connect", lambda _: server)
    options |= {"model": "rerank:fake", "base_url": "http://localhost:1/v1"}

    async def in_a_loop() -> RerankedRun:
        return rerank_run(**options)

    assert asyncio.run(in_a_loop()).scores
    assert server.prompts
    assert server.closed
