"""An error model that is fitted to answers is the model that gave them."""

from itertools import combinations
from pathlib import Path

import pytest

from rankprompt.errors import InputError
from rankprompt.judges.simulated.error_model import parse_error_model
from rankprompt.judges.simulated.fit_to_journal import GradedAnswers, fit_to_journal
from rankprompt.judges.simulated.pairwise_oracle import PairwiseOracle
from rankprompt.types import Document, PairwiseQuestion, Query
from tests.fakes import FakeModel, shows
from tests.judges.pairwise_judges import ADAPTERS

QUERY = Query("q", "which one")
DOCUMENTS = [Document(f"d{number}", "") for number in range(150)]
GRADES = {"q": {document.id: number % 4 for number, document in enumerate(DOCUMENTS)}}


@pytest.mark.parametrize("order", ["both", "single"])
@pytest.mark.parametrize(
    "notation",
    [
        "errors=0.3/0.2/0.1,bias=0.1",
        "errors=0.4/0.1/0.05,bias=-0.2,ties=0.1",
        "errors=0.45/0.4/0.3,bias=0.35,ties=0.05",
        "errors=0/0/0,bias=0.05,ties=0.4",
    ],
)
def test_the_settings_of_a_simulated_judge_are_found_again(notation: str, order: str) -> None:
    model = parse_error_model(notation)
    judge, graded = PairwiseOracle(GRADES, errors=model, order=order), GradedAnswers(GRADES)
    judge.diagnostics = graded
    judge([PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS, 2)])
    fitted = graded.fit()
    assert fitted.guesses
    assert fitted.bias == pytest.approx(model.bias, abs=0.015)
    assert fitted.ties == pytest.approx(model.ties, abs=0.03)
    assert fitted.errors == pytest.approx(
        model.errors, abs=0.09 if abs(model.bias) > 0.3 else 0.045
    )


def graded(*answers: tuple[int, int, float | None]) -> GradedAnswers:
    """Answers about the documents shown first and second."""
    graded_answers = GradedAnswers(GRADES)
    for first, second, answer in answers:
        question = PairwiseQuestion(QUERY, DOCUMENTS[first], DOCUMENTS[second])
        graded_answers.add(question, {False: answer}, 0.5)
    return graded_answers


def test_few_answers_give_a_model_all_the_same() -> None:
    assert str(graded((0, 4, 0.7)).fit()) == "errors=0.5,bias=0.499"
    assert str(graded((3, 0, 0.7)).fit()) == "errors=0.5/0.5/0"
    assert str(graded((0, 3, None)).fit()) == "errors=0.5/0.5/0.5,ties=1"
    assert str(graded((1, 0, 0.9), (0, 1, 0.9)).fit()).endswith("bias=0.499")
    assert str(graded((1, 0, 0.9), (0, 1, 0.1)).fit()) == "errors=0"


def test_what_is_unreadable_is_a_tie() -> None:
    assert graded((1, 0, None), (0, 1, 0.5), (0, 1, 0.1), (1, 0, 0.9)).fit().ties == 0.5


def test_pairs_that_were_chosen_by_their_answers_are_no_sample(tmp_path: Path) -> None:
    path = tmp_path / "lazy.journal"
    path.touch()
    model = FakeModel(shows(lambda *_: 0.9))
    with pytest.raises(InputError, match="`order` both or single"):
        fit_to_journal(path, [], {}, model=model, adapter=ADAPTERS["scoring"], order="lazy")
