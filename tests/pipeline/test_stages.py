"""Stages with a model each: composition, budget, journal, manifest and progress."""

import shlex
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankprompt.datasets.sample import sample
from rankprompt.errors import InputError, RankpromptError
from rankprompt.files import read_documents, read_queries, read_run, write_run
from rankprompt.journal.store import Journal
from rankprompt.llm.base import Answer, Request
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_file import load_manifest
from rankprompt.pipeline.rerank import run_rerank
from rankprompt.pipeline.validation import validate
from rankprompt.retrieval import bm25
from tests.configs import change, configure
from tests.fakes import FakeModel, by_hash
from tests.llm.rerankers.classifiers import save_classifier

QRELS = sample("en") / "qrels.trec"
ORACLE = f"oracle:{QRELS}"
CHOICE = (
    'kind = "choice"\noptions = [" Passage A", " Passage B"]\n'
    'text = "Query: {query}\\nA: {first}\\nB: {second}\\nWhich is better?"\n'
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A first stage of four queries."""
    folder = tmp_path_factory.mktemp("stages")
    queries = dict(list(read_queries(sample("en") / "queries.tsv").items())[:4])
    first = bm25(queries, read_documents(sample("en") / "docs.jsonl"), depth=20)
    write_run(folder / "bm25.trec", {query: list(found) for query, found in first.items()}, "bm25")
    (folder / "choice.toml").write_text(CHOICE)
    return folder


@pytest.fixture
def config(folder: Path, tmp_path: Path) -> RerankConfig:
    """The sample without a model."""
    return configure(
        run=folder / "bm25.trec",
        queries=sample("en") / "queries.tsv",
        docs=sample("en") / "docs.jsonl",
        output=tmp_path / "out.trec",
    )


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """The model that every name but the oracle's loads."""
    model = FakeModel(batch_size=8)
    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", lambda *_, **__: model)
    return model


def pairs(folder: Path, depth: int, *, method: str = "heapsort", more: str = "") -> str:
    prompt = shlex.quote(f"prompt={folder / 'choice.toml'}")
    return f"{method}:fake@{depth} {prompt} k=3 {more}"


METHODS = st.sampled_from(["pointwise", "heapsort", "allpair", "sliding", "setwise-heapsort"])


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(METHODS, st.integers(1, 20), st.floats(0, 0.5)), min_size=1, max_size=3),
    st.sampled_from([0.0, 0.5]),
)
def test_stages_equal_runs_one_after_the_other(
    config: RerankConfig, tmp_path: Path, drawn: list[tuple[str, int, float]], prior: float
) -> None:
    drawn.sort(key=lambda stage: -stage[1])
    pairwise = [stage[0] in ("heapsort", "allpair", "sliding") for stage in drawn]
    stages = tuple(
        f"{method}:{ORACLE}@{depth} noise={noise}" + f" prior={prior}" * pair
        for (method, depth, noise), pair in zip(drawn, pairwise, strict=True)
    )
    manifest = run_rerank(change(config, stage=stages))
    staged = {query: list(ranked) for query, ranked in read_run(tmp_path / "out.trec").items()}

    before, asked, rounds = config.data.run, [], []
    for number, stage in enumerate(validate(change(config, stage=stages)).stages):
        output = tmp_path / f"{number}.trec"
        alone = run_rerank(change(stage.config, run=before, output=output))
        before = output
        asked.append(alone["costs"]["comparisons_asked"])
        rounds.append(alone["costs"]["rounds"])
    assert before is not None
    assert staged == {query: list(ranked) for query, ranked in read_run(before).items()}
    assert [stage["costs"]["comparisons_asked"] for stage in manifest["stages"]] == asked
    assert [stage["costs"]["rounds"] for stage in manifest["stages"]] == rounds
    assert manifest["costs"]["comparisons_asked"] == sum(asked)
    assert manifest["costs"]["rounds"] == sum(rounds)


def test_the_manifest_has_each_stage_and_the_sum(
    config: RerankConfig, folder: Path, fake: FakeModel, tmp_path: Path
) -> None:
    stages = (f"pointwise:{ORACLE}@15", pairs(folder, 6, more="price_in=10 price_out=20"))
    manifest = run_rerank(change(config, stage=(*stages, pairs(folder, 4, method="allpair"))))
    first, second, third = manifest["stages"]
    assert [(one["method"], one["depth"]) for one in manifest["stages"]] == [
        ("pointwise", 15), ("heapsort", 6), ("allpair", 4),
    ]  # fmt: skip
    assert (first["model"], second["model"]["name"]) == ({"judge": "oracle"}, "fake")
    assert second["model"]["prompt"]["kind"] == "choice"
    assert manifest["model"] == {"judge": "stages", "name": "oracle, fake, fake"}
    costs = manifest["costs"]
    assert (costs["question"], first["costs"]["question"]) == ("question", "grading")
    assert costs["prompts"] == len(fake.prompts) > 0
    for name in ("prompts", "prompt_tokens", "cost"):
        assert costs[name] == pytest.approx(second["costs"][name] + third["costs"][name])
    for name in ("comparisons_asked", "rounds"):
        assert costs[name] == sum(one["costs"][name] for one in manifest["stages"])
    assert second["costs"]["cost"] > 0 == third["costs"]["cost"]
    assert (
        second["diagnostics"]["pairs"] + third["diagnostics"]["pairs"]
        == (manifest["diagnostics"]["pairs"])
    )
    assert set(manifest["inputs"]) == {"run", "queries", "docs", "qrels"}
    # The run is made again from its manifest, and asks nothing.
    prompts = len(fake.prompts)
    again = load_manifest(tmp_path / "out.json")
    made = run_rerank(change(again, output=tmp_path / "again.trec"))
    assert (tmp_path / "again.trec").read_bytes() == (tmp_path / "out.trec").read_bytes()
    assert len(fake.prompts) == prompts
    assert made["config"]["stage"] == manifest["config"]["stage"]


