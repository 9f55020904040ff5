"""A plan is what the run turns out to be."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.errors import InputError
from rankprompt.eval import parse_measure, score
from rankprompt.files import read_documents, read_qrels, read_queries, write_run
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.rerank import run_rerank
from rankprompt.planning.plan import NOISES
from rankprompt.prompts.prompt import load_prompt
from rankprompt.rankers import METHODS, PAIRWISE
from rankprompt.rankers.reranking import Reranked, rerank
from rankprompt.types import Candidates, Qrels, Run
from tests.configs import change, configure
from tests.fakes import FakeModel
from tests.planning.plans import plan, planned, with_settings

NDCG = parse_measure("ndcg@10")


QRELS = sample("en") / "qrels.trec"


def ndcg(run: Run, truth: Qrels) -> float:
    return score(run, truth, [NDCG]).means[NDCG.name]


def run_of(job: RerankConfig) -> str:
    assert job.data.run is not None
    return job.data.run.read_text()


def folder_of(job: RerankConfig) -> Path:
    assert job.data.run is not None
    return job.data.run.parent


@pytest.mark.parametrize("method", METHODS)
def test_counts_and_quality_are_those_of_an_oracles_run(
    english: RerankConfig, tmp_path: Path, method: str
) -> None:
    job = with_settings(english, tmp_path, k=5, method=method)
    costs = run_rerank(job)["costs"]
    row = planned(job, measure=ndcg)[method]
    assert row["comparisons"] == costs["comparisons_asked"]
    assert row["rounds"] == costs["rounds"]
    assert (row["tokens"], row["seconds"], row["cost"]) == (None, None, None)


@pytest.mark.parametrize("order", ["both", "single"])
@pytest.mark.parametrize("method", PAIRWISE)
def test_prompts_and_tokens_are_those_of_a_models_run(
    english: RerankConfig, model: FakeModel, tmp_path: Path, method: str, order: str
) -> None:
    settings = {"model": "fake", "prompt": str(folder_of(english) / "choice.toml"), "k": 3}
    # Fifteen pairs a query: few enough to count them all.
    job = with_settings(
        english, tmp_path, **settings, depth=6, order=order, method=method, passage_tokens=9
    )
    row = planned(job, qrels=QRELS)[method]
    assert model.prompts == []
    costs = run_rerank(job)["costs"]
    asked = costs["comparisons_asked"] + costs["comparisons_repeated"]
    assert row["comparisons"] == asked
    assert row["rounds"] == costs["rounds"]
    assert row["prompts"] == costs["prompts"] <= (1 + (order == "both")) * asked
    assert row["tokens"] == costs["prompt_tokens"]
    assert row["tokens"] == sum(map(model.length, model.prompts))


def test_tokens_are_those_of_every_request_by_brute_force(
    english: RerankConfig, model: FakeModel, tmp_path: Path
) -> None:
    queries, documents = (
        read_queries(english.data.queries or ""),
        read_documents(english.data.docs or ""),
    )
    run = [line.split() for line in run_of(english).splitlines()]
    for name in ("prp", "contrast", "query-likelihood"):
        asks = pairwise_adapter(load_prompt(name), "scoring")
        requests = {
            request
            for query in list(dict.fromkeys(one[0] for one in run))[:3]
            for pair in combinations([one[2] for one in run if one[0] == query][:5], 2)
            for first, second in (pair, pair[::-1])
            for request in asks.requests(
                queries[query], (documents[first].text, documents[second].text)
            )
        }
        job = with_settings(english, tmp_path, model="fake", prompt=name, depth=5)
        row = planned(job)["allpair"]
        assert row["prompts"] == len(requests)
        assert row["tokens"] == sum(map(model.length, requests))


def test_a_passage_read_alone_costs_one_prompt_however_many_pairs_are_asked(
    english: RerankConfig, model: FakeModel, tmp_path: Path
) -> None:
    job = with_settings(english, tmp_path, model="fake", prompt="query-likelihood")
    rows = planned(job, qrels=QRELS)
    rows = {name: rows[name] for name in (*PAIRWISE, "pointwise")}
    assert len({row["comparisons"] for row in rows.values()}) == 6
    assert {row["prompts"] for row in rows.values()} == {3 * 20}
    run_rerank(with_settings(job, tmp_path, method="heapsort"))
    assert {row["tokens"] for row in rows.values()} == {sum(map(model.length, model.prompts))}


@pytest.mark.usefixtures("model")
def test_a_sample_of_pairs_stands_for_many(english: RerankConfig, tmp_path: Path) -> None:
    job = with_settings(english, tmp_path, model="fake", prompt="prp")
    row = planned(job)["allpair"]
    run_rerank(with_settings(job, tmp_path, method="allpair"))
    costs = run_rerank(with_settings(job, tmp_path, method="allpair", journal=tmp_path / "new"))
    assert row["prompts"] == costs["costs"]["prompts"] == 3 * 190 * 2
    assert row["tokens"] == pytest.approx(costs["costs"]["prompt_tokens"], rel=0.02)
    assert planned(job)["allpair"] == row


def test_a_hundred_documents_cost_what_the_papers_say(tmp_path: Path) -> None:
    write_run(tmp_path / "run.trec", {"q": [f"d{i}" for i in range(100)]}, tag="x")
    (tmp_path / "queries.tsv").write_text("q\tsalt\n")
    lines = [f'{{"id": "d{i}", "text": "Passage {i}."}}\n' for i in range(100)]
    (tmp_path / "docs.jsonl").write_text("".join(lines))
    (tmp_path / "qrels.trec").write_text("q 0 d7 2\nq 0 d50 1\n")
    job = configure(
        run=tmp_path / "run.trec",
        queries=tmp_path / "queries.tsv",
        docs=tmp_path / "docs.jsonl",
        output=tmp_path / "out.trec",
        model=f"oracle:{tmp_path / 'qrels.trec'}",
    )
    found = plan(job, measure=lambda *_: 0.0)
    rows = {row["method"]: (row["comparisons"], row["rounds"]) for row in found["methods"]}
    assert (rows["allpair"], rows["sliding"], rows["pipelined"]) == (
        (4950, 1), (945, 945), (945, 108),
    )  # fmt: skip
    assert found["methods"][-1]["prompts"] == 2 * 4950
    order = [row["comparisons"] for row in found["methods"]]
    assert order == sorted(order)
    assert {path.name for path in tmp_path.iterdir()} == {
        "run.trec", "queries.tsv", "docs.jsonl", "qrels.trec",
    }  # fmt: skip


def test_on_dl19_counts_are_the_runs_and_noise_hurts_heapsort_more_than_allpair(
    data: Path, tmp_path: Path
) -> None:
    source = data / "dl19"
    files = [source / name for name in ("run.bm25.trec", "queries.tsv", "docs.jsonl")]
    oracle = f"oracle:{source / 'qrels.trec'}"
    job = configure(
        run=files[0], queries=files[1], docs=files[2], output=tmp_path / "out.trec", model=oracle,
        limit=5,
    )  # fmt: skip
    rows = planned(job, measure=ndcg, seeds=2)
    for method in METHODS:
        costs = run_rerank(with_settings(job, tmp_path, method=method))["costs"]
        assert rows[method]["comparisons"] == costs["comparisons_asked"]
        assert rows[method]["rounds"] == costs["rounds"]
    reached = {method: row["quality"] for method, row in rows.items()}
    exact = set(METHODS) - {"prp-graph", "tourrank"}
    assert len({reached[name]["0.0"] for name in exact}) == 1
    for noise in ("0.1", "0.2"):
        assert reached["heapsort"][noise] < reached["allpair"][noise] - 0.05
        assert reached["allpair"][noise] < reached["allpair"]["0.0"]
    assert reached["heapsort"]["0.2"] < reached["heapsort"]["0.1"]


def test_the_quality_is_what_evaluate_says_of_the_noisy_oracles_run(
    english: RerankConfig, tmp_path: Path
) -> None:
    row = planned(with_settings(english, tmp_path, seed=4), measure=ndcg, seeds=1)["heapsort"]
    qrels = read_qrels(QRELS)
    for noise in NOISES:
        job = with_settings(english, tmp_path, seed=4, noise=noise, method="heapsort")
        run_rerank(job)
        ranked: dict[str, dict[str, float]] = {}
        for line in (tmp_path / "out.trec").read_text().splitlines():
            query, _, document, _, value, _ = line.split()
            ranked.setdefault(query, {})[document] = float(value)
        truth = {query: qrels[query] for query in ranked}
        assert row["quality"][str(noise)] == pytest.approx(ndcg(ranked, truth))


def test_the_first_stage_is_measured_as_it_is(english: RerankConfig) -> None:
    seen: list[Mapping[str, Mapping[str, float]]] = []

    def measure(run: Run, _: Qrels) -> float:
        seen.append(run)
        return 0.25

    assert plan(english, measure=measure)["first_stage"] == 0.25
    first = [line.split()[2] for line in run_of(english).splitlines()[:10]]
    ((_, ranked), *_) = seen[0].items()
    assert sorted(ranked, key=lambda name: -ranked[name]) == first


def test_grades_that_are_given_go_before_the_oracles(english: RerankConfig) -> None:
    job = change(english, model="oracle:nowhere.trec", limit=1)
    with pytest.raises(InputError, match="nowhere"):
        plan(job, measure=ndcg)
    assert plan(job, measure=ndcg, qrels=QRELS)["grades"] == str(QRELS)


@pytest.mark.usefixtures("model")
def test_a_model_without_qrels_is_planned_with_synthetic_qrels(
    english: RerankConfig, tmp_path: Path
) -> None:
    found = plan(with_settings(english, tmp_path, model="fake"), measure=ndcg, seeds=2)
    assert found["grades"] == "synthetic"
    for row in found["methods"]:
        if row["method"] not in ("prp-graph", "tourrank"):  # the others are exact
            assert row["quality"]["0.0"] == pytest.approx(1)
        assert row["quality"]["0.2"] < 1
    assert 0 < found["first_stage"] < 1


@pytest.mark.usefixtures("model")
def test_the_cost_is_the_tokens_at_their_prices(english: RerankConfig, tmp_path: Path) -> None:
    settings = {"model": "fake", "prompt": "prp", "price_in": 2.0, "price_out": 8.0}
    row = planned(with_settings(english, tmp_path, **settings), qrels=QRELS)["quickselect"]
    assert row["written_tokens"] == 0
    assert row["cost"] == pytest.approx(row["tokens"] * 2e-6)
    row = planned(with_settings(english, tmp_path, **settings, mode="generation"), qrels=QRELS)[
        "quickselect"
    ]
    assert row["written_tokens"] == 8 * row["prompts"]  # as many as the prompt allows
    read = row["tokens"] - row["written_tokens"]
    assert row["cost"] == pytest.approx(read * 2e-6 + row["written_tokens"] * 8e-6)
    assert planned(with_settings(english, tmp_path, model="fake"))["allpair"]["cost"] is None


def test_progress_reaches_about_its_total(english: RerankConfig) -> None:
    told: list[int] = []

    @contextmanager
    def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
        assert what == "simulating"
        told.append(total)
        yield lambda steps: told.append(-steps)

    plan(english, measure=lambda *_: 0.0, progress=progress)
    assert -sum(told[1:]) == pytest.approx(told[0], rel=0.1)


@pytest.mark.parametrize(
    ("settings", "job", "told"),
    [
        ({"seeds": 0}, {}, r"`seeds` must be at least 1, not 0"),
        ({}, {"depth": 0}, r"`depth` must be at least 1, not 0"),
        ({"qrels": sample("zh") / "qrels.trec"}, {}, r"no grades for any of the run's 3 queries"),
    ],
)
def test_bad_settings_are_told_before_anything_is_asked(
    english: RerankConfig, tmp_path: Path, settings: dict[str, Any], job: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        plan(with_settings(english, tmp_path, **job), measure=ndcg, **settings)


def test_candidates_without_any_text_cannot_be_planned(
    english: RerankConfig, tmp_path: Path
) -> None:
    docs = tmp_path / "docs.jsonl"
    docs.write_text('{"id": "other", "text": "Salt."}\n')
    job = with_settings(english, tmp_path, docs=docs, skip_missing=True)
    with pytest.raises(InputError, match="nothing to plan"):
        plan(job, measure=ndcg)


def test_queries_are_simulated_one_at_a_time(
    english: RerankConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []

    def counted(some: Sequence[Candidates], *rest: Any, **settings: Any) -> Reranked:
        held.append(len(some))
        return rerank(some, *rest, **settings)

    monkeypatch.setattr("rankprompt.planning.simulation.rerank", counted)
    plan(english, measure=lambda *_: 0.0)
    assert set(held) == {1}
