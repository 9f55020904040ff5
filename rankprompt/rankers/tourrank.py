"""TourRank: tournaments whose groups' best items score points and pass to the next stage."""

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
"""The default number of tournaments."""

T = TypeVar("T")


def tourrank(
    items: Sequence[T], *, size: int = SIZE, tournaments: int = TOURNAMENTS, seed: int = 0
) -> QuestionGenerator[tuple[T, ...], Permutation, list[T]]:
    """Ranks by points from several tournaments (TourRank, arXiv 2406.11678).

    A tournament's stages leave 50, 20, 10, 5 and 2 of 100 items (another number of items enters
    this ladder at its place), and each stage that an item passes is worth a point. Up to ``size``
    items play as a single group, more in five groups or as many as it takes: the items are dealt in
    turn and shown in an order drawn by the seed. A question asks for the order of a group: 13 of
    them for 100 items and one tournament. The groups of a stage share a round, and so do the
    tournaments, so the rounds are the stages. Equal points keep the order of ``items``. The paper
    asks for the best m items of a group; here the group is ordered and its first m items are taken,
    so that listwise prompts serve (ours).

    Args:
        items: in first-stage order.
        size: the most items in a group.
        tournaments: the number of tournaments.
        seed: the seed of the orders in which groups are shown.
    """
    points = [0] * len(items)

    def play(tournament: int) -> QuestionGenerator[tuple[T, ...], Permutation, None]:
        random = Random(f"{seed} {tournament}")
        players = list(range(len(items)))
        for _, group_count, survivors in schedule(len(items), size):
            groups = [players[start::group_count] for start in range(group_count)]
            for group in groups:
                random.shuffle(group)
            playing = [group for group in groups if len(group) > 1]
            orders = iter((yield [tuple(items[i] for i in group) for group in playing]))
            ranked = [
                [group[i] for i in next(orders)] if len(group) > 1 else group for group in groups
            ]
            # The best of every group pass, then the second of every group, and so on.
            by_rank = sorted(pair for group in ranked for pair in enumerate(group))
            players = sorted(i for _, i in by_rank[:survivors])
            for i in players:
                points[i] += 1

    if len(items) > 1:
        yield from merge([play(tournament) for tournament in range(max(tournaments, 1))])
    return [items[i] for i in sorted(range(len(items)), key=lambda i: -points[i])]


def schedule(number: int, size: int) -> list[tuple[int, int, int]]:
    """The stages of a tournament: for each its players, its groups and its survivors.

    The survivors are 1, 2 and 5 times the powers of ten, down to 2 (to 1 where 2 items play).
    """
    ladder = sorted(base * 10**power for base in (1, 2, 5) for power in range(len(str(number))))
    survivors = [rung for rung in reversed(ladder) if min(number - 1, 2) <= rung < number]
    players = [number, *survivors]
    groups = [
        1 if count <= size else max(min(5, count // 2), -(-count // max(size, 2)))
        for count in players
    ]
    return list(zip(players, groups, survivors, strict=False))


def _estimate(n: int, settings: RankerSettings) -> int:
    # A group of a single item passes without a question.
    questions = sum(
        min(groups, players - groups)
        for players, groups, _ in schedule(n, settings.set_size or SIZE)
    )
    return questions * (settings.tournaments or TOURNAMENTS)


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
