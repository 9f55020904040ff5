from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rankprompt.distil.lora_batches import Step, steps_of
from rankprompt.distil.lora_lessons import Lesson

PAIRS = st.lists(st.tuples(st.integers(0, 2), st.sets(st.integers(0, 7), min_size=2, max_size=2)))
LENGTHS = st.lists(st.integers(1, 1500), min_size=24, max_size=24)


def sizes(steps: list[Step], lengths: list[int]) -> list[tuple[int, int, int]]:
    """Of each step: its prompts, its tokens, and those of its largest batch of several prompts."""
    found = []
    for step in steps:
        tokens = [sum(lengths[one] for one in batch.prompts) for batch in step]
        largest = [size for size, batch in zip(tokens, step, strict=True) if len(batch.prompts) > 2]
        found.append((sum(len(batch.prompts) for batch in step), sum(tokens), max([0, *largest])))
    return found


@given(st.lists(st.floats(0, 1), max_size=60), st.integers(0, 9), st.data())
def test_a_pair_is_seen_once_an_epoch_in_one_of_its_orders(
    preferences: list[float], seed: int, data: st.DataObject
) -> None:
    lessons = [
        Lesson("q", (2 * place, 2 * place + 1), preference)
        for place, preference in enumerate(preferences)
    ]
    many = 2 * len(lessons)
    lengths = data.draw(st.lists(st.integers(1, 1500), min_size=many, max_size=many))
    steps = steps_of(lessons, lengths, ordered=True, epoch=1, seed=seed)
    seen = []
    for batch in (batch for step in steps for batch in step):
        assert [term.first for term in batch.terms] == list(range(len(batch.prompts)))
        for prompt, term in zip(batch.prompts, batch.terms, strict=True):
            assert term.second is None
            turned = 1 - preferences[prompt // 2] if prompt % 2 else preferences[prompt // 2]
            assert term.preference == turned
            seen.append(prompt // 2)
    assert sorted(seen) == list(range(len(lessons)))
    assert all(
        (tokens <= 4096 or prompts == 1) and largest <= 2048
        for prompts, tokens, largest in sizes(steps, lengths)
    )
    assert steps == steps_of(lessons, lengths, ordered=True, epoch=1, seed=seed)


def test_both_orders_are_drawn_and_anew_in_each_epoch() -> None:
    lessons = [Lesson("q", (2 * place, 2 * place + 1), 0.9) for place in range(200)]
    shown = []
    for epoch in (0, 1):
        steps = steps_of(lessons, [100] * 400, ordered=True, epoch=epoch, seed=0)
        shown.append({prompt for step in steps for batch in step for prompt in batch.prompts})
        assert 70 < sum(prompt % 2 for prompt in shown[-1]) < 130
    assert 140 < len(shown[0] ^ shown[1]) < 260


@given(PAIRS, LENGTHS, st.integers(0, 9))
def test_a_pair_of_passages_is_seen_once_an_epoch_with_passages_of_its_query(
    pairs: list[tuple[int, set[int]]], lengths: list[int], seed: int
) -> None:
    lessons = [
        Lesson(str(query), (8 * query + min(both), 8 * query + max(both)), place / 100)
        for place, (query, both) in enumerate(pairs)
    ]
    steps = steps_of(lessons, lengths, ordered=False, epoch=0, seed=seed)
    seen: Counter[Lesson] = Counter()
    for batch in (batch for step in steps for batch in step):
        (query,) = {prompt // 8 for prompt in batch.prompts}
        assert len({*batch.prompts}) == len(batch.prompts)
        used = set()
        for first, second, preference in batch.terms:
            assert second is not None
            both = batch.prompts[first], batch.prompts[second]
            seen[Lesson(str(query), both, preference)] += 1
            used |= {first, second}
        assert used == {*range(len(batch.prompts))}  # no passage is read for nothing
    assert seen == Counter(lessons)
    assert all(largest <= 2048 for _, _, largest in sizes(steps, lengths))
    assert steps == steps_of(lessons, lengths, ordered=False, epoch=0, seed=seed)


def test_a_passage_is_read_once_for_all_of_its_pairs_that_fit() -> None:
    lessons = [Lesson("q", (one, two), 0.7) for one in range(10) for two in range(one)]
    (step,) = steps_of(lessons, [100] * 10, ordered=False, epoch=0, seed=0)
    (batch,) = step
    assert len(batch.prompts) == 10
    assert len(batch.terms) == 45
