import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rankprompt.files import file_lock as locking
from rankprompt.files.atomic_folder import build_beside, swap

# Holds a folder until it is killed.
SCRIPT = """
import sys, time
from pathlib import Path
from rankprompt.files.atomic_folder import build_beside
with build_beside(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("done")
    print("going", flush=True)
    time.sleep(60)
"""

# Builds many folders, and finds in each what it wrote there.
BUSY = """
import sys
from pathlib import Path
from rankprompt.files.atomic_folder import build_beside
for _ in range(200):
    with build_beside(Path(sys.argv[1])) as folder:
        (folder / "half").write_text("done")
        assert (folder / "half").read_text() == "done"
"""


def start(target: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, target], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"going\n"
    return process


def test_what_is_built_appears_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = tmp_path / "index"
    with build_beside(target) as folder:
        (folder / "new").mkdir()
        assert folder.parent == tmp_path
        (folder / "new").rename(target)
    with pytest.raises(KeyboardInterrupt), build_beside(target):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("name", ["index", "all [1-9] *?"])
def test_what_a_killed_process_left_goes_and_what_a_living_one_has_stays(
    tmp_path: Path, name: str
) -> None:
    dead, living, other = (start(tmp_path / one) for one in (name, name, "another"))
    try:
        for process in (dead, other):
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert len(list(tmp_path.glob(".*"))) == 3
        with build_beside(tmp_path / name) as folder:
            assert len(list(tmp_path.glob(f".{name[:3]}*"))) == 2
            assert not list(folder.iterdir())
        (mine,) = (one for one in tmp_path.iterdir() if one.name.startswith(f".{name}"))
        assert (mine / "half").read_text() == "done"
        assert len(list(tmp_path.iterdir())) == 2
    finally:
        for process in (dead, living, other):
            process.kill()
            process.communicate()


def test_what_was_left_a_moment_ago_goes_too(tmp_path: Path) -> None:
    with start(tmp_path / "index") as process:
        process.kill()
    with build_beside(tmp_path / "index"):
        assert len(list(tmp_path.iterdir())) == 1


def test_processes_that_begin_at_once_delete_no_folder_in_use(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", BUSY, tmp_path / "index"], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    assert [process.communicate()[1] for process in processes] == [b"", b"", b""]
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), build_beside(tmp_path / "no" / "index"):
        pass


def test_where_there_are_no_locks_nothing_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locking, "fcntl", None)
    (tmp_path / ".index-building-x").mkdir()
    with build_beside(tmp_path / "index"):
        assert len(list(tmp_path.iterdir())) == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    new, target, old = (tmp_path / name for name in ("new", "target", "old"))
    new.mkdir()
    swap(new, target, old)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    new.mkdir()
    (target / "mine").write_text("text")
    swap(new, target, old)
    assert (list(target.iterdir()), (old / "mine").read_text()) == ([], "text")


def test_what_cannot_be_replaced_is_back_in_its_place(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "mine").write_text("text")
    with pytest.raises(FileNotFoundError):
        swap(tmp_path / "missing", target, tmp_path / "old")
    assert (target / "mine").read_text() == "text"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
