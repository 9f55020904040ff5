"""``Reranker``: the command line's ranking for texts in memory, for many callers at a time."""

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankprompt import Ranking, RerankConfig, Reranker, Usage
from rankprompt.api.documents import DocumentLike
from rankprompt.errors import InputError
from rankprompt.files import write_run
from rankprompt.files.manifest import manifest_path
from rankprompt.journal.store import Journal
from rankprompt.pipeline.rerank import run_rerank
from tests.api.conftest import TEXTS
from tests.configs import configure
from tests.fakes import FakeModel

QUERY = "the quick brown fox"
CHOICE = (
    'kind = "choice"\noptions = [" Passage A", " Passage B"]\n'
    'text = "Query: {query}\\nA: {first}\\nB: {second}\\nWhich is better?"\n'
)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """The model that every name loads."""
    model = FakeModel(batch_size=8)
    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", lambda *_, **__: model)
    return model


@pytest.fixture
def prompt(tmp_path: Path) -> str:
    """A prompt file that asks for a choice between two passages."""
    (tmp_path / "choice.toml").write_text(CHOICE)
    return str(tmp_path / "choice.toml")


def order(ranking: Ranking) -> list[int]:
    return [document.index for document in ranking]


def run_of(config: RerankConfig, folder: Path, texts: Sequence[str]) -> dict[str, float]:
    """The scores that ``rankprompt rerank`` writes for these texts, by id."""
    (folder / "queries.tsv").write_text(f"0\t{QUERY}\n")
    rows = [json.dumps({"id": str(i), "text": text}) for i, text in enumerate(texts)]
    (folder / "docs.jsonl").write_text("\n".join(rows))
    write_run(folder / "first.trec", {"0": [str(index) for index in range(len(texts))]}, "first")
    run_rerank(config)
    lines = (folder / "out.trec").read_text().splitlines()
    return {line.split()[2]: float(line.split()[4]) for line in lines}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"method": "pointwise"},
        {"method": "heapsort", "k": 3},
        {"method": "bradley-terry", "comparisons": 20},
        {"depth": 5},
    ],
)
def test_a_ranking_is_that_of_the_command_line(
    folder: Path, tmp_path: Path, options: dict[str, object]
) -> None:
    files = {"run": "first.trec", "queries": "queries.tsv", "docs": "docs.jsonl"}
    paths = {name: tmp_path / file for name, file in files.items()}
    config = configure(model=str(folder), output=tmp_path / "out.trec", **paths, **options)
    expected = run_of(config, tmp_path, TEXTS)
    with Reranker(str(folder), **options) as reranker:  # type: ignore[arg-type]
        ranking = reranker.rank(QUERY, TEXTS)
    assert ranking.as_run() == expected
    assert [document.rank for document in ranking] == list(range(1, len(TEXTS) + 1))


def test_a_ranking_says_all_of_a_document(reranker: Reranker) -> None:
    documents: list[DocumentLike] = [
        "a fox",
        ("b", "a dog"),
        {"id": "c", "text": "a bird", "year": 1999},
    ]
    ranking = reranker.rank(QUERY, documents)
    assert sorted(order(ranking)) == [0, 1, 2]
    for one in ranking:
        assert one.document == documents[one.index]
        assert one.id == ["0", "b", "c"][one.index]
        assert one.text == ["a fox", "a dog", "a bird"][one.index]
        assert one.value is not None
    scores = [one.score for one in ranking]
    assert scores == sorted(scores, reverse=True)
    assert 0 <= scores[-1] < scores[0] <= 1
    assert ranking.usage.prompts == ranking.usage.questions == 3
    assert ranking.to_records()[0]["id"] == ranking[0].id


