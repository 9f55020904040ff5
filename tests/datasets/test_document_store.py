import gzip
import logging
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rankprompt.datasets import document_store_import as importing
from rankprompt.datasets import documents as choosing
from rankprompt.datasets.document_file import DocumentFile
from rankprompt.datasets.document_store import StoredDocuments
from rankprompt.datasets.document_store_import import open_store, watching
from rankprompt.datasets.documents import MemoryDocuments, open_documents, read_into_memory
from rankprompt.errors import FormatError, InputError
from tests.datasets.stores import (
    FAST,
    FULL,
    KILLED,
    OPEN,
    SLOW,
    finish,
    start,
    stores,
    texts,
    write,
)

COUNT = 300


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(importing, "BLOCK", 500)
    monkeypatch.setattr(importing, "COMMIT_BYTES", 5000)
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        monkeypatch.setenv("RANKPROMPT_CACHE", str(Path(folder) / "cache"))
        yield Path(folder) / "cache"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "docs.jsonl", texts(COUNT))


def test_a_store_is_made_once(path: Path, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "rankprompt"):
        first = open_store(DocumentFile(path))
    begun, done = caplog.messages
    (store,) = stores(cache)
    assert str(path) in begun
    assert str(store) in begun
    assert f"imported {COUNT} documents of {path} in" in done
    caplog.clear()
    made = store.stat().st_mtime_ns
    with caplog.at_level(logging.INFO, "rankprompt"):
        second = open_store(DocumentFile(path))
    assert caplog.messages == []
    assert store.stat().st_mtime_ns == made
    assert dict(first) == dict(second) == texts(COUNT)


def change_size(path: Path) -> None:
    with path.open("a") as file:
        file.write('{"id": "new", "text": ""}\n')


def change_time(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"d7", b"c7"))


def change_secretly(path: Path) -> None:
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"d150", b"c150"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def change_amid(path: Path) -> None:
    before, content = path.stat(), path.read_bytes()
    third = len(content) // 3
    middle = content[third:-third].replace(b" 1", b" 9")
    path.write_bytes(content[:third] + middle + content[-third:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("edit", [change_size, change_time, change_secretly, change_amid])
def test_an_edited_file_is_imported_again(
    path: Path, cache: Path, edit: Callable[[Path], None]
) -> None:
    write(path, texts(3000))
    open_store(DocumentFile(path))
    (old,) = stores(cache)
    edit(path)
    assert dict(open_store(DocumentFile(path))) == dict(read_into_memory(DocumentFile(path)))
    (new,) = stores(cache)  # and the old one is gone
    assert new != old


def test_another_form_has_another_store(path: Path, cache: Path) -> None:
    open_store(DocumentFile(path))
    open_store(DocumentFile(path, "other-1"))
    assert len(stores(cache)) == 2


@pytest.mark.parametrize("packed", [False, True])
def test_a_killed_import_goes_on(
    path: Path, cache: Path, caplog: pytest.LogCaptureFixture, packed: bool
) -> None:
    if packed:  # not at all, so that its packed bytes pass half before its end
        path.write_bytes(gzip.compress(path.read_bytes(), compresslevel=0))
    code, _, _ = finish(start(KILLED, path))
    assert code == -signal.SIGKILL
    assert len(stores(cache)) == 1
    with caplog.at_level(logging.INFO, "rankprompt"):
        found = open_store(DocumentFile(path))
    kept = int(caplog.messages[0].rpartition("resuming after ")[2].split()[0])
    assert 0 < kept < COUNT
    assert f"imported {COUNT - kept} documents" in caplog.messages[1]
    assert list(found) == list(texts(COUNT).items())
    assert len(found) == COUNT
    assert found.get(texts(COUNT)) == texts(COUNT)


def test_processes_that_import_at_once_make_one_store(path: Path, cache: Path) -> None:
    write(path, texts(3000))
    results = [finish(process) for process in [start(SLOW, path) for _ in range(3)]]
    waited = "".join(err for _, _, err in results).count("another process imports")
    assert waited >= 1
    assert [(code, out) for code, out, _ in results] == [(0, "3000\n")] * 3
    assert "".join(err for _, _, err in results).count("imported 3,000 documents") == 1
    assert dict(open_store(DocumentFile(path))) == texts(3000)
    assert len(stores(cache)) == 1


def test_a_full_disk_is_one_line_and_what_is_done_is_kept(path: Path, cache: Path) -> None:
    write(path, texts(3000))
    code, out, _ = finish(start(FULL, path))
    assert code == 0
    assert out.startswith(f"cannot store the documents of {path} in {cache / 'collections'}: ")
    assert "RANKPROMPT_CACHE" in out
    assert len(out.splitlines()) == 1
    assert "resuming after" in finish(start(OPEN, path))[2]
    assert dict(open_store(DocumentFile(path))) == texts(3000)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    path.write_bytes(b"not a database " * 4000)


def scratch(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for place in range(5000, len(content), 700):
        content[place : place + 40] = bytes(40)
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, empty, overwrite, scratch])
@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_damaged_store_is_made_anew(
    path: Path, cache: Path, damage: Callable[[Path], None], meanwhile: bool
) -> None:
    found = open_store(DocumentFile(path))
    (store,) = stores(cache)
    damage(store)
    if not meanwhile:
        found = open_store(DocumentFile(path))
    assert found.get(texts(COUNT)) == texts(COUNT)
    assert list(found) == list(texts(COUNT).items())
    assert list(open_store(DocumentFile(path))) == list(texts(COUNT).items())


def test_damage_amid_reading_leaves_nothing_out(path: Path, cache: Path) -> None:
    write(path, texts(3000))
    documents = iter(open_store(DocumentFile(path)))
    read = [next(documents) for _ in range(5)]
    scratch(stores(cache)[0])
    assert read + list(documents) == list(texts(3000).items())


def test_a_damaged_store_of_a_lost_file_is_told(path: Path, cache: Path) -> None:
    found = open_store(DocumentFile(path))
    overwrite(stores(cache)[0])
    path.unlink()
    with pytest.raises(InputError, match="No such file"):
        found.get(["d1"])


@pytest.mark.parametrize("apart", [1, 10, 200])
def test_ids_twice(path: Path, apart: int) -> None:
    lines = path.read_text().splitlines(keepends=True)
    lines.insert(20 + apart, lines[20])
    path.write_text("".join(lines))
    found = open_store(DocumentFile(path))
    assert list(found) == list(texts(COUNT).items())
    assert len(found) == COUNT
    assert found.get(["d20", "d20"]) == {"d20": texts(COUNT)["d20"]}
    lines[20 + apart] = '{"id": "d20", "text": "another"}\n'
    path.write_text("".join(lines))
    problem = f"docs.jsonl:{21 + apart}: document d20 has another text on line 21"
    for _ in range(2):  # a second start says it again
        with pytest.raises(FormatError, match=problem):
            open_store(DocumentFile(path))
    with pytest.raises(FormatError, match=problem):
        read_into_memory(DocumentFile(path))


def test_a_malformed_line_is_told_and_its_mending_noticed(path: Path, cache: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:250], "{oops\n", *lines[250:]]))
    with pytest.raises(FormatError, match=r"docs\.jsonl:251: malformed JSON"):
        open_store(DocumentFile(path))
    path.write_text("".join(lines))
    assert list(open_store(DocumentFile(path))) == list(texts(COUNT).items())
    assert len(stores(cache)) == 1


