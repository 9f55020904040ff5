from collections.abc import Generator, Sequence
from inspect import GEN_CLOSED, getgeneratorstate
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.rankers.coroutines import QuestionGenerator, map_questions, merge
from rankprompt.rankers.driver import drive

Collector = Generator[Sequence[int], Sequence[int], list[int]]


def asking(*rounds: Sequence[int]) -> Collector:
    """Asks these rounds and returns all answers, in the order received."""
    received: list[int] = []
    for questions in rounds:
        received += yield questions
    return received


def double(questions: Sequence[int]) -> list[int]:
    return [2 * question for question in questions]


def failing(after: int) -> Collector:
    for number in range(after):
        yield [number]
    raise LookupError("broken generator")


def test_answers_reach_the_generator_in_the_order_asked() -> None:
    assert drive(asking([3, 1, 2], [5]), double) == [6, 2, 4, 10]


def test_a_generator_that_asks_nothing_returns_without_a_question() -> None:
    def never(questions: Sequence[int]) -> list[int]:
        raise AssertionError(questions)

    assert drive(asking(), never) == []
    assert drive(merge([asking(), asking()]), never) == [[], []]
    assert drive(merge([]), never) == []
    assert drive(map_questions(asking(), lambda question: question), never) == []


def test_an_empty_round_is_refused() -> None:
    generator = asking([1], [])
    with pytest.raises(RuntimeError, match="empty round"):
        drive(generator, double)
    assert getgeneratorstate(generator) == GEN_CLOSED


@pytest.mark.parametrize("answers", [[], [1], [1, 2, 3]])
def test_a_wrong_number_of_answers_is_refused(answers: list[int]) -> None:
    generator = asking([1, 2])
    with pytest.raises(RuntimeError, match=f"2 questions got {len(answers)} answers"):
        drive(generator, lambda _: answers)
    assert getgeneratorstate(generator) == GEN_CLOSED


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, StopIteration])
def test_a_failing_driver_closes_every_generator(error: type[BaseException]) -> None:
    closed = []

    def watched(name: str) -> Collector:
        try:
            return (yield from asking([1], [2]))
        finally:
            closed.append(name)

    def fail(questions: Sequence[int]) -> list[int]:
        if 2 in questions:
            raise error
        return double(questions)

    generators = [watched("a"), map_questions(watched("b"), lambda question: question), asking([1])]
    with pytest.raises(error):
        drive(merge(generators), fail)
    assert closed == ["a", "b"]
    assert {getgeneratorstate(generator) for generator in generators} == {GEN_CLOSED}


def test_a_driver_never_takes_a_failure_for_a_result() -> None:
    def fail(_: object) -> list[int]:
        raise StopIteration(["no result"])

    with pytest.raises(StopIteration):
        drive(asking([1]), fail)
    with pytest.raises(RuntimeError, match="StopIteration"):
        drive(map_questions(asking([1]), fail), len)  # type: ignore[arg-type]


def test_an_abandoned_merge_closes_its_generators() -> None:
    generators = [asking([1]), asking([2])]
    merged = merge(generators)
    next(merged)
    merged.close()
    assert {getgeneratorstate(generator) for generator in generators} == {GEN_CLOSED}


def test_merged_rounds_hold_one_round_of_each_living_generator() -> None:
    rounds = []

    def answer(questions: Sequence[int]) -> list[int]:
        rounds.append(list(questions))
        return double(questions)

    generators = [asking([1], [2], [3]), asking(), asking([10, 11]), asking([20], [21])]
    results = drive(merge(generators), answer)
    assert results == [[2, 4, 6], [], [20, 22], [40, 42]]
    assert rounds == [[1, 10, 11, 20], [2, 21], [3]]


ROUNDS = st.lists(st.lists(st.integers(), min_size=1, max_size=3), max_size=4)


@given(st.lists(ROUNDS, max_size=5))
def test_a_merged_generator_receives_the_answers_that_it_receives_alone(
    plans: list[list[list[int]]],
) -> None:
    alone = [drive(asking(*plan), double) for plan in plans]
    assert drive(merge([asking(*plan) for plan in plans]), double) == alone
    half = len(plans) // 2
    nested: list[QuestionGenerator[int, int, list[list[int]]]] = [
        merge([asking(*plan) for plan in group]) for group in (plans[:half], plans[half:])
    ]
    assert list(chain.from_iterable(drive(merge(nested), double))) == alone


@pytest.mark.parametrize("after", [0, 1, 2])
def test_one_broken_generator_breaks_the_merge_and_closes_the_rest(after: int) -> None:
    others = [asking([1], [2], [3]), asking([4], [5], [6])]
    with pytest.raises(LookupError, match="broken generator"):
        drive(merge([others[0], failing(after), others[1]]), double)
    assert {getgeneratorstate(generator) for generator in others} == {GEN_CLOSED}


def test_about_translates_questions_and_leaves_answers_alone() -> None:
    rounds = []

    def answer(questions: Sequence[str]) -> list[int]:
        rounds.append(list(questions))
        return [len(question) for question in questions]

    assert drive(
        map_questions(asking([1, 22], [333]), lambda question: f"<{question}>"), answer
    ) == [3, 4, 5]
    assert rounds == [["<1>", "<22>"], ["<333>"]]


def test_about_lets_the_generator_s_own_failure_through() -> None:
    with pytest.raises(LookupError, match="broken generator"):
        drive(map_questions(failing(1), lambda question: question), double)
