"""Chunks of questions, the journal's answers, and a failing model."""

from collections.abc import Sequence
from contextlib import closing
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import pytest

from rankprompt.errors import InputError, ModelError
from rankprompt.journal.store import Journal
from rankprompt.judges import base as judges_base
from rankprompt.judges.base import CHUNK
from rankprompt.llm.base import Answer, Request
from rankprompt.types import Document, PairwiseQuestion, Query
from tests.fakes import FakeModel, shows
from tests.judges.pairwise_judges import DOCUMENTS, QUERY, compare, make_judge

LONGER = shows(lambda first, second: 0.5 + (len(first) - len(second)) / 1000)


def test_a_round_of_several_chunks_keeps_its_order_and_reports_its_progress(
    journal: Journal,
) -> None:
    model, judged = FakeModel(LONGER), list[int]()
    texts = ["x" * length for length in range(1, 28)]
    questions = [compare(*pair) for pair in permutations(texts, 2)][: 2 * CHUNK + 1]
    judge = make_judge(journal, model, on_judged=judged.append)
    expected = [float(len(first.text) > len(second.text)) for _, first, second in questions]
    assert judge(questions) == expected
    assert judged == [CHUNK, CHUNK, 1]
    assert judge.asked + judge.repeated == len(questions)
    assert max(map(len, model.batches)) <= 32
    assert judge([]) == []
    assert judged == [CHUNK, CHUNK, 1]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_size_of_a_chunk_changes_no_answer(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    questions = [PairwiseQuestion(QUERY, *pair) for pair in permutations(DOCUMENTS[:6], 2)]
    expected = make_judge(journal, FakeModel(), decide="soft")(questions)
    monkeypatch.setattr(judges_base, "CHUNK", size)
    with closing(Journal(None)) as fresh:
        model = FakeModel()
        assert make_judge(fresh, model, decide="soft")(questions) == expected
        assert len(model.prompts) == len(set(model.prompts)) == 30


def test_identical_prompts_are_asked_once(journal: Journal) -> None:
    model = FakeModel()
    judge = make_judge(journal, model, decide="soft")
    # The same texts under other ids, and the same pair reversed.
    questions = [
        compare("x", "y"),
        compare("y", "x"),
        PairwiseQuestion(Query("other", QUERY.text), Document("1", "x"), Document("2", "y")),
        compare("x", "y"),
    ]
    first, reversed_pair, other_ids, again = judge(questions)
    assert first == other_ids == again == pytest.approx(1 - reversed_pair)
    assert len(model.prompts) == 2
    # Another query's text makes another prompt.
    judge([compare("x", "y", Query("q2", "another one"))])
    assert len(model.prompts) == 4


def test_what_the_journal_answers_is_counted_apart(journal: Journal) -> None:
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:5], 2)]
    first = make_judge(journal, FakeModel())
    expected = first(pairs[:6])
    assert (first.asked, first.cache_hits) == (6, 0)
    model = FakeModel()
    second = make_judge(journal, model)
    assert second(pairs)[:6] == expected
    assert (second.asked, second.cache_hits) == (4, 6)
    assert len(model.prompts) == 8
    second(pairs)
    assert (second.asked, second.cache_hits, second.repeated) == (4, 6, 10)
    assert len(model.prompts) == 8


def test_a_pair_known_in_one_order_only_still_costs_a_prompt(journal: Journal) -> None:
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:5], 2)]
    make_judge(journal, FakeModel(), order="single")(pairs)
    model = FakeModel()
    both = make_judge(journal, model)
    both(pairs)
    assert (both.asked, both.cache_hits) == (10, 0)
    assert len(model.prompts) == 10


def test_a_journal_file_answers_the_next_run(tmp_path: Path) -> None:
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:5], 2)]
    results = []
    for prompts in (20, 0):
        model = FakeModel()
        with closing(Journal(tmp_path / "answers.journal")) as journal:
            results.append(make_judge(journal, model, decide="soft")(pairs))
        assert len(model.prompts) == prompts
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"order": "twice"}, "`order` must be both, lazy or single, not 'twice'"),
        ({"decide": "hard"}, "`decide` must be agreement or soft, not 'hard'"),
        ({"passage_tokens": 0}, "`passage_tokens` must be at least 1, not 0"),
    ],
)
def test_a_wrong_setting_is_told(journal: Journal, settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        make_judge(journal, FakeModel(), **settings)


def test_a_failing_model_fails_the_judge_and_what_was_answered_is_kept(journal: Journal) -> None:
    model = FakeModel(batch_size=4)
    answer, calls = model.answer, 0

    def fail(requests: Sequence[object]) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ModelError("out of memory")
        return answer(requests)  # type: ignore[arg-type]

    model.answer = fail  # type: ignore[method-assign, assignment]
    pairs = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:5], 2)]
    with pytest.raises(ModelError, match="out of memory"):
        make_judge(journal, model)(pairs)
    again = FakeModel(batch_size=4)
    make_judge(journal, again)(pairs)
    assert len(model.prompts) == 8
    assert len(again.prompts) == 20 - 8


def test_a_judge_that_ties_one_query_is_asked_again_for_nothing(journal: Journal) -> None:
    """The guard sees the journal's answers in another order than those of the run that asked."""
    tied = [PairwiseQuestion(QUERY, *pair) for pair in combinations(DOCUMENTS[:10], 2)]
    texts = ["x" * length for length in range(1, 7)]
    clear = [compare(*pair, Query("q2", "longer")) for pair in combinations(texts, 2)]
    assert len(tied) > 32

    def rule(request: Request) -> Answer:
        return LONGER(request) if "longer" in request.prompt else Answer((-1.0, -2.0), (2, 2))

    make_judge(journal, FakeModel(rule))([*clear, *tied])
    model = FakeModel(rule)
    again = make_judge(journal, model)
    again([*tied, *clear])
    again.guard.finish()
    assert not model.prompts
    with closing(Journal(None)) as fresh, pytest.raises(ModelError, match="32 of 32 pairs"):
        make_judge(fresh, FakeModel(rule))([*tied, *clear])
