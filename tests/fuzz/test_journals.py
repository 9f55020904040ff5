"""Journals: the exact answer that was stored, none, or a refusal; never another answer."""

import json
import random
import sqlite3
from hashlib import blake2b
from pathlib import Path

from rankprompt.errors import JournalError
from rankprompt.journal.store import Entry, Journal
from rankprompt.llm.base import Answer
from tests.fuzz.conftest import is_refused
from tests.mutations import mutate, mutate_bytes

KEYS = [bytes([number]) * 16 for number in range(40)]
ANSWERS = {
    key: Answer((-float(number), -0.5), (1, number), f"text {number}")
    for number, key in enumerate(KEYS)
}


def begin(path: Path, content: bytes = b"") -> bytes:
    """Writes a journal of the answers; the content of an earlier one saves time."""
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    if content:
        path.write_bytes(content)
        return content
    journal = Journal(path)
    journal.put(ANSWERS, chunk=b"chunk".ljust(8), tokens=1, padding=0)
    journal.close()
    return path.read_bytes()


def look_up(path: Path) -> tuple[dict[bytes, Entry], bool]:
    journal = Journal(path)
    try:
        return journal.get(KEYS), journal.set_aside is not None
    finally:
        journal.close()


def test_bytes_of_a_journal(quick: Path) -> None:
    path = quick / "run.journal"
    content = begin(path)
    outcomes = {"refused": 0, "set aside": 0, "kept": 0}
    for seed in range(2000):
        rng = random.Random(seed)
        mutated = content
        for _ in range(rng.randint(1, 4)):
            if rng.random() < 0.3:
                mutated = mutate_bytes(rng, mutated) or b"x"
            else:  # near the front, where the form and the schema are; or anywhere
                at = rng.randrange(min(600, len(mutated)) if rng.random() < 0.5 else len(mutated))
                mutated = mutated[:at] + bytes([rng.randrange(256)]) + mutated[at + 1 :]
        begin(path, mutated)

        def read() -> None:
            entries, aside = look_up(path)
            assert {key: entry.answer for key, entry in entries.items()}.items() <= ANSWERS.items()
            outcomes["set aside" if aside else "kept"] += 1

        outcomes["refused"] += is_refused(read, f"seed {seed}")
    assert min(outcomes.values()) > 10
    assert outcomes["set aside"] > 800


def test_values_with_the_right_checksum(quick: Path) -> None:
    path, key = quick / "run.journal", KEYS[3]
    stored = json.dumps(ANSWERS[key][:3]).encode()
    content, kept = begin(path), 0
    for seed in range(600):
        rng = random.Random(seed)
        value = mutate(rng, stored)
        begin(path, content)
        replace(
            path, key, value, value.decode() if rng.random() < 0.5 and is_text(value) else value
        )

        def read() -> None:
            nonlocal kept
            entries, aside = look_up(path)
            if not aside:
                kept += 1
                assert json.loads(value) == json.loads(json.dumps(entries[key].answer[:3]))

        assert not is_refused(read, f"seed {seed}: {value[:100]!r}")
    assert 30 < kept < 300


def test_columns_of_other_types(quick: Path) -> None:
    path = quick / "run.journal"
    for column in ("key", "value", "digest", "chunk"):
        for value in (3, 2.5, "text", b"\xff\xfe", b"", ""):
            begin(path)
            database = sqlite3.connect(path)
            with database:
                database.execute(f"update answers set {column} = ? where key = ?", (value, KEYS[3]))
            database.close()

            def read() -> None:
                entries, aside = look_up(path)
                assert aside or entries[KEYS[3]].answer == ANSWERS[KEYS[3]]

            assert not is_refused(read, f"{column} = {value!r}")


def test_an_answer_that_is_damaged_while_the_journal_is_open_is_refused(quick: Path) -> None:
    path, key = quick / "run.journal", KEYS[3]
    begin(path)
    journal = Journal(path)
    replace(path, key, b'[[true],[1],"x"]', b'[[true],[1],"x"]')
    assert is_refused(lambda: print(journal.get([key])), "a truth value")  # noqa: T201
    journal.close()


def test_a_schema_that_is_no_text_is_set_aside(quick: Path) -> None:
    path = quick / "run.journal"
    for definition in (b"\xff\xfe", b"create table answers (k\xff)", 3):
        begin(path)
        database = sqlite3.connect(path)
        with database:
            database.execute("pragma writable_schema = on")
            database.execute("update sqlite_master set sql = ?", (definition,))
        database.close()
        try:
            entries, aside = look_up(path)
        except JournalError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either is right
        else:
            assert (entries, aside) == ({}, True)


def is_text(value: bytes) -> bool:
    return value.decode(errors="replace").encode() == value


def replace(path: Path, key: bytes, value: bytes, column: bytes | str) -> None:
    """Stores a value in place of an answer, with its own checksum."""
    digest = blake2b(key + value, digest_size=8).digest()
    database = sqlite3.connect(path)
    with database:
        database.execute(
            "update answers set value = ?, digest = ? where key = ?", (column, digest, key)
        )
    database.close()
