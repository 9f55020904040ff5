import gzip
import json
import logging
import math
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import FormatError, InputError
from rankprompt.files import read_documents, read_queries
from rankprompt.files.text_lines import is_word
from rankprompt.types import Document

Reader = Callable[[Path], object]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
IDS = TEXTS.filter(lambda text: is_word(text) and text[0] != "\ufeff")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "texts"


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


@given(st.dictionaries(IDS, TEXTS, min_size=1), st.booleans())
def test_any_text_survives_jsonl(texts: dict[str, str], ascii_only: bool) -> None:
    lines = [
        json.dumps({"id": name, "text": text}, ensure_ascii=ascii_only)
        for name, text in texts.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.jsonl"
        path.write_bytes("\n".join(lines).encode())
        queries, documents = read_queries(path), read_documents(path)
    assert list(queries.items()) == list(texts.items())
    assert documents == {name: Document(name, text) for name, text in texts.items()}


@given(st.dictionaries(st.from_regex("[a-z0-9]{1,5}", fullmatch=True), TEXTS, min_size=1))
def test_any_one_line_text_survives_tsv(texts: dict[str, str]) -> None:
    # A carriage return within a line is refused: see the test of old Mac line ends.
    texts = {name: re.sub("[\n\r]", " ", text) for name, text in texts.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.tsv"
        path.write_bytes("".join(f"{name}\t{text}\n" for name, text in texts.items()).encode())
        assert read_queries(path) == texts
        assert {name: text for name, (_, text) in read_documents(path).items()} == texts


def test_tsv_is_split_at_the_first_tab(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf1\ta\tb \r\n\n2\t\n")
    assert read_queries(path) == {"1": "a\tb ", "2": ""}


def test_gzip_is_read(path: Path) -> None:
    path.write_bytes(gzip.compress(b'\n {"id": 1, "text": "a"}\n'))
    assert read_queries(path) == {"1": "a"}


@pytest.mark.parametrize("key", ["id", "_id", "qid", "query_id"])
@pytest.mark.parametrize("text", ["text", "query", "title"])
def test_the_keys_of_queries(path: Path, key: str, text: str) -> None:
    assert read_queries(write(path, {key: 7, text: "what?"})) == {"7": "what?"}


@pytest.mark.parametrize("key", ["id", "_id", "docid"])
@pytest.mark.parametrize("text", ["contents", "text"])
def test_the_keys_of_documents(path: Path, key: str, text: str) -> None:
    assert read_documents(write(path, {key: "d", text: "so."})) == {"d": Document("d", "so.")}


@pytest.mark.parametrize(
    ("title", "text", "whole"),
    [("T", "so", "T\nso"), ("", "so", "so"), (" ", "so", "so"), (None, "so", "so"), ("T", "", "T")],
)
def test_a_title_stands_before_the_text(
    path: Path, title: str | None, text: str, whole: str
) -> None:
    documents = read_documents(write(path, {"id": "d", "title": title, "text": text}))
    assert documents["d"].text == whole


def test_only_wanted_documents_are_kept(path: Path) -> None:
    write(path, *({"id": number, "text": ""} for number in range(9)))
    assert list(read_documents(path, ["7", "2", "absent"])) == ["2", "7"]
    assert read_documents(path, []) == {}


def test_duplicates(path: Path) -> None:
    first, same, other = ({"id": "x", "text": text} for text in ("a", "a", "b"))
    with pytest.raises(FormatError, match="texts:2: query x is already on line 1"):
        read_queries(write(path, first, same))
    assert read_documents(path) == {"x": Document("x", "a")}
    with pytest.raises(FormatError, match="texts:3: document x has another text on line 1"):
        read_documents(write(path, first, same, other))


@pytest.mark.parametrize("read", [read_queries, read_documents])
@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"id": "x"', "malformed JSON: .*, column"),
        ("x\ttext", "malformed JSON"),
        ('{"a":' * 100_000, "malformed JSON"),
        (f'{{"id": {"9" * 5000}, "text": ""}}', "malformed JSON"),
        ('["x", "text"]', "expected a JSON object, found list"),
        ('{"text": "a"}', "no id: expected 'id', '_id'"),
        ('{"id": null, "text": "a"}', "whole number under 'id', found null"),
        ('{"id": true, "text": "a"}', "found bool"),
        ('{"id": 1.5, "text": "a"}', "found float"),
        ('{"id": "", "text": "a"}', "one word without spaces, not ''"),
        ('{"id": "a b", "text": "a"}', "not 'a b'"),
        ('{"id": "a\\u000bb", "text": "a"}', "one word"),
        ('{"id": "\\ufeffa", "text": "a"}', "one word"),
        ('{"id": "x"}', "no text: expected"),
        ('{"id": "x", "text": 5}', "expected a string under 'text', found int"),
        ('{"id": "x", "text": "\\ud83d"}', "half a surrogate pair"),
    ],
)
def test_a_malformed_json_line_is_told(path: Path, read: Reader, line: str, problem: str) -> None:
    path.write_text(f'{{"id": "first", "text": "a"}}\n{line}\n')
    with pytest.raises(FormatError, match=f"texts:2: .*{problem}") as caught:
        read(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_title_is_a_string(path: Path) -> None:
    with pytest.raises(FormatError, match="string under 'title', found list"):
        read_documents(write(path, {"id": "x", "text": "a", "title": ["b"]}))


@pytest.mark.parametrize("read", [read_queries, read_documents])
@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("2 text", "expected id<TAB>text, found no tab"),
        ("\ttext", "one word without spaces, not ''"),
        ("a b\ttext", "not 'a b'"),
    ],
)
def test_a_malformed_tsv_line_is_told(path: Path, read: Reader, line: str, problem: str) -> None:
    path.write_text(f"1\ta\n{line}\n")
    with pytest.raises(FormatError, match=f"texts:2: .*{problem}"):
        read(path)


