"""Files that belong to other programs, paths where no file can be, and full disks."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rankprompt.errors import JournalError
from rankprompt.journal.store import Journal
from tests.journal.journals import CHUNK, answer, files, fill, finish, name, start, stored


def foreign_database(path: Path, pragmas: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            f"{pragmas}; create table notes (text); insert into notes values (1)"
        )


@pytest.mark.parametrize("name", ["notes.db", "notes.journal"])
@pytest.mark.parametrize(
    "pragmas",
    [
        "",
        "pragma journal_mode = wal",
        "pragma user_version = 1",
        "pragma user_version = 9",
        "pragma application_id = 77",
        "pragma page_size = 512",
    ],
)
def test_another_programs_database_is_left_alone(tmp_path: Path, name: str, pragmas: str) -> None:
    path = tmp_path / name
    foreign_database(path, pragmas)
    before = files(tmp_path)
    with pytest.raises(JournalError, match=rf"{name}: another program's database") as caught:
        Journal(path)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == before


def test_another_programs_open_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "pragma journal_mode = wal; create table answers (key); insert into answers values (1)"
        )
        before = files(tmp_path)
        with pytest.raises(JournalError, match="another program's database"):
            Journal(path)
        assert files(tmp_path) == before


@pytest.mark.parametrize("content", [b"shopping list\n", b"x", b"\0" * 5000, b"SQLite format 3"])
def test_another_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"notes\.txt: not a rankprompt journal"):
        Journal(path)
    assert files(tmp_path) == {"notes.txt": content}


def test_a_newer_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    fill(path, [1])
    with closing(sqlite3.connect(path)) as database:
        database.execute("pragma user_version = 2")
    before = files(tmp_path)
    with pytest.raises(JournalError, match=r"j\.journal: written by a newer rankprompt \(form 2\)"):
        Journal(path)
    assert files(tmp_path) == before


def test_an_empty_file_becomes_a_journal_under_any_name(tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.touch()
    fill(path, [1])
    with closing(Journal(path)) as journal:
        assert stored(journal, [1]) == [1]
        assert journal.set_aside is None


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="not a file"):
        Journal(tmp_path)


@pytest.mark.parametrize("name", ["missing/j.journal", "file/j.journal", f"{'x' * 300}.journal"])
def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="cannot open the journal") as caught:
        Journal(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("closed", ["folder", "file"])
def test_a_place_that_may_not_be_written_is_refused(tmp_path: Path, closed: str) -> None:
    path = tmp_path / "j.journal"
    if closed == "file":
        fill(path, [1])
        path.chmod(0o000)
    else:
        tmp_path.chmod(0o500)
    try:
        with pytest.raises(JournalError, match="cannot open the journal"):
            Journal(path)
    finally:
        tmp_path.chmod(0o700)


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    script = """
import resource
journal = Journal(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
for number in range(10**6):
    try:
        put(journal, number)
    except JournalError as error:
        print(number, error)
        break
"""
    count, message = finish(start(script, path)).split(" ", 1)
    committed = int(count)
    assert message.startswith(f"{path}: the journal failed")
    assert message.count("\n") == 1
    assert committed > 5
    with closing(Journal(path)) as journal:
        assert stored(journal, range(committed + 5)) == list(range(committed))
        journal.put({name(10**6): answer(10**6)}, chunk=CHUNK, tokens=1, padding=0)
        assert journal.set_aside is None


def test_a_journal_goes_on_once_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, databases = sqlite3.connect, list[sqlite3.Connection]()

    def record(path: Path, **how: Any) -> sqlite3.Connection:
        databases.append(connect(path, **how))
        return databases[-1]

    monkeypatch.setattr(sqlite3, "connect", record)
    path = tmp_path / "j.journal"
    with closing(Journal(path)) as journal:
        (database,) = databases
        database.execute("pragma max_page_count = 20")
        committed = 0

        def put() -> None:
            journal.put({name(committed): answer(committed)}, chunk=CHUNK, tokens=1, padding=0)

        with pytest.raises(JournalError, match="full"):  # noqa: PT012
            while True:
                put()
                committed += 1
        database.execute("pragma max_page_count = 1000")
        put()
        assert stored(journal, range(committed + 2)) == list(range(committed + 1))
        assert journal.totals() == (committed + 1, committed + 1)
