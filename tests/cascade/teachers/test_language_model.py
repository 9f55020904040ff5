import math
from pathlib import Path

import pytest

from rankprompt.cascade.teachers import load_teacher
from rankprompt.cascade.teachers.language_model import LanguageModelTeacher
from rankprompt.errors import InputError, ModelError
from rankprompt.journal.budget import Budget
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from rankprompt.llm.base import Answer, Request
from rankprompt.prompts.prompt import load_prompt
from tests.fakes import FakeModel

PAIRS = [
    ("the mill", "An old mill stands above the river."),
    ("the mill", ""),
    ("the harbour", "x"),
    ("the mill", "boats " * 200),
]


def test_a_language_model_asks_once(tmp_path: Path) -> None:
    for name in ("query-likelihood", "relevance-yes-no"):
        model, prompt = FakeModel(), load_prompt(name)
        answering = CachedModel(model, Journal(tmp_path / name))
        teacher = LanguageModelTeacher(answering, prompt)
        scores = teacher(PAIRS[:3])
        assert len(set(scores)) == 3
        again = CachedModel(model, Journal(tmp_path / name))
        assert LanguageModelTeacher(again, prompt)(PAIRS[:3]) == scores
        assert (answering.costs.prompts, again.costs.prompts) == (3, 0)
        assert (teacher.tokens > 0, again.costs.tokens) == (True, 0)


def test_yes_and_no_make_the_probability_of_yes() -> None:
    def answer(request: Request) -> Answer:
        assert request.options == ("Yes", "No")
        return Answer((-1.0, -3.0) if "mill stands" in request.prompt else (-2.5, -0.5), (1, 1))

    answering = CachedModel(FakeModel(answer), Journal(None))
    teacher = LanguageModelTeacher(answering, load_prompt("relevance-yes-no"))
    assert teacher(PAIRS[:2]) == pytest.approx([1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))])


def test_a_language_model_s_window_is_cut_to_fit_and_a_query_that_leaves_no_room_is_told() -> None:
    model = FakeModel(context_length=60)
    teacher = LanguageModelTeacher(
        CachedModel(model, Journal(None)), load_prompt("relevance-yes-no")
    )
    teacher([("mill", "boats " * 200)])
    assert 20 < model.prompts[0].prompt.count("boats") < 60
    with pytest.raises(ModelError, match=r"query 'long long .*\.\.\.' leaves no room"):
        teacher([("long " * 100, "x")])


def test_a_spent_budget_is_told_and_what_was_asked_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    answering = CachedModel(FakeModel(), journal, Budget(prompts=2))
    with pytest.raises(ModelError, match="budget is spent"):
        LanguageModelTeacher(answering, load_prompt("query-likelihood"))(PAIRS)
    assert journal.totals() == (2, 2)


def test_another_kind_of_prompt_is_told() -> None:
    with pytest.raises(InputError, match="gradings, and `prompt` prp is of kind choice"):
        LanguageModelTeacher(CachedModel(FakeModel(), Journal(None)), load_prompt("prp"))
    with pytest.raises(InputError, match="`prompt` qwen3-reranker is written for other models"):
        load_teacher(
            "llm:fake", prompt="qwen3-reranker", model=CachedModel(FakeModel(), Journal(None))
        )


@pytest.mark.model
def test_the_embedded_model_is_a_teacher() -> None:
    teacher = load_teacher("llm:smollm2-135m")
    scores = teacher(PAIRS[:2])
    assert all(map(math.isfinite, scores))
    assert teacher.tokens > 20
