"""Options are read from logits as a plain sum of log-probabilities reads them."""

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.llm.local.encoding import EncodedRequest, Row
from rankprompt.llm.local.option_logits import read_options

VOCABULARY = 12
tokens = st.integers(0, VOCABULARY - 1)


@st.composite
def requests(draw: st.DrawFn) -> EncodedRequest:
    rows, option = [], 0
    for _ in range(draw(st.integers(1, 3))):
        stem = tuple(draw(st.lists(tokens, max_size=3)))
        lasts, stops = [], []
        for token in draw(st.lists(tokens, max_size=3)):
            lasts.append((option, token))
            option += 1
        if draw(st.booleans()):
            others = tuple(sorted(draw(st.sets(tokens, min_size=1, max_size=4))))
            stops.append((option, draw(st.integers(0, len(stem))), others))
            option += 1
        rows.append(Row(stem, tuple(lasts), tuple(stops)))
    return EncodedRequest((1, 2), (1,) * option, tuple(rows))


def naive(
    encoded: Sequence[EncodedRequest], logits: torch.Tensor, starts: Sequence[int]
) -> list[float]:
    shares = logits.double().log_softmax(-1)
    found, index = [], 0
    for request in encoded:
        values = [0.0] * len(request.counts)
        for row in request.rows:
            at = shares[index, starts[index] :]
            stem = sum(float(at[place, token]) for place, token in enumerate(row.stem))
            for option, token in row.lasts:
                values[option] += stem + float(at[len(row.stem), token])
            for option, length, others in row.stops:
                left = 1 - float(at[length, list(others)].exp().sum())
                values[option] += math.log(left)
            index += 1
        found += values
    return found


@given(
    st.lists(requests(), min_size=1, max_size=4),
    st.integers(0, 2**20),
    st.sampled_from([1, VOCABULARY, 40, 1 << 26]),
    st.booleans(),
)
def test_options_are_read_whatever_the_slices(
    encoded: list[EncodedRequest], seed: int, size: int, ends_alike: bool
) -> None:
    rows = [row for request in encoded for row in request.rows]
    width = 1 + max(len(row.stem) for row in rows)
    logits = torch.randn(
        len(rows), width, VOCABULARY, generator=torch.Generator().manual_seed(seed)
    )
    starts = [width - 1 - len(row.stem) if ends_alike else 0 for row in rows]
    found = read_options(encoded, logits, starts, slice_size=size)
    assert [one.tokens for one in found] == [one.counts for one in encoded]
    values = [value for one in found for value in one.loglikelihoods]
    assert values == pytest.approx(naive(encoded, logits, starts), abs=1e-4)


def test_what_is_left_is_not_rounded_away() -> None:
    logits = torch.zeros(1, 1, VOCABULARY)
    logits[0, 0, 3] = 30.0  # all of the share, as a float32 sees it
    row = Row((), (), ((0, 0, (3,)),))
    (answer,) = read_options([EncodedRequest((1,), (1,), (row,))], logits, [0])
    assert answer.loglikelihoods[0] == pytest.approx(math.log(VOCABULARY - 1) - 30, abs=1e-3)
