"""Stages: each ranker reranks the head of what the one before it made."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from rankprompt.errors import InputError
from rankprompt.rankers.base import Ranker
from rankprompt.rankers.coroutines import QuestionGenerator
from rankprompt.types import Preference

if TYPE_CHECKING:
    from rankprompt.rankers import Method

__all__ = ["in_stages", "split_stages", "stages"]

T = TypeVar("T")


def stages(
    items: Sequence[T], *, rankers: Sequence[tuple[Ranker, int | None]]
) -> QuestionGenerator[tuple[T, T], Preference, list[T]]:
    """Ranks by one ranker after the other (Wang et al. 2011, A Cascade Ranking Model).

    Args:
        items: in first-stage order.
        rankers: each with how many of the best it reranks; None for all.

    Returns:
        All items, best first; what a stage does not reach stays in the order of the one before.
    """
    ranking = list(items)
    for ranker, depth in rankers:
        ranking[:depth] = yield from ranker(ranking[:depth])
    return ranking


def split_stages(name: str) -> list[tuple[str, int | None]]:
    """The stages of a method such as ``heapsort,allpair@20``: names, and how many each reranks.

    Raises:
        InputError: a depth that is none, or stages that do not narrow.
    """
    parts: list[tuple[str, int | None]] = []
    for part in name.split(","):
        method, at, depth = part.strip().partition("@")
        if at and not (depth.isascii() and depth.isdecimal() and int(depth)):
            raise InputError(f"--method {part}: give a number from 1 after @, as in allpair@20")
        before = parts[-1][1] if parts else None
        if not method:
            raise InputError(f"--method {name}: a stage has no name, as in heapsort,allpair@20")
        if parts and not at:
            raise InputError(
                f"--method {name}: say how many of the best {method} reranks, as in {method}@20"
            )
        if before is not None and int(depth) >= before:
            raise InputError(
                f"--method {name}: {method} must rerank fewer than the {before} of the stage before"
            )
        parts.append((method, int(depth) if at else None))
    return parts


def in_stages(
    parts: Sequence[tuple["Method", int | None]],
) -> tuple[Callable[..., Ranker], Callable[..., int]]:
    """Makes a method's ``ranker`` and ``estimate`` of the stages'; costs add up.

    Every stage but the last ranks as deep as the next one reads, or k where that is deeper.
    """
    nexts = [depth for _, depth in parts[1:]]

    def settings(k: int, passes: int) -> list[tuple[int, int]]:
        return [(max(k, depth or 0),) * 2 for depth in nexts] + [(k, passes)]

    def ranker(k: int, passes: int, *rest: Any) -> Ranker:
        bound = [
            (method.ranker(*top, *rest), depth)
            for (method, depth), top in zip(parts, settings(k, passes), strict=True)
        ]
        return partial(stages, rankers=bound)

    def estimate(n: int, k: int, passes: int, *rest: Any) -> int:
        return sum(
            method.estimate(min(n, depth or n), *top, *rest)
            for (method, depth), top in zip(parts, settings(k, passes), strict=True)
        )

    return ranker, estimate
