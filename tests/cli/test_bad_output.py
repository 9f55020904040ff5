"""Outputs that cannot be written, or that would be written over something else."""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from tests.cli.conftest import BEST, INPUTS, Collection, Command
from tests.cli.refusals import refused
from tests.fakes import FakeModel


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


def test_run_manifest_journal_and_scores_must_be_files_of_their_own(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    ran = command(*collection.rerank(model="fake", journal=collection.output))
    refused(ran, "run, manifest, journal and scores need names that differ")
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
