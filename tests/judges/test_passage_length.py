"""Passages are truncated so that a prompt fits into the model's context."""

import pytest

from rankprompt.errors import ModelError
from rankprompt.journal.store import Journal
from rankprompt.types import Document, PairwiseQuestion, Query
from tests.fakes import FakeModel, by_hash
from tests.judges.pairwise_judges import ADAPTERS, DOCUMENTS, QUERY, make_judge

LONG = Document("long", " ".join(f"l{number}" for number in range(500)))
SHORT = Document("short", "only three words")


@pytest.mark.parametrize("mode", ADAPTERS)
def test_long_passages_are_cut_and_the_question_survives(journal: Journal, mode: str) -> None:
    model = FakeModel(by_hash, context_length=60)
    judge = make_judge(journal, model, mode)
    judge([PairwiseQuestion(QUERY, LONG, SHORT), PairwiseQuestion(QUERY, SHORT, LONG)])
    judge([PairwiseQuestion(QUERY, SHORT, DOCUMENTS[0])])
    assert judge.truncated == {("q", "long")}
    assert model.prompts
    for request in model.prompts:
        assert model.length(request) <= 60
        if mode == "likelihood":
            assert request.prompt.endswith(" asks:")
            assert request.options == (" which one",)
        else:
            assert request.prompt.startswith("Query: which one\nA: ")
            assert request.prompt.endswith("\nWhich is better?")
            assert "only three words" in request.prompt
    truncated = [request.prompt for request in model.prompts if "l0 l1 l2" in request.prompt]
    assert truncated
    assert all("l499" not in prompt for prompt in truncated)
    # The space is used, except for the spare tokens and the share of the other passage.
    passages = ADAPTERS[mode].passages
    for prompt in truncated:
        assert prompt.count(" l") + 1 >= (60 - 24) // passages


def test_a_longer_query_leaves_less_room(journal: Journal) -> None:
    model = FakeModel(by_hash, context_length=60)
    judge = make_judge(journal, model)
    shown = []
    for words in (1, 21):
        query = Query(f"q{words}", " ".join(["word"] * words))
        judge([PairwiseQuestion(query, LONG, SHORT)])
        shown.append(model.prompts[-1].prompt.count("l"))
    assert shown[0] - shown[1] == 10


def test_passages_are_cut_to_the_tokens_asked_for(journal: Journal) -> None:
    model = FakeModel()
    judge = make_judge(journal, model, passage_tokens=4)
    exact = Document("exact", "four words and end")
    judge([PairwiseQuestion(QUERY, LONG, SHORT), PairwiseQuestion(QUERY, exact, SHORT)])
    assert judge.truncated == {("q", "long")}
    assert sorted(request.prompt for request in model.prompts) == sorted(
        f"Query: which one\nA: {first}\nB: {second}\nWhich is better?"
        for text in ("l0 l1 l2 l3", "four words and end")
        for first, second in [(text, SHORT.text), (SHORT.text, text)]
    )


def test_more_tokens_than_there_is_room_for_are_not_shown(journal: Journal) -> None:
    model = FakeModel(by_hash, context_length=60)
    judge = make_judge(journal, model, passage_tokens=10_000)
    judge([PairwiseQuestion(QUERY, LONG, LONG._replace(id="too"))])
    assert judge.truncated == {("q", "long"), ("q", "too")}
    assert all(model.length(request) <= 60 for request in model.prompts)


def test_a_query_that_fills_the_context_is_told(journal: Journal) -> None:
    model = FakeModel(by_hash, context_length=60)
    judge = make_judge(journal, model)
    query = Query("q77", "word " * 50)
    with pytest.raises(ModelError, match=r"query q77 leaves no room .* of the 60 tokens of fake"):
        judge([PairwiseQuestion(query, SHORT, LONG)])
    assert model.batches == []
