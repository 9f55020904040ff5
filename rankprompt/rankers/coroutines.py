"""Question generators: ranking algorithms ask questions, and a driver answers them.

A question generator yields rounds of questions, receives the answers of each round in the same
order, and returns its result. It is a pure function of the answers, so a journal of answers is all
that a resumed run needs. A round is never empty. ``rankprompt.rankers.driver`` runs generators.

Examples:
    >>> from rankprompt.rankers.driver import drive
    >>> def longest(words):
    ...     best = words[0]
    ...     for word in words[1:]:
    ...         (longer,) = yield [(word, best)]
    ...         best = word if longer else best
    ...     return best
    >>> def compare_lengths(pairs):
    ...     return [len(first) > len(second) for first, second in pairs]
    >>> drive(longest(["mill", "harbour", "boat"]), compare_lengths)
    'harbour'
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

__all__ = ["Finished", "QuestionGenerator", "adjust_answers", "map_questions", "merge", "step"]

Q = TypeVar("Q")
A = TypeVar("A")
R = TypeVar("R")
P = TypeVar("P")

# An allpair round over 43 queries of 100 documents holds 212,850 questions, in 60 MB.
MAX_QUESTIONS = 1 << 18

QuestionGenerator: TypeAlias = Generator[Sequence[Q], Sequence[A], R]
"""``QuestionGenerator[Q, A, R]`` yields rounds of Q, receives their answers A and returns an R."""


@dataclass(frozen=True)
class Finished(Generic[R]):
    """The result of a question generator that has returned."""

    result: R


def step(
    generator: QuestionGenerator[Q, A, R], answers: Sequence[A] | None
) -> Sequence[Q] | Finished[R]:
    """Sends answers to a generator, or None to start it; returns its next round or its result."""
    try:
        return next(generator) if answers is None else generator.send(answers)
    except StopIteration as stop:
        return Finished(stop.value)


def merge(
    generators: Sequence[QuestionGenerator[Q, A, R]], *, max_questions: int = MAX_QUESTIONS
) -> QuestionGenerator[Q, A, list[R]]:
    """Merges generators into a single one, whose rounds hold a round of each running generator.

    Args:
        generators: independent of each other, not started yet.
        max_questions: another generator is started only while the round holds fewer questions, so
            that a thousand generators with long rounds need no more memory than a few.

    Returns:
        A generator that returns the results, in the order of ``generators``.
    """
    results: dict[int, R] = {}
    rounds: dict[int, Sequence[Q]] = {}
    waiting = iter(range(len(generators)))

    def advance(index: int, answers: Sequence[A] | None) -> None:
        questions = step(generators[index], answers)
        if isinstance(questions, Finished):
            rounds.pop(index, None)
            results[index] = questions.result
        else:
            rounds[index] = questions

    try:
        while True:
            size = sum(map(len, rounds.values()))
            while size < max_questions and (index := next(waiting, None)) is not None:
                advance(index, None)
                size += len(rounds.get(index, ()))
            if not rounds:
                break
            answers = yield [question for questions in rounds.values() for question in questions]
            start = 0
            for index, questions in list(rounds.items()):
                advance(index, answers[start : start + len(questions)])
                start += len(questions)
    finally:
        for generator in generators:
            generator.close()
    return [results[index] for index in range(len(generators))]


def map_questions(
    generator: QuestionGenerator[P, A, R], translate: Callable[[P], Q]
) -> QuestionGenerator[Q, A, R]:
    """Translates a generator's questions, such as pairs of documents into questions about a query.

    Args:
        generator: yields rounds of P.
        translate: turns a P into a Q.

    Returns:
        A generator of rounds of Q, with the answers and the result of ``generator``.
    """
    answers: Sequence[A] | None = None
    try:
        while not isinstance(questions := step(generator, answers), Finished):
            answers = yield [translate(question) for question in questions]
        return questions.result
    finally:
        generator.close()


def adjust_answers(
    generator: QuestionGenerator[Q, A, R],
    adjust: Callable[[Sequence[Q], Sequence[A]], Sequence[A]],
) -> QuestionGenerator[Q, A, R]:
    """Adjusts the answers that a generator receives, for instance by a first stage's scores.

    Args:
        generator: yields rounds of Q.
        adjust: takes a round of questions and its answers; returns the answers that the generator
            receives.

    Returns:
        A generator with the questions and the result of ``generator``.
    """
    answers: Sequence[A] | None = None
    try:
        while not isinstance(questions := step(generator, answers), Finished):
            answers = adjust(questions, (yield questions))
        return questions.result
    finally:
        generator.close()
