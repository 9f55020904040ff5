from collections import Counter
from contextlib import closing
from typing import Any

import pytest

from rankprompt.distil.doubt import ask_in_doubt
from rankprompt.distil.job import candidates_of, distil, teacher_job
from rankprompt.distil.pairs import Taught
from rankprompt.errors import InputError
from rankprompt.files import read_qrels
from rankprompt.journal.store import Journal
from rankprompt.llm.rerankers.head_files import WEIGHTS
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_keywords import config_from_options
from rankprompt.pipeline.rerank import run_rerank
from tests.distil.teaching import Lesson


@pytest.fixture
def lesson(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    monkeypatch.setenv("RANKPROMPT_CACHE", str(tmp_path / "cache"))
    return Lesson(tmp_path)


def ask(lesson: Lesson, number: int, **more: Any) -> list[Taught]:
    job = teacher_job(lesson.config(choose="doubt", **more))
    return ask_in_doubt(job, candidates_of(job), number)


def test_each_query_s_tournament_asks_its_share_once(lesson: Lesson) -> None:
    taught = ask(lesson, 43)
    assert Counter(one.question.query.id for one in taught) == dict.fromkeys(
        ("q0", "q1", "q2", "q3"), 10
    )
    pairs = {frozenset((one.question.first, one.question.second)) for one in taught}
    assert len(pairs) == 40
    # The grades are those of the oracle.
    grades = read_qrels(lesson.qrels)
    for (query, first, second), preference in taught:
        gap = grades[query.id][first.id] - grades[query.id][second.id]
        assert preference == 0.5 + 0.5 * ((gap > 0) - (gap < 0))
    assert len(ask(lesson, 10_000)) == 4 * 28


def test_it_asks_what_the_method_bradley_terry_asks(lesson: Lesson) -> None:
    teacher = {"model": str(lesson.student), "prompt": "prp", "decide": "soft"}
    ranking = {**lesson.options, "method": "bradley-terry", "comparisons": 10, **teacher}
    output = lesson.folder / "mine.trec"
    run_rerank(config_from_options(RerankConfig(), {**ranking, "output": output}))
    with closing(Journal(lesson.folder / "mine.journal")) as journal:
        before = journal.totals()
    assert len(ask(lesson, 40, **teacher)) == 40
    with closing(Journal(lesson.folder / "mine.journal")) as journal:
        assert journal.totals() == before == (80, 80)


def test_an_interrupted_tournament_goes_on_where_it_was(lesson: Lesson) -> None:
    teacher = {"model": str(lesson.student), "prompt": "prp"}
    whole = ask(lesson, 40, output=lesson.folder / "whole", **teacher)
    first = ask(lesson, 40, max_prompts=30, **teacher)
    assert 0 < len(first) < len(whole)
    with closing(Journal(lesson.folder / "mine.journal")) as journal:
        assert journal.totals()[0] == 30
    assert ask(lesson, 40, **teacher) == whole


def test_a_distillation_in_doubt_comes_to_the_same_weights(lesson: Lesson) -> None:
    teacher: dict[str, Any] = {
        "model": str(lesson.student), "prompt": "prp", "choose": "doubt", "pairs": 60,
    }  # fmt: skip
    made = [distil(lesson.config(output=lesson.folder / name, **teacher)) for name in "ab"]
    assert made[0].pairs <= 60
    a, b = ((lesson.folder / name / WEIGHTS).read_bytes() for name in "ab")
    assert a == b


def test_what_cannot_be_is_refused(lesson: Lesson) -> None:
    with pytest.raises(InputError, match="a tournament for each of 4 queries: give at least as"):
        ask(lesson, 3)
    with pytest.raises(InputError, match="`choose` must be random or doubt, not best"):
        lesson.config(choose="best")
    with pytest.raises(InputError, match="leave it out where a `journal` answers"):
        lesson.config(choose="doubt", journal=lesson.folder / "a.journal")
