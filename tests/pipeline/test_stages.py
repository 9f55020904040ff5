"""Stages with a model each: validation, composition, budget, journal, manifest and plan."""

import json
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
from rankprompt.pipeline.config_file import as_dict, load_config, load_manifest
from rankprompt.pipeline.rerank import run_rerank
from rankprompt.pipeline.stage_notation import (
    StageNotation,
    format_stage,
    hide_stage,
    parse_stage,
)
from rankprompt.pipeline.validation import validate
from rankprompt.retrieval import bm25
from tests.configs import change, configure
from tests.fakes import FakeModel, by_hash

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
    monkeypatch.setattr("rankprompt.pipeline.execution.load_model", lambda *_, **__: model)
    return model


def pairs(folder: Path, depth: int, *, method: str = "heapsort", more: str = "") -> str:
    prompt = shlex.quote(f"prompt={folder / 'choice.toml'}")
    return f"{method}:fake@{depth} {prompt} k=3 {more}"


WORD = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)


@given(
    st.builds(
        StageNotation,
        st.sampled_from(["heapsort", "pointwise"]),
        st.none() | WORD.filter(bool),
        st.integers(1, 10**6),
        st.lists(st.tuples(st.sampled_from(["prompt", "base_url"]), WORD)).map(tuple),
    )
)
def test_a_stage_that_is_written_is_read_again(stage: StageNotation) -> None:
    assert parse_stage(format_stage(stage)) == stage


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("heapsort", StageNotation("heapsort", None, None)),
        ("heapsort@20", StageNotation("heapsort", None, 20)),
        ("pointwise:a/b:c@7b@100", StageNotation("pointwise", "a/b:c@7b", 100)),
        (
            "sliding:'my models/a'@5 base-url=http://h:1/v1 prompt=\"a b\"",
            StageNotation(
                "sliding", "my models/a", 5, (("base_url", "http://h:1/v1"), ("prompt", "a b"))
            ),
        ),
    ],
)
def test_method_model_and_depth_are_told_apart(text: str, stage: StageNotation) -> None:
    assert parse_stage(text) == stage


