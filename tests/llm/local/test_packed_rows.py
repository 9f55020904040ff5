"""Prompts that are run in one row with the prefixes that they share."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import MistralConfig, MistralForCausalLM

from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.local.encoding import encode
from rankprompt.llm.local.model import LocalModel
from tests.llm import tiny

WORDS = ("harbour", "mill", "river", "boats", "wheel", "passage", "answer", "morning")
OPTIONS = (" A", " Passage B", " Passage mill")


def model_of(make: Callable[..., Any], **options: Any) -> LocalModel:
    network = make()
    network.eval()
    return LocalModel(network, tiny.tokenizer(), name="tiny", **options)


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
    packed, usages = ask(model_of(make), requests)
    assert all(usage.padding == 0 and usage.reused > 0 for usage in usages)
    for request in requests:
        assert packed[request].tokens == alone[request].tokens
        assert packed[request].loglikelihoods == pytest.approx(
            alone[request].loglikelihoods, abs=1e-4
        )


def test_no_token_is_run_twice() -> None:
    requests = prompts(3, 6)
    (_, packed), (_, whole) = (
        ask(model_of(long_llama, **options), requests) for options in ({}, {"prefix_bytes": 0})
    )
    assert sum(one.tokens + one.reused for one in packed) == sum(one.tokens for one in whole)
    words = tiny.tokenizer()
    encoded = [encode(words, one, shortest_start=16) for one in requests]
    starts = {one.start for one in encoded}
    # All rows of a prompt begin with its context, whose last token's logits each of them needs.
    beyond = sum(
        len(one.context) - 1 - len(one.start) + sum(1 + len(row.stem) for row in one.rows)
        for one in encoded
    )
    assert all(len(one.rows) > 1 for one in encoded)
    assert sum(one.tokens for one in packed) == sum(map(len, starts)) + beyond


def test_rows_have_a_limit_and_texts_are_written_apart() -> None:
    few, long = prompts(2, 4), prompts(1, 40, words=20, seed=1)
    writing = [Request(one.prompt, (), 3, breaks=one.breaks) for one in prompts(1, 3, seed=3)]
    requests = [*few, *long, *writing]
    model = model_of(long_llama, batch_tokens=200)
    batches = model.plan(requests)
    assert sorted(place for batch in batches for place in batch) == list(range(len(requests)))
    packed, usages = ask(model, requests)
    assert len(usages) > 4
    assert all(usage.tokens <= 200 for usage in usages)
    alone, _ = ask(model_of(long_llama, prefix_bytes=0, batch_tokens=1), requests)
    for request, answer in packed.items():
        assert answer.text == alone[request].text
        assert answer.loglikelihoods == pytest.approx(alone[request].loglikelihoods, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(12)), st.integers(1, 400))
def test_an_answer_depends_neither_on_its_batch_nor_on_the_cache(
    order: list[int], tokens: int
) -> None:
    requests = prompts(3, 4)
    expected, _ = ask(model_of(long_llama), requests)
    model = model_of(long_llama, batch_tokens=tokens)
    found, _ = ask(model, [requests[place] for place in order])
    cached, _ = ask(model, requests)
    for request in requests:
        for answers in (found, cached):
            assert answers[request].loglikelihoods == pytest.approx(
                expected[request].loglikelihoods, abs=1e-5
            )


def test_a_prefix_that_later_prompts_share_is_run_once() -> None:
    requests = prompts(2, 6)
    model = model_of(long_llama)
    _, (first,) = ask(model, requests[:6])
    _, (second,) = ask(model, requests[6:])
    model.forget()
    _, (again,) = ask(model, requests[6:])
    assert second.tokens < again.tokens
    assert second.tokens + second.reused == again.tokens + again.reused
    assert first.reused > 0


def test_a_pass_that_fails_leaves_no_prefix_behind() -> None:
    requests = prompts(2, 3)
    network = long_llama()
    network.eval()
    model = LocalModel(network, tiny.tokenizer(), name="tiny")
    expected, _ = ask(model, requests)
    model.forget()

    def fail(*_: Any) -> None:
        raise ValueError("no")

    failing = network.model.layers[1].register_forward_hook(fail)
    with pytest.raises(ValueError, match="no"):
        ask(model, requests)
    failing.remove()
    assert ask(model, requests)[0] == expected


def test_the_plan_depends_on_the_requests_alone_and_so_do_the_answers() -> None:
    requests = prompts(4, 5)
    model = model_of(long_llama)
    first, plan = ask(model, requests)[0], model.plan(requests)
    ask(model, prompts(2, 5, seed=9))
    assert ask(model, requests)[0] == first
    assert ask(model_of(long_llama), requests)[0] == first
    assert model.plan(requests) == plan


def test_a_batch_that_was_not_planned_is_answered_too() -> None:
    requests = prompts(1, 5)
    planned, _ = ask(model_of(long_llama), requests)
    answers, _ = model_of(long_llama).answer(requests)
    for request, answer in zip(requests, answers, strict=True):
        assert answer.loglikelihoods == pytest.approx(planned[request].loglikelihoods, abs=1e-4)


def test_a_model_with_other_attention_pads_rows() -> None:
    def eager() -> Any:
        network = long_llama()
        network.set_attn_implementation("eager")
        return network

    requests = prompts(3, 4)
    found, usages = ask(model_of(eager), requests)
    assert any(usage.padding > 0 for usage in usages)
    packed, _ = ask(model_of(long_llama), requests)
    for request in requests:
        assert found[request].loglikelihoods == pytest.approx(
            packed[request].loglikelihoods, abs=1e-4
        )


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
    found, usages = ask(model_of(sliding), requests)
    assert not any(usage.reused for usage in usages)
    alone, _ = ask(model_of(sliding, prefix_bytes=0, batch_tokens=1), requests)
    for request in requests:
        assert found[request].loglikelihoods == pytest.approx(
            alone[request].loglikelihoods, abs=1e-4
        )
