"""Mutated copies of real files: read as a naive reader does, or refused in one line.

Nothing else may happen: no other exception, no record dropped, shifted or altered.
"""

import bz2
import gzip
import json
import lzma
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

from rankprompt.datasets import document_store_import as importing
from rankprompt.datasets.document_file import DocumentFile
from rankprompt.datasets.document_store_import import open_store
from rankprompt.datasets.documents import read_into_memory
from rankprompt.datasets.t2ranking import T2RankingCollection
from rankprompt.errors import FormatError, RankpromptError
from rankprompt.files import read_documents, read_qrels, read_queries, read_run
from rankprompt.files.trec_run import RunNeedsReadingWholeError, iterate_run
from tests.datasets.stores import FAST

INPUTS = 1000  # of each target
HEAD = 10

PIECES = (
    b"\t", b"\n", b"\r\n", b"\r", b" ", b"\0", b"\xff", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b'"',
    b"\n\n", b"-", b"0", b"7", b".", b"_", b"{", b"}", b",", b"\\", b"\\ud83d", b"nan", b"pid",
    b"\xc2\xa0", b"\v", b"\f", b".0", b"null",
)  # fmt: skip


def mutate(rng: random.Random, content: bytes) -> bytes:
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(content) + 1)
        lines = content.splitlines(keepends=True) or [b""]
        kind = rng.randrange(7)
        if kind == 0:
            content = content[:at] + rng.choice(PIECES) + content[at:]
        elif kind == 1:
            content = content[:at] + content[at + rng.randint(1, 4) :]
        elif kind == 2:
            content = content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
        elif kind == 3:
            content = content[:at]
        elif kind == 4:
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
            content = b"".join(lines)
        elif kind == 5:
            rng.shuffle(lines)
            content = b"".join(lines)
        else:
            lines.pop(rng.randrange(len(lines)))
            content = b"".join(lines)
    return content


def lines_of(content: bytes) -> list[str]:
    ended = ends(content.decode())
    lines = [(line.removesuffix("\r") if end else line).lstrip("\ufeff") for line, end in ended]
    return [line for line in lines if line.strip()]


def ends(text: str) -> Iterator[tuple[str, bool]]:
    *whole, last = text.split("\n")
    yield from ((line, True) for line in whole)
    yield last, False


def columns_of(content: bytes) -> list[list[str]]:
    blanks = str.maketrans("\t\r\v\f", "    ")
    rows = (line.translate(blanks).split(" ") for line in lines_of(content))
    return [[column for column in row if column] for row in rows]


def without_header(rows: list[Any]) -> list[Any]:
    first = rows[0] if isinstance(rows[0], str) else rows[0][0]
    return rows if first[:1].isdigit() else rows[1:]


def naive_tsv(content: bytes) -> object:
    rows = (line.split("\t", 1) for line in lines_of(content))
    return dict(rows)


def naive_t2(content: bytes) -> object:
    rows = (line.split("\t", 1) for line in without_header(lines_of(content)))
    return dict(rows)


def naive_json(content: bytes) -> object:
    rows = map(json.loads, lines_of(content))
    return {str(row["id"]): row["contents"] for row in rows}


def naive_run(content: bytes) -> object:
    found: dict[str, list[tuple[float, float, int, str]]] = {}
    for number, (query, _, document, rank, score, *_) in enumerate(columns_of(content)):
        found.setdefault(query, []).append((-float(score), float(rank), number, document))
    return {q: {row[3]: -row[0] for row in sorted(rows)} for q, rows in found.items()}


def naive_qrels(content: bytes) -> object:
    return grades(columns_of(content))


def naive_pairs(content: bytes) -> object:
    return grades(without_header(columns_of(content)))


def grades(rows: list[list[str]]) -> object:
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        document = row[1] if len(row) < 4 else row[2]
        found.setdefault(row[0], {})[document] = 1 if len(row) == 2 else int(float(row[-1]))
    return found


def naive_ranks(content: bytes) -> object:
    found: dict[str, list[str]] = {}
    for query, passage, *_ in without_header(columns_of(content)):
        found.setdefault(query, []).append(passage)
    return {query: sorted(passages) for query, passages in found.items()}


def read_t2(name: str, read: Callable[[T2RankingCollection], object]) -> Callable[[Path], object]:
    def in_folder(path: Path) -> object:
        shutil.copy(path, path.parent / name)
        return read(T2RankingCollection(path.parent, "dev"))

    return in_folder


def texts(documents: Any) -> dict[str, str]:
    return {name: fields["text"] for name, fields in documents}


