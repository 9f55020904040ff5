"""Several threads share a journal, and so do the threads of several processes."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from rankprompt.errors import JournalError
from rankprompt.journal.store import Journal
from tests.journal.journals import CHUNK, answer, finish, name, start, stored

THREADS = 8


@pytest.mark.parametrize("in_memory", [False, True])
def test_threads_put_get_and_forget_in_one_journal(tmp_path: Path, in_memory: bool) -> None:
    together = Barrier(THREADS)
    lasting = [number for number in range(400) if number % 10]
    with closing(Journal(None if in_memory else tmp_path / "j.journal")) as journal:

        def work(thread: int) -> None:
            together.wait()
            # Two threads put each number, in batches of five.
            for first in range(thread // 2 * 100, thread // 2 * 100 + 100, 5):
                numbers = range(first, first + 5)
                journal.put({name(n): answer(n) for n in numbers}, chunk=CHUNK, tokens=5, padding=0)
                assert stored(journal, [n for n in numbers if n % 10]) == [
                    n for n in numbers if n % 10
                ]
                journal.forget([name(n) for n in numbers if n % 10 == 0])
                stored(journal, range(400))

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(work, range(THREADS)))
        assert stored(journal, range(400)) == lasting
        assert journal.totals() == (len(lasting), 800)


def test_a_put_that_fails_in_one_thread_takes_nothing_back_from_another(tmp_path: Path) -> None:
    together = Barrier(2)
    with closing(Journal(tmp_path / "j.journal")) as journal:

        def succeed() -> None:
            together.wait()
            for number in range(200):
                journal.put({name(number): answer(number)}, chunk=CHUNK, tokens=1, padding=0)

        def fail() -> None:
            together.wait()
            for number in range(1000, 1200):
                # The answer can be written; the batch's tokens are no number.
                wrong: int = None  # type: ignore[assignment]
                with pytest.raises(JournalError, match="NOT NULL"):
                    journal.put(
                        {name(number): answer(number)}, chunk=CHUNK, tokens=wrong, padding=0
                    )

        with ThreadPoolExecutor(2) as pool:
            for task in [pool.submit(succeed), pool.submit(fail)]:
                task.result()
        assert stored(journal, [*range(200), *range(1000, 1200)]) == list(range(200))
        assert journal.totals() == (200, 200)


def test_what_was_stored_before_another_thread_closes_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    journal = Journal(path)
    together = Barrier(THREADS)

    def work(thread: int) -> list[int]:
        together.wait()
        done: list[int] = []

        def put_until_it_is_closed() -> None:
            for number in range(thread, 10**6, THREADS):
                journal.put({name(number): answer(number)}, chunk=CHUNK, tokens=1, padding=0)
                done.append(number)
                stored(journal, [number])
                if len(done) == 50:
                    journal.close()

        with pytest.raises(JournalError, match="the journal is closed"):
            put_until_it_is_closed()
        return done

    with ThreadPoolExecutor(THREADS) as pool:
        done = [number for numbers in pool.map(work, range(THREADS)) for number in numbers]
    journal.close()  # once more changes nothing
    for use in (
        lambda: journal.get([name(1)]),
        lambda: journal.put({name(1): answer(1)}, chunk=CHUNK, tokens=1, padding=0),
        lambda: journal.forget([name(1)]),
        journal.totals,
    ):
        with pytest.raises(JournalError, match="the journal is closed"):
            use()
    with closing(Journal(path)) as again:
        assert again.totals() == (len(done), len(done))
        assert stored(again, sorted(done)) == sorted(done)


def test_two_processes_of_several_threads_share_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.journal"
    script = """
from concurrent.futures import ThreadPoolExecutor
journal = Journal(path)
def work(thread):
    for number in range(int(sys.argv[2]) + thread, int(sys.argv[3]), 4):
        put(journal, number)
        assert journal.get([name(number)])[name(number)].answer == answer(number)
with ThreadPoolExecutor(4) as pool:
    list(pool.map(work, range(4)))
journal.close()
"""
    # A third of their answers are the same.
    writers = [start(script, path, 0, 300), start(script, path, 150, 450)]
    for writer in writers:
        finish(writer)
    with closing(Journal(path)) as journal:
        assert stored(journal, range(450)) == list(range(450))
        assert journal.totals() == (450, 600)
        assert journal.set_aside is None
