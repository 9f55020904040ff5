import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rankprompt.errors import JournalError
from rankprompt.journal.store import Entry, Journal, chunk_name, key
from rankprompt.llm.base import Answer, Request

CHUNK = b"a chunk."

# What the writing processes of these tests have in common.
WRITER = """
import sys
from pathlib import Path
from rankprompt.errors import JournalError
from rankprompt.journal.store import Journal
from rankprompt.llm.base import Answer

def name(number):
    return number.to_bytes(16, "big")

def answer(number):
    return Answer((-number / 7, -1.5), (1, 2), f"answer {number}")

def put(journal, *numbers):
    answers = {name(number): answer(number) for number in numbers}
    journal.put(answers, chunk=b"a chunk.", tokens=1, padding=0)

path = Path(sys.argv[1])
"""


def name(number: int) -> bytes:
    return number.to_bytes(16, "big")


def answer(number: int) -> Answer:
    return Answer((-number / 7, -1.5), (1, 2), f"answer {number}")


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER + script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return output


def fill(path: Path, numbers: Sequence[int]) -> None:
    with closing(Journal(path)) as journal:
        for number in numbers:
            journal.put({name(number): answer(number)}, chunk=CHUNK, tokens=9, padding=1)


def kept(journal: Journal, numbers: Sequence[int]) -> list[int]:
    """The numbers whose answers the journal has; fails where an answer is not the right one."""
    found = journal.get([name(number) for number in numbers])
    for number in numbers:
        if name(number) in found:
            assert found[name(number)] == Entry(answer(number), CHUNK)
    return [number for number in numbers if name(number) in found]


