import ctypes
import logging
import re
import struct
import subprocess
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import FormatError, InputError
from rankprompt.files import read_run, write_run
from rankprompt.files.trec_run import RunNeedsReadingWholeError, format_scores, iterate_run

# A byte order mark at the start of a file is no part of its first id.
WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff "),
    min_size=1,
    max_size=8,
)
ATOF = ctypes.CDLL(None).atof  # by which trec_eval reads scores
ATOF.restype = ctypes.c_double
RANKINGS = st.dictionaries(WORDS, st.lists(WORDS, unique=True, min_size=1), min_size=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.trec"


def read(path: Path, text: str) -> dict[str, list[str]]:
    path.write_text(text, encoding="utf-8")
    return {query: list(scores) for query, scores in read_run(path).items()}


def test_the_golden_run(path: Path) -> None:
    golden = Path(__file__).parent / "golden.trec"
    rankings = {"q1": ["d1", "d2", "d3"], "问题": ["文档"]}
    write_run(path, rankings, "rankprompt")
    assert path.read_bytes() == golden.read_bytes()
    assert read_run(golden) == {"q1": {"d1": 3, "d2": 2, "d3": 1}, "问题": {"文档": 1}}


@given(RANKINGS)
def test_what_is_written_is_read(rankings: dict[str, list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.trec"
        write_run(path, rankings, "tag")
        run = read_run(path)
    assert list(run) == list(rankings)
    for query, scores in run.items():
        assert list(scores) == rankings[query]
        singles = [struct.unpack("f", struct.pack("f", score))[0] for score in scores.values()]
        assert all(better > worse for better, worse in pairwise(singles))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12))
def test_documents_stand_by_score_then_rank_then_line(rows: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = "".join(f"q Q0 d{i} {rank} {score} t\n" for i, (score, rank) in enumerate(rows))
        order = read(Path(folder) / "run.trec", text)["q"]
    keys = [(-rows[i][0], rows[i][1], i) for i in (int(name[1:]) for name in order)]
    assert keys == sorted(keys)
    assert len(keys) == len(rows)


def test_queries_stand_in_the_order_of_their_first_line(path: Path) -> None:
    text = "b Q0 d1 1 2 t\na\tQ0\td1  1 \t2 t\nb Q0 d2 2 1 t\n"
    assert read(path, text) == {"b": ["d1", "d2"], "a": ["d1"]}


def test_only_ascii_blanks_part_columns(path: Path) -> None:
    text = " q\u00a01 Q0\x0bd\u30001 1\x0c1e0 \t t \r\n"
    assert read(path, text) == {"q\u00a01": ["d\u30001"]}


@pytest.mark.parametrize("rank", ["-1", "1.0", "0", "1.5", "1e3"])
def test_a_rank_is_any_number(path: Path, rank: str) -> None:
    assert read(path, f"q Q0 a {rank} 1 t\nq Q0 b {rank} 2 t\n") == {"q": ["b", "a"]}


def test_what_follows_the_tag_is_ignored_and_counted(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "q Q0 a 1 3 t\nq Q0 b 2 2 bm25 + rm3\nq Q0 c 3 1 bm25 + rm3\n"
    with caplog.at_level(logging.WARNING, "rankprompt"):
        assert read(path, text) == {"q": ["a", "b", "c"]}
    (message,) = caplog.messages
    assert "lines with more than 6 columns: 2, first line 2; what follows the tag" in message


def test_line_ends_of_old_macs_are_no_columns(path: Path) -> None:
    with pytest.raises(FormatError, match=r"run\.trec:1: a carriage return within the line"):
        read(path, "q Q0 a 1 3 t\rq Q0 b 2 2 t\r")


def test_three_columns_are_told_how_to_become_six(path: Path) -> None:
    with pytest.raises(FormatError, match=r"found 3; MS MARCO's form .*qid docid rank") as caught:
        read(path, "q\ta\t1\nq\tb\t2\n")
    (script,) = re.findall("awk '(.*)' FILE", str(caught.value))
    made = subprocess.run(["awk", script, path], capture_output=True, text=True, check=True)
    assert read(path, made.stdout) == {"q": ["a", "b"]}


BLANKS = st.text(" \t\x0b\x0c", min_size=1, max_size=3)
NUMBERS = st.sampled_from(["0", "-1", "7.0", "+3", "1e2", ".5", "-2.", "0012"])


@given(
    st.dictionaries(WORDS, st.tuples(NUMBERS, NUMBERS, st.lists(WORDS, max_size=2)), min_size=1),
    st.data(),
)
def test_what_is_accepted_is_read_as_trec_eval_reads_it(
    rows: dict[str, tuple[str, str, list[str]]], data: st.DataObject
) -> None:
    text = ""
    for document, (rank, score, more) in rows.items():
        columns = ["q", "Q0", document, rank, score, "tag", *more]
        text += "".join(column + data.draw(BLANKS) for column in columns) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.trec"
        path.write_text(text, encoding="utf-8")
        run = read_run(path)
    assert run["q"] == {document: ATOF(score.encode()) for document, (_, score, _) in rows.items()}
    evaluator = pytrec_eval.RelevanceEvaluator({"q": dict.fromkeys(rows, 1)}, {"map"})
    assert evaluator.evaluate(run)["q"]["map"] == 1  # trec_eval knows every id


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("q Q0 d 1 2", "expected 6 columns .*, found 5"),
        ("q Q0 d first 2 t", "expected a finite number as the rank, found 'first'"),
        ("q Q0 d nan 2 t", "found 'nan'"),
        ("q Q0 d 1_0 2 t", "found '1_0'"),
        ("q Q0 d \uff11 2 t", "found '\uff11'"),
        (f"q Q0 d {'9' * 5000} 2 t", "expected a finite number as the rank"),
        ("q Q0 d 1 high t", "expected a finite number as the score, found 'high'"),
        ("q Q0 d 1 1,5 t", "found '1,5'"),
        ("q Q0 d 1 1_5 t", "found '1_5'"),
        ("q Q0 d 1 nan t", "found 'nan'"),
        ("q Q0 d 1 -inf t", "found '-inf'"),
        ("q Q0 d 1 1e999 t", "found '1e999'"),
        ("p Q0 d 7 7 t", "document d of query p is already on line 1"),
    ],
)
def test_a_malformed_line_is_told(path: Path, line: str, problem: str) -> None:
    path.write_text(f"p Q0 d 1 1 t\n\n{line}\n")
    with pytest.raises(FormatError, match=rf"run\.trec:3: .*{problem}") as caught:
        read_run(path)
    assert caught.value.line == 3


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file_is_told(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(FormatError, match="empty; expected 6 columns") as caught:
        read_run(path)
    assert caught.value.line is None


def test_contradicting_ranks_are_told_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = (
        "a Q0 d1 1 9 t\na Q0 d2 2 1 t\na Q0 d3 3 5 t\n"  # d2 and d3 change places
        "b Q0 d1 2 9 t\nb Q0 d2 1 5 t\n"
        "c Q0 d1 0 1 t\nc Q0 d2 0 2 t\n"  # equal ranks contradict nothing
    )
    with caplog.at_level(logging.WARNING, "rankprompt"):
        assert read(path, text) == {"a": ["d1", "d3", "d2"], "b": ["d1", "d2"], "c": ["d2", "d1"]}
    (message,) = caplog.messages
    assert "4 lines of 2 queries, first on line 2" in message


def test_agreeing_ranks_are_quiet(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(path, "a Q0 d2 2 1 t\na Q0 d1 1 1 t\na Q0 d3 3 0 t\n")
    assert caplog.messages == []


@pytest.mark.parametrize("tag", ["", "two words", "tab\t", "line\n", "wide\u3000space"])
def test_a_tag_is_one_word(path: Path, tag: str) -> None:
    with pytest.raises(ValueError, match="tag"):
        write_run(path, {}, tag)


@pytest.mark.parametrize("rankings", [{"q": ["a b"]}, {"": ["a"]}, {"q": ["a\n"]}, {"q": ["a\r"]}])
def test_ids_that_break_the_columns_are_refused(path: Path, rankings: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match="contains white space"):
        write_run(path, rankings, "t")
    assert not path.exists()


def test_a_document_is_ranked_once(path: Path) -> None:
    with pytest.raises(ValueError, match="query q has a document twice"):
        write_run(path, {"q": ["a", "a"]}, "t")


def test_a_failed_write_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        write_run(tmp_path / "absent" / "run.trec", {"q": ["d"]}, "t")


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.integers(0, 2)), min_size=1))
def test_a_run_is_the_same_query_by_query(rows: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.trec"
        lines = [f"{q} Q0 d{d} {r} {-r} t\n" for q, d, r in rows]
        path.write_text("".join(lines))
        apart = sum(first[0] != second[0] for first, second in pairwise(lines)) > 1
        try:
            whole: object = list(read_run(path).items())
        except FormatError as error:
            whole = str(error)
        try:
            streamed: object = list(iterate_run(path))
        except FormatError as error:
            streamed = str(error)
        except RunNeedsReadingWholeError:
            assert apart
            return
    assert streamed == whole
    assert not apart or isinstance(streamed, str)


def test_a_streamed_run_is_read_as_it_is_drawn(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("a Q0 d1 2 9 t\na Q0 d2 1 5 t\nb Q0 d1 1 1 t\nb Q0 d2 x 1 t\n")
    queries = iterate_run(path)
    assert next(queries) == ("a", {"d1": 9.0, "d2": 5.0})
    with pytest.raises(FormatError, match=r"run\.trec:4: expected a finite number as the rank"):
        next(queries)
    path.write_text("a Q0 d1 2 9 t\na Q0 d2 1 5 t\nb Q0 d1 1 1 t\n")
    with caplog.at_level(logging.WARNING, "rankprompt"):
        assert list(iterate_run(path)) == list(read_run(path).items())
    assert len(caplog.messages) == 2
    assert len(set(caplog.messages)) == 1


def test_the_lines_of_a_query_apart_are_noticed(path: Path) -> None:
    path.write_text("a Q0 d1 1 1 t\nb Q0 d1 1 1 t\na Q0 d2 2 0 t\n")
    with pytest.raises(RunNeedsReadingWholeError, match="the lines of query a are not contiguous"):
        list(iterate_run(path))
    path.write_text("")
    with pytest.raises(FormatError, match="empty"):
        list(iterate_run(path))


def test_scores_are_formatted_as_lines_of_a_run() -> None:
    assert format_scores("q", {"d1": 3.25, "d2": 1e-7}, "bm25") == (
        "q Q0 d1 1 3.25 bm25\nq Q0 d2 2 1e-07 bm25\n"
    )
    assert format_scores("q", {}, "bm25") == ""


@given(st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 1 + 1e-12]), max_size=20))
def test_scores_fall_in_single_precision_and_stay_what_they_were(scores: list[float]) -> None:
    ranked = {f"d{number}": one for number, one in enumerate(sorted(scores, reverse=True))}
    written = [np.float32(line.split()[4]) for line in format_scores("q", ranked, "t").splitlines()]
    assert all(one > other for one, other in pairwise(written))
    assert written == pytest.approx(list(ranked.values()), rel=1e-5, abs=1e-40)


def test_formatted_scores_read_back_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "run.trec"
    path.write_text(format_scores("q", {"b": 1.0, "a": 1.0, "c": 1.0}, "t"))
    assert list(read_run(path)["q"]) == ["b", "a", "c"]


@pytest.mark.parametrize(("query", "document"), [("a b", "d"), ("q", "d\x0be"), ("", "d")])
def test_an_id_that_breaks_the_columns_is_told(query: str, document: str) -> None:
    with pytest.raises(InputError, match="one word without spaces"):
        format_scores(query, {document: 1.0}, "t")
