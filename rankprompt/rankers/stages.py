"""Stages: each ranker reranks the top of the previous stage's ranking."""

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
    """Ranks by several rankers in turn (Wang et al. 2011, A Cascade Ranking Model).

    Questions, rounds and ties are those of the stages; the numbers of questions add up, and no two
    stages share a round.

    Args:
        items: in first-stage order.
        rankers: the rankers, each with the number of items at the top that it reranks; None for
            all.

    Returns:
        All items, best first; items below a stage's depth keep the previous stage's order.
    """
    ranking = list(items)
    for ranker, depth in rankers:
        ranking[:depth] = yield from ranker(ranking[:depth])
    return ranking


def split_stages(name: str) -> list[tuple[str, int | None]]:
    """Parses a method such as ``heapsort,allpair@20`` into its stages' names and depths.

    Returns:
        For each stage its name and its depth, the number of documents at the top that it reranks;
        None for all.

    Raises:
        InputError: a depth is not a number from 1, or a stage does not rerank fewer documents than
            the stage before.
    """
    parsed: list[tuple[str, int | None]] = []
    for stage in name.split(","):
        method, at, depth = stage.strip().partition("@")
        if at and not (depth.isascii() and depth.isdecimal() and int(depth)):
            raise InputError(f"`method` {stage}: give a number from 1 after @, as in allpair@20")
        previous_depth = parsed[-1][1] if parsed else None
        if not method:
            raise InputError(f"`method` {name}: a stage has no name, as in heapsort,allpair@20")
        if parsed and not at:
            raise InputError(
                f"`method` {name}: say how many of the best {method} reranks, as in {method}@20"
            )
        if previous_depth is not None and int(depth) >= previous_depth:
            raise InputError(
                f"`method` {name}: {method} must rerank fewer than the {previous_depth} of the "
                "stage before"
            )
        parsed.append((method, int(depth) if at else None))
    return parsed


def join_stages(methods: Sequence[tuple[Method, int | None]]) -> Method:
    """Joins methods that ask the same kind of question into a method of several stages.

    Every stage but the last ranks to the depth of the next stage, or to k where that is deeper.

    Args:
        methods: the stages' methods, each with its depth as from ``split_stages``.
    """
    next_depths = [depth for _, depth in methods[1:]]

    def settings_by_stage(settings: RankerSettings) -> list[RankerSettings]:
        depths = [max(settings.k, depth or 0) for depth in next_depths]
        return [*(replace(settings, k=depth, passes=depth) for depth in depths), settings]

    def bind(settings: RankerSettings) -> Ranker:
        rankers = [
            (method.bind(stage_settings), depth)
            for (method, depth), stage_settings in zip(
                methods, settings_by_stage(settings), strict=True
            )
        ]
        return partial(stages, rankers=rankers)

    def estimate(n: int, settings: RankerSettings) -> int:
        return sum(
            method.estimate(min(n, depth or n), stage_settings)
            for (method, depth), stage_settings in zip(
                methods, settings_by_stage(settings), strict=True
            )
        )

    strict = all(method.strict for method, _ in methods)
    return Method(bind, estimate, methods[0][0].question, strict)
