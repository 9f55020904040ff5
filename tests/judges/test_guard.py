import logging
import math

import pytest

from rankprompt.errors import ModelError
from rankprompt.judges.guard import AnswerGuard
from rankprompt.llm.base import Answer, Problem

GOOD = [Answer(text="Passage A")]
ADVICE: list[tuple[Answer, str]] = [
    (Answer(problem="thinking"), "still thinking .* `thinking` off"),
    (Answer(text="Passage A discusses", problem="cut"), r"'Passage A discusses' .*max_tokens"),
    (Answer(problem="refused"), "content filter"),
    (Answer(problem="empty"), "wrote nothing"),
    (Answer(problem="unlisted"), "likely tokens; .*`mode` generation|likely tokens .*template"),
    (Answer(problem="shortened"), "read much less than it was sent .*`passage_tokens`"),
    (Answer((math.nan, -1.0)), "not numbers .*try `dtype` float32"),
    (Answer((math.nan,), problem="unscored"), "the server gives are not numbers .*float32 there"),
    (Answer((math.nan,), problem="damaged"), "not numbers .*weights are damaged"),
    (Answer(text="Neither of them."), "name none of the options.*'Neither of them.'"),
]


@pytest.mark.parametrize(("answer", "advice"), ADVICE)
def test_a_run_stops_at_its_32nd_unreadable_answer_and_names_the_cause(
    answer: Answer, advice: str
) -> None:
    guard = AnswerGuard()
    for _ in range(31):
        guard.add([answer], readable=False)
    with pytest.raises(
        ModelError, match=rf"^32 of 32 answers cannot be read.*{advice}.*keep_going"
    ):
        guard.add([answer], readable=False)


def test_one_answer_that_can_be_read_lets_a_run_begin() -> None:
    guard = AnswerGuard()
    guard.add(GOOD, readable=True)
    for _ in range(179):
        guard.add([Answer(problem="empty")], readable=False)
    for _ in range(20):
        guard.add(GOOD, readable=True)
    guard.finish()
    # Of any 200 answers, nine in ten may be unreadable and no more.
    for _ in range(180):
        guard.add([Answer(problem="empty")], readable=False)
    with pytest.raises(ModelError, match="360 of 381 answers cannot be read"):
        guard.add([Answer(problem="empty")], readable=False)


@pytest.mark.parametrize("number", [1, 5, 31])
def test_a_short_run_is_checked_at_its_end(number: int) -> None:
    guard = AnswerGuard()
    for _ in range(number):
        guard.add([Answer(problem="thinking")], readable=False)
    with pytest.raises(ModelError, match=f"{number} of {number} answers"):
        guard.finish()


def test_keep_going_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    guard = AnswerGuard(keep_going=True)
    with caplog.at_level(logging.WARNING, "rankprompt"):
        for _ in range(300):
            guard.add([Answer(problem="thinking")], readable=False)
        guard.finish()
    assert [record.message[:9] for record in caplog.records] == ["32 of 32 "]
    assert guard.causes() == {"thinking": 300}


def test_more_than_a_tenth_is_told_and_less_is_not(caplog: pytest.LogCaptureFixture) -> None:
    for unreadable, told in ((1, 0), (2, 1)):
        caplog.clear()
        guard = AnswerGuard()
        for number in range(10):
            guard.add(
                [Answer(problem="empty")] if number < unreadable else GOOD,
                readable=number >= unreadable,
            )
        with caplog.at_level(logging.WARNING, "rankprompt"):
            guard.finish()
        assert len(caplog.records) == told


def test_pairs_that_all_contradict_themselves_stop_a_run() -> None:
    guard = AnswerGuard()
    for _ in range(31):
        guard.add_pair(tie=True)
    with pytest.raises(ModelError, match=r"^32 of 32 pairs are ties.*by position"):
        guard.add_pair(tie=True)
    guard = AnswerGuard()
    guard.add_pair(tie=False)
    for _ in range(198):
        guard.add_pair(tie=True)
    with pytest.raises(ModelError, match="199 of 200 pairs are ties"):
        guard.add_pair(tie=True)
    # A judge that says something about one pair in ten is weak, not broken.
    guard = AnswerGuard()
    for number in range(1000):
        guard.add_pair(tie=number % 10 > 0)
    guard.finish()


