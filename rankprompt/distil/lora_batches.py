"""In which order pairs are learnt, and which prompts run together; by the seed alone."""

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple, TypeAlias, TypeVar

from rankprompt.distil.lora_lessons import Lesson

__all__ = ["Batch", "Step", "Term", "steps_of"]

T = TypeVar("T")

# Prompts of a step of the optimizer, and of those whose gradient is computed together, in tokens.
_STEP_TOKENS, _BATCH_TOKENS = 4096, 2048


class Term(NamedTuple):
    """A term of the loss: the cross-entropy of a preference by the prompts' log-odds.

    Attributes:
        first: the place of a prompt in its batch.
        second: that of the prompt whose log-odds are subtracted; None where none are.
        preference: the probability that the log-odds stand for.
    """

    first: int
    second: int | None
    preference: float


class Batch(NamedTuple):
    """Prompts that run together, by their numbers, and the terms of the loss that they have."""

    prompts: tuple[int, ...]
    terms: tuple[Term, ...]


Step: TypeAlias = tuple[Batch, ...]
"""The batches of a step of the optimizer."""


def steps_of(
    lessons: Sequence[Lesson], lengths: Sequence[int], *, ordered: bool, epoch: int, seed: int
) -> list[Step]:
    """The steps of an epoch, in which each pair is seen once.

    Args:
        lessons: the pairs to learn.
        lengths: the tokens of each prompt.
        ordered: whether a prompt shows both documents of a pair. One of its two orders is then
            drawn anew in each epoch, so that no place is the better one. Else the passages of a
            query stand together, and each is read once for all of its pairs in a batch.
        epoch: from 0.
        seed: the seed.
    """
    random = Random(f"{seed} epoch {epoch}")
    if ordered:
        return _steps_of_prompts(lessons, lengths, random)
    batches = []
    by_query: dict[str, list[Lesson]] = {}
    for lesson in lessons:
        by_query.setdefault(lesson.query, []).append(lesson)
    for of_query in by_query.values():
        batches += _batches_of_passages(of_query, lengths, random)
    random.shuffle(batches)
    return _joined(batches, lambda batch: sum(lengths[one] for one in batch.prompts))


def _steps_of_prompts(
    lessons: Sequence[Lesson], lengths: Sequence[int], random: Random
) -> list[Step]:
    drawn = []
    for lesson in random.sample(lessons, len(lessons)):
        turned = random.random() < 0.5
        preference = 1 - lesson.preference if turned else lesson.preference
        drawn.append((lesson.prompts[turned], preference))
    steps = []
    for step in _joined(drawn, lambda one: lengths[one[0]]):
        # Prompts of similar length run together.
        step = tuple(sorted(step, key=lambda one: lengths[one[0]]))
        batches = _joined(step, lambda one: lengths[one[0]], _BATCH_TOKENS)
        steps.append(
            tuple(
                Batch(
                    tuple(prompt for prompt, _ in batch),
                    tuple(Term(place, None, one[1]) for place, one in enumerate(batch)),
                )
                for batch in batches
            )
        )
    return steps


def _batches_of_passages(
    lessons: Sequence[Lesson], lengths: Sequence[int], random: Random
) -> list[Batch]:
    """Batches of the passages of one query, each grown by the passage with most pairs in it."""
    drawn = random.sample(lessons, len(lessons))
    left: dict[int, dict[int, list[Lesson]]] = {}
    for lesson in drawn:
        for one, other in (lesson.prompts, lesson.prompts[::-1]):
            left.setdefault(one, {}).setdefault(other, []).append(lesson)
    batches = []
    for lesson in drawn:
        first, second = lesson.prompts
        if second not in left[first]:
            continue  # an earlier batch has it
        places: dict[int, int] = {}
        links: Counter[int] = Counter()
        room, new = _BATCH_TOKENS, first
        while len(places) < 2 or room >= lengths[new]:
            places[new] = len(places)
            room -= lengths[new]
            links.update(one for one in left[new] if one not in places)
            del links[new]
            if not links:
                break
            new = second if len(places) == 1 else max(links, key=lambda one: links[one])
        inside = [
            (one, other)
            for one in places
            for other in left[one]
            if places[one] < places.get(other, -1)
        ]
        terms = [
            Term(places[one.prompts[0]], places[one.prompts[1]], one.preference)
            for pair in inside
            for one in left[pair[0]].pop(pair[1])
        ]
        for one, other in inside:
            del left[other][one]
        batches.append(Batch(tuple(places), tuple(terms)))
    return batches


def _joined(
    items: Sequence[T], size: Callable[[T], int], most: int = _STEP_TOKENS
) -> list[tuple[T, ...]]:
    """Cuts items into groups that have no more than ``most`` tokens, where each item has less."""
    groups: list[list[T]] = []
    room = 0
    for item in items:
        room -= size(item)
        if not groups or room < 0:
            groups.append([])
            room = most - size(item)
        groups[-1].append(item)
    return [tuple(group) for group in groups]