def test_many_queries_share_the_batches_and_rank_as_each_alone(fake: FakeModel) -> None:
    queries = [f"query {number}" for number in range(5)]
    lists = [[f"text {number} {i}" for i in range(number)] for number in range(5)]
    with Reranker("cross-encoder:fake") as reranker:
        together = reranker.rank_many(queries, lists)
        batches = len(fake.batches)
        alone = [reranker.rank(*one) for one in zip(queries, lists, strict=True)]
    assert batches == 2  # of 8, for 10 documents
    assert [one.as_run() for one in together] == [one.as_run() for one in alone]
    assert [one.query for one in together] == queries


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(st.sampled_from(["", " ", "a", "b c", "a", "é\n"]), max_size=8))
def test_every_document_is_ranked_once_and_blank_ones_last(
    fake: FakeModel, texts: list[str]
) -> None:
    with Reranker("cross-encoder:fake") as reranker:
        ranking = reranker.rank(QUERY, texts)
        assert sorted(order(ranking)) == list(range(len(texts)))
        blank = [not texts[index].strip() for index in order(ranking)]
        assert blank == sorted(blank)
        assert ranking.usage.questions == blank.count(False)
        assert [one.value is None for one in ranking] == blank
    assert all(request.passage for request in fake.prompts)


def test_the_best_k_and_a_threshold_leave_documents_out(reranker: Reranker) -> None:
    whole = reranker.rank(QUERY, TEXTS)
    assert order(reranker.rank(QUERY, TEXTS, top_k=3)) == order(whole)[:3]
    assert order(whole.top_k(3)) == order(whole)[:3]
    assert order(reranker.rank(QUERY, TEXTS, top_k=0)) == []
    assert order(reranker.rank(QUERY, TEXTS, top_k=999)) == order(whole)
    middle = (whole[1].score + whole[2].score) / 2
    above = reranker.rank(QUERY, TEXTS, threshold=middle)
    assert order(above) == order(whole)[:2]
    assert order(reranker.with_options(threshold=middle).rank(QUERY, TEXTS)) == order(above)
    assert len(reranker.rank(QUERY, TEXTS, threshold=1.0)) == 0


def test_a_ranking_explains_itself(fake: FakeModel, prompt: str) -> None:
    texts = ["", "one", "two", " ", "three"]
    with Reranker("fake", method="allpair", prompt=prompt) as reranker:
        ranking = reranker.rank(QUERY, texts, explain=True)
    assert ranking.explanation is not None
    assert {one.indices for one in ranking.explanation} == {(1, 2), (1, 4), (2, 4)}
    assert {one.kind for one in ranking.explanation} == {"comparison"}
    wins = dict.fromkeys((1, 2, 4), 0.0)
    for one in ranking.explanation:
        assert isinstance(one.answer, float)
        wins[one.indices[0]] += one.answer
        wins[one.indices[1]] += 1 - one.answer
        assert one.answered
    assert [wins[index] for index in order(ranking)[:3]] == sorted(wins.values(), reverse=True)
    assert len(fake.prompts) == 6
    assert Reranker("fake", prompt=prompt).rank(QUERY, texts).explanation is None


def test_an_explanation_names_the_stage_and_what_the_budget_did_not_reach(
    fake: FakeModel, prompt: str
) -> None:
    stages = ["pointwise:cross-encoder:fake@4", f"allpair:fake@3 prompt={prompt}"]
    with Reranker(stages=stages, max_prompts=6) as reranker:
        ranking = reranker.rank(QUERY, ["one", "two", "three", "four", "five"], explain=True)
    assert ranking.explanation is not None
    assert [one.stage for one in ranking.explanation] == [1] * 4 + [2] * 3
    assert [one.answered for one in ranking.explanation] == [True] * 5 + [False] * 2
    assert ranking.usage.unasked == 2
    assert len(fake.prompts) == ranking.usage.prompts == 6


def test_calls_at_the_same_time_rank_as_alone(folder: Path) -> None:
    queries = [f"{text} {number}" for number, text in enumerate(TEXTS)]
    with Reranker(str(folder)) as reranker:
        alone = [reranker.rank(query, TEXTS).as_run() for query in queries]

        async def all_at_once() -> list[Ranking]:
            return await asyncio.gather(*(reranker.arank(query, TEXTS) for query in queries))

        with ThreadPoolExecutor(8) as pool:
            threads = [pool.submit(reranker.rank, query, TEXTS) for query in queries]
            tasks = asyncio.run(all_at_once())
            for found in ([one.result() for one in threads], tasks):
                for expected, ranking in zip(alone, found, strict=True):
                    assert ranking.as_run() == pytest.approx(expected, abs=1e-5)


