"""The files and lines of docs/extending.md, applied to a copy of the package, work as it says."""

import csv
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.files import read_documents, read_queries, write_run
from rankprompt.retrieval import bm25

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text("utf-8")


# The commands one after the other: a process for each would spend its time on imports.
RUN_EACH = """
import sys
from rankprompt.cli import main
for command in sys.argv[1:]:
    print(command, flush=True)
    sys.argv[:] = command.split()
    assert sys.argv[0] == "rankprompt"
    try:
        main()
    except SystemExit as stop:
        if stop.code:
            raise
"""


class Section(NamedTuple):
    """A section's new file, its line of a table, and the commands that use it."""

    file: str
    content: str
    table: str
    after: str
    line: str
    commands: list[str]


def sections() -> dict[str, Section]:
    headings = [(match[1], match.end()) for match in re.finditer(r"^## (.+)$", PAGE, re.MULTILINE)]
    bounds = [*headings, ("", len(PAGE))]
    texts = {name: PAGE[start:end] for (name, start), (_, end) in pairwise(bounds)}
    found = {}
    for name, text in texts.items():
        blocks = re.findall(
            r'^```\w+ title="([^",]+)(?:, after: ([^"]+))?"\n(.*?)^```', text, re.M | re.S
        )
        if blocks:
            (file, _, content), (table, after, line), (run, _, commands) = blocks
            assert run == "run"
            found[name] = Section(file, content, table, after, line, commands.splitlines())
    return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package in which every section of the page is applied."""
    root = tmp_path_factory.mktemp("extended")
    shutil.copytree(
        ROOT / "rankprompt", root / "rankprompt", ignore=shutil.ignore_patterns("__pycache__")
    )
    for section in sections().values():
        assert not (root / section.file).exists()
        (root / section.file).write_text(section.content, "utf-8")
        table = root / section.table
        text = table.read_text("utf-8")
        assert text.count(f"{section.after}\n") == 1, f"{section.table} has no {section.after}"
        table.write_text(text.replace(f"{section.after}\n", f"{section.after}\n{section.line}"))
        assert section.line.count("\n") == 1
    return root


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the commands name."""
    work = tmp_path_factory.mktemp("work")
    for name in ("queries.tsv", "docs.jsonl", "qrels.trec"):
        shutil.copy(sample("en") / name, work)
    queries = dict(list(read_queries(work / "queries.tsv").items())[:3])
    documents = read_documents(work / "docs.jsonl")
    first = bm25(queries, documents, depth=10)
    run = {query: list(scores) for query, scores in first.items()}
    write_run(work / "bm25.trec", run, tag="bm25")
    (work / "folder").mkdir()
    tables = {
        "queries": list(queries.items()),
        "docs": [(name, document.text) for name, document in documents.items()],
    }
    for name, rows in tables.items():
        with (work / "folder" / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("id", "text"), *rows])
    return work


def test_the_page_has_the_four_kinds() -> None:
    assert list(sections()) == ["A ranker", "A back end", "A dataset format", "A measure"]


@pytest.mark.parametrize("name", sections())
def test_a_new_file_and_a_line_are_enough(name: str, copy: Path, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN_EACH, *sections()[name].commands],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_new_files_pass_the_linter(copy: Path) -> None:
    files = [str(copy / section.file) for section in sections().values()]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--isolated",
            "--line-length",
            "100",
            "--select",
            "E,F,B",
            *files,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
