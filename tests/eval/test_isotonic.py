"""Isotonic regression: the frequencies of its blocks, rising from 0 to 1."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.eval.isotonic import LARGEST_VALUE, IsotonicMap, fit_isotonic

VALUES = st.one_of(
    st.integers(-5, 5).map(float),
    st.floats(-LARGEST_VALUE, LARGEST_VALUE),
)
LABELLED = st.lists(st.tuples(VALUES, st.booleans()), min_size=1, max_size=60)


def pooled(documents: list[tuple[float, bool]]) -> dict[float, Fraction]:
    """The shares by value, by the rule of pooling adjacent violators, in exact numbers."""
    counts: dict[float, list[int]] = {}
    for value, label in sorted(documents):
        found = counts.setdefault(value, [0, 0])
        found[0] += label
        found[1] += 1
    blocks: list[tuple[list[float], int, int]] = []
    for value, (hits, number) in counts.items():
        block = ([value], hits, number)
        while blocks and blocks[-1][1] * block[2] >= block[1] * blocks[-1][2]:
            before = blocks.pop()
            block = (before[0] + block[0], before[1] + block[1], before[2] + block[2])
        blocks.append(block)
    return {value: Fraction(hits, number) for values, hits, number in blocks for value in values}


@given(LABELLED)
def test_a_block_has_the_frequency_of_its_documents(documents: list[tuple[float, bool]]) -> None:
    values = [value for value, _ in documents]
    fitted = fit_isotonic(values, [float(label) for _, label in documents])
    for value, share in pooled(documents).items():
        assert fitted(value) == pytest.approx(float(share), abs=1e-12)
    total = sum(label for _, label in documents)
    assert sum(map(fitted, values)) == pytest.approx(total, abs=1e-9)


@given(LABELLED, st.lists(st.floats(allow_nan=False), min_size=2))
def test_it_rises_from_0_to_1(documents: list[tuple[float, bool]], others: list[float]) -> None:
    fitted = fit_isotonic([v for v, _ in documents], [float(label) for _, label in documents])
    found = [fitted(value) for value in sorted([*others, *(v for v, _ in documents)])]
    assert found == sorted(found)
    assert 0 <= found[0] <= found[-1] <= 1


def test_between_knots_it_is_a_line() -> None:
    fitted = IsotonicMap("isotonic", (0.0, 1.0, 3.0), (0.25, 0.25, 0.75))
    assert [fitted(value) for value in (-9, 0, 0.5, 1, 2, 3, 4)] == [
        0.25, 0.25, 0.25, 0.25, 0.5, 0.75, 0.75,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "probabilities", "problem"),
    [
        ((), (), "1,000,000 knots, not 0"),
        ((1.0,), (0.5, 0.6), "of one length"),
        ((1.0, 1.0), (0.5, 0.6), "not strictly increasing"),
        ((1.0, 2.0), (0.6, 0.5), "do not rise"),
        ((1.0, 2.0), (0.6, 1.1), "not from 0 to 1"),
        ((1.0, 2.0), (-0.1, 1.0), "not from 0 to 1"),
        ((1.0, 2.0), (0.1, float("nan")), "not from 0 to 1"),
        ((1.0, float("nan")), (0.1, 0.2), "not a number"),
        ((1.0, 2e100), (0.1, 0.2), "beyond 1e.100"),
    ],
)
def test_knots_that_are_none_are_refused(
    values: tuple[float, ...], probabilities: tuple[float, ...], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        IsotonicMap("isotonic", values, probabilities)
