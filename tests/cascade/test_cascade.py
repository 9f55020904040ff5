import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.cascade.aggregation import GAP, aggregate_by
from rankprompt.cascade.cascade import Cascade, percentile
from rankprompt.cascade.students import load_student
from rankprompt.cascade.students.base import TextsOnly
from rankprompt.cascade.students.bm25 import BM25Student
from rankprompt.cascade.students.controls import first
from rankprompt.cascade.window_scores import WindowScores
from rankprompt.cascade.windows import WindowConfig
from rankprompt.errors import InputError, ModelError
from rankprompt.journal.store import Journal
from rankprompt.llm.tokenizer_offsets import word_offsets
from rankprompt.types import Candidates, Document, Query
from tests.test_package import HEAVY, loaded

SMALL = WindowConfig(window=3, overlap=1)


def candidates(*texts: str, query: str = "crane", name: str = "q") -> Candidates:
    documents = tuple(Document(f"d{place}", text) for place, text in enumerate(texts))
    return Candidates(Query(name, query), documents, tuple(float(-i) for i in range(len(texts))))


def count(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """A teacher: how often is the query in the window?"""
    return [float(text.split().count(query)) for query, text in pairs]


def memory() -> WindowScores:
    return WindowScores(Journal(None), count, "count")


TEXT = "a b c d e f crane h i j k l m n o crane crane r"


@pytest.mark.parametrize(
    ("name", "keep", "expected"),
    [
        ("first", 1, "a b c d "),
        ("first", 2, "a b c d e f crane "),
        # Of equal windows, the first.
        ("bm25", 1, "o crane crane r"),
        ("bm25", 2, "c d e f crane ... o crane crane r"),
        ("all", 1, TEXT),
        ("bm25", 99, TEXT),
    ],
)
def test_the_chosen_windows_are_the_passage(name: str, keep: int, expected: str) -> None:
    cascade = Cascade(load_student(name), word_offsets, keep=keep, windows=SMALL)
    given_ = candidates(TEXT, "short")
    (found,) = cascade([given_])
    shown = found.documents[0].text.replace(" " + GAP, GAP)
    assert shown == expected
    assert found == given_._replace(
        documents=(Document("d0", found.documents[0].text), given_.documents[1])
    )
    assert cascade.counts.summary() == {
        "documents": 2,
        "documents_cut": 0,
        "documents_short": 1,
        "queries_cut": 0,
        "windows_seen": 7,
        "windows_kept": 7 if name == "all" else 1 + min(keep, 6),
        "windows_cut": 0,
        "teacher_pairs": 0,
        "queries_timed": 1,
        "milliseconds_a_query": cascade.counts.summary()["milliseconds_a_query"],
    }


TEXTS = st.lists(st.sampled_from(["crane", "b", ".", "\n", "鹤"]), max_size=12).map(" ".join)


@given(st.lists(TEXTS, max_size=4), st.sampled_from(["bm25", "first", "random", "all"]))
def test_documents_shorter_than_a_window_are_as_without_the_cascade(
    texts: list[str], name: str
) -> None:
    asked = [candidates(*texts)]
    assert Cascade(load_student(name), word_offsets)(asked) == asked
    documents = asked[0].documents
    scores = Cascade(load_student(name), word_offsets).teacher_scores(
        asked, memory(), aggregate_by("max")
    )
    assert scores["q"] == dict(
        zip([one.id for one in documents], count([("crane", one) for one in texts]), strict=True)
    )


@given(st.lists(TEXTS, min_size=1, max_size=3), st.integers(1, 9), st.integers(1, 5))
def test_a_passage_keeps_to_its_tokens(texts: list[str], limit: int, keep: int) -> None:
    cascade = Cascade(
        load_student("bm25"), word_offsets, keep=keep, windows=SMALL, passage_tokens=limit
    )
    for document, text in zip(cascade([candidates(*texts)])[0].documents, texts, strict=True):
        assert len(word_offsets(document.text)) <= limit
        assert bool(document.text.strip()) == bool(text.strip())


def test_the_best_windows_are_the_last_to_go() -> None:
    cascade = Cascade(load_student("bm25"), word_offsets, windows=SMALL, passage_tokens=5, keep=2)
    assert cascade([candidates(TEXT)])[0].documents[0].text == "o crane crane r"


def test_the_teacher_reads_the_chosen_windows_alone() -> None:
    asked: list[tuple[str, str]] = []

    def teacher(pairs: Sequence[tuple[str, str]]) -> list[float]:
        asked.extend(pairs)
        return count(pairs)

    cascade = Cascade(load_student("bm25"), word_offsets, keep=1, windows=SMALL)
    scores = WindowScores(Journal(None), teacher, "count")
    given_ = [candidates("a b c crane e f g", TEXT), candidates("", query="b", name="r")]
    found = cascade.teacher_scores(given_, scores, aggregate_by("max"))
    assert found == {"q": {"d1": 2, "d0": 1}, "r": {"d0": 0}}
    assert list(found["q"]) == ["d1", "d0"]
    assert sorted(asked) == [("b", ""), ("crane", "a b c crane "), ("crane", "o crane crane r")]
    assert cascade.counts.teacher_pairs == 3
    again = Cascade(load_student("bm25"), word_offsets, keep=1, windows=SMALL)
    assert again.teacher_scores(given_, scores, aggregate_by("max")) == found
    assert (again.counts.teacher_pairs, again.counts.seconds) == (0, [])


def test_importing_the_cascade_loads_nothing_heavy() -> None:
    found = loaded("import rankprompt.cascade, rankprompt.cascade.teachers")
    assert "rankprompt" in found
    assert not found & HEAVY


def test_equal_documents_stay_in_order() -> None:
    cascade = Cascade(first, word_offsets)
    found = cascade.teacher_scores([candidates("b", "b", "b")], memory(), aggregate_by("max"))
    assert list(found["q"]) == ["d0", "d1", "d2"]


def test_a_broken_teacher_is_told() -> None:
    broken = WindowScores(Journal(None), lambda pairs: [float("nan")] * len(pairs), "broken")
    with pytest.raises(ModelError, match="finite"):
        Cascade(first, word_offsets).teacher_scores([candidates("b")], broken, aggregate_by("max"))


def test_long_documents_are_cut_and_counted() -> None:
    cascade = Cascade(load_student("bm25"), word_offsets)
    text = " ".join(["b"] * 100_000)
    (found,) = cascade([candidates(text, "crane")])
    assert cascade.counts.documents_cut == 1
    assert cascade.counts.windows == 41
    assert cascade.counts.kept == 5
    assert len(found.documents[0].text.split()) == 4 * 50 + 7


def test_queries_that_a_student_cuts_are_counted() -> None:
    student = TextsOnly(BM25Student(), lambda query: len(query) > 5)
    cascade = Cascade(student, word_offsets)
    cascade([candidates("b"), candidates("b", query="cranes", name="r"), candidates(query="x" * 9)])
    assert cascade.counts.queries_cut == {"r"}
    assert cascade.counts.summary()["queries_cut"] == 1


def test_queries_without_candidates_stay() -> None:
    cascade = Cascade(load_student("bm25"), word_offsets)
    assert cascade([candidates(), candidates("b", name="r")]) == [
        candidates(), candidates("b", name="r"),
    ]  # fmt: skip
    assert len(cascade.counts.seconds) == 2
    assert cascade.teacher_scores([candidates()], memory(), aggregate_by("max")) == {"q": {}}


def test_counts_are_plain_for_a_manifest_and_queries_are_reported() -> None:
    seen: list[str] = []
    cascade = Cascade(first, word_offsets, on_query=lambda query: seen.append(query.id))
    cascade([candidates("b", name="q"), candidates("c", name="r")])
    assert seen == ["q", "r"]
    summary = json.loads(json.dumps(cascade.counts.summary()))
    assert set(summary["milliseconds_a_query"]) == {"p50", "p95", "p99"}
    assert summary["documents"] == 2


@pytest.mark.parametrize("setting", [{"keep": 0}, {"passage_tokens": 0}])
def test_settings_out_of_range_are_told(setting: dict[str, int]) -> None:
    with pytest.raises(InputError, match=f"`{next(iter(setting))}` must be at least 1, not 0"):
        Cascade(first, word_offsets, **setting)  # type: ignore[arg-type]


@given(st.lists(st.floats(0, 9), min_size=1), st.integers(1, 100))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values: list[float], rank: int) -> None:
    found = percentile(values, rank)
    assert found in values
    assert 100 * sum(one <= found for one in values) >= rank * len(values)
    assert 100 * sum(one < found for one in values) < rank * len(values)
    assert percentile([], rank) == 0


@given(st.integers(0, 12), st.lists(st.integers(0, 12), min_size=1, max_size=5))
def test_what_the_model_reads_whole_is_not_cut(whole: int, lengths: list[int]) -> None:
    documents = tuple(Document(str(i), "word " * n) for i, n in enumerate(lengths))
    candidates = [Candidates(Query("q", "word"), documents, (0.0,) * len(documents))]
    cascade = Cascade(
        load_student("first"), word_offsets, keep=1, windows=SMALL, reads=whole, whole=True
    )
    (shown,) = cascade(candidates)
    for length, document in zip(lengths, shown.documents, strict=True):
        first_window = SMALL.window + SMALL.overlap
        assert (document.text == "word " * length) == (length <= max(whole, first_window))
    assert cascade.counts.short == sum(length <= max(whole, SMALL.window) for length in lengths)
