import math
from dataclasses import replace

import pytest

from rankprompt.judges.adapters.pairwise import Likelihood
from rankprompt.judges.adapters.pointwise import ExpectedGrade, QueryLikelihood, WrittenGrade
from rankprompt.llm.base import Answer
from rankprompt.prompts.prompt import load_prompt
from rankprompt.rankers.scores import Meaning

LABELS = load_prompt("relevance-labels")


def test_the_expected_grade_is_the_mean_over_the_options() -> None:
    adapter = ExpectedGrade(load_prompt("relevance-yes-no"))
    (request,) = adapter.requests("why", ["because"])
    assert request.options == ("Yes", "No")
    assert "because" in request.prompt
    assert adapter.parse([Answer((math.log(0.6), math.log(0.2)))], 1).answer == pytest.approx(0.75)
    logs = tuple(map(math.log, (0.4, 0.3, 0.2, 0.1)))
    assert ExpectedGrade(LABELS).parse([Answer(logs)], 1).answer == pytest.approx(2)
    # Far below the smallest float.
    assert adapter.parse([Answer((-9000.0, -9001.0))], 1).answer == pytest.approx(
        1 / (1 + 1 / math.e)
    )


@pytest.mark.parametrize("bad", [(math.nan, -1.0), (-math.inf, -math.inf)])
def test_what_is_no_number_is_unreadable(bad: tuple[float, float]) -> None:
    assert ExpectedGrade(load_prompt("relevance-yes-no")).parse([Answer(bad)], 1).answer is None


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("Mostly", 2), (" perfectly.", 3), ("**Not at all**", 0), ("It is barely relevant.", 1),
        ("The passage is not at all relevant to the query.", 0), ("Mostly, since it is", 2),
        ("Perfectly, it cannot be", None), ("Mostly, yet it lacks the year", None),
        ("Not perfectly", None), ("It could be perfectly if", None), ("Perfectly, but no", None),
        ("Mostly, or barely", None), ("", None), ("Notatall", None), ("Utmostly", None),
    ],
)  # fmt: skip
def test_a_written_grade_is_the_one_option_named(text: str, grade: float | None) -> None:
    assert WrittenGrade(LABELS).parse([Answer(text=text)], 1).answer == grade


def test_the_querys_likelihood_asks_what_comparing_two_passages_asks() -> None:
    prompt = load_prompt("query-likelihood")
    pair = Likelihood(prompt).requests("why", ("one", "two"))
    assert QueryLikelihood(prompt).requests("why", ["one"]) == pair[:1]
    assert QueryLikelihood(prompt).requests("why", ["two"]) == pair[1:]
    assert QueryLikelihood(prompt).parse([Answer((-6.0,), (3,))], 1).answer == -2
    assert QueryLikelihood(prompt).parse([Answer((math.nan,), (3,))], 1).answer is None


def test_a_grade_becomes_a_score_from_0_to_1_of_stated_meaning() -> None:
    for adapter in (ExpectedGrade(LABELS), WrittenGrade(LABELS)):
        assert adapter.meaning is Meaning.RELEVANCE
        assert [adapter.probability(grade) for grade in (0, 1.5, 3)] == [0, 0.5, 1]
    assert ExpectedGrade(load_prompt("relevance-yes-no")).probability(0.75) == 0.75
    likelihood = QueryLikelihood(load_prompt("query-likelihood"))
    assert likelihood.meaning is Meaning.LIKELIHOOD
    assert likelihood.probability(math.log(0.25)) == pytest.approx(0.25)
    assert likelihood.probability(-math.inf) == 0
    # Rounding may leave a log-likelihood above 0.
    assert likelihood.probability(1e-9) == 1


def test_grades_that_are_all_the_same_say_nothing() -> None:
    prompt = replace(LABELS, grades=(2.0,) * len(LABELS.options))
    assert ExpectedGrade(prompt).probability(2.0) == 0
