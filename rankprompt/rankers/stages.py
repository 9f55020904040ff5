"""Stages: each ranker reranks the top of the ranking that the stage before it made."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from rankprompt.errors import InputError
from rankprompt.rankers.base import Method, Ranker, RankerSettings
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import Preference

__all__ = ["join_stages", "split_stages", "stages"]

T = TypeVar("T")


def stages(
    items: Sequence[T], *, rankers: Sequence[tuple[Ranker, int | None]]
) -> QuestionGenerator[tuple[T, T], Preference, list[T]]:
    """Ranks by one ranker after the other (Wang et al. 2011, A Cascade Ranking Model).

    Args:
        items: in first-stage order.
        rankers: each with the number of items at the top that it reranks; None for all.

    Returns:
        All items, best first; items below a stage's depth keep the order of the stage before.
    """
    ranking = list(items)
    for ranker, depth in rankers:
        ranking[:depth] = yield from ranker(ranking[:depth])
    return ranking


def split_stages(name: str) -> list[tuple[str, int | None]]:
    """The stages of a method such as ``heapsort,allpair@20``: names, and how many each reranks.

    Raises:
        InputError: a depth that is not a number from 1, or stages that do not narrow.
    """
    parts: list[tuple[str, int | None]] = []
    for part in name.split(","):
        method, at, depth = part.strip().partition("@")
        if at and not (depth.isascii() and depth.isdecimal() and int(depth)):
            raise InputError(f"`method` {part}: give a number from 1 after @, as in allpair@20")
        before = parts[-1][1] if parts else None
        if not method:
            raise InputError(f"`method` {name}: a stage has no name, as in heapsort,allpair@20")
        if parts and not at:
            raise InputError(
                f"`method` {name}: say how many of the best {method} reranks, as in {method}@20"
            )
        if before is not None and int(depth) >= before:
            raise InputError(
                f"`method` {name}: {method} must rerank fewer than the {before} of the stage before"
            )
        parts.append((method, int(depth) if at else None))
    return parts


def join_stages(parts: Sequence[tuple[Method, int | None]]) -> Method:
    """Makes one method of stages that ask the same kind of question; their costs add up.

    Every stage but the last ranks as deep as the next stage reads, or k where that is deeper.
    """
    nexts = [depth for _, depth in parts[1:]]

    def each(settings: RankerSettings) -> list[RankerSettings]:
        depths = [max(settings.k, depth or 0) for depth in nexts]
        return [*(replace(settings, k=depth, passes=depth) for depth in depths), settings]

    def bind(settings: RankerSettings) -> Ranker:
        bound = [
            (method.bind(own), depth)
            for (method, depth), own in zip(parts, each(settings), strict=True)
        ]
        return partial(stages, rankers=bound)

    def estimate(n: int, settings: RankerSettings) -> int:
        return sum(
            method.estimate(min(n, depth or n), own)
            for (method, depth), own in zip(parts, each(settings), strict=True)
        )

    return Method(bind, estimate, parts[0][0].question)
