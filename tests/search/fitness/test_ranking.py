import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rankprompt.errors import InputError
from rankprompt.llm.base import Answer, LanguageModel, Request
from rankprompt.prompts.prompt import load_prompt
from rankprompt.prompts.template import parse_template
from rankprompt.search import Genome, SeedPrompt
from rankprompt.search.fitness.ranking import RankingProblem, make_triples, markers
from rankprompt.types import Candidates, Document, Query
from tests.fakes import FakeModel
from tests.search.toys import words
from tests.search.worlds import RANKING, Scorer, problem_of, scorer_of, write_ranking


def test_triples_are_judged_and_hard_and_apart() -> None:
    documents = tuple(Document(f"d{n}", f"text {n}") for n in range(6))
    query = Query("q", "why")
    qrels = {"q": {"d0": 1, "d1": 0, "d3": 3, "d4": 2, "d5": 0}}
    candidates = [Candidates(query, documents, (6, 5, 4, 3, 2, 1))]
    found = make_triples(candidates, qrels, gap=2, number=2, seed=0)
    assert [one.worse.id for one in found] == ["d0", "d1"]
    for one in found:
        assert qrels["q"][one.better.id] - qrels["q"][one.worse.id] >= 2
    assert len(make_triples(candidates, qrels, gap=1, number=9, seed=0)) == 4
    assert make_triples(candidates, qrels, gap=4, number=9, seed=0) == []
    drawn = {make_triples(candidates, qrels, gap=1, number=2, seed=n)[1].better for n in range(20)}
    assert len(drawn) > 1


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("query-likelihood-demonstrations", ("\nPassage: ", "\nQuery:")),
        (
            "contrast",
            ("Passage A: ", "\nPassage B: ", "\nThe search query that Passage ", " answers:"),
        ),
    ],
)
def test_so_do_those_of_prompts_that_score_the_query(name: str, kept: tuple[str, ...]) -> None:
    assert markers(load_prompt(name).text) == kept


@pytest.mark.parametrize("name", ["prp", "prp-demonstrations", "prp-zh"])
def test_the_markers_of_a_ranking_prompt_stay(name: str) -> None:
    prompt = load_prompt(name).text
    kept = markers(prompt)
    assert len(kept) == 3
    assert all(kept)
    before_first, before_second, end = (
        prompt.parts[len(prompt.parts) - 1 - prompt.parts[::-1].index(slot) - 1]
        for slot in ("first", "second", "second")
    )
    assert before_first.endswith(kept[0])
    assert before_second.endswith(kept[1])
    assert end != ""
    assert prompt.parts[-1].endswith(kept[2])


def prefers(better: Callable[[str], bool]) -> FakeModel:
    def rule(request: Request) -> Answer:
        first, second = (
            request.prompt.rpartition(f"Passage {name}: ")[2].partition("\n")[0] for name in "AB"
        )
        share = 0.5 + 0.4 * (better(first) - better(second))
        return Answer((math.log(share), math.log(1 - share)), (2, 2))

    return FakeModel(rule)


def ranking_of(path: Path, model: LanguageModel) -> Scorer[RankingProblem]:
    return scorer_of(path, model, RankingProblem)


SEED = str(load_prompt("prp").text)


def test_a_ranking_is_right_where_both_orders_are(tmp_path: Path) -> None:
    path = write_ranking(tmp_path)
    perfect = ranking_of(path, prefers(lambda text: "good" in text))
    assert perfect([SEED]) == [pytest.approx(160)]
    (found,) = perfect.measures([SEED], "calibration")
    assert found["ndcg@10"] == pytest.approx(1)
    assert found["accuracy"] == 1
    a_always = FakeModel(lambda _: Answer((math.log(0.9), math.log(0.1)), (2, 2)))
    (biased,) = ranking_of(path, a_always).measures([SEED], "search")
    assert biased == {"accuracy": 0.5, "reward": pytest.approx((160 - 144) / 2)}
    worst = ranking_of(path, prefers(lambda text: "poor" in text))
    (found,) = worst.measures([SEED], "test")
    assert found["ndcg@10"] < 0.8
    assert found["reward"] == pytest.approx(-144)


def likes(word: str) -> FakeModel:
    """The query is the likelier after passages that hold the word, by 0.5 nats a token."""

    def rule(request: Request) -> Answer:
        passage = request.prompt.rpartition("Passage: ")[2]
        return Answer((-6.0 if word in passage else -8.0,), (4,))

    return FakeModel(rule)


