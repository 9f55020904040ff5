import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.cascade.aggregation import (
    aggregate_by,
    join_slices,
    top_indices,
    top_overlap,
    top_weights,
    weighted_top,
)
from rankprompt.cascade.training.trainable_teacher import weighted_top as trained
from rankprompt.errors import InputError, ModelError

SCORES = st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=8)


def test_max_and_the_mean_of_the_best() -> None:
    scores = [-3.0, 1.0, -2.0, 0.5]
    assert aggregate_by("max")(scores) == 1
    assert aggregate_by("mean:2")(scores) == 0.75
    assert aggregate_by("mean:9")(scores) == sum(scores) / 4


@given(st.floats(-9, -1), st.integers(1, 5))
def test_a_window_that_is_missing_does_not_help_or_harm(score: float, count: int) -> None:
    for name in ("max", "mean:3"):
        assert aggregate_by(name)([score] * count) == pytest.approx(score)


@given(SCORES, st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=4), st.integers(0, 3))
def test_learned_weights_mean_what_they_meant_in_training(
    scores: list[float], weights: list[float], padding: int
) -> None:
    row = torch.tensor([[*scores, *[99.0] * padding]])
    mask = torch.tensor([[True] * len(scores) + [False] * padding])
    expected = trained(row, mask, torch.tensor(weights)).item()
    assert weighted_top(scores, weights) == pytest.approx(expected, abs=1e-4)


def test_learned_weights_are_read_from_the_folder(tmp_path: Path) -> None:
    assert top_weights(tmp_path) is None
    with pytest.raises(InputError, match="no learned weights"):
        aggregate_by("learned", tmp_path)
    (tmp_path / "cascade.json").write_text(json.dumps({"top_weights": [1, 0.5]}))
    assert top_weights(tmp_path) == (1, 0.5)
    assert aggregate_by("learned", tmp_path)([1, 4, 2]) == 5
    (tmp_path / "cascade.json").write_text("[]")
    with pytest.raises(ModelError, match=r"top-l weights in .*cascade\.json"):
        aggregate_by("learned", tmp_path)


@pytest.mark.parametrize("name", ["min", "mean", "mean:", "mean:0", "mean:-1", "max:2", "mean:1.5"])
def test_other_names_are_told(name: str) -> None:
    with pytest.raises(InputError, match="learned or mean:L"):
        aggregate_by(name)


def test_of_equal_scores_the_first_is_the_best() -> None:
    assert top_indices([1, 3, 3, 2], 3) == [1, 2, 3]
    assert top_indices([0, 0], 1) == [0]
    assert top_indices([1], 4) == [0]


def test_overlap_is_the_share_of_the_teachers_best_windows() -> None:
    assert top_overlap([0, 1], [1, 2, 9], 2) == 0.5
    assert top_overlap([2, 1], [1, 2, 9], 2) == 1
    assert top_overlap([0, 1], [1, 2], 2) is None


def test_slices_are_joined_in_order_and_shown_once() -> None:
    text = "abcdefghij"
    assert join_slices(text, [(6, 8), (0, 3)]) == "abc ... gh"
    assert join_slices(text, [(2, 5), (0, 3), (5, 6)]) == "abcdef"
    assert join_slices(text, [(0, 9), (2, 3)]) == "abcdefghi"


@given(st.text(min_size=1), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=5))
def test_joining_loses_no_character_and_adds_none(text: str, places: list[tuple[int, int]]) -> None:
    text = text.replace(".", "")
    slices = [(min(one), max(one)) for one in places if max(one) <= len(text)]
    held = {place for start, end in slices for place in range(start, end)}
    joined = join_slices(text, slices).replace(" ... ", "")
    assert joined == "".join(text[place] for place in sorted(held)).replace(" ... ", "")
