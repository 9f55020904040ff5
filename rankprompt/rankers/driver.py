"""Drivers run a question generator to its end, with or without an event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from rankprompt.rankers.coroutines import Finished, QuestionGenerator, step

__all__ = ["drive", "drive_async", "gather_or_cancel"]

Q = TypeVar("Q")
A = TypeVar("A")
R = TypeVar("R")


def drive(generator: QuestionGenerator[Q, A, R], answer: Callable[[Sequence[Q]], Sequence[A]]) -> R:
    """Runs a question generator: answers its rounds in turn until it returns.

    Args:
        generator: not started yet.
        answer: answers a round of questions, in the same order.

    Returns:
        The generator's result.

    Raises:
        RuntimeError: the generator asked an empty round, or ``answer`` returned too few or too many
            answers.

    Examples:
        >>> from rankprompt.rankers import allpair
        >>> from rankprompt.rankers.driver import drive
        >>> def prefer_smaller(pairs):
        ...     return [float(first < second) for first, second in pairs]
        >>> drive(allpair([3, 1, 2]), prefer_smaller)
        [1, 2, 3]
    """
    answers: Sequence[A] | None = None
    try:
        while not isinstance(questions := step(generator, answers), Finished):
            answers = _check(questions, answer(questions) if questions else ())
        return questions.result
    finally:
        generator.close()


async def drive_async(
    generator: QuestionGenerator[Q, A, R],
    answer: Callable[[Sequence[Q]], Awaitable[Sequence[A]]],
) -> R:
    """Runs a question generator as ``drive`` does, in an event loop.

    If each query's generator runs in a task of its own, a slow query does not delay the others.
    """
    answers: Sequence[A] | None = None
    try:
        while not isinstance(questions := step(generator, answers), Finished):
            answers = _check(questions, await answer(questions) if questions else ())
        return questions.result
    finally:
        generator.close()


async def gather_or_cancel(awaitables: Iterable[Awaitable[R]]) -> list[R]:
    """Awaits all concurrently; where an awaitable fails, the others are cancelled before it raises.

    ``asyncio.gather`` alone would let the others run on, and spend money.
    """
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _check(questions: Sequence[Q], answers: Sequence[A]) -> Sequence[A]:
    if not questions:
        raise RuntimeError("a question generator asked an empty round")
    if len(answers) != len(questions):
        raise RuntimeError(f"{len(questions)} questions got {len(answers)} answers")
    return answers
