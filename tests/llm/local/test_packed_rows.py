"""Prompts that share a start, run in one row with it."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.local.encoding import encode
from rankprompt.llm.local.model import LocalModel
from rankprompt.llm.local.packed_rows import LONGEST
from tests.llm import tiny

WORDS = ("harbour", "mill", "river", "boats", "wheel", "passage", "answer", "morning")
OPTIONS = (" A", " Passage B", " Passage mill")


def model_of(make: Callable[..., Any], **settings: Any) -> LocalModel:
    network = make()
    network.eval()
    return LocalModel(network, tiny.tokenizer(), name="tiny", **settings)


def long_llama() -> Any:
    return tiny.llama(max_position_embeddings=2048)


def prompts(starts: int, each: int, words: int = 5, seed: int = 0) -> list[Request]:
    draw = random.Random(seed)

    def text(number: int) -> str:
        return " ".join(draw.choices(WORDS, k=number))

    found = []
    for _ in range(starts):
        start = text(draw.randint(12, 30))
        found += [
            Request(f"{start} {text(draw.randint(1, words))}", OPTIONS, breaks=(len(start),))
            for _ in range(each)
        ]
    draw.shuffle(found)
    return found


def ask(model: LocalModel, requests: list[Request]) -> tuple[dict[Request, Answer], list[Usage]]:
    answers: dict[Request, Answer] = {}
    usages = []
    for batch in model.plan(requests):
        found, usage = model.answer([requests[place] for place in batch])
        answers |= dict(zip([requests[place] for place in batch], found, strict=True))
        usages.append(usage)
    assert len(answers) == len(set(requests))
    return answers, usages


@pytest.mark.parametrize("make", [long_llama, tiny.gpt2])
def test_answers_are_those_of_each_prompt_alone(make: Callable[..., Any]) -> None:
    requests = prompts(6, 7)
    alone, _ = ask(model_of(make, prefix_bytes=0, batch_tokens=1), requests)
    packed, usages = ask(model_of(make, starts_end=True), requests)
    assert all(usage.padding == 0 and usage.reused > 0 for usage in usages)
    for request in requests:
        assert packed[request].tokens == alone[request].tokens
        assert packed[request].loglikelihoods == pytest.approx(
            alone[request].loglikelihoods, abs=1e-4
        )


def test_no_token_is_run_twice() -> None:
    requests = prompts(3, 6)
    (_, packed), (_, whole) = (
        ask(model_of(long_llama, **settings), requests)
        for settings in ({"starts_end": True}, {"prefix_bytes": 0})
    )
    assert sum(one.tokens + one.reused for one in packed) == sum(one.tokens for one in whole)
    words = tiny.tokenizer()
    encoded = [encode(words, one, shortest_start=16) for one in requests]
    starts = {one.start for one in encoded}
    beyond = sum(
        len(one.context) - len(one.start) + len(row.stem) for one in encoded for row in one.rows
    )
    assert sum(one.tokens for one in packed) == sum(map(len, starts)) + beyond


def test_what_does_not_fit_into_a_row_is_answered_as_ever() -> None:
    few, many = prompts(2, 4), prompts(1, 60, words=20, seed=1)
    lonely = prompts(2, 1, seed=2)
    writing = [Request(one.prompt, (), 3, breaks=one.breaks) for one in prompts(1, 3, seed=3)]
    requests = [*few, *many, *lonely, *writing]
    model = model_of(long_llama, starts_end=True)
    batches = model.plan(requests)
    assert sorted(place for batch in batches for place in batch) == list(range(len(requests)))
    assert sorted(batches[0]) == list(range(len(few)))
    packed, usages = ask(model, requests)
    assert usages[0].tokens <= LONGEST
    alone, _ = ask(model_of(long_llama, prefix_bytes=0, batch_tokens=1), requests)
    for request, answer in packed.items():
        assert answer.text == alone[request].text
        assert answer.loglikelihoods == pytest.approx(alone[request].loglikelihoods, abs=1e-4)


def test_the_plan_depends_on_the_requests_alone_and_so_do_the_answers() -> None:
    requests = prompts(4, 5)
    model = model_of(long_llama, starts_end=True)
    first = ask(model, requests)
    ask(model, prompts(2, 5, seed=9))
    assert ask(model, requests) == first
    assert ask(model_of(long_llama, starts_end=True), requests) == first


def test_a_batch_that_was_not_planned_is_answered_too() -> None:
    requests = prompts(1, 5)
    planned, _ = ask(model_of(long_llama, starts_end=True), requests)
    answers, _ = model_of(long_llama, starts_end=True).answer(requests)
    for request, answer in zip(requests, answers, strict=True):
        assert answer.loglikelihoods == pytest.approx(planned[request].loglikelihoods, abs=1e-4)


def test_models_that_cannot_are_not_asked_to() -> None:
    def sliding() -> Any:
        torch.manual_seed(0)
        return MistralForCausalLM(
            MistralConfig(
                vocab_size=400, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                num_attention_heads=4, num_key_value_heads=2, sliding_window=8,
            )
        )  # fmt: skip

    requests = prompts(3, 4)
    found, _ = ask(model_of(sliding, starts_end=True), requests)
    alone, _ = ask(model_of(sliding, prefix_bytes=0, batch_tokens=1), requests)
    for request in requests:
        assert found[request].loglikelihoods == pytest.approx(
            alone[request].loglikelihoods, abs=1e-4
        )
