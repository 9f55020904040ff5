"""TourRank: tournaments of groups, whose best go on to the next stage and score points."""

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import TypeVar

from rankprompt.rankers.base import Method, RankerSettings
from rankprompt.rankers.coroutines import QuestionGenerator, merge
from rankprompt.rankers.listwise import SIZE
from rankprompt.types import ListwiseQuestion, Permutation

__all__ = ["METHOD", "TOURNAMENTS", "schedule", "tourrank"]

TOURNAMENTS = 2
"""Tournaments that are played, unless the settings say another number."""

T = TypeVar("T")


def tourrank(
    items: Sequence[T], *, size: int = SIZE, tournaments: int = TOURNAMENTS, seed: int = 0
) -> QuestionGenerator[tuple[T, ...], Permutation, list[T]]:
    """Ranks by the points of several tournaments side by side (TourRank, arXiv 2406.11678).

    A tournament's stages leave 50, 20, 10, 5 and 2 of 100 items (other numbers join that ladder
    where they fall); passing one is worth a point. More than ``size`` items play in five groups, or
    as many as it takes: dealt in turn, shown in an order drawn by the seed. Equal points keep the
    order of ``items``. Where the paper asks for a group's best m, here a group is put in order and
    its first m taken, so that listwise prompts serve (ours).
    """
    points = [0] * len(items)

    def play(number: int) -> QuestionGenerator[tuple[T, ...], Permutation, None]:
        random = Random(f"{seed} {number}")
        field = list(range(len(items)))
        for _, many, left in schedule(len(items), size):
            dealt = [field[start::many] for start in range(many)]
            for group in dealt:
                random.shuffle(group)
            playing = [group for group in dealt if len(group) > 1]
            found = iter((yield [tuple(items[i] for i in group) for group in playing]))
            ranked = [[g[i] for i in next(found)] if len(g) > 1 else g for g in dealt]
            # The groups' first, then their second, and so on, until the places are given out.
            rows = sorted(pair for group in ranked for pair in enumerate(group))
            field = sorted(i for _, i in rows[:left])
            for i in field:
                points[i] += 1

    if len(items) > 1:
        yield from merge([play(number) for number in range(max(tournaments, 1))])
    return [items[i] for i in sorted(range(len(items)), key=lambda i: -points[i])]


def schedule(number: int, size: int) -> list[tuple[int, int, int]]:
    """Of each stage, how many items play, in how many groups, and how many are left.

    These are 1, 2 and 5 times powers of ten, down to 2 (1 of 2).
    """
    ladder = sorted(base * 10**power for base in (1, 2, 5) for power in range(len(str(number))))
    lefts = [left for left in reversed(ladder) if min(number - 1, 2) <= left < number]
    fields = [number, *lefts]
    wanted = [max(min(5, field // 2), -(-field // max(size, 2))) for field in fields]
    many = [1 if field <= size else groups for field, groups in zip(fields, wanted, strict=True)]
    return list(zip(fields, many, lefts, strict=False))


def _estimate(n: int, settings: RankerSettings) -> int:
    # A group of one goes on without a question.
    stages = schedule(n, settings.set_size or SIZE)
    played = sum(min(groups, field - groups) for field, groups, _ in stages)
    return played * (settings.tournaments or TOURNAMENTS)


METHOD = Method(
    lambda settings: partial(
        tourrank,
        size=settings.set_size or SIZE,
        tournaments=settings.tournaments or TOURNAMENTS,
        seed=settings.seed,
    ),
    _estimate,
    ListwiseQuestion,
)
