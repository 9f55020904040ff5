"""Drivers: they run a question generator to its end, with or without an event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from rankprompt.rankers.coroutines import Finished, QuestionGenerator, step

__all__ = ["drive", "drive_async", "gather_or_cancel"]

Q = TypeVar("Q")
A = TypeVar("A")
R = TypeVar("R")


def drive(generator: QuestionGenerator[Q, A, R], answer: Callable[[Sequence[Q]], Sequence[A]]) -> R:
    """Runs a question generator: asks a round, waits for its answers, until it returns.

    Args:
        generator: not started yet.
        answer: answers a round, in the same order.

    Returns:
        What the generator returns.

    Raises:
        RuntimeError: the generator asked an empty round, or ``answer`` gave too few or too many
            answers.
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

    Run each query's generator in a task of its own, and a slow query does not delay the others.
    """
    answers: Sequence[A] | None = None
    try:
        while not isinstance(questions := step(generator, answers), Finished):
            answers = _check(questions, await answer(questions) if questions else ())
        return questions.result
    finally:
        generator.close()


async def gather_or_cancel(awaitables: Iterable[Awaitable[R]]) -> list[R]:
    """Awaits several concurrently; where one fails, the others are cancelled before it raises.

    ``asyncio.gather`` alone would let the others go on, and spend.
    """
    tasks = [asyncio.ensure_future(one) for one in awaitables]
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