def test_a_header_in_a_stage_is_hidden(config: RerankConfig) -> None:
    stage = "heapsort:openai:m@5 base_url=http://h:1/v1 'header=X-Key: hunter2' header=Y:env:HOME"
    job = validate(change(config, stage=(stage,)))
    assert job.stages[0].config.model.header == ("X-Key: hunter2", "Y:env:HOME")
    assert "hunter2" not in json.dumps(as_dict(job.config)) + repr(job.config)
    assert "Y:env:HOME" in hide_stage(stage)
    assert hide_stage("heapsort 'header=X:hunter2") == "***"
    with pytest.raises(InputError, match=r"stage 1: `header` X-Key: give its value again"):
        validate(change(config, stage=(hide_stage(stage),)))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "depth of a later stage": (
        {"stage": (f"pointwise:{ORACLE}@10", f"heapsort:{ORACLE}@11")},
        "stage 2: heapsort reranks 11, but the stage before has 10",
    ),
    "depth of the first stage": (
        {"stage": (f"pointwise:{ORACLE}@10",), "depth": 9},
        "stage 1: pointwise reranks 10, but `depth` is 9",
    ),
    "depth that is no number": (
        {"stage": ("heapsort:a@ten",)},
        "stage 1: heapsort:a@ten: give a number from 1 after @, as in heapsort@20",
    ),
    "method": (
        {"stage": ("heapsrt:a@10",)},
        "stage 1: unknown method 'heapsrt'; did you mean 'heapsort'? Known: allpair, ",
    ),
    "two methods": (
        {"stage": ("heapsort,allpair@5:a",)},
        "stage 1: heapsort,allpair@5:a: give a number from 1 after @",
    ),
    "two methods without depth": (
        {"stage": ("heapsort,allpair:a@5",)},
        "stage 1: heapsort,allpair:a@5: a stage has one method; give a `stage` for each",
    ),
    "no model after the colon": (
        {"stage": ("heapsort:@5",)},
        "stage 1: heapsort:@5: a stage is METHOD:MODEL@DEPTH",
    ),
    "nothing": ({"stage": ("  ",)}, "stage 1: a stage is empty"),
    "quotes": ({"stage": ("heapsort 'a",)}, "stage 1: a quotation mark is not closed"),
    "prompt of the wrong kind": (
        {"stage": ("pointwise:org/a@10", "heapsort:org/b@5 prompt=relevance-yes-no-maybe")},
        "stage 2: unknown prompt 'relevance-yes-no-maybe'; did you mean 'relevance-yes-no'?",
    ),
    "prompt that cannot put the questions": (
        {"stage": ("pointwise:org/a@10 prompt=prp", "heapsort:org/b@5")},
        "stage 1: `method` pointwise asks gradings, and `prompt` prp is of kind choice",
    ),
    "prompt of a reranker": (
        {"stage": ("heapsort:ms-marco-minilm-l12@10 prompt=prp",)},
        "stage 1: `prompt` prp plays no part: `model` ms-marco-minilm-l12 is a reranker",
    ),
    "option": (
        {"stage": ("heapsort:org/a kk=2",)},
        "stage 1: unknown option of a stage 'kk'; did you mean 'k'?",
    ),
    "option of another group": (
        {"stage": ("heapsort:org/a limit=2",)},
        "stage 1: unknown option of a stage 'limit'",
    ),
    "no option": (
        {"stage": ("heapsort:org/a k",)},
        "stage 1: 'k': what follows METHOD:MODEL@DEPTH is written name=value",
    ),
    "option twice": ({"stage": ("heapsort:org/a k=1 k=2",)}, "stage 1: `k` is given twice"),
    "model as an option": (
        {"stage": ("heapsort model=a",)},
        "stage 1: `model` is written before the options",
    ),
    "whole number": (
        {"stage": ("heapsort:org/a k=1_0",)},
        "stage 1: `k` must be a whole number, not '1_0'",
    ),
    "number": (
        {"stage": ("heapsort:org/a prior=much",)},
        "stage 1: `prior` must be a number, not 'much'",
    ),
    "truth": (
        {"stage": ("sliding:org/a early_exit=yes",)},
        "stage 1: `early_exit` must be true or false, not 'yes'",
    ),
    "bounds": ({"stage": ("heapsort:org/a k=0",)}, "stage 1: `k` must be at least 1, not 0"),
    "choices": (
        {"stage": ("heapsort:org/a order=bot",)},
        "stage 1: unknown order 'bot'; did you mean 'both'?",
    ),
    "an option that plays no part": (
        {"stage": ("heapsort:org/a@5", f"heapsort:{ORACLE}@5 base_url=http://x")},
        "stage 2: `base_url` goes with `model` openai:MODEL",
    ),
    "an option outside that plays no part in any": (
        {"stage": ("heapsort:org/a@5", f"heapsort:{ORACLE}@5"), "base_url": "http://x"},
        "stage 1: `base_url` goes with `model` openai:MODEL",
    ),
    "method outside": (
        {"stage": ("heapsort:org/a@5",), "method": "allpair"},
        "`method` plays no part: each `stage` has its own",
    ),
    "prompt outside": (
        {"stage": ("heapsort:org/a@5",), "prompt": "prp"},
        "`prompt` plays no part: each `stage` has its own",
    ),
    "model outside": (
        {"stage": ("heapsort:org/a@5",), "model": "org/b"},
        "`model` org/b plays no part: each `stage` has its own",
    ),
    "cluster": (
        {"stage": ("heapsort:org/a@5",), "ray": "local"},
        "`ray` reranks with one model; leave `stage` out, or `ray`",
    ),
    "money without prices": (
        {"stage": ("heapsort:org/a@5",), "max_cost": 1.0},
        "`max_cost` needs the prices of a million tokens",
    ),
    "budget of a cascade's cross-encoder": (
        {"stage": ("cascade@5",), "max_prompts": 1},
        "stage 1: `max_prompts` plays no part in `method` cascade",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_with_its_stage(config: RerankConfig, name: str) -> None:
    options, message = REFUSED[name]
    with pytest.raises(RankpromptError) as raised:
        validate(change(config, **options))
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


STAGED: dict[str, dict[str, Any]] = {
    "oracles": {"stage": (f"pointwise:{ORACLE}", f"heapsort:{ORACLE}@10 noise=0.2"), "depth": 20},
    "reranker and server": {
        "stage": (
            "pointwise:ms-marco-minilm-l12@50",
            "heapsort:openai:gpt@20 base_url=http://localhost:1/v1 price_in=0.4 order=single",
            "setwise-heapsort:openai:gpt@5 base_url=http://localhost:1/v1 set_size=3",
        ),
        "max_cost": 2.0,
    },
    "options of all": {
        "stage": ("pointwise:ms-marco-minilm-l12", "sliding:org/a@20", "allpair:openai:m@3"),
        "base_url": "http://localhost:1/v1",
        "order": "single",
        "passage_tokens": 30,
        "passes": 4,
        "k": 7,
    },
    "the model given outside": {"stage": ("pointwise@20", "heapsort@9"), "model": "org/a"},
    "a cascade": {"stage": ("cascade:llm:org/a@20", "heapsort:org/b@9"), "passage_tokens": 20},
}


@pytest.mark.parametrize("name", STAGED)
def test_validated_stages_are_valid_and_stay_as_they_are(config: RerankConfig, name: str) -> None:
    job = validate(change(config, **STAGED[name]))
    assert validate(job.config) == job
    assert [stage.config.stage for stage in job.stages] == [()] * len(job.stages)


def test_options_outside_are_those_of_the_stages_where_they_play_a_part(
    config: RerankConfig,
) -> None:
    reranker, local, server = validate(change(config, **STAGED["options of all"])).stages
    assert [stage.config.model.base_url for stage in (reranker, local, server)] == [
        None, None, "http://localhost:1/v1",
    ]  # fmt: skip
    assert (reranker.config.judge.order, local.config.judge.order) == ("both", "single")
    # A stage ranks as many as the next reranks.
    assert [stage.config.ranker.k for stage in (reranker, local, server)] == [20, 7, 7]
    assert [stage.config.ranker.passes for stage in (reranker, local, server)] == [20, 4, 4]
    assert [stage.config.data.depth for stage in (reranker, local, server)] == [100, 20, 3]
    assert {stage.config.judge.passage_tokens for stage in (reranker, local, server)} == {30}


def test_a_configuration_file_has_a_list_of_stages(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(
        'stage = ["pointwise:ms-marco-minilm-l12@100", "heapsort:openai:gpt@20 prompt=prp"]\n'
    )
    assert load_config(tmp_path / "job.toml").stage == (
        "pointwise:ms-marco-minilm-l12@100", "heapsort:openai:gpt@20 prompt=prp",
    )  # fmt: skip


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
