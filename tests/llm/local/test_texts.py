from itertools import pairwise
from typing import Any

import pytest
from tokenizers import AddedToken

from rankprompt.llm.base import Answer, Request
from rankprompt.llm.local.model import LocalModel
from rankprompt.llm.local.texts import Reading, TextReader
from tests.llm import tiny
from tests.llm.local import scripted

THOUGHT = "<think>The mill is old.</think>"


def tokenizer(*marks: str, special: bool = False) -> Any:
    words = tiny.tokenizer(template=tiny.TEMPLATE)
    words.add_tokens([AddedToken(mark, special=special) for mark in marks])
    return words


def read(words: Any, text: str, limit: int = 99, end: bool = True) -> Reading:
    tokens = words(text).input_ids + ([1, 1] if end else [])
    return TextReader(words, 1).read(tokens, limit)


def test_a_text_ends_at_its_end_token() -> None:
    assert read(tokenizer(), " Passage A") == Reading(Answer(text=" Passage A"), 3, False)


def test_a_text_without_an_end_is_cut() -> None:
    reading = read(tokenizer(), " Passage A", end=False)
    assert reading.answer == Answer(text=" Passage A", problem="cut")
    assert read(tokenizer(), " Passage A", limit=1).answer == Answer(text=" Passage", problem="cut")


@pytest.mark.parametrize("text", ["", "\n", THOUGHT])
def test_a_text_of_nothing_is_empty(text: str) -> None:
    assert read(tokenizer(), text).answer == Answer(problem="empty")


@pytest.mark.parametrize("special", [False, True])
def test_reasoning_is_no_part_of_the_answer(special: bool) -> None:
    words = tokenizer("<think>", "</think>", special=special)
    reading = read(words, f"{THOUGHT}\n\nPassage B")
    assert reading.answer == Answer(text="\n\nPassage B")
    assert reading.reasoned
    assert read(words, "The mill.</think>B").answer == Answer(text="B")


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("end", [False, True])
def test_reasoning_without_an_end_is_no_answer(special: bool, end: bool) -> None:
    words = tokenizer("<think>", "</think>", special=special)
    assert read(words, "<think>Passage A is", end=end).answer == Answer(problem="thinking")


def test_of_the_channels_only_the_final_one_is_the_answer() -> None:
    marks = ("<|channel|>", "<|message|>", "<|start|>", "<|end|>")
    words = tokenizer(*marks, special=True)
    analysis = "<|channel|>analysis<|message|>Passage A?<|end|><|start|>assistant"
    answer = f"{analysis}<|channel|>final<|message|>Passage B"
    assert read(words, answer).answer == Answer(text="Passage B")
    assert read(words, analysis).answer == Answer(problem="thinking")


def test_special_tokens_after_reasoning_are_left_out() -> None:
    words = tokenizer("<think>", "</think>", "<turn>", special=True)
    assert read(words, f"{THOUGHT}<turn>B").answer == Answer(text="B")


# A model that reasons although its template switches that off


def reasoner(
    thought: list[int], words: Any, end: str = "</think>B</s>", positions: int = 2048
) -> LocalModel:
    """Opens its reasoning itself, after the line break that ends the prompt."""
    path = [*words("\n<think>").input_ids, *thought, *words(end).input_ids]
    model = scripted.follows(dict(pairwise(path)), len(words), positions)
    return LocalModel(model, words, name="tiny")


def test_reasoning_gets_room_beside_the_answer() -> None:
    words = tokenizer("<think>", "</think>")
    model = reasoner(list(range(60, 90)), words)
    request = Request("Which?", max_tokens=4, chat=True)
    (answer, short), usage = model.answer([request, request._replace(max_tokens=2)])
    assert answer == short == Answer(text="B")
    # The reasoning is written twice, for both.
    assert usage.tokens > 2 * 30


def test_reasoning_without_an_end_is_given_up() -> None:
    words = tokenizer("<think>", "</think>")
    thought = list(range(60, 90))
    model = reasoner([*thought, thought[0]], words, end="", positions=150)
    (answer,), usage = model.answer([Request("Which?", max_tokens=4, chat=True)])
    assert answer == Answer(problem="thinking")
    # All of the context, and no more.
    assert 150 < usage.tokens < 200
