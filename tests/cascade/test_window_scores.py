"""A teacher's memory: nothing is asked twice, and a stopped run ends with the same scores."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from rankprompt.cascade.window_scores import WindowQuestion, WindowScores
from rankprompt.errors import ModelError
from rankprompt.journal.store import Journal

WINDOWS = [WindowQuestion("q", f"d{i % 7}", i, ("crane", "b " * (i % 11))) for i in range(100)]


class ByBatch:
    """A teacher whose scores depend on the batch, as a real model's may; stops when told to."""

    def __init__(self, batches: int = 99) -> None:
        self.left = batches
        self.pairs: list[tuple[str, str]] = []

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        self.pairs.extend(pairs)
        longest = max(len(text) for _, text in pairs)
        return [len(text) + longest / 1000 + len(pairs) / 1e6 for _, text in pairs]


@pytest.mark.parametrize("batches", [0, 1, 2, 3])
def test_a_stopped_call_goes_on_to_the_same_scores(tmp_path: Path, batches: int) -> None:
    whole = WindowScores(Journal(None), ByBatch(), "t")(WINDOWS)
    first, second = ByBatch(batches), ByBatch()
    with closing(Journal(tmp_path / "scores")) as journal, pytest.raises(KeyboardInterrupt):
        WindowScores(journal, first, "t")(WINDOWS)
    with closing(Journal(tmp_path / "scores")) as journal:
        scores = WindowScores(journal, second, "t")
        assert scores(WINDOWS) == whole
        assert (scores.cache_hits, scores.teacher_calls) == (32 * batches, 100 - 32 * batches)
    assert sorted(first.pairs + second.pairs) == sorted(one.texts for one in WINDOWS)


def test_what_another_call_has_scored_is_not_asked_again() -> None:
    teacher = ByBatch()
    seen: list[int] = []
    scores = WindowScores(Journal(None), teacher, "t")
    some = scores(WINDOWS[:10])
    assert scores([*WINDOWS[5:12], WINDOWS[5]], seen.append)[:5] == some[5:]
    assert len(teacher.pairs) == 12
    assert sum(seen) == 8


@pytest.mark.parametrize(
    "other",
    [
        WindowQuestion("r", "d0", 0, ("crane", "")),
        WindowQuestion("q", "d1", 0, ("crane", "")),
        WindowQuestion("q", "d0", 1, ("crane", "")),
        WindowQuestion("q", "d0", 0, ("cranes", "")),
        WindowQuestion("q", "d0", 0, ("crane", "b")),
    ],
)
def test_a_score_belongs_to_query_document_window_and_texts(other: WindowQuestion) -> None:
    scores = WindowScores(Journal(None), ByBatch(), "t")
    scores([WINDOWS[0]])
    scores([other])
    assert scores.teacher_calls == 2


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf"])
def test_a_broken_score_is_named_and_not_kept(bad: str) -> None:
    journal = Journal(None)
    broken = WindowScores(journal, lambda pairs: [float(bad)] * len(pairs), "t")
    with pytest.raises(ModelError, match=r"window 3 of document 'd3' for query 'q' with \S+;"):
        broken([WINDOWS[3]])
    assert journal.totals() == (0, 0)
