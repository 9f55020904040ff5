"""The errors of pointwise, setwise and listwise answers have the distribution that is named."""

import math
from typing import Any

import pytest

from rankprompt.errors import InputError
from rankprompt.judges.registry import make_oracle
from rankprompt.judges.simulated.error_model import parse_error_model
from rankprompt.judges.simulated.single_order_oracle import SingleOrderOracle
from rankprompt.types import (
    Document,
    ListwiseQuestion,
    PairwiseQuestion,
    PointwiseQuestion,
    Query,
    Question,
    SetwiseQuestion,
)

QUERY = Query("q", "")
DOCUMENTS = tuple(Document(name, "") for name in ("none", "some", "most"))
QRELS = {"q": {"some": 1, "most": 3}}
SEEDS = 4_000
# Four standard deviations of a rate over all seeds.
NEAR = 4 * math.sqrt(0.25 / SEEDS)


def answers(question: Question, model: str) -> list[Any]:
    """The answers of a judge with each seed."""
    errors = parse_error_model(model)
    return [
        make_oracle(type(question), QRELS, errors, seed=seed)(
            [question]  # type: ignore[list-item]
        )[0]
        for seed in range(SEEDS)
    ]


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_a_selection_is_a_choice_by_luce(strength: float) -> None:
    selections = answers(SetwiseQuestion(QUERY, DOCUMENTS), f"gap={strength}")
    assert all(sorted(selection) == [0, 0, 1] for selection in selections)
    weights = [math.exp(strength * grade) for grade in (0, 1, 3)]
    for index, weight in enumerate(weights):
        rate = sum(selection[index] for selection in selections) / SEEDS
        assert rate == pytest.approx(weight / sum(weights), abs=NEAR)


def test_a_listing_is_drawn_place_by_place() -> None:
    orders = answers(ListwiseQuestion(QUERY, DOCUMENTS), "gap=0.5")
    assert all(sorted(order) == [0, 1, 2] for order in orders)
    weights = [math.exp(0.5 * grade) for grade in (0, 1, 3)]
    for first in range(3):
        for second in {0, 1, 2} - {first}:
            rate = sum(order[:2] == (first, second) for order in orders) / SEEDS
            rest = sum(weights) - weights[first]
            expected = weights[first] / sum(weights) * weights[second] / rest
            assert rate == pytest.approx(expected, abs=NEAR)


def test_two_gradings_err_as_often_as_an_answer_about_the_pair() -> None:
    lower, higher = (
        answers(PointwiseQuestion(QUERY, document), "gap") for document in DOCUMENTS[:2]
    )
    wrong = sum(first > second for first, second in zip(lower, higher, strict=True)) / SEEDS
    pair = answers(PairwiseQuestion(QUERY, *DOCUMENTS[:2]), "gap")
    assert wrong == pytest.approx(1 / (1 + math.e), abs=NEAR)
    assert sum(pair) / SEEDS == pytest.approx(1 / (1 + math.e), abs=NEAR)


def test_an_answer_depends_on_the_question_and_the_seed_alone() -> None:
    question = ListwiseQuestion(QUERY, DOCUMENTS)
    judge = SingleOrderOracle(QRELS, strength=0.1, seed=3)
    orders = judge([question, ListwiseQuestion(QUERY, DOCUMENTS[::-1]), question])
    assert orders[0] == orders[2] == SingleOrderOracle(QRELS, strength=0.1, seed=3)([question])[0]
    others = {
        SingleOrderOracle(QRELS, strength=0.1, seed=seed)([question])[0] for seed in range(50)
    }
    assert len(others) == 6


@pytest.mark.parametrize(
    ("notation", "strength"),
    [
        ("gap", 1.0),
        ("gap=0", 0.0),
        ("gap=2.5", 2.5),
        ("gap=-1", -1.0),
        ("errors=0.2689/0.1192/0.0474", 1.0),
        ("errors=0.2689/0.2/0.0474", None),
        ("errors=0.2", None),
        ("flip=0.2689/0.1192/0.0474", None),
        ("gap,bias=0.1", None),
        ("perfect", None),
    ],
)
def test_the_strength_of_a_judge_model(notation: str, strength: float | None) -> None:
    parsed = parse_error_model(notation).strength
    assert parsed == (None if strength is None else pytest.approx(strength, abs=1e-3))


@pytest.mark.parametrize("notation", ["gap,bias=0.1", "circle=0.1", "errors=0.2", "ties=0.5"])
def test_errors_of_pairs_alone_are_refused(notation: str) -> None:
    errors = parse_error_model(notation)
    with pytest.raises(InputError, match=r"about selections, use gap=S or flip=P"):
        make_oracle(SetwiseQuestion, QRELS, errors=errors, seed=0, on_judged=lambda _: None)


def test_noise_and_strength_do_not_go_together() -> None:
    with pytest.raises(InputError, match="not by both"):
        SingleOrderOracle(QRELS, noise=0.1, strength=1.0)
