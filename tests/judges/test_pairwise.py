"""The paper's rule, the mean over both orders, and the single order."""

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError, ModelError
from rankprompt.journal.store import Journal
from rankprompt.rankers import METHODS, RankerSettings
from rankprompt.rankers.reranking import rerank
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Candidates, Fallback, PairwiseQuestion, Query
from tests.fakes import FakeModel, Rule, shows
from tests.judges.pairwise_judges import DOCUMENTS, QUERY, compare, make_judge, reverse

A, B = 0.9, 0.2  # answers that prefer the passage shown as A, and the passage shown as B
CASES: list[tuple[float | None, float | None, float, float]] = [
    # The answers with x shown as A and with x shown as B; the agreement and the mean for x.
    (A, B, 1.0, (0.9 + 0.8) / 2),
    (B, A, 0.0, (0.2 + 0.1) / 2),
    (A, A, 0.5, (0.9 + 0.1) / 2),
    (B, B, 0.5, (0.2 + 0.8) / 2),
    (A, 0.3, 1.0, (0.9 + 0.7) / 2),
    (A, 0.6, 0.5, (0.9 + 0.4) / 2),
    (0.5, B, 0.5, (0.5 + 0.8) / 2),
    (A, 0.5, 0.5, (0.9 + 0.5) / 2),
    (0.5, 0.5, 0.5, 0.5),
    (None, B, 0.5, (0.5 + 0.8) / 2),
    (A, None, 0.5, (0.9 + 0.5) / 2),
    (None, A, 0.5, (0.5 + 0.1) / 2),
    (None, None, 0.5, 0.5),
]


def two_faced(as_a: float | None, as_b: float | None) -> Rule:
    """Answers ``as_a`` where x is shown as A and ``as_b`` where x is shown as B (and y as A)."""
    return shows(lambda first, _: as_a if first == "x" else as_b)


@pytest.mark.parametrize(("as_a", "as_b", "agreed", "mean"), CASES)
def test_both_orders_are_asked_and_concluded_from(
    journal: Journal, as_a: float | None, as_b: float | None, agreed: float, mean: float
) -> None:
    model = FakeModel(two_faced(as_a, as_b))
    pair = [compare("x", "y"), compare("y", "x")]
    hard = make_judge(journal, model, decide="agreement")
    assert hard(pair) == [agreed, 1 - agreed]
    assert make_judge(journal, model, decide="soft")(pair) == pytest.approx([mean, 1 - mean])
    unreadable = [as_a, as_b].count(None)
    # The journal does not keep what cannot be read, so the second judge asks that again.
    assert len(model.prompts) == 2 + unreadable
    assert hard.diagnostics.unreadable == unreadable


@pytest.mark.parametrize(
    ("as_a", "as_b", "agreed", "mean"),
    [
        (A, B, 1.0, 1.0),
        (B, A, 0.0, 0.0),
        (A, A, 0.5, 0.5),
        (B, B, 0.5, 0.5),
        (A, None, 0.5, 0.75),
        (None, A, 0.5, 0.25),
        (None, None, 0.5, 0.5),
    ],
)
def test_written_answers_are_concluded_from_alike(
    journal: Journal, as_a: float | None, as_b: float | None, agreed: float, mean: float
) -> None:
    model = FakeModel(two_faced(as_a, as_b))
    pair = [compare("x", "y"), compare("y", "x")]
    hard = make_judge(journal, model, "generation", decide="agreement")
    preferences = hard(pair)
    assert preferences == [agreed, 1 - agreed]
    assert {isinstance(one, Fallback) for one in preferences} == {as_a is as_b is None}
    assert make_judge(journal, model, "generation", decide="soft")(pair) == [mean, 1 - mean]
    assert hard.diagnostics.unreadable == [as_a, as_b].count(None)


@pytest.mark.parametrize(
    ("answer", "agreed", "mean"), [(A, 1.0, 0.9), (B, 0.0, 0.2), (0.5, 0.5, 0.5), (None, 0.5, 0.5)]
)
def test_a_single_order_is_taken_at_its_word(
    journal: Journal, answer: float | None, agreed: float, mean: float
) -> None:
    # The answer prefers x alike, whether x is shown as A or as B.
    reversed_answer = None if answer is None else 1 - answer
    model = FakeModel(two_faced(answer, reversed_answer))
    pair = [compare("x", "y"), compare("y", "x")]
    for seed in range(8):
        single = partial(make_judge, journal, model, order="single", seed=seed)
        assert single(decide="agreement")(pair) == [agreed, 1 - agreed]
        assert single(decide="soft")(pair) == pytest.approx([mean, 1 - mean])


def test_a_single_order_costs_half_and_is_drawn_evenly(journal: Journal) -> None:
    model = FakeModel(shows(lambda *_: 0.9))
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS, 2)]
    preferences = make_judge(journal, model, order="single")(pairs)
    assert len(model.prompts) == len(pairs)
    # A model that always answers A becomes noise: each side wins about half of the pairs.
    assert set(preferences) == {0.0, 1.0}
    assert sum(preferences) / len(pairs) == pytest.approx(0.5, abs=0.06)


