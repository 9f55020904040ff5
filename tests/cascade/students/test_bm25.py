import pytest

from rankprompt.cascade.students.bm25 import BM25Student
from rankprompt.errors import UnknownNameError


def test_bm25_scores_windows_by_their_words() -> None:
    scores = BM25Student()(
        "Cranes' feet", ["A crane sleeps.", "Its foot: feet.", "", "?", "Crane feet"]
    )
    assert scores[4] > scores[0] > 0
    assert scores[1] > 0
    assert scores[2] == scores[3] == 0
    assert BM25Student()("cranes", []) == []
    assert BM25Student()("the of", ["the", "of"]) == [0, 0]
    assert BM25Student()("cranes", ["", " "]) == [0, 0]


def test_bm25_counts_a_word_less_that_all_windows_have() -> None:
    rare, common = BM25Student()(
        "crane zebra", ["zebra owl", "crane owl", "crane fox", "crane cat"]
    )[:2]
    assert rare > common


def test_bm25_knows_chinese_when_told() -> None:
    windows = ["鹤单腿站着睡觉", "它的脚冷"]
    assert BM25Student("zh")("睡觉", windows)[0] > 0
    with pytest.raises(UnknownNameError, match="unknown language"):
        BM25Student("klingon")
