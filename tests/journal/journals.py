"""Journals of numbered answers, and processes that write them."""

import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rankprompt.journal.store import Entry, Journal
from rankprompt.llm.base import Answer

__all__ = [
    "CHUNK",
    "answer",
    "files",
    "fill",
    "finish",
    "kill_a_writer",
    "name",
    "start",
    "stored",
]

CHUNK = b"a chunk."

# The start of the scripts that write a journal in a process of their own.
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


def stored(journal: Journal, numbers: Sequence[int]) -> list[int]:
    """The numbers whose answers the journal has; fails where an answer is wrong."""
    entries = journal.get([name(number) for number in numbers])
    for number in numbers:
        if name(number) in entries:
            assert entries[name(number)] == Entry(answer(number), CHUNK)
    return [number for number in numbers if name(number) in entries]


def files(path: Path) -> dict[str, bytes]:
    """The contents of a folder's files, by name."""
    return {file.name: file.read_bytes() for file in path.iterdir()}


def kill_a_writer(path: Path) -> int:
    """Kills a writing process; returns a number of answers that it had certainly committed."""
    process = start(
        "journal = Journal(path)\n"
        "for number in range(10**6):\n"
        "    put(journal, number)\n"
        "    print(number, flush=True)\n",
        path,
    )
    assert process.stdout
    with process, process.stdout:
        committed = [int(process.stdout.readline()) for _ in range(40)]
        process.send_signal(signal.SIGKILL)
        committed += [int(line) for line in process.stdout if line.endswith("\n")]
    assert process.returncode == -signal.SIGKILL
    return len(committed)