def test_a_file_that_changes_while_it_is_read_is_told(path: Path) -> None:
    with (
        watching(lambda _done, _total: change_size(path)),
        pytest.raises(InputError, match="changed while it was read"),
    ):
        open_store(DocumentFile(path))


def test_progress_is_told_and_only_within(path: Path) -> None:
    told: list[tuple[int, int]] = []
    with watching(lambda done, total: told.append((done, total))):
        open_store(DocumentFile(path))
    size = path.stat().st_size
    assert len(told) > 3
    assert told == sorted(told)
    assert told[-1] == (size, size)
    change_time(path)
    open_store(DocumentFile(path))
    assert told[-1] == (size, size)


def test_small_files_leave_nothing_in_the_cache(
    path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = open_documents(DocumentFile(path), iter(["d3", "absent", "d1"]))
    assert isinstance(found, MemoryDocuments)
    assert dict(found) == {name: texts(COUNT)[name] for name in ("d1", "d3")}
    assert not cache.exists()
    monkeypatch.setattr(choosing, "IN_MEMORY", path.stat().st_size)
    assert isinstance(open_documents(DocumentFile(path), ["d1"]), StoredDocuments)
    assert len(stores(cache)) == 1


def test_a_pipe_is_read_into_memory() -> None:
    reading, writing = os.pipe()
    os.write(writing, b'{"id": 1, "text": "a"}\n{"id": 2, "text": "b"}\n')
    os.close(writing)
    try:
        found = open_documents(DocumentFile(Path(f"/dev/fd/{reading}")))
        assert dict(found) == {"1": {"text": "a"}, "2": {"text": "b"}}
    finally:
        os.close(reading)


def test_a_cache_that_cannot_be_written_is_told(path: Path, cache: Path) -> None:
    cache.write_text("a file, where a folder should be")
    with pytest.raises(InputError, match=r"cannot store the documents of .*RANKPROMPT_CACHE"):
        open_store(DocumentFile(path))


def test_an_empty_file_is_told(path: Path) -> None:
    path.write_text("\n")
    with pytest.raises(FormatError, match="the file is empty"):
        open_store(DocumentFile(path))