def test_a_prompt_that_reads_one_passage_at_a_time_is_asked_once(tmp_path: Path) -> None:
    text = RANKING.replace("triples", 'prompt = "query-likelihood-demonstrations"\ntriples')
    path = write_ranking(tmp_path, text)
    model = likes("good")
    scorer = ranking_of(path, model)
    problem = scorer.problem
    seed = SeedPrompt(problem.segments, words)
    share = 1 / (1 + math.exp(-0.5))
    assert scorer([str(seed.template(seed.whole))]) == [pytest.approx(200 * (2 * share - 1))]
    assert len(model.prompts) == problem.labels["search"]  # each passage, whatever its triples
    assert len({one.prompt[: one.breaks[0]] for one in model.prompts}) == 1
    (found,) = scorer.measures([str(seed.template(seed.whole))], "calibration")
    assert found["accuracy"] == found["ndcg@10"] == 1
    (found,) = ranking_of(path, likes("poor")).measures([str(seed.template(seed.whole))], "test")
    assert found["accuracy"] == 0
    assert found["reward"] == pytest.approx(-180 * (2 * share - 1))
    out = tmp_path / "prompt.toml"
    out.write_text(problem.format_file(seed.template(seed.whole)), "utf-8")
    shipped = load_prompt("query-likelihood-demonstrations")
    evolved = load_prompt(str(out))
    assert (evolved.target, evolved.prior) == (shipped.target, shipped.prior)


def test_the_first_stage_has_its_say_where_the_prompt_lets_it(tmp_path: Path) -> None:
    (tmp_path / "even.toml").write_text(
        'kind = "likelihood"\ntext = "Passage: {passage}\\nQuery:"\ntarget = " {query}"\n'
        "prior = 0.1\n"
    )
    text = RANKING.replace("triples", f'prompt = "{tmp_path}/even.toml"\ntriples')
    path = write_ranking(tmp_path, text)
    (tmp_path / "qrels.trec").write_text(
        "".join(f"q{q} 0 q{q}d{place} {4 - place}\n" for q in range(6) for place in range(5))
    )
    even = FakeModel(lambda _: Answer((-1.0,), (1,)))
    (found,) = ranking_of(path, even).measures(["Passage: {passage}"], "test")
    assert found == {"ndcg@10": 1, "accuracy": 0, "reward": 0}


def test_a_rankings_splits_are_by_query(tmp_path: Path) -> None:
    problem = ranking_of(write_ranking(tmp_path), prefers(lambda text: "good" in text)).problem
    queries = [one.query.id for part in problem.splits.values() for one in part]
    assert sorted(queries) == [f"q{n}" for n in range(6)]
    # Two triples a query; a passage may be the better one of both.
    assert 6 <= problem.labels["search"] <= 8
    assert (problem.labels["calibration"], problem.labels["test"]) == (10, 10)


def test_an_evolved_ranking_prompt_is_a_prompt_file(tmp_path: Path) -> None:
    problem = ranking_of(write_ranking(tmp_path), prefers(lambda text: "good" in text)).problem
    seed = SeedPrompt(problem.segments, words)
    pruned: Genome = tuple(n % 3 > 0 for n in range(len(seed.genes)))
    path = tmp_path / "prompt.toml"
    path.write_text(problem.format_file(seed.template(pruned)), "utf-8")
    evolved = load_prompt(str(path))
    assert evolved == replace(
        load_prompt("prp-demonstrations"),
        name=str(path),
        text=parse_template(str(seed.template(pruned))),
        description=evolved.description,
        prior=0.0,
    )
    assert evolved.text.parts[-1].endswith("Output Passage A or Passage B:")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("search = 2", "search = 4", "too few queries: 7 for the three splits, and 6"),
        ("triples = 2", "gap = 3", "3 grades apart; lower gap"),
    ],
)
def test_a_collection_that_holds_too_little_is_refused(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = write_ranking(tmp_path, RANKING.replace(old, new))
    with pytest.raises(Exception, match=said):
        problem_of(path)


@pytest.mark.parametrize("name", ["listwise", "setwise", "relevance-labels"])
def test_a_prompt_that_compares_no_two_passages_is_refused(tmp_path: Path, name: str) -> None:
    path = write_ranking(tmp_path, RANKING.replace("triples", f'prompt = "{name}"\ntriples'))
    with pytest.raises(InputError, match="compares no two passages"):
        problem_of(path)
