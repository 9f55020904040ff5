"""Runs the command line in this process, on a collection small enough to read."""

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from rankprompt.cli import main
from tests.fakes import FakeModel


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A terminal of known width, and the loggers as they were."""
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TERMINAL_WIDTH"):
        monkeypatch.delenv(name, raising=False)
    log = logging.getLogger("rankprompt")
    before = log.handlers, log.propagate, log.level
    yield
    log.handlers, log.propagate = before[0], before[1]
    log.setLevel(before[2])


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs ``rankprompt`` with these words, as from a shell."""

    def run(*words: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["rankprompt", *map(str, words)])
        code: object = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        assert isinstance(code, int), code
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Ran(code, said.out, said.err)

    return run


RUN = """\
q1 Q0 d1 1 4.5 first
q1 Q0 d2 2 3.5 first
q1 Q0 d3 3 2.5 first
q1 Q0 d4 4 1.5 first
q2 Q0 d4 1 9 first
q2 Q0 d2 2 8 first
"""
QUERIES = "q1\twhy is the sea salt\nq2\thow do cranes sleep\n"
DOCS = """\
{"id": "d1", "text": "Salt is sold in bags."}
{"id": "d2", "text": "Cranes sleep on one leg."}
{"id": "d3", "text": "Rivers wash salt into the sea."}
{"id": "d4", "text": "The sea is wide."}
"""
QRELS = """\
q1 0 d3 3
q1 0 d4 1
q2 0 d2 2
"""


class Collection:
    """A first stage's run of two queries and four documents, and how to rerank it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run, self.queries = folder / "run.trec", folder / "queries.tsv"
        self.docs, self.qrels = folder / "docs.jsonl", folder / "qrels.trec"
        self.output = folder / "out.trec"
        self.run.write_text(RUN)
        self.queries.write_text(QUERIES)
        self.docs.write_text(DOCS)
        self.qrels.write_text(QRELS)

    def rerank(self, *more: object, **options: object) -> list[object]:
        """The words of a rerank command; the oracle judges where no model is named."""
        given = {
            "run": self.run,
            "queries": self.queries,
            "docs": self.docs,
            "output": self.output,
            "model": f"oracle:{self.qrels}",
            **options,
        }
        words: list[object] = ["rerank"]
        for name, value in given.items():
            words += [f"--{name.replace('_', '-')}", value]
        return [*words, *more]

    def files(self) -> set[str]:
        """The names of all files in the folder."""
        return {path.name for path in self.folder.iterdir()}

    def ranking(self, path: Path | None = None) -> dict[str, str]:
        """The documents of the output, by query, in the order of the lines."""
        found: dict[str, str] = {}
        for line in (path or self.output).read_text().splitlines():
            query, _, document, *_ = line.split()
            found[query] = f"{found[query]} {document}" if query in found else document
        return found


INPUTS = {"run.trec", "queries.tsv", "docs.jsonl", "qrels.trec"}
BEST = {"q1": "d3 d4 d1 d2", "q2": "d2 d4"}


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    """A fresh collection."""
    return Collection(tmp_path)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """The model that every name but the oracle's loads."""
    model = FakeModel(batch_size=3)
    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", lambda *_, **__: model)
    return model
