"""Ctrl-C: exit code 130, the journal intact, and a line that says how to go on."""

from collections.abc import Sequence
from contextlib import closing

import pytest

from rankprompt.journal.store import Journal
from rankprompt.llm.base import Answer, Request, Usage
from tests.cli.conftest import INPUTS, Collection, Command
from tests.fakes import FakeModel


class Interrupted(FakeModel):
    """Is interrupted in the middle of a batch."""

    def __init__(self, after: int) -> None:
        super().__init__(batch_size=3)
        self._left = after

    def answer(self, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
        """Answers so many batches, no more."""
        if not self._left:
            raise KeyboardInterrupt
        self._left -= 1
        return super().answer(requests)


def test_an_interrupted_model_keeps_its_answers_and_says_how_to_go_on(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = collection.rerank(model="fake", method="allpair")
    model = Interrupted(after=2)
    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", lambda *_, **__: model)
    ran = command(*words)
    journal = collection.folder / "out.journal"
    assert (ran.code, ran.out) == (130, "")
    assert ran.err == (
        f"rankprompt: interrupted; what was answered is kept in {journal}: "
        "the same command, started again, continues from there\n"
    )
    assert collection.files() - {"out.journal-wal", "out.journal-shm"} == {*INPUTS, "out.journal"}
    with closing(Journal(journal)) as kept:
        assert kept.totals() == (6, 6)

    rest = FakeModel(batch_size=3)
    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", lambda *_, **__: rest)
    assert command(*words).code == 0
    assert len(rest.prompts) == 14 - 6
    assert not set(rest.prompts) & set(model.prompts)

    whole = FakeModel(batch_size=3)
    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", lambda *_, **__: whole)
    other = collection.folder / "whole.trec"
    assert command(*collection.rerank(model="fake", method="allpair", output=other)).code == 0
    assert other.read_bytes() == collection.output.read_bytes()


def test_the_journal_that_the_user_named_is_the_one_that_is_told(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "rankprompt.pipeline.model_access.load_model", lambda *_, **__: Interrupted(after=0)
    )
    journal = collection.folder / "mine.sqlite"
    ran = command(*collection.rerank("--quiet", model="fake", journal=journal))
    assert ran.code == 130
    assert f"is kept in {journal}" in ran.err


def test_an_interrupted_oracle_promises_nothing(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "rankprompt.judges.simulated.pairwise_oracle.PairwiseOracle.__call__", interrupt
    )
    ran = command(*collection.rerank())
    assert ran == (130, "", "rankprompt: interrupted; no run was written\n")
    assert collection.files() == INPUTS


def test_an_interrupt_leaves_an_old_run_as_it_was(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(*collection.rerank()).code == 0
    before = [(collection.folder / name).read_bytes() for name in ("out.trec", "out.json")]
    monkeypatch.setattr(
        "rankprompt.pipeline.model_access.load_model", lambda *_, **__: Interrupted(after=1)
    )
    assert command(*collection.rerank(model="fake")).code == 130
    after = [(collection.folder / name).read_bytes() for name in ("out.trec", "out.json")]
    assert after == before


def test_an_interrupted_evaluation_ends_with_130_as_well(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rankprompt.eval.run_files.iterate_run", interrupt)
    ran = command("evaluate", "--qrels", collection.qrels, collection.run)
    assert (ran.code, ran.out) == (130, "")