def test_one_journal_holds_the_answers_of_all_stages(
    config: RerankConfig, folder: Path, fake: FakeModel, tmp_path: Path
) -> None:
    journal = tmp_path / "both.journal"
    stages = (pairs(folder, 6, method="allpair"), pairs(folder, 4, more="order=single"))
    manifest = run_rerank(change(config, stage=stages, journal=journal))
    with closing(Journal(journal)) as opened:
        assert opened.totals() == (len(fake.prompts), len(fake.prompts))
    # What the first stage has asked, the second reads.
    assert manifest["stages"][1]["costs"]["prompts"] == 0
    assert manifest["stages"][1]["costs"]["prompts_from_journal"] > 0


@pytest.mark.parametrize("limit", [1, 20, 50, 10_000])
def test_a_budget_is_that_of_all_stages(
    config: RerankConfig, folder: Path, fake: FakeModel, limit: int
) -> None:
    stages = (pairs(folder, 8), pairs(folder, 8, method="allpair"))
    full = run_rerank(change(config, stage=stages))["costs"]["prompts"]
    fake.batches.clear()
    assert config.output.run is not None
    config.output.run.with_suffix(".journal").unlink()
    costs = run_rerank(change(config, stage=stages, max_prompts=limit))["costs"]
    assert costs["prompts"] == len(fake.prompts) == min(limit, full)
    assert (costs["comparisons_unasked"] > 0) == (limit < full)


def test_a_cross_encoder_of_a_cascade_spends_no_budget(
    config: RerankConfig, folder: Path, fake: FakeModel, tmp_path: Path
) -> None:
    teacher = save_classifier(tmp_path / "teacher")
    stages = (f"cascade:{teacher}@20", pairs(folder, 8))
    made = run_rerank(change(config, stage=stages, max_prompts=10, threads=1))
    first, second = made["stages"]
    assert first["costs"]["prompts"] >= 4 * 20
    assert second["costs"]["prompts"] == len(fake.prompts) == 10
    assert second["costs"]["comparisons_unasked"] > 0


@pytest.mark.usefixtures("fake")
def test_money_is_counted_at_each_stages_prices(config: RerankConfig, folder: Path) -> None:
    free, dear = pairs(folder, 8), pairs(folder, 8, method="allpair", more="price_in=1000")
    costs = run_rerank(change(config, stage=(free, dear)))["costs"]
    assert config.output.run is not None
    config.output.run.with_suffix(".journal").unlink()
    made = run_rerank(change(config, stage=(free, dear), max_cost=costs["cost"] / 4))
    first, second = made["stages"]
    assert first["costs"]["comparisons_unasked"] == 0 < second["costs"]["comparisons_unasked"]
    assert costs["cost"] / 4 <= made["costs"]["cost"] < costs["cost"] / 2


class _InterruptedError(Exception):
    pass


def test_a_run_that_stops_in_its_second_stage_asks_nothing_twice(
    config: RerankConfig, folder: Path, fake: FakeModel, tmp_path: Path
) -> None:
    stages = (pairs(folder, 8), pairs(folder, 6, method="allpair"))
    config = change(config, stage=stages)
    whole = run_rerank(change(config, output=tmp_path / "whole.trec"))
    asked = len(fake.prompts)
    first = whole["stages"][0]["costs"]["prompts"]
    assert first < asked - 10
    fake.batches.clear()
    left = first + 8

    def stops(request: Request) -> Answer:
        nonlocal left
        left -= 1
        if left < 0:
            raise _InterruptedError
        return by_hash(request)

    fake.rule = stops
    with pytest.raises(_InterruptedError):
        run_rerank(config)
    stopped = [request for batch in fake.batches[:-1] for request in batch]
    assert len(stopped) > first
    assert not (tmp_path / "out.trec").exists()
    fake.rule = by_hash
    fake.batches.clear()
    run_rerank(config)
    assert not set(stopped) & set(fake.prompts)
    assert len(stopped) + len(fake.prompts) == asked
    assert (tmp_path / "out.trec").read_bytes() == (tmp_path / "whole.trec").read_bytes()


def test_an_error_while_it_runs_names_the_stage(
    config: RerankConfig, folder: Path, fake: FakeModel
) -> None:
    fake.rule = lambda _: Answer((float("nan"), float("nan")), (2, 2))
    with pytest.raises(RankpromptError, match=r"^stage 2: \d+ of \d+ answers cannot be read"):
        run_rerank(change(config, stage=(f"pointwise:{ORACLE}@15", pairs(folder, 8))))
    missing = (f"pointwise:{ORACLE}@15", "heapsort:oracle:nowhere.trec@8")
    with pytest.raises(InputError, match=r"^stage 2: cannot read nowhere\.trec"):
        run_rerank(change(config, stage=missing))


def test_each_stage_has_a_progress_bar(config: RerankConfig) -> None:
    bars: list[tuple[str, int]] = []
    steps = 0

    @contextmanager
    def progress(title: str, total: int) -> Iterator[Any]:
        bars.append((title, total))

        def advance(number: int) -> None:
            nonlocal steps
            steps += number

        yield advance

    stages = (f"pointwise:{ORACLE}@15", f"allpair:{ORACLE}@4")
    made = run_rerank(change(config, stage=stages), progress)
    assert bars == [
        ("stage 1 of 2: pointwise with an oracle", 4 * 15),
        ("stage 2 of 2: allpair with an oracle", 4 * 6),
    ]
    assert steps == made["costs"]["comparisons_asked"] == 4 * (15 + 6)
