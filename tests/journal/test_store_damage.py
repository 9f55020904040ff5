"""A damaged journal is moved aside, and a damaged answer is not given."""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from rankprompt.journal.store import Journal
from rankprompt.llm.base import Answer
from tests.journal.journals import CHUNK, answer, files, fill, kill_a_writer, name, stored


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2 + 100]


def truncated_by_pages(content: bytes) -> bytes:
    return content[: len(content) // 4096 // 2 * 4096]


def with_garbage(content: bytes) -> bytes:
    middle = len(content) // 4096 // 2 * 4096
    return content[: middle + 500] + b"garbage " * 300 + content[middle + 2900 :]


def flipped(bit: int) -> Callable[[bytes], bytes]:
    def flip(content: bytes) -> bytes:
        assert content.count(b"answer 777") == 1
        index = content.index(b"answer 777") + 9
        return content[:index] + bytes([content[index] ^ bit]) + content[index + 1 :]

    return flip


def with_another_key(content: bytes) -> bytes:
    assert content.count(name(777)) == 1
    return content.replace(name(777), name(7777))


def without_a_header(content: bytes) -> bytes:
    return b"\0" * 100 + content[100:]


DAMAGES = [
    pytest.param(truncated, id="truncated"),
    pytest.param(truncated_by_pages, id="truncated-by-pages"),
    pytest.param(with_garbage, id="garbage"),
    pytest.param(flipped(1), id="another-letter"),
    pytest.param(flipped(128), id="not-utf8"),
    pytest.param(with_another_key, id="another-key"),
    pytest.param(without_a_header, id="no-header"),
    pytest.param(lambda content: content[:50], id="half-a-header"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_journal_is_set_aside_and_a_fresh_one_begun(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "j.journal"
    with closing(Journal(path)) as journal:
        journal.put({name(i): answer(i) for i in range(1000)}, chunk=CHUNK, tokens=0, padding=0)
    intact = path.read_bytes()
    damaged = damage(intact)
    assert damaged != intact
    expected = {}
    for number in (1, 2):
        path.write_bytes(damaged)
        caplog.clear()
        with (
            caplog.at_level(logging.WARNING, logger="rankprompt"),
            closing(Journal(path)) as journal,
        ):
            aside = tmp_path / f"j.journal.damaged-{number}"
            assert journal.set_aside == aside
            assert journal.totals() == (0, 0)
            journal.put({name(1): answer(1)}, chunk=CHUNK, tokens=1, padding=0)
        assert [record.name for record in caplog.records] == ["rankprompt"]
        assert str(aside) in caplog.text
        expected[aside.name] = damaged
        with closing(Journal(path)) as journal:
            assert stored(journal, range(9)) == [1]
            assert journal.set_aside is None
        assert files(tmp_path) == {**expected, "j.journal": path.read_bytes()}


def test_a_damaged_journal_takes_its_log_along(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    kill_a_writer(path)
    path.write_bytes(without_a_header(path.read_bytes()))
    before = files(tmp_path)
    with closing(Journal(path)) as journal:
        assert journal.totals() == (0, 0)
    after = files(tmp_path)
    assert after["j.journal.damaged-1"] == before["j.journal"]
    assert after["j.journal.damaged-1-wal"] == before["j.journal-wal"]


def test_an_answer_damaged_while_the_journal_is_open_is_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "j.journal"
    with closing(Journal(path)) as journal:
        fill(path, [1, 2, 3])
        spoil(path, 1, 2)
        assert stored(journal, [1, 2, 3]) == [3]
        assert [record.getMessage() for record in caplog.records] == [
            f"{path}: answers that were damaged are asked again: 2"
        ]
        fill(path, [1])
        assert stored(journal, [1, 2, 3]) == [1, 3]


def test_a_large_journal_loses_the_damaged_answer_alone(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    last = 100_001  # more than are checked at the opening
    with closing(Journal(path)) as journal:
        answers = {name(number): Answer((-0.5,)) for number in range(last)}
        journal.put(answers, chunk=CHUNK, tokens=0, padding=0)
        fill(path, [last])
    spoil(path, last)
    with closing(Journal(path)) as journal:
        assert journal.set_aside is None
        assert list(journal.get([name(7), name(last)])) == [name(7)]
        fill(path, [last])
        assert stored(journal, [last]) == [last]


def spoil(path: Path, *numbers: int) -> None:
    with closing(sqlite3.connect(path)) as other, other:
        other.executemany(
            "update answers set value = replace(value, 'answer', 'damage') where key = ?",
            [(name(number),) for number in numbers],
        )