def test_a_journal_answers_what_was_asked_before(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "answers.journal"
    with Reranker(str(folder), journal=path) as reranker:
        with ThreadPoolExecutor(4) as pool:
            first = list(pool.map(lambda text: reranker.rank(text, TEXTS), TEXTS[:4]))
        assert reranker.usage.prompts == 4 * len(TEXTS)
    with Reranker(str(folder), journal=str(path)) as reranker:
        again = reranker.rank(TEXTS[0], TEXTS)
        assert again.as_run() == first[0].as_run()
        assert again.usage.prompts == 0
        assert again.usage.prompts_from_journal == len(TEXTS)
    assert Journal(path).totals() == (4 * len(TEXTS), 4 * len(TEXTS))


def test_usage_adds_up_and_has_a_price(fake: FakeModel) -> None:
    with Reranker("cross-encoder:fake", price_in=1e6) as reranker:
        first, second = reranker.rank("a", ["b"]), reranker.rank("a", ["c", "d"])
        assert first.usage.cost == first.usage.tokens > 0
        assert reranker.usage == first.usage + second.usage
        assert Usage() + first.usage == first.usage
    assert len(fake.prompts) == 3


def test_a_variant_shares_the_model(monkeypatch: pytest.MonkeyPatch, prompt: str) -> None:
    loaded: list[FakeModel] = []

    def load(*_: object, **__: object) -> FakeModel:
        loaded.append(FakeModel())
        return loaded[-1]

    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", load)
    with Reranker("fake", method="allpair", prompt=prompt) as reranker:
        reranker.warm_up()
        variant = reranker.with_options(method="heapsort", k=1)
        variant.rank(QUERY, TEXTS)
        assert variant.usage.questions < len(TEXTS) * (len(TEXTS) - 1) / 2
        assert (variant.config.ranker.method, variant.config.ranker.k) == ("heapsort", 1)
        assert reranker.config.ranker.method == "allpair"
    assert len(loaded) == 1


def test_a_configuration_comes_from_a_file_or_a_manifest(folder: Path, tmp_path: Path) -> None:
    files = {"run": "first.trec", "queries": "queries.tsv", "docs": "docs.jsonl"}
    config = configure(
        model=str(folder), output=tmp_path / "out.trec", method="heapsort", k=2,
        **{name: tmp_path / file for name, file in files.items()},
    )  # fmt: skip
    expected = run_of(config, tmp_path, TEXTS)
    toml = tmp_path / "config.toml"
    toml.write_text(f'[model]\nname = "{folder}"\n[ranker]\nmethod = "heapsort"\nk = 2\n')
    before = (tmp_path / "out.trec").read_bytes()
    for source in (config, toml, str(manifest_path(tmp_path / "out.trec"))):
        with Reranker.from_config(source) as reranker:
            assert reranker.rank(QUERY, TEXTS).as_run() == expected
    assert (tmp_path / "out.trec").read_bytes() == before
    with Reranker.from_config(toml, method="pointwise") as reranker:
        assert reranker.config.ranker.method == "pointwise"


def test_a_plan_prices_the_methods(reranker: Reranker) -> None:
    plan = reranker.plan(QUERY, TEXTS)
    prompts = {one.method: one.prompts for one in plan.methods}
    assert prompts["pointwise"] == len(TEXTS)
    many = reranker.plan([QUERY, QUERY], [TEXTS, TEXTS[:3]])
    assert many.queries == 2
    assert {one.method: one.prompts for one in many.methods}["pointwise"] == len(TEXTS) + 3
    with pytest.raises(InputError, match="nothing to plan"):
        reranker.plan(QUERY, [""])


def test_a_cancelled_task_asks_nothing_more(fake: FakeModel, prompt: str) -> None:
    async def cancel() -> None:
        with Reranker("fake", method="heapsort", prompt=prompt) as reranker:
            task = asyncio.create_task(reranker.arank(QUERY, [f"text {i}" for i in range(500)]))
            while not fake.batches:
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.05)
            asked = len(fake.batches)
            await asyncio.sleep(0.05)
            assert len(fake.batches) == asked

    asyncio.run(cancel())


def test_a_closed_reranker_says_so(folder: Path) -> None:
    reranker = Reranker(str(folder))
    reranker.rank(QUERY, TEXTS)
    reranker.close()
    reranker.close()
    with pytest.raises(InputError, match="was closed"):
        reranker.rank(QUERY, TEXTS)
    with pytest.raises(InputError, match="was closed"):
        asyncio.run(reranker.arank(QUERY, TEXTS))
