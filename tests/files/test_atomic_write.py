import errno
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rankprompt.errors import InputError
from rankprompt.files import Scratch, check_writable, write_atomically, write_together
from tests.limits import full_disk


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_writes_text_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    write_atomically(path, "å\r\nb\n")
    assert path.read_bytes() == "å\r\nb\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_replaces_an_old_file_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    path.chmod(0o640)
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_follows_a_symbolic_link(tmp_path: Path) -> None:
    path, link = tmp_path / "out.txt", tmp_path / "link"
    path.write_text("old")
    link.symlink_to(path)
    write_atomically(link, "new")
    assert link.is_symlink()
    assert path.read_text() == "new"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    with pytest.raises(InputError, match=r"out\.txt: No space left.*untouched") as caught:
        write_atomically(path, "new")
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "out.txt", "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("function", [check_writable, lambda path: write_atomically(path, "x")])
def test_a_misplaced_path_is_told(tmp_path: Path, function: Callable[[Path], None]) -> None:
    with pytest.raises(InputError, match="is a directory"):
        function(tmp_path)
    with pytest.raises(InputError, match=r"absent.*does not exist"):
        function(tmp_path / "absent" / "out.txt")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not a"):
        function(tmp_path / "file" / "out.txt")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(InputError, match="loop"):
        function(loop)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs Linux's /proc")
@pytest.mark.parametrize("function", [check_writable, lambda path: write_atomically(path, "x")])
def test_an_unwritable_folder_is_told(function: Callable[[Path], None]) -> None:
    with pytest.raises(InputError, match="cannot write /proc/self/out"):
        function(Path("/proc/self/out.txt"))


def test_a_read_only_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", failing(errno.EROFS))
    with pytest.raises(InputError, match="Read-only file system"):
        check_writable(tmp_path / "out.txt")


def test_checking_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    check_writable(path)
    assert list(tmp_path.iterdir()) == []
    path.write_text("old")
    check_writable(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_devices_are_written_straight() -> None:
    null = Path("/dev/null")
    check_writable(null)
    write_atomically(null, "x")
    assert null.is_char_device()
    with pytest.raises(InputError, match="No space left"):
        write_atomically(Path("/dev/full"), "x")


def test_files_that_belong_together_appear_together_or_not_at_all(tmp_path: Path) -> None:
    run, manifest = tmp_path / "a.trec", tmp_path / "a.json"
    write_together({run: "one", manifest: "two"})
    assert (run.read_text(), manifest.read_text()) == ("one", "two")
    with pytest.raises(InputError, match="missing"):
        write_together({run: "new", tmp_path / "missing" / "a.json": "new"})
    assert run.read_text() == "one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.trec"]


def test_a_scratch_file_becomes_the_file_and_is_seen_nowhere_before(tmp_path: Path) -> None:
    path = tmp_path / "run.trec"
    with Scratch(path) as scratch:
        scratch.write("ä\n")
        scratch.write("b\n")
        assert list(tmp_path.iterdir()) == []
        write_together({path: scratch, tmp_path / "run.json": "{}"})
    assert path.read_text("utf-8") == "ä\nb\n"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["run.json", "run.trec"]


def test_an_abandoned_scratch_file_leaves_nothing(tmp_path: Path) -> None:
    with Scratch(tmp_path / "run.trec") as scratch:
        scratch.write("a")
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_file_on_a_full_disk_is_one_line(tmp_path: Path) -> None:
    told = pytest.raises(InputError, match=r"^cannot write .*run\.trec: .*untouched$")
    with Scratch(tmp_path / "run.trec") as scratch, full_disk(100_000), told:
        scratch.write("a" * 200_000)
    assert list(tmp_path.iterdir()) == []


def test_what_is_called_before_the_first_rename_can_stop_it(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")

    def refuse() -> None:
        assert len(list(tmp_path.iterdir())) == 2  # the new file is on the disk, too
        raise OSError(16, "Device or resource busy")

    with pytest.raises(InputError, match="Device or resource busy"):
        write_together({path: "new"}, ready=refuse)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
