"""Several processes share a journal, and killed ones lose no committed answer."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from rankprompt.journal.store import Journal
from tests.journal.journals import CHUNK, answer, finish, kill_a_writer, name, start, stored


def test_another_process_sees_each_put_at_once(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    with closing(Journal(path)) as journal:
        journal.put({name(1): answer(1), name(2): answer(2)}, chunk=CHUNK, tokens=1, padding=0)
        reader = start("print(len(Journal(path).get([name(n) for n in range(5)])))", path)
        assert finish(reader) == "2\n"


def test_two_processes_write_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    script = """
journal = Journal(path)
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    put(journal, number)
journal.close()
"""
    # Both create the file, and a third of their answers are the same.
    writers = [start(script, path, 0, 300), start(script, path, 150, 450)]
    for writer in writers:
        finish(writer)
    with closing(Journal(path)) as journal:
        assert stored(journal, range(450)) == list(range(450))
        assert journal.totals() == (450, 600)
        assert journal.set_aside is None


def test_a_killed_process_loses_nothing_that_it_committed(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    committed = kill_a_writer(path)
    assert (tmp_path / "j.journal-wal").stat().st_size > 0
    with closing(Journal(path)) as journal:
        assert stored(journal, range(committed)) == list(range(committed))
        count = len(stored(journal, range(committed + 2)))
        assert journal.totals() == (count, count)
        assert journal.set_aside is None
    assert [file.name for file in tmp_path.iterdir()] == ["j.journal"]


def test_a_log_that_ends_half_way_gives_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    committed = kill_a_writer(path)
    wal = tmp_path / "j.journal-wal"
    os.truncate(wal, wal.stat().st_size * 3 // 5)
    with closing(Journal(path)) as journal:
        numbers = stored(journal, range(committed))
        assert numbers == list(range(len(numbers)))
        assert 0 < len(numbers) < committed
        assert journal.totals() == (len(numbers), len(numbers))


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_an_old_log_is_not_read_into_a_fresh_journal(tmp_path: Path, left: str) -> None:
    path = tmp_path / "j.journal"
    kill_a_writer(path)
    path.unlink()
    if left == "an empty file":
        path.touch()
    with closing(Journal(path)) as journal:
        assert journal.totals() == (0, 0)
        journal.put({name(1): answer(1)}, chunk=CHUNK, tokens=1, padding=0)
    with closing(Journal(path)) as journal:
        assert stored(journal, range(9)) == [1]