def stream(path: Path) -> object:
    try:
        return dict(iterate_run(path))
    except RunNeedsReadingWholeError:
        return read_run(path)


class Target(NamedTuple):
    file: str
    read: Callable[[Path], object]
    naive: Callable[[bytes], object]


TARGETS = {
    "queries": Target("dl19/queries.tsv", read_queries, naive_tsv),
    "documents": Target(
        "dl19/docs.jsonl",
        lambda path: dict(read_documents(path).values()),
        naive_json,
    ),
    "fields": Target(
        "dl19/docs.jsonl", lambda path: texts(read_into_memory(DocumentFile(path))), naive_json
    ),
    "run": Target("dl19/run.bm25.trec", read_run, naive_run),
    "streamed run": Target("dl19/run.bm25.trec", stream, naive_run),
    "qrels": Target("dl19/qrels.trec", read_qrels, naive_qrels),
    "t2 passages": Target(
        "t2ranking-sample/collection.tsv",
        read_t2("collection.tsv", lambda collection: texts(collection.documents())),
        naive_t2,
    ),
    "t2 queries": Target(
        "t2ranking-sample/queries.dev.tsv",
        read_t2("queries.dev.tsv", lambda collection: collection.queries()),
        naive_t2,
    ),
    "t2 graded": Target(
        "t2ranking-sample/qrels.dev.tsv",
        read_t2("qrels.dev.tsv", lambda collection: collection.qrels()),
        naive_pairs,
    ),
    "t2 binary": Target(
        "t2ranking-sample/qrels.retrieval.dev.tsv",
        read_t2("qrels.retrieval.dev.tsv", lambda collection: collection.qrels("binary")),
        naive_pairs,
    ),
    "t2 candidates": Target(
        "t2ranking-sample/dev.bm25.tsv",
        read_t2(
            "dev.bm25.tsv",
            lambda collection: {q: sorted(one) for q, one in (collection.run() or {}).items()},
        ),
        naive_ranks,
    ),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=FAST) as name:
        for part in ("collection.tsv", "queries.dev.tsv"):
            (Path(name) / part).write_text("1\ta\n")
        yield Path(name)


def head(path: Path) -> bytes:
    with path.open("rb") as file:
        return b"".join(file.readline() for _ in range(HEAD))


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_files_are_read_rightly_or_refused(data: Path, folder: Path, name: str) -> None:
    target, rng = TARGETS[name], random.Random(name)
    original, path = head(data / target.file), folder / "input"
    read, messages = 0, set()
    for _ in range(INPUTS):
        content = mutate(rng, original)
        path.write_bytes(content)
        try:
            found = target.read(path)
        except RankpromptError as error:
            messages.add(str(error))
            continue
        assert found == target.naive(content), content
        read += 1
    assert not any("\n" in message for message in messages)
    assert INPUTS / 20 < read < INPUTS  # the mutations are neither harmless nor hopeless


def test_mutated_topics_lose_none(folder: Path) -> None:
    topic = b"<top>\n<num> Number: %d\n<title> a title\n<desc> Description:\nmore\n</top>\n\n"
    rng, path = random.Random(0), folder / "input"
    read = 0
    for _ in range(INPUTS):
        content = mutate(rng, b"".join(topic % number for number in range(301, 305)))
        path.write_bytes(content)
        try:
            found = read_queries(path)
        except RankpromptError:
            continue
        assert len(found) == max(1, content.count(b"<top>")), content
        read += 1
    assert INPUTS / 20 < read < INPUTS


@pytest.mark.parametrize("name", ["documents", "run"])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_mutated_compressed_files_are_whole_or_refused(
    data: Path, folder: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    target, rng = TARGETS[name], random.Random(name)
    original, path = head(data / target.file), folder / "input"
    for _ in range(INPUTS):
        path.write_bytes(mutate(rng, pack(original)))
        try:
            found = target.read(path)
        except RankpromptError:
            continue
        assert found == target.naive(original)


def test_a_store_refuses_and_holds_what_memory_does(data: Path, folder: Path) -> None:
    rng, path = random.Random(0), folder / "docs.jsonl"
    original = head(data / "dl19/docs.jsonl")

    def read(open_: Callable[[DocumentFile], Any]) -> object:
        try:
            return list(open_(DocumentFile(path)))
        except FormatError as error:
            return str(error)

    with (
        mock.patch.dict("os.environ", RANKPROMPT_CACHE=str(folder / "cache")),
        mock.patch.multiple(importing, BLOCK=700, COMMIT_BYTES=1500),
    ):
        for _ in range(INPUTS // 4):
            path.write_bytes(mutate(rng, original))
            assert read(open_store) == read(read_into_memory)
