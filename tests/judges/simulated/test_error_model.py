"""Simulated judges err as their error model says, and are reproducible."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError
from rankprompt.judges.simulated.error_model import ErrorModel, parse_error_model
from rankprompt.judges.simulated.pairwise_oracle import PairwiseOracle
from rankprompt.types import Document, PairwiseQuestion, Query

QUERY = Query("q", "which one")
DOCUMENTS = [Document(f"d{number}", "") for number in range(160)]
GRADES = {"q": {document.id: number % 4 for number, document in enumerate(DOCUMENTS)}}
PAIRS = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS, 2)]


def judged(notation: str, **settings: Any) -> tuple[PairwiseOracle, dict[PairwiseQuestion, float]]:
    judge = PairwiseOracle(GRADES, errors=parse_error_model(notation), **settings)
    return judge, dict(zip(PAIRS, judge(PAIRS), strict=True))


def wrong(answers: dict[PairwiseQuestion, float], gap: int) -> float:
    """The rate of wrong answers at a gap of grades; with gap 0, of preferences for the first."""
    errors = []
    for (_, first, second), preference in answers.items():
        grades = [GRADES["q"][document.id] for document in (first, second)]
        if abs(grades[0] - grades[1]) == gap:
            errors.append(1 - preference if grades[0] > grades[1] else preference)
    return sum(errors) / len(errors)


def test_a_flip_is_as_frequent_at_any_gap_and_leaves_ties() -> None:
    _, answers = judged("flip=0.3")
    assert [wrong(answers, gap) for gap in (1, 2, 3)] == pytest.approx([0.3] * 3, abs=0.03)
    assert answers[PAIRS[3]] == 0.5


def test_noise_is_a_flip() -> None:
    judge = PairwiseOracle(GRADES, noise=0.3)
    assert dict(zip(PAIRS, judge(PAIRS), strict=True)) == judged("flip=0.3")[1]


def test_errors_fall_with_the_gap_and_equal_grades_are_guesses() -> None:
    _, answers = judged("gap")
    assert set(answers.values()) == {0.0, 1.0}
    for gap, expected in enumerate((0.5, 0.269, 0.119, 0.047)):
        assert wrong(answers, gap) == pytest.approx(expected, abs=0.025)
    assert wrong(judged("gap=3")[1], 1) == pytest.approx(0.047, abs=0.02)
    _, answers = judged("errors=0.4/0.1")
    assert [wrong(answers, gap) for gap in (1, 2, 3)] == pytest.approx([0.4, 0.1, 0.1], abs=0.03)


@pytest.mark.parametrize("bias", [-0.2, 0.1, 0.35])
@pytest.mark.parametrize("order", ["both", "single"])
def test_the_bias_is_what_the_diagnostics_find(bias: float, order: str) -> None:
    judge, answers = judged(f"gap,bias={bias}", order=order)
    summary = judge.diagnostics.summary()
    assert summary["position_bias"] == pytest.approx(bias, abs=0.02)
    if order == "single":
        # In a random order, half of the answers that the bias decides are wrong.
        share = 2 * abs(bias)
        expected = share / 2 + (1 - share) * 0.269
        assert wrong(answers, 1) == pytest.approx(expected, abs=0.03)
    else:
        assert summary["inconsistent"] == pytest.approx(wrong_twice(2 * abs(bias)), abs=0.03)
        assert {0.0, 0.5, 1.0} == set(answers.values())


def wrong_twice(share: float) -> float:
    """The rate at which the two answers about a pair disagree, over the gaps of all pairs."""
    gaps = [abs(GRADES["q"][a.id] - GRADES["q"][b.id]) for _, a, b in PAIRS]
    errors = [(0.5, 0.2689, 0.1192, 0.0474)[gap] for gap in gaps]
    # Of two answers, none, one or both depend on the position alone.
    none, single, both = (1 - share) ** 2, 2 * share * (1 - share), share**2
    disagree = [none * 2 * error * (1 - error) + single / 2 + both for error in errors]
    return sum(disagree) / len(disagree)


def test_a_circle_is_consistent_and_intransitive() -> None:
    judge, both = judged("circle=1", order="both")
    _, single = judged("circle=1")
    assert both == single
    assert set(both.values()) == {0.0, 1.0}
    summary = judge.diagnostics.summary()
    assert summary["intransitive_triples"] == pytest.approx(
        0.25 * float(summary["triples"] or 0), rel=0.1
    )
    few, _ = judged("circle=0.2")
    assert 0 < float(few.diagnostics.summary()["intransitive_triples"] or 0) < 50_000


def test_two_orders_err_apart_and_where_they_disagree_it_is_a_tie() -> None:
    _, hard = judged("flip=0.2", order="both")
    unequal = [value for pair, value in hard.items() if judged_apart(pair)]
    shares = [unequal.count(value) / len(unequal) for value in (0.0, 0.5, 1.0)]
    assert shares[1] == pytest.approx(2 * 0.2 * 0.8, abs=0.02)
    assert wrong(hard, 1) == pytest.approx(0.04 + 0.16, abs=0.02)
    _, ties = judged("flip=0,ties=0.3", order="both", decide="soft")
    assert {0.0, 0.25, 0.5, 0.75, 1.0} == set(ties.values())
    assert {0.0, 0.5, 1.0} == set(judged("flip=0,ties=0.3", order="both")[1].values())


def judged_apart(pair: PairwiseQuestion) -> bool:
    return GRADES["q"][pair.first.id] != GRADES["q"][pair.second.id]


def test_the_seed_makes_other_errors_and_nothing_else_does() -> None:
    notation = "errors=0.3/0.2/0.1,bias=0.1,ties=0.1,circle=0.1"
    _, first = judged(notation, order="both", seed=1)
    again = PairwiseOracle(GRADES, errors=parse_error_model(notation), order="both", seed=1)
    turned = [PairwiseQuestion(QUERY, pair.second, pair.first) for pair in reversed(PAIRS)]
    assert [1 - value for value in again(turned)][::-1] == list(first.values())
    assert judged(notation, order="both", seed=2)[1] != first


SHARES = st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0])


@given(
    st.lists(SHARES, min_size=1, max_size=4).map(tuple),
    st.booleans(),
    st.sampled_from([-0.5, -0.125, 0.0, 0.25, 0.5]),
    SHARES,
    SHARES,
)
def test_a_model_is_what_its_notation_says(
    errors: tuple[float, ...], guesses: bool, bias: float, ties: float, circle: float
) -> None:
    model = ErrorModel(errors, guesses, bias, ties, circle)
    parsed = parse_error_model(str(model))
    assert parsed == model or (not any(errors) and not guesses and parsed.errors == (0.0,))


@pytest.mark.parametrize(
    ("notation", "message"),
    [
        ("flop=0.1", "unknown judge model 'flop'; did you mean 'flip'"),
        ("", "unknown judge model ''"),
        ("gap,,bias=0.1", "unknown judge model"),
        ("flip", "`judge_model` flip: give a number from 0 to 1, as in flip=0.1"),
        ("flip=x", "`judge_model` flip=x: give a number from 0 to 1"),
        ("flip=1.2", "`judge_model` flip=1.2: give a number from 0 to 1"),
        ("ties=nan", "give a number from 0 to 1"),
        ("errors=0.1//0.2", "give a number from 0 to 1"),
        ("bias=0.6", "`judge_model` bias=0.6: give a number from -0.5 to 0.5"),
        ("gap=inf", "give a number from -100 to 100"),
        ("flip=0.1,gap", "give one of gap, flip and errors"),
        ("bias=0.1,bias=0.2", "no setting twice"),
    ],
)
def test_a_misspelt_model_is_told_in_one_line(notation: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        parse_error_model(notation)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "settings", [{"errors": ()}, {"errors": (1.5,)}, {"ties": -0.1}, {"bias": 0.7}]
)
def test_a_model_refuses_what_is_no_share(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        ErrorModel(**settings)