@pytest.mark.parametrize("read", [read_queries, read_documents])
def test_an_empty_or_absent_file_is_told(path: Path, read: Reader) -> None:
    with pytest.raises(InputError, match="No such file"):
        read(path)
    path.write_text("\n")
    with pytest.raises(FormatError, match="the file is empty"):
        read(path)


@pytest.mark.parametrize("read", [read_queries, read_documents])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('[{"id": "a", "text": "b"},\n{"id": "c", "text": "d"}]', ":1: a JSON array; expected one"),
        ('\n[\n  {"id": "a", "text": "b"}\n]', ":2: a JSON array; expected one object a line"),
        ('{\n  "id": "a",\n  "text": "b"\n}', ":1: a JSON object of several lines; expected one"),
    ],
)
def test_json_that_is_not_one_object_a_line_is_told(
    path: Path, read: Reader, content: str, problem: str
) -> None:
    path.write_text(content)
    with pytest.raises(FormatError, match=f"texts{problem}"):
        read(path)


@pytest.mark.parametrize("first", ['<?xml version="1.0"?>', "<topics>", "<DOC>"])
def test_documents_in_xml_are_told(path: Path, first: str) -> None:
    path.write_text(f"{first}\n<DOCNO>a</DOCNO>\n")
    with pytest.raises(FormatError, match="texts:1: XML, of which only topics are read"):
        read_documents(path)


def test_ids_of_tsv_may_start_as_json_or_xml_do(path: Path) -> None:
    path.write_text("[1]\tone\n<doc>\ttwo\n")
    assert read_queries(path) == {"[1]": "one", "<doc>": "two"}
    assert list(read_documents(path)) == ["[1]", "<doc>"]


def test_queries_in_xml_are_topics(path: Path) -> None:
    path.write_text('<topics>\n<topic number="7"><query>so</query></topic>\n</topics>\n')
    assert read_queries(path) == {"7": "so"}


def test_null_is_a_blank_text(path: Path) -> None:
    records = ({"id": "a", "text": math.nan}, {"id": "b", "title": "T", "text": None})
    assert read_queries(write(path, *records)) == {"a": "", "b": "T"}
    assert [text for _, text in read_documents(path).values()] == ["", "T"]


@pytest.mark.parametrize("read", [read_queries, read_documents])
@pytest.mark.parametrize("content", [b"1\tone\r2\ttwo\r3\tthree\r", b"1\tone\n2\ttwo\r3\tthree\n"])
def test_old_mac_line_ends_are_refused(path: Path, read: Reader, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"texts:\d: a carriage return within the line"):
        read(path)


@pytest.mark.parametrize("read", [read_queries, read_documents])
@pytest.mark.parametrize(
    "header",
    [
        "docid\ttext",
        "qid\tquery",
        "id\ttitle",
        "ID\tText",
        "doc_id\ttitle\tbody",
        '"pid"\t"passage"',
    ],
)
def test_a_header_of_tsv_is_skipped_and_told(
    path: Path, read: Reader, header: str, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(f"{header}\n7\tseven\nid\ttext\n")
    with caplog.at_level(logging.WARNING):
        found = read(path)
        assert read(path) == found
    assert found in (
        {"7": "seven", "id": "text"},
        {"7": Document("7", "seven"), "id": Document("id", "text")},
    )
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith(f"{path}:1: a line of column names, which is skipped")


@pytest.mark.parametrize("line", ["id\tof a king", "qid\t", "7\tquery", "text\tid"])
def test_a_first_line_of_other_words_is_a_record(path: Path, line: str) -> None:
    path.write_text(f"{line}\n")
    name, _, text = line.partition("\t")
    assert read_queries(path) == {name: text}


@pytest.mark.parametrize("read", [read_queries, read_documents])
def test_a_header_alone_is_an_empty_file(path: Path, read: Reader) -> None:
    path.write_text("docid\ttext\n")
    with pytest.raises(FormatError, match="the file is empty"):
        read(path)


@pytest.mark.parametrize("missing", [None, math.nan])
def test_the_first_key_with_a_value_counts(path: Path, missing: float | None) -> None:
    record = {"id": "d", "title": missing, "contents": missing, "text": "so"}
    assert read_documents(write(path, record)) == {"d": Document("d", "so")}
    record = {"id": missing, "qid": 3, "text": missing, "query": "what?"}
    assert read_queries(write(path, record)) == {"3": "what?"}
    assert read_queries(write(path, {"id": 3, "text": missing, "query": missing})) == {"3": ""}