def folder(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


# Keys

texts = st.text(alphabet='ab",[]\\\n é中😀\ud83d', max_size=4)
requests = st.builds(
    Request,
    prompt=texts,
    options=st.lists(texts, max_size=3).map(tuple),
    max_tokens=st.integers(0, 2),
    chat=st.booleans(),
    breaks=st.lists(st.integers(0, 3), max_size=2).map(tuple),
)


@given(texts, requests, texts, requests)
def test_keys_are_equal_exactly_where_the_content_is(
    one: str, asked: Request, other: str, also: Request
) -> None:
    # The breaks are a hint of what to compute once; they change no answer.
    same = (one, asked._replace(breaks=())) == (other, also._replace(breaks=()))
    assert (key(one, asked) == key(other, also)) is same
    assert key(one, asked) == key(one, Request(*asked)) == key(one, asked._replace(breaks=()))


def test_every_part_of_a_request_changes_its_key() -> None:
    request = Request("p", (" A", " B"), 3, chat=False)
    variants = [
        ("f", request),
        ("g", request),
        ("f", request._replace(prompt="q")),
        ("f", request._replace(options=(" B", " A"))),
        ("f", request._replace(options=(" A B",))),
        ("f", request._replace(options=())),
        ("f", request._replace(max_tokens=4)),
        ("f", request._replace(chat=True)),
    ]
    assert len({key(*variant) for variant in variants}) == len(variants)
    assert all(len(key(*variant)) == 16 for variant in variants)


def test_a_key_is_the_same_in_every_process_and_version() -> None:
    # A change of this number orphans every journal there is: change the journal's form with it.
    assert key("f", Request("prompt", (" A", " B"))).hex() == "8959e1740a0608ce6f67c6903fcb0476"


@given(st.lists(st.binary(min_size=16, max_size=16)))
def test_a_chunk_is_named_by_what_it_holds_not_by_its_order(keys: list[bytes]) -> None:
    assert chunk_name(keys) == chunk_name(keys[::-1] + keys[:1])
    assert chunk_name(keys) != chunk_name([*keys, b"another"])


# What is put is got

answers = st.builds(
    Answer,
    loglikelihoods=st.lists(st.floats(allow_nan=False)).map(tuple),
    tokens=st.lists(st.integers(0, 2**40)).map(tuple),
    text=st.text() | texts,
)


@given(st.dictionaries(st.binary(min_size=16, max_size=16), answers), st.binary(max_size=8))
@example({name(1): Answer((-0.1, float("-inf"), 5e-324), (1,), "\0 \ud800 中文 😀\r\n")}, b"")
def test_answers_come_back_to_the_last_bit(told: dict[bytes, Answer], chunk: bytes) -> None:
    with closing(Journal(None)) as journal:
        journal.put(told, chunk=chunk, tokens=3, padding=4)
        assert journal.get([*told, b"never asked"]) == {
            name: Entry(answer, chunk) for name, answer in told.items()
        }


def test_many_keys_are_found_at_once() -> None:
    with closing(Journal(None)) as journal:
        journal.put(
            {name(i): answer(i) for i in range(0, 3000, 2)}, chunk=CHUNK, tokens=0, padding=0
        )
        assert kept(journal, range(3000)) == list(range(0, 3000, 2))
        assert journal.get([]) == {}


def test_the_first_answer_stays_and_the_totals_tell_of_the_second(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    with closing(Journal(path)) as journal:
        assert journal.totals() == (0, 0)
        fill(path, [1, 2])
        journal.put({name(2): answer(7), name(3): answer(3)}, chunk=b"later", tokens=1, padding=0)
        assert journal.totals() == (3, 4)
        assert journal.get([name(2)]) == {name(2): Entry(answer(2), CHUNK)}


def test_a_journal_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    fill(path, range(5))
    with closing(Journal(path)) as journal:
        assert kept(journal, range(9)) == list(range(5))
        assert journal.totals() == (5, 5)
        assert journal.set_aside is None
    assert [file.name for file in tmp_path.iterdir()] == ["j.journal"]


def test_no_file_without_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(Journal(None)) as journal:
        journal.put({name(1): answer(1)}, chunk=CHUNK, tokens=1, padding=0)
        assert kept(journal, [1]) == [1]
        assert list(tmp_path.iterdir()) == []


# Several processes, and dead ones


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
    # Both make the file, and half of what they put is the same.
    writers = [start(script, path, 0, 300), start(script, path, 150, 450)]
    for writer in writers:
        finish(writer)
    with closing(Journal(path)) as journal:
        assert kept(journal, range(450)) == list(range(450))
        assert journal.totals() == (450, 600)
        assert journal.set_aside is None


def kill_a_writer(path: Path) -> int:
    """Leaves a journal as a kill -9 leaves it; returns how many answers were committed for sure."""
    process = start(
        "journal = Journal(path)\n"
        "for number in range(10**6):\n"
        "    put(journal, number)\n"
        "    print(number, flush=True)\n",
        path,
    )
    assert process.stdout
    with process, process.stdout:
        done = [int(process.stdout.readline()) for _ in range(40)]
        process.send_signal(signal.SIGKILL)
        done += [int(line) for line in process.stdout if line.endswith("\n")]
    assert process.returncode == -signal.SIGKILL
    return len(done)


def test_a_killed_process_loses_nothing_that_it_committed(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    done = kill_a_writer(path)
    assert (tmp_path / "j.journal-wal").stat().st_size > 0
    with closing(Journal(path)) as journal:
        assert kept(journal, range(done)) == list(range(done))
        there = len(kept(journal, range(done + 2)))
        assert journal.totals() == (there, there)
        assert journal.set_aside is None
    assert [file.name for file in tmp_path.iterdir()] == ["j.journal"]


def test_a_log_that_ends_half_way_gives_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    done = kill_a_writer(path)
    wal = tmp_path / "j.journal-wal"
    os.truncate(wal, wal.stat().st_size * 3 // 5)
    with closing(Journal(path)) as journal:
        there = kept(journal, range(done))
        assert there == list(range(len(there)))
        assert 0 < len(there) < done
        assert journal.totals() == (len(there), len(there))


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
        assert kept(journal, range(9)) == [1]


def test_an_empty_file_becomes_a_journal_under_any_name(tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.touch()
    fill(path, [1])
    with closing(Journal(path)) as journal:
        assert kept(journal, [1]) == [1]
        assert journal.set_aside is None


# Damage


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
        place = content.index(b"answer 777") + 9
        return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]

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
    sound = path.read_bytes()
    broken = damage(sound)
    assert broken != sound
    expected = {}
    for number in (1, 2):
        path.write_bytes(broken)
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
        expected[aside.name] = broken
        with closing(Journal(path)) as journal:
            assert kept(journal, range(9)) == [1]
            assert journal.set_aside is None
        assert folder(tmp_path) == {**expected, "j.journal": path.read_bytes()}


def test_a_damaged_journal_takes_its_log_along(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    kill_a_writer(path)
    path.write_bytes(without_a_header(path.read_bytes()))
    before = folder(tmp_path)
    with closing(Journal(path)) as journal:
        assert journal.totals() == (0, 0)
    after = folder(tmp_path)
    assert after["j.journal.damaged-1"] == before["j.journal"]
    assert after["j.journal.damaged-1-wal"] == before["j.journal-wal"]


def test_an_answer_damaged_while_the_journal_is_open_is_not_given(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    with closing(Journal(path)) as journal:
        fill(path, [1, 2])
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("update answers set value = replace(value, '1', '7')")
        with pytest.raises(JournalError, match=r"j\.journal: .*checksum"):
            journal.get([name(1)])


# What is not ours


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
    before = folder(tmp_path)
    with pytest.raises(JournalError, match=rf"{name}: another program's database") as caught:
        Journal(path)
    assert "\n" not in str(caught.value)
    assert folder(tmp_path) == before


def test_another_programs_open_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "pragma journal_mode = wal; create table answers (key); insert into answers values (1)"
        )
        before = folder(tmp_path)
        with pytest.raises(JournalError, match="another program's database"):
            Journal(path)
        assert folder(tmp_path) == before


@pytest.mark.parametrize("content", [b"shopping list\n", b"x", b"\0" * 5000, b"SQLite format 3"])
def test_another_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(JournalError, match=r"notes\.txt: not a rankprompt journal"):
        Journal(path)
    assert folder(tmp_path) == {"notes.txt": content}


def test_a_newer_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    fill(path, [1])
    with closing(sqlite3.connect(path)) as database:
        database.execute("pragma user_version = 2")
    before = folder(tmp_path)
    with pytest.raises(JournalError, match=r"j\.journal: written by a newer rankprompt \(form 2\)"):
        Journal(path)
    assert folder(tmp_path) == before


# Places and disks


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="not a file"):
        Journal(tmp_path)


@pytest.mark.parametrize("place", ["missing/j.journal", "file/j.journal", f"{'x' * 300}.journal"])
def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="cannot open the journal") as caught:
        Journal(tmp_path / place)
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
    done, message = finish(start(script, path)).split(" ", 1)
    assert message.startswith(f"{path}: the journal failed")
    assert message.count("\n") == 1
    assert int(done) > 5
    with closing(Journal(path)) as journal:
        assert kept(journal, range(int(done) + 5)) == list(range(int(done)))
        journal.put({name(10**6): answer(10**6)}, chunk=CHUNK, tokens=1, padding=0)
        assert journal.set_aside is None


def test_a_journal_goes_on_once_there_is_room_again(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    with closing(Journal(path)) as journal:
        journal._database.execute("pragma max_page_count = 20")
        done = 0

        def put() -> None:
            journal.put({name(done): answer(done)}, chunk=CHUNK, tokens=1, padding=0)

        with pytest.raises(JournalError, match="full"):  # noqa: PT012
            while True:
                put()
                done += 1
        journal._database.execute("pragma max_page_count = 1000")
        put()
        assert kept(journal, range(done + 2)) == list(range(done + 1))
        assert journal.totals() == (done + 1, done + 1)