@pytest.mark.parametrize(("pairs", "told"), [(2, 0), (3, 1), (12, 1)])
def test_a_few_ties_are_told_at_the_end(
    pairs: int, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    guard = AnswerGuard()
    for _ in range(pairs):
        guard.add_pair(tie=True)
    with caplog.at_level(logging.WARNING, "rankprompt"):
        guard.finish()
    assert len(caplog.records) == told


def test_a_refusal_names_query_and_documents() -> None:
    with pytest.raises(
        ModelError, match=r"about query q1 and documents d2, d3; with `skip_refused`"
    ):
        AnswerGuard().refuse("q1", ["d2", "d3"])


def test_skipped_refusals_are_counted_by_document_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard = AnswerGuard(skip_refused=True)
    refused: Problem = "refused"
    # The first query is about nothing else; still the run goes on.
    for number in range(40):
        guard.refuse("q1", ["bad", f"d{number}"])
        guard.add([Answer(problem=refused)], readable=False)
    for _ in range(40):
        guard.add(GOOD, readable=True)
    with caplog.at_level(logging.WARNING, "rankprompt"):
        guard.finish()
    assert "refused 40 prompts" in caplog.text
    assert "document bad for query q1 (40)" in caplog.text
    assert guard.refused["q1", "bad"] == 40


def test_the_counts_of_workers_add_up_to_the_same_end() -> None:
    guard = AnswerGuard()
    for _ in range(4):
        worker = AnswerGuard()
        for _ in range(10):
            worker.add([Answer(problem="thinking")], readable=False)
        guard.merge(worker.counts, worker.refused)
    with pytest.raises(ModelError, match="40 of 40 answers"):
        guard.finish()


def test_a_silent_guard_only_counts(caplog: pytest.LogCaptureFixture) -> None:
    guard = AnswerGuard(silent=True)
    with caplog.at_level(logging.DEBUG, "rankprompt"):
        for _ in range(40):
            guard.refuse("q1", ["d1"])
            guard.add([Answer(problem="refused")], readable=False)
            guard.add_pair(tie=True)
        guard.finish()
    assert not caplog.records
    assert guard.counts["unreadable"] == guard.counts["ties"] == 40


def test_equal_scores_stop_a_run_at_the_200th(caplog: pytest.LogCaptureFixture) -> None:
    guard = AnswerGuard()
    for _ in range(199):
        guard.add_score(-1.25)
    with pytest.raises(ModelError, match=r"^all 200 scores are equal \(-1\.25\).*keep_going"):
        guard.add_score(-1.25)
    guard = AnswerGuard(keep_going=True)
    with caplog.at_level(logging.WARNING, "rankprompt"):
        for _ in range(300):
            guard.add_score(-1.25)
        guard.finish()
    assert [record.message[:22] for record in caplog.records] == ["all 200 scores are equ"]


@pytest.mark.parametrize("number", [1, 2, 3, 31, 32, 199])
def test_equal_scores_of_a_short_run_are_told_or_stop_it_at_its_end(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    guard = AnswerGuard()
    for _ in range(number):
        guard.add_score(0.0)
    with caplog.at_level(logging.WARNING, "rankprompt"):
        if number < 32:
            guard.finish()
        else:
            with pytest.raises(ModelError, match=f"all {number} scores are equal"):
                guard.finish()
    assert len(caplog.records) == (2 < number < 32)


def test_two_scores_that_differ_are_enough(caplog: pytest.LogCaptureFixture) -> None:
    for first in (0, 1, 198):
        guard = AnswerGuard()
        for number in range(1000):
            guard.add_score(float(number == first))
        with caplog.at_level(logging.WARNING, "rankprompt"):
            guard.finish()
    assert not caplog.records


def test_the_scores_of_workers_are_equal_only_where_all_are() -> None:
    for values, equal in (([0.5] * 4, True), ([0.5, 0.5, 0.25, 0.5], False)):
        guard = AnswerGuard()
        for value in values:
            worker = AnswerGuard()
            for _ in range(10):
                worker.add_score(value)
            guard.merge(worker.counts, worker.refused, worker.scores)
        if equal:
            with pytest.raises(ModelError, match="all 40 scores are equal"):
                guard.finish()
        else:
            guard.finish()


def test_known_answers_stop_a_run_at_its_end_only() -> None:
    """They come query by query, where the run that asked them mixed its queries."""
    guard = AnswerGuard()
    for _ in range(300):
        guard.add_pair(tie=True, source="journal")
        guard.add_score(0.5, "journal")
    for _ in range(20):
        guard.add_pair(tie=False, source="journal")
    guard.add_score(0.25, "journal")
    guard.finish()
    assert (guard.counts["pairs"], guard.counts["ties"]) == (320, 300)
    # A run that was stopped stops again at the first question that it would pay for.
    guard = AnswerGuard()
    for _ in range(40):
        guard.add_pair(tie=True, source="journal")
    with pytest.raises(ModelError, match="41 of 41 pairs are ties"):
        guard.add_pair(tie=True)


def test_unreadable_answers_that_are_asked_again_do_not_stop_a_run_that_was_finished() -> None:
    guard = AnswerGuard()
    for _ in range(700):
        guard.add(GOOD, readable=True, source="journal")
    for _ in range(300):
        guard.add([Answer(problem="empty")], readable=False)
    guard.finish()


def test_equal_texts_have_equal_scores_and_count_once() -> None:
    guard = AnswerGuard()
    for _ in range(300):
        guard.add_score(0.5, texts=("query", "the same passage"))
    guard.finish()
    for number in range(30):
        guard.add_score(0.5, texts=("query", f"passage {number}"))
    guard.add_score(0.5, texts=("query", "one more"))
    with pytest.raises(ModelError, match="all 32 scores are equal"):
        guard.finish()
