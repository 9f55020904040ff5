"""How the journal's pace, size and start change with the number of its answers.

Answers are put through ``Journal`` itself, in a file on disk, with keys that are digests, as in a
run. The file is deleted afterwards.
"""

import argparse
import os
import platform
import random
import resource
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.tables import replace_part, table
from rankprompt.journal.store import Journal
from rankprompt.llm.base import Answer

__all__ = ["Measured", "measure"]

PAGE = Path("docs/scale.md")
WRITER = "benchmarks/journal.py"
SIZES = (100_000, 1_000_000, 5_000_000, 20_000_000)
BATCH = 256  # answers that a GPU gives at a time, which are committed together
ASKED = 500  # keys that are looked up together
LOOKED_UP = 20_000
ALONE = 1_000  # answers that are committed one by one, as a server's are
CHUNK = b"a chunk."


class Timed(NamedTuple):
    """Answers, and the seconds that they took: by the clock, and of the processor."""

    answers: int
    wall: float
    busy: float

    def __str__(self) -> str:
        return f"{self.answers / self.wall:,.0f} ({self.answers / self.busy:,.0f})"


class Measured(NamedTuple):
    """A journal with so many answers.

    ``inserts`` are those since the size before, ``bytes`` the file's, ``opening`` includes the
    look-up of a first chunk, and ``megabytes`` is this process's peak.
    """

    answers: int
    inserts: Timed
    alone: Timed
    found: Timed
    absent: Timed
    bytes: int
    opening: Timed
    megabytes: float


def timed(answers: int, work: Callable[..., None], *arguments: object, **named: object) -> Timed:
    wall, busy = time.perf_counter(), time.process_time()
    work(*arguments, **named)
    return Timed(answers, time.perf_counter() - wall, time.process_time() - busy)


def key_of(number: int) -> bytes:
    return blake2b(number.to_bytes(8, "big"), digest_size=16).digest()


def answers_of(numbers: range) -> dict[bytes, Answer]:
    """Answers to pairs: two log-probabilities with all their digits."""
    found = {}
    for number in numbers:
        name = key_of(number)
        share = (1 + int.from_bytes(name[:6], "big")) / 2**48
        found[name] = Answer((-share, -1 / share), (1, 1))
    return found


def put(journal: Journal, numbers: range, batch: int) -> None:
    for start in range(numbers.start, numbers.stop, batch):
        answers = answers_of(range(start, min(start + batch, numbers.stop)))
        journal.put(answers, chunk=CHUNK, tokens=1, padding=0)


def look_up(journal: Journal, numbers: Sequence[int], *, stored: bool = True) -> None:
    for start in range(0, len(numbers), ASKED):
        names = {key_of(number) for number in numbers[start : start + ASKED]}
        assert len(journal.get(list(names))) == stored * len(names)


def measure(path: Path, sizes: Sequence[int]) -> Iterator[Measured]:
    """Grows a journal through ``sizes``, and measures it at each."""
    draw, before, journal = random.Random(0), 0, Journal(path)

    def reopen(first: Sequence[int]) -> None:
        nonlocal journal
        journal = Journal(path)
        look_up(journal, first)

    for size in sizes:
        together, alone = range(before, size - ALONE), range(size - ALONE, size)
        inserts = timed(len(together), put, journal, together, BATCH)
        inserts_alone = timed(ALONE, put, journal, alone, 1)
        numbers = [draw.randrange(size) for _ in range(LOOKED_UP)]
        absent = [2**40 + number for number in numbers]
        found = timed(LOOKED_UP, look_up, journal, numbers)
        missed = timed(LOOKED_UP, look_up, journal, absent, stored=False)
        journal.close()
        opening = timed(size, reopen, numbers[:ASKED])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        yield Measured(
            size, inserts, inserts_alone, found, missed, path.stat().st_size, opening, peak
        )
        before = size
    journal.close()


def report(measured: Sequence[Measured]) -> str:
    columns = [
        "answers", "inserts a second", "each committed", "look-ups a second", "of absent keys",
        "bytes an answer", "seconds to open", "peak of the process, MB",
    ]  # fmt: skip
    rows = [
        [
            f"{one.answers:,}", *map(str, (one.inserts, one.alone, one.found, one.absent)),
            f"{one.bytes / one.answers:.0f}", f"{one.opening.wall:.1f} ({one.opening.busy:.1f})",
            f"{one.megabytes:,.0f}",
        ]
        for one in measured
    ]  # fmt: skip
    return f"""{table(columns, rows)}

Inserts are committed {BATCH} at a time, as a GPU's batches are, and one at a time, as a server's
answers are; look-ups ask {ASKED} keys at a time, at random. In brackets, by the processor's time
alone, for other processes ran. Made by `python -m benchmarks.journal --answers
{measured[-1].answers}` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores with a load of
{os.getloadavg()[0]:.1f}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=SIZES[-1], help="the largest journal")
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    parser.add_argument("--dry", action="store_true", help="write no report")
    options = parser.parse_args(arguments)
    sizes = [*(size for size in SIZES if size < options.answers), options.answers]
    measured = []
    with TemporaryDirectory(dir=options.folder) as folder:
        for one in measure(Path(folder) / "a.journal", sizes):
            measured.append(one)
            print(one, file=sys.stderr, flush=True)
    text = report(measured)
    print(text)
    if not options.dry:
        replace_part(PAGE, WRITER, text)


if __name__ == "__main__":
    main()
