"""What bad input gets: one line that names the file and the place, exit code 2, no output."""

import errno
import gzip
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import BEST, DOCS, INPUTS, QUERIES, RUN, Collection, Command, Ran
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
        r"run\.trec:1: expected a whole number as the rank, found 'first'",
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
        r"1 of the run's 2 queries have no text in the queries: q2",
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


def refused(ran: Ran, message: str) -> None:
    """It ended with code 2 and one line on stderr that holds the message."""
    assert (ran.code, ran.out) == (2, ""), ran
    assert ran.err.startswith("rankprompt: ")
    assert ran.err.count("\n") == 1, ran.err
    assert re.search(message, ran.err), ran.err


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


@pytest.mark.parametrize(
    ("option", "written", "meant"),
    [
        ("method", "heapsrt", "heapsort"),
        ("order", "bot", "both"),
        ("decide", "agreemnt", "agreement"),
        ("mode", "generate", "generation"),
        ("input_order", "invers", "inverse"),
        ("prompt", "query-likelyhood", "query-likelihood"),
        ("model", "smollm2-135", "smollm2-135m"),
        ("model", "SmolLM2-135M", "smollm2-135m"),
        ("model", "Oracle:q.trec", "oracle:QRELS.trec"),
    ],
)
def test_an_unknown_name_is_answered_with_the_one_that_was_meant(
    command: Command,
    collection: Collection,
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    written: str,
    meant: str,
) -> None:
    def unwanted(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded before the names were checked")

    monkeypatch.setattr("rankprompt.pipeline.execution.load_model", unwanted)
    ran = command(*collection.rerank(**{"model": "smollm2-135m", option: written}))
    kind = option.replace("_", " ")
    refused(ran, f"unknown {kind} '{written}'; did you mean '{meant}'\\? Known: ")
    assert collection.files() == INPUTS


@pytest.mark.parametrize("value", [0, -3])
@pytest.mark.parametrize("option", ["k", "passes", "depth", "limit"])
def test_numbers_of_things_start_at_one(
    command: Command, collection: Collection, option: str, value: int
) -> None:
    ran = command(*collection.rerank(**{option: value}))
    refused(ran, f"--{option} must be at least 1, not {value}")
    assert collection.files() == INPUTS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": 1.5}, "--noise must be from 0 to 1, not 1.5"),
        ({"noise": "nan"}, "--noise must be from 0 to 1, not nan"),
        ({"noise": 0.1, "model": "fake"}, "--noise goes with --model oracle:QRELS only"),
        ({"prior": -1}, "--prior must be at least 0, not -1"),
        ({"prior": "inf", "model": "fake"}, "--prior must be at least 0, not inf"),
        ({"passage_tokens": 0, "model": "fake"}, "--passage-tokens must be at least 1, not 0"),
        ({"batch_tokens": 0, "model": "fake"}, "--batch-tokens must be at least 1, not 0"),
        (
            {"mode": "generation", "model": "smollm2-135m", "prompt": "query-likelihood"},
            "--mode generation needs a prompt whose answer is written, such as a choice; "
            "query-likelihood is of kind likelihood",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    command: Command,
    collection: Collection,
    fake: FakeModel,
    options: dict[str, object],
    message: str,
) -> None:
    refused(command(*collection.rerank(**options)), re.escape(message))
    assert (collection.files(), fake.batches) == (INPUTS, [])


def test_an_option_that_is_no_number_ends_with_code_2_too(
    command: Command, collection: Collection
) -> None:
    ran = command(*collection.rerank(k="ten"))
    assert (ran.code, ran.out) == (2, "")
    assert "Invalid value for '--k'" in ran.err
    assert collection.files() == INPUTS


def test_a_prompt_file_with_a_wrong_slot_is_named(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    prompt = collection.folder / "mine.toml"
    prompt.write_text('kind = "choice"\ntext = "{query} {first}"\noptions = ["A", "B"]\n')
    ran = command(*collection.rerank(model="fake", prompt=prompt))
    refused(ran, r"mine\.toml: text lacks the slot \{second\}")
    assert fake.batches == []


@pytest.mark.parametrize("name", ["run", "queries", "docs", "qrels"])
def test_an_input_is_never_written_over(
    command: Command, collection: Collection, name: str
) -> None:
    path: Path = getattr(collection, name)
    before = path.read_bytes()
    # Another spelling of the same place is the same place.
    other = path.parent / ".." / path.parent.name / path.name
    for given in (path, other):
        refused(command(*collection.rerank(output=given)), "this input would be overwritten")
    assert path.read_bytes() == before
    assert collection.files() == INPUTS


def test_the_journal_is_not_laid_over_an_input_either(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    before = collection.run.read_bytes()
    ran = command(*collection.rerank(model="fake", journal=collection.run))
    refused(ran, r"run\.trec: this input would be overwritten")
    assert (collection.run.read_bytes(), fake.batches) == (before, [])


def test_run_manifest_and_journal_must_be_three_files(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    ran = command(*collection.rerank(model="fake", journal=collection.output))
    refused(ran, "run, manifest and journal need names that differ")
    assert (collection.files(), fake.batches) == (INPUTS, [])


def test_a_json_file_that_is_no_manifest_of_ours_is_left_alone(
    command: Command, collection: Collection
) -> None:
    foreign = collection.output.with_suffix(".json")
    for content in ('{"form": "another program"}', "[]", "no JSON at all"):
        foreign.write_text(content)
        refused(command(*collection.rerank()), r"out\.json: .* which is no manifest")
        assert foreign.read_text() == content
    assert collection.files() == {*INPUTS, "out.json"}


def test_a_database_of_another_program_is_not_taken_for_a_journal(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    foreign = collection.folder / "notes.txt"
    foreign.write_text("my notes, which are long enough to be told from a journal\n" * 3)
    before = foreign.read_bytes()
    ran = command(*collection.rerank(model="fake", journal=foreign))
    refused(ran, r"notes\.txt: not a rankprompt journal")
    assert (foreign.read_bytes(), fake.batches) == (before, [])
    assert collection.files() == {*INPUTS, "notes.txt"}


def test_our_own_manifest_is_replaced(command: Command, collection: Collection) -> None:
    for limit in (1, 2):
        assert command(*collection.rerank(limit=limit)).code == 0
    assert collection.ranking() == BEST


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("nowhere/out.trec", r"cannot write .*out\.trec: the folder .*nowhere does not exist"),
        ("run.trec/out.trec", r"cannot write .*out\.trec: .*run\.trec is not a folder"),
        ("out.json", r"out\.json: a run needs another ending than \.json"),
        ("folder", r"cannot write .*folder: it is a directory"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_any_work(
    command: Command, collection: Collection, fake: FakeModel, output: str, message: str
) -> None:
    (collection.folder / "folder").mkdir()
    before = collection.files()
    refused(command(*collection.rerank(model="fake", output=collection.folder / output)), message)
    assert (collection.files(), fake.batches) == (before, [])


def test_a_folder_that_is_read_only_is_refused_before_any_work(
    command: Command, collection: Collection, fake: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(**_: object) -> None:  # as for anyone but root, who may write everywhere
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "TemporaryFile", locked)
    refused(
        command(*collection.rerank(model="fake")), r"cannot write .*out\.trec: Permission denied"
    )
    assert (collection.files(), fake.batches) == (INPUTS, [])


def test_a_journal_that_cannot_be_opened_is_named_before_any_work(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    nowhere = collection.folder / "nowhere" / "my.journal"
    ran = command(*collection.rerank(model="fake", journal=nowhere))
    refused(ran, r"my\.journal: cannot open the journal")
    refused(
        command(*collection.rerank(model="fake", journal=collection.folder)),
        "not a file; name another --journal",
    )
    assert (collection.files(), fake.batches) == (INPUTS, [])


@pytest.mark.parametrize("model", ["fake", None])
def test_a_full_disk_leaves_the_old_run_and_no_half_written_one(
    command: Command,
    collection: Collection,
    fake: FakeModel,
    monkeypatch: pytest.MonkeyPatch,
    model: str | None,
) -> None:
    options = {"model": model} if model else {}
    assert command(*collection.rerank(limit=1, **options)).code == 0
    before = {name: (collection.folder / name).read_bytes() for name in ("out.trec", "out.json")}
    files, asked = collection.files(), len(fake.prompts)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        ran = command(*collection.rerank(**options))
    refused(ran, r"cannot write .*out\.trec: No space left on device; an old file .* untouched")
    assert {name: (collection.folder / name).read_bytes() for name in before} == before
    assert collection.files() == files

    # With room again, what the model answered meanwhile is not asked again.
    told = len(fake.prompts)
    assert command(*collection.rerank(**options)).code == 0
    assert len(fake.prompts) == told >= asked
    assert set(collection.ranking()) == {"q1", "q2"}