def test_a_single_order_is_a_matter_of_seed_query_and_pair_alone(journal: Journal) -> None:
    model = FakeModel(shows(lambda *_: 0.9))
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:15], 2)]

    def judged(seed: int, questions: Sequence[PairwiseQuestion]) -> dict[PairwiseQuestion, float]:
        judge = make_judge(journal, model, order="single", seed=seed)
        return dict(zip(questions, judge(questions), strict=True))

    first = judged(1, pairs)
    prompts = len(model.prompts)
    assert judged(1, pairs[::-1]) == first
    assert list(judged(1, reverse(pairs)).values()) == [
        1 - preference for preference in first.values()
    ]
    assert len(model.prompts) == prompts
    assert judged(2, pairs) != first
    other_query = [PairwiseQuestion(Query("r", QUERY.text), *pair[1:]) for pair in pairs]
    assert list(judged(1, other_query).values()) != list(first.values())


def test_passages_that_stand_alone_are_asked_about_once_each(journal: Journal) -> None:
    model = FakeModel()
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in permutations(DOCUMENTS[:6], 2)]
    judge = make_judge(journal, model, "likelihood", order="both", decide="soft")
    judge(pairs)
    assert len(model.prompts) == 6
    # The passages have no order, so that there is no position bias and no contradiction.
    summary = judge.diagnostics.summary()
    assert summary["pairs"] == 15
    assert (summary["position_bias"], summary["inconsistent"]) == (None, None)
    assert summary["intransitive_triples"] == 0
    assert summary["triples"] == 20


def test_a_model_that_always_says_a_is_found_out(journal: Journal) -> None:
    judge = make_judge(journal, FakeModel(shows(lambda *_: 0.9)))
    assert (
        judge([PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:4], 2)])
        == [0.5] * 6
    )
    summary = judge.diagnostics.summary()
    assert (summary["position_bias"], summary["inconsistent"]) == (0.5, 1.0)


@pytest.mark.parametrize(("as_a", "as_b", "agreed", "mean"), CASES)
def test_the_second_order_is_asked_where_the_first_leaves_the_win_open(
    journal: Journal, as_a: float | None, as_b: float | None, agreed: float, mean: float
) -> None:
    del mean
    model = FakeModel(two_faced(as_a, as_b))
    judge = make_judge(journal, model, order="lazy")
    (preference,) = judge([compare("x", "y")])
    assert (preference > 0.5) == (agreed > 0.5)
    assert preference in (0.5, agreed)
    # Shown as B, x is preferred: only then can it win.
    assert len(model.prompts) == (2 if as_b is not None and as_b < 0.5 else 1)


def test_an_eighth_of_the_pairs_is_asked_in_both_orders_for_the_guard(journal: Journal) -> None:
    model = FakeModel(shows(lambda *_: A))
    judge = make_judge(journal, model, order="lazy")
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:20], 2)]
    assert judge(pairs) == [0.5] * 190
    measured = judge.diagnostics.both
    assert 190 / 16 < measured < 190 / 4
    assert len(model.prompts) == 190 + measured
    # A judge that always prefers what it is shown first is told from one that prefers y.
    assert judge.diagnostics.summary()["position_bias"] == 0.5
    more = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS, 2)]
    with pytest.raises(ModelError, match="orders"):
        judge(more)


def test_a_lazy_judge_needs_the_rule_of_agreement(journal: Journal) -> None:
    with pytest.raises(InputError, match="goes with `decide` agreement"):
        make_judge(journal, FakeModel(shows(lambda *_: A)), order="lazy", decide="soft")


@pytest.mark.parametrize("method", [name for name, one in METHODS.items() if one.strict])
@given(seed=st.integers(0, 1 << 30), size=st.integers(0, 14), k=st.integers(1, 6))
def test_sorts_rank_alike_by_lazy_orders_with_fewer_prompts(
    method: str, seed: int, size: int, k: int
) -> None:
    def answer(first: str, second: str) -> float:
        # Contradictory, intransitive, with ties.
        return (0.9, 0.7, 0.5, 0.1)[int(4 * uniform(seed, "answer", first, second))]

    ranker = METHODS[method].bind(RankerSettings(k))
    candidates = [Candidates(QUERY, tuple(DOCUMENTS[:size]), ())]
    found = {}
    for order in ("both", "lazy"):
        model = FakeModel(shows(answer))
        with closing(Journal(None)) as journal:
            judge = make_judge(journal, model, order=order, keep_going=True)
            found[order] = (rerank(candidates, judge, ranker).rankings, len(model.prompts))
    assert found["lazy"][0] == found["both"][0]
    assert found["lazy"][1] <= found["both"][1]
