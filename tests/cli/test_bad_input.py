"""What bad input gets: one line that names the file and the place, exit code 2, no output."""

import bz2
import gzip
import lzma
from collections.abc import Callable

import pytest

from tests.cli.conftest import BEST, DOCS, INPUTS, QUERIES, RUN, Collection, Command
from tests.cli.refusals import refused
from tests.fakes import FakeModel

# Which file, its content, and what the user is told.
MALFORMED: dict[str, tuple[str, str | bytes, str]] = {
    "a run with five columns": (
        "run.trec",
        "q1 Q0 d1 1 4.5 x\nq1 Q0 d2 2 3.5\n",
        r"run\.trec:2: expected 6 columns \(qid Q0 docid rank score tag\), found 5",
    ),
    "a run whose score is a word": (
        "run.trec",
        "q1 Q0 d1 1 high x\n",
        r"run\.trec:1: expected a finite number as the score, found 'high'",
    ),
    "a run with a NaN score": (
        "run.trec",
        "q1 Q0 d1 1 4.5 x\nq1 Q0 d2 2 nan x\n",
        r"run\.trec:2: expected a finite number as the score, found 'nan'",
    ),
    "a run with an infinite score": (
        "run.trec",
        "q1 Q0 d1 1 -inf x\n",
        r"run\.trec:1: expected a finite number as the score, found '-inf'",
    ),
    "a run whose rank is a word": (
        "run.trec",
        "q1 Q0 d1 first 4.5 x\n",
        r"run\.trec:1: expected a finite number as the rank, found 'first'",
    ),
    "a run with a document twice": (
        "run.trec",
        "q1 Q0 d1 1 4.5 x\nq1 Q0 d2 2 3.5 x\nq1 Q0 d1 3 2.5 x\n",
        r"run\.trec:3: document d1 of query q1 is already on line 1",
    ),
    "an empty run": ("run.trec", "", r"run\.trec: the file is empty; expected 6 columns"),
    "a run of blank lines": ("run.trec", "\n \n", r"run\.trec: the file is empty"),
    "a run that is not UTF-8": (
        "run.trec",
        b"q1 Q0 d1 1 4.5 x\nq1 Q0 d\xe9 2 3.5 x\n",
        r"run\.trec:2: not UTF-8 text: byte 0xe9, the line's byte 8",
    ),
    "a zip archive": (
        "run.trec",
        b"PK\x03\x04\x14\x00\x08\x00\x08\x00",
        r"run\.trec: the file is compressed by zip, which is not read; decompress it first",
    ),
    "MS MARCO's run": (
        "run.trec",
        "q1\td1\t1\n",
        r"run\.trec:1: .*found 3; MS MARCO's form \(qid docid rank\) becomes a run by: awk",
    ),
    "a truncated gzip file": (
        "run.trec",
        gzip.compress(RUN.encode())[:-12],
        r"run\.trec: truncated or corrupt gzip data after line \d+",
    ),
    "a query without a tab": (
        "queries.tsv",
        "q1\twhy\nq2 how\n",
        r"queries\.tsv:2: expected id<TAB>text, found no tab",
    ),
    "a query id twice": (
        "queries.tsv",
        "q1\twhy\nq2\thow\nq1\twho\n",
        r"queries\.tsv:3: query q1 is already on line 1",
    ),
    "a query id with a space": (
        "queries.tsv",
        "q 1\twhy\n",
        r"queries\.tsv:1: an id must be one word without spaces, not 'q 1'",
    ),
    "empty queries": ("queries.tsv", "", r"queries\.tsv: the file is empty; expected TSV"),
    "queries that are not UTF-8": (
        "queries.tsv",
        b"q1\twhy\nq2\tc\xf4t\xe9\n",
        r"queries\.tsv:2: not UTF-8 text: byte 0xf4",
    ),
    "a query of the run that the queries lack": (
        "queries.tsv",
        "q1\twhy\n",
        r"1 of the run's 2 queries have no text in the queries: q2; .* with --skip-missing",
    ),
    "a query whose text is blank": (
        "queries.tsv",
        "q1\twhy\nq2\t \n",
        r"1 of the run's 2 queries have no text in the queries: q2",
    ),
    "a document that is not JSON": (
        "docs.jsonl",
        '{"id": "d1", "text": "a"}\n{"id": "d2", "text: "b"}\n',
        r"docs\.jsonl:2: malformed JSON: .*column \d+",
    ),
    "documents in a JSON array": (
        "docs.jsonl",
        '[\n{"id": "d1", "text": "a"}\n]\n',
        r"docs\.jsonl:1: a JSON array; expected one object a line",
    ),
    "a document that is a list": (
        "docs.jsonl",
        '{"id": "d1", "text": "a"}\n["d2", "b"]\n',
        r"docs\.jsonl:2: expected a JSON object, found list",
    ),
    "a document without an id": (
        "docs.jsonl",
        '{"text": "a"}\n',
        r"docs\.jsonl:1: no id: expected 'id', '_id' or 'docid'",
    ),
    "a document without a text": (
        "docs.jsonl",
        '{"id": "d1", "body": "a"}\n',
        r"docs\.jsonl:1: no text: expected 'contents' or 'text'",
    ),
    "a document whose text is a number": (
        "docs.jsonl",
        '{"id": "d1", "text": 7}\n',
        r"docs\.jsonl:1: expected a string under 'text', found int",
    ),
    "a document twice with different texts": (
        "docs.jsonl",
        DOCS + '{"id": "d2", "text": "Other."}\n',
        r"docs\.jsonl:5: document d2 has another text on line 2",
    ),
    "documents that are not UTF-8": (
        "docs.jsonl",
        DOCS.encode() + b'{"id": "d5", "text": "\xff"}\n',
        r"docs\.jsonl:5: not UTF-8 text: byte 0xff",
    ),
    "empty documents": ("docs.jsonl", "", r"docs\.jsonl: the file is empty"),
    "a candidate that the documents lack": (
        "docs.jsonl",
        DOCS.replace('"d2"', '"d9"'),
        r"query q1: no text for d2; 2 candidates lack text in all\. .*--skip-missing",
    ),
    "a candidate whose text is null": (
        "docs.jsonl",
        DOCS.replace('"The sea is wide."', "null"),
        r"query q1: no text for d4; 2 candidates lack text in all\. .*--skip-missing",
    ),
    "a candidate whose text is blank": (
        "docs.jsonl",
        DOCS.replace("The sea is wide.", "  "),
        r"query q1: no text for d4; 2 candidates lack text in all\. .*--skip-missing",
    ),
    "qrels with three columns": (
        "qrels.trec",
        "q1 0 d1 1\nq1 d2 1\n",
        r"qrels\.trec:2: expected 4 columns \(qid iteration docid grade\), found 3",
    ),
    "qrels with a half grade": (
        "qrels.trec",
        "q1 0 d1 0.5\n",
        r"qrels\.trec:1: expected a whole number as the grade, found '0\.5'",
    ),
    "qrels with two grades for one document": (
        "qrels.trec",
        "q1 0 d1 1\nq1 0 d1 2\n",
        r"qrels\.trec:2: document d1 of query q1 has grade 2 here and 1 on line 1",
    ),
    "empty qrels": ("qrels.trec", "", r"qrels\.trec: the file is empty"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_malformed_is_named_and_nothing_is_written(
    command: Command, collection: Collection, case: str
) -> None:
    name, content, message = MALFORMED[case]
    path = collection.folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    refused(command(*collection.rerank()), message)
    assert collection.files() == INPUTS


@pytest.mark.parametrize("case", ["run", "queries", "docs", "model"])
def test_a_file_that_is_not_there_is_named(
    command: Command, collection: Collection, case: str
) -> None:
    missing = collection.folder / "nowhere.txt"
    given = f"oracle:{missing}" if case == "model" else missing
    ran = command(*collection.rerank(**{case: given}))
    refused(ran, r"cannot read .*nowhere\.txt: No such file or directory")
    assert collection.files() == INPUTS


def test_a_folder_in_place_of_a_file_is_named(command: Command, collection: Collection) -> None:
    refused(command(*collection.rerank(docs=collection.folder)), "cannot read .*: Is a directory")


def windows(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


TOLERATED: dict[str, Callable[[str], bytes]] = {
    "Windows line ends": windows,
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "both, as Notepad writes": lambda text: b"\xef\xbb\xbf" + windows(text),
    "gzip": lambda text: gzip.compress(text.encode()),
    "bzip2": lambda text: bz2.compress(text.encode()),
    "xz": lambda text: lzma.compress(text.encode()),
    "blank lines": lambda text: b"\n" + text.replace("\n", "\n\n").encode(),
    "no line end at the end": lambda text: text.rstrip("\n").encode(),
}


@pytest.mark.parametrize("case", TOLERATED)
def test_what_is_only_unusual_changes_nothing(
    command: Command, collection: Collection, fake: FakeModel, case: str
) -> None:
    def rank() -> tuple[bytes, bytes, list[str]]:
        journal = collection.folder / "out.journal"
        journal.unlink(missing_ok=True)
        fake.batches.clear()
        assert command(*collection.rerank()).code == 0
        by_oracle = collection.output.read_bytes()
        assert command(*collection.rerank(model="fake")).code == 0
        return by_oracle, collection.output.read_bytes(), [one.prompt for one in fake.prompts]

    plain = rank()
    for name in INPUTS:
        path = collection.folder / name
        path.write_bytes(TOLERATED[case](path.read_text()))
    assert rank() == plain  # the model read the same texts, too


def test_tabs_in_a_text_belong_to_the_text(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    collection.queries.write_text("q1\twhy\tis the sea salt\nq2\thow\n")
    collection.docs.write_text("d1\ta\tb\nd2\tc\nd3\td\nd4\te\n")
    assert command(*collection.rerank(model="fake", method="allpair")).code == 0
    prompts = [request.prompt for request in fake.prompts]
    assert any("Given a query why\tis the sea salt, " in prompt for prompt in prompts)
    assert any("Passage A: a\tb\n" in prompt for prompt in prompts)


def test_queries_without_candidates_are_counted_and_left_out(
    command: Command, collection: Collection
) -> None:
    collection.queries.write_text(QUERIES + "q3\twho\nq4\twhere\n")
    ran = command(*collection.rerank())
    assert ran.code == 0
    assert "queries without candidates, left out of the ranking: 2" in ran.err
    assert collection.ranking() == BEST


def test_a_document_that_stands_twice_alike_is_taken_once(
    command: Command, collection: Collection
) -> None:
    collection.docs.write_text(DOCS + DOCS)
    assert command(*collection.rerank()).code == 0
    assert collection.ranking() == BEST


def test_the_scores_rank_where_the_ranks_disagree(command: Command, collection: Collection) -> None:
    collection.run.write_text("q1 Q0 d1 1 1.5 x\nq1 Q0 d2 2 2.5 x\n")
    collection.qrels.write_text("q1 0 d9 1\n")  # all ties: the first stage's order stays
    ran = command(*collection.rerank())
    assert ran.code == 0
    assert "ranks disagree with scores on 2 lines" in ran.err
    assert collection.ranking() == {"q1": "d2 d1"}
