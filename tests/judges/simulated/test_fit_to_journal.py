"""A judge model fitted to answers is the one that gave them."""

from itertools import combinations
from typing import Any, cast

import pytest

from rankprompt.judges.pairwise import OracleJudge
from rankprompt.judges.simulated.error_model import parse_judge_model
from rankprompt.judges.simulated.fit_to_journal import Heard
from rankprompt.types import Comparison, Document, Query

QUERY = Query("q", "which one")
DOCUMENTS = [Document(f"d{number}", "") for number in range(150)]
GRADES = {"q": {document.id: place % 4 for place, document in enumerate(DOCUMENTS)}}


@pytest.mark.parametrize("order", ["both", "single"])
@pytest.mark.parametrize(
    "spelling",
    [
        "errors=0.3/0.2/0.1,bias=0.1",
        "errors=0.4/0.1/0.05,bias=-0.2,ties=0.1",
        "errors=0.45/0.4/0.3,bias=0.35,ties=0.05",
        "errors=0/0/0,bias=0.05,ties=0.4",
    ],
)
def test_the_settings_of_a_simulated_judge_are_found_again(spelling: str, order: str) -> None:
    model = parse_judge_model(spelling)
    judge, heard = OracleJudge(GRADES, errors=model, order=order), Heard(GRADES)
    judge.diagnostics = cast(Any, heard)
    judge([Comparison(QUERY, *pair) for pair in combinations(DOCUMENTS, 2)])
    found = heard.model()
    assert found.guesses
    assert found.bias == pytest.approx(model.bias, abs=0.015)
    assert found.ties == pytest.approx(model.ties, abs=0.03)
    assert found.errors == pytest.approx(model.errors, abs=0.09 if abs(model.bias) > 0.3 else 0.045)


def heard_of(*answers: tuple[int, int, float | None]) -> Heard:
    """Answers about documents, the one shown first first."""
    heard = Heard(GRADES)
    for first, second, answer in answers:
        comparison = Comparison(QUERY, DOCUMENTS[first], DOCUMENTS[second])
        heard.add(comparison, {False: answer}, 0.5)
    return heard


def test_few_answers_give_a_model_all_the_same() -> None:
    assert str(heard_of((0, 4, 0.7)).model()) == "errors=0.5,bias=0.499"
    assert str(heard_of((3, 0, 0.7)).model()) == "errors=0.5/0.5/0"
    assert str(heard_of((0, 3, None)).model()) == "errors=0.5/0.5/0.5,ties=1"
    assert str(heard_of((1, 0, 0.9), (0, 1, 0.9)).model()).endswith("bias=0.499")
    assert str(heard_of((1, 0, 0.9), (0, 1, 0.1)).model()) == "errors=0"


def test_what_is_unreadable_is_a_tie() -> None:
    assert heard_of((1, 0, None), (0, 1, 0.5), (0, 1, 0.1), (1, 0, 0.9)).model().ties == 0.5
