"""Flows: algorithms ask, drivers answer.

A flow is a generator that yields rounds of questions, hears the answers in the same order and
returns its result. It is a pure function of the answers that it hears, so a journal of answers is
all that a resume needs. A round is never empty.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

__all__ = ["Flow", "about", "all_or_none", "arun", "run", "together"]

Q = TypeVar("Q")
A = TypeVar("A")
R = TypeVar("R")
P = TypeVar("P")

# An allpair round over 43 queries of 100 documents holds 212,850 questions, in 60 MB.
ROOM = 1 << 18

Flow: TypeAlias = Generator[Sequence[Q], Sequence[A], R]
"""``Flow[Q, A, R]`` asks rounds of Q, hears rounds of A and returns an R."""


def together(flows: Sequence[Flow[Q, A, R]], *, room: int = ROOM) -> Flow[Q, A, list[R]]:
    """Merges flows into one whose rounds hold one round of each flow still alive.

    Args:
        flows: independent flows, not started yet.
        room: questions in a round, about; the next flow is started only where they are fewer, so
            that a thousand flows of long rounds need no more memory than a few.

    Returns:
        A flow that returns the flows' results, in the same order as ``flows``.
    """
    results: dict[int, R] = {}
    waiting: dict[int, Sequence[Q]] = {}
    coming = iter(range(len(flows)))

    def step(index: int, answers: Sequence[A] | None) -> None:
        asked = _step(flows[index], answers)
        if isinstance(asked, _Done):
            waiting.pop(index, None)
            results[index] = asked.result
        else:
            waiting[index] = asked

    try:
        while True:
            asking = sum(map(len, waiting.values()))
            while asking < room and (index := next(coming, None)) is not None:
                step(index, None)
                asking += len(waiting.get(index, ()))
            if not waiting:
                break
            answers = yield [question for asked in waiting.values() for question in asked]
            start = 0
            for index, asked in list(waiting.items()):
                step(index, answers[start : start + len(asked)])
                start += len(asked)
    finally:
        for flow in flows:
            flow.close()
    return [results[index] for index in range(len(flows))]


def about(flow: Flow[P, A, R], question: Callable[[P], Q]) -> Flow[Q, A, R]:
    """Translates a flow's questions, such as pairs of documents into comparisons for a query.

    Args:
        flow: asks Ps.
        question: turns one P into one Q.

    Returns:
        The same flow, asking Qs.
    """
    answers: Sequence[A] | None = None
    try:
        while not isinstance(asked := _step(flow, answers), _Done):
            answers = yield [question(one) for one in asked]
        return asked.result
    finally:
        flow.close()


def run(flow: Flow[Q, A, R], answer: Callable[[Sequence[Q]], Sequence[A]]) -> R:
    """Drives a flow in lock-step: one round asked, one round answered, until it returns.

    Args:
        flow: not started yet.
        answer: answers a round, in the same order.

    Returns:
        What the flow returns.

    Raises:
        RuntimeError: the flow asked an empty round, or ``answer`` gave too few or too many.
    """
    answers: Sequence[A] | None = None
    try:
        while not isinstance(asked := _step(flow, answers), _Done):
            answers = _checked(asked, answer(asked) if asked else ())
        return asked.result
    finally:
        flow.close()


async def arun(flow: Flow[Q, A, R], answer: Callable[[Sequence[Q]], Awaitable[Sequence[A]]]) -> R:
    """Drives a flow as ``run`` does, letting others go on while it waits for its answers.

    Drive many flows each by a task of its own, and a slow one holds nobody up.
    """
    answers: Sequence[A] | None = None
    try:
        while not isinstance(asked := _step(flow, answers), _Done):
            answers = _checked(asked, await answer(asked) if asked else ())
        return asked.result
    finally:
        flow.close()


async def all_or_none(work: Iterable[Coroutine[Any, Any, R]]) -> list[R]:
    """Awaits coroutines side by side; where one fails, the others are cancelled before it is told.

    (``asyncio.gather`` alone would let them go on, and spend.)
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True)
class _Done(Generic[R]):
    result: R


def _step(flow: Flow[Q, A, R], answers: Sequence[A] | None) -> Sequence[Q] | _Done[R]:
    """Hears answers and asks the next round. Only the flow's own StopIteration means its end."""
    try:
        return next(flow) if answers is None else flow.send(answers)
    except StopIteration as stop:
        return _Done(stop.value)


def _checked(asked: Sequence[Q], answers: Sequence[A]) -> Sequence[A]:
    if not asked:
        raise RuntimeError("a flow asked an empty round")
    if len(answers) != len(asked):
        raise RuntimeError(f"{len(asked)} questions got {len(answers)} answers")
    return answers
