from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError
from rankprompt.judges.simulated.pairwise_oracle import PairwiseOracle
from rankprompt.rankers import METHODS, PAIRWISE, RankerSettings, allpair, heapsort, sliding
from rankprompt.rankers.reranking import Reranked, insert_reranked, rerank
from rankprompt.rankers.scores import DocumentScore
from rankprompt.types import Candidates, Document, PairwiseQuestion, Preference, Query

IDS = st.lists(st.text("abcdef", min_size=1, max_size=3), unique=True, max_size=12)


def candidates(query: str, *documents: str) -> Candidates:
    scores = tuple(float(-rank) for rank in range(len(documents)))
    texts = tuple(Document(name, f"text of {name}") for name in documents)
    return Candidates(Query(query, f"text of {query}"), texts, scores)


class AlphabeticalJudge:
    """Prefers the later id in the alphabet, and records its rounds."""

    def __init__(self) -> None:
        self.rounds: list[list[PairwiseQuestion]] = []

    def __call__(self, questions: Sequence[PairwiseQuestion]) -> list[Preference]:
        self.rounds.append(list(questions))
        return [float(question.first.id > question.second.id) for question in questions]


@given(IDS, st.data())
def test_merging_is_a_permutation_that_leaves_all_others_in_their_places(
    first_stage: list[str], data: st.DataObject
) -> None:
    chosen = [name for name in first_stage if data.draw(st.booleans())]
    reranked = data.draw(st.permutations(chosen))
    merged = insert_reranked(first_stage, reranked)
    assert sorted(merged) == sorted(first_stage)
    assert [name for name in merged if name in set(chosen)] == list(reranked)
    for before, after in zip(first_stage, merged, strict=True):
        assert (before == after) or (before in chosen and after in chosen)


@given(IDS)
def test_merging_nothing_and_merging_the_same_change_nothing(first_stage: list[str]) -> None:
    assert (
        insert_reranked(first_stage, []) == insert_reranked(first_stage, first_stage) == first_stage
    )


def test_merging_a_whole_new_ranking_gives_that_ranking() -> None:
    assert insert_reranked(["a", "b", "c"], ["c", "a", "b"]) == ["c", "a", "b"]


def test_rankings_come_in_the_order_of_the_candidates() -> None:
    given_candidates = [candidates("q2", "a", "c", "b"), candidates("q1", "b", "a")]
    reranked = rerank(given_candidates, AlphabeticalJudge(), allpair)
    assert reranked.rankings == {"q2": ["c", "b", "a"], "q1": ["b", "a"]}
    assert reranked.rounds == 1
    assert list(reranked.rankings) == list(reranked.scores) == ["q2", "q1"]


def test_queries_share_their_rounds() -> None:
    judge = AlphabeticalJudge()
    rounds: list[int] = []
    ranker = partial(sliding, passes=1)
    many = [candidates("q1", "a", "b", "c", "d"), candidates("q2", "a", "b"), candidates("q3", "a")]
    reranked = rerank(many, judge, ranker, on_round=rounds.append)
    # The longest query takes three rounds, and the others share them.
    assert reranked.rounds == len(judge.rounds) == 3
    assert rounds == [2, 1, 1]
    assert {question.query.id for question in judge.rounds[0]} == {"q1", "q2"}
    assert reranked.rankings["q3"] == ["a"]


@pytest.mark.parametrize("method", PAIRWISE)
def test_together_a_query_is_ranked_as_it_is_alone(method: str) -> None:
    ranker = METHODS[method].bind(RankerSettings(3, 3, False))
    many = [candidates(f"q{n}", *"gdbfaec"[:n]) for n in range(8)]
    together = rerank(many, AlphabeticalJudge(), ranker)
    alone = [rerank([query], AlphabeticalJudge(), ranker) for query in many]
    assert together.rankings == {
        query: ranking for reranked in alone for query, ranking in reranked.rankings.items()
    }
    assert together.rounds == max(reranked.rounds for reranked in alone)


def test_comparisons_carry_query_and_documents_with_their_texts() -> None:
    judge = AlphabeticalJudge()
    rerank([candidates("q", "a", "b")], judge, allpair)
    assert judge.rounds == [
        [
            PairwiseQuestion(
                Query("q", "text of q"), Document("a", "text of a"), Document("b", "text of b")
            )
        ]
    ]


def test_nothing_to_rank_asks_nothing() -> None:
    judge = AlphabeticalJudge()
    assert rerank([], judge, allpair) == Reranked({}, 0, {})
    too_few = [candidates("q1", "a"), candidates("q2")]
    unjudged = {"q1": {"a": DocumentScore(0.0, None)}, "q2": {}}
    assert rerank(too_few, judge, allpair) == Reranked({"q1": ["a"], "q2": []}, 0, unjudged)
    assert judge.rounds == []


def ties(questions: Sequence[PairwiseQuestion]) -> list[Preference]:
    return [0.5] * len(questions)


def test_a_judge_of_ties_shows_the_input_order() -> None:
    query = [candidates("q", *"abcdef")]

    def order(name: str, seed: int = 0) -> str:
        return "".join(rerank(query, ties, allpair, input_order=name, seed=seed).rankings["q"])

    assert order("given") == "abcdef"
    assert order("inverse") == "fedcba"
    shuffled = {order("random", seed) for seed in range(5)}
    assert all(sorted(ranking) == list("abcdef") for ranking in shuffled)
    assert len(shuffled) > 3
    assert order("random", 3) == order("random", 3)


def test_the_random_order_of_a_query_does_not_depend_on_its_neighbours() -> None:
    first, second = candidates("q1", *"abcdef"), candidates("q2", *"abcdef")
    both = rerank([first, second], ties, allpair, input_order="random").rankings
    alone = rerank([second], ties, allpair, input_order="random").rankings
    assert both["q2"] == alone["q2"] != both["q1"]


def test_the_input_order_does_not_matter_to_a_consistent_judge() -> None:
    query = [candidates("q", *"dbfaec")]
    for name in ("given", "inverse", "random"):
        reranked = rerank(query, AlphabeticalJudge(), partial(heapsort, k=3), input_order=name)
        assert reranked.rankings["q"][:3] == ["f", "e", "d"]


def test_an_unknown_input_order_and_a_query_twice_are_refused() -> None:
    query = candidates("q", "a", "b")
    with pytest.raises(
        InputError, match="`input_order` must be given, inverse, random, not 'best'"
    ):
        rerank([query], AlphabeticalJudge(), allpair, input_order="best")
    with pytest.raises(InputError, match="two candidates have the same query id"):
        rerank([query, query], AlphabeticalJudge(), allpair)


def test_an_oracle_judge_counts_what_it_was_asked() -> None:
    judge = PairwiseOracle({"q": {"b": 2, "c": 1}})
    reranked = rerank([candidates("q", "a", "b", "c")], judge, allpair)
    assert reranked.rankings == {"q": ["b", "c", "a"]}
    assert judge.asked == 3
