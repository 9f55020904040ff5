import functools
import random
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from rankprompt.journal.store import key
from rankprompt.judges.adapters.pairwise import pairwise_adapter
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.embedded import resolve
from rankprompt.llm.local.model import LocalModel, load
from rankprompt.llm.local.prefix_cache import Prefix, prefix_cache_for
from rankprompt.prompts.prompt import load_prompt
from tests.llm import tiny

WORDS = [
    "harbour",
    "mill",
    "river",
    "boats",
    "wheel",
    "passage",
    "answer",
    "morning",
    "relevant",
    "quiet",
    "old",
    "sentence",
]


def model_of(make: Callable[[], Any], **settings: Any) -> LocalModel:
    words = tiny.tokenizer(template=tiny.TEMPLATE)
    return LocalModel(make().eval(), words, name="tiny", **settings)


# Bytes of a token's keys and values: layers, both, heads, size, float32.
STATES = 2 * 2 * 2 * 8 * 4


def long_llama() -> Any:
    return tiny.llama(max_position_embeddings=2048)


def passages(count: int) -> list[str]:
    draw = random.Random(5)
    return [" ".join(draw.choices(WORDS, k=draw.randint(6, 20))) for _ in range(count)]


def pairs(prompt: str) -> list[Request]:
    asked = pairwise_adapter(load_prompt(prompt), "scoring")
    texts = passages(5)
    found = [
        request
        for query in ("is the harbour quiet", "old mill")
        for one in texts
        for other in texts
        if one != other
        for request in asked.requests(query, (one, other))
    ]
    return list(dict.fromkeys(found))


def answered(model: LocalModel, requests: Sequence[Request]) -> tuple[list[Answer], Usage]:
    found: dict[int, Answer] = {}
    total = Usage(0, 0)
    for batch in model.plan(requests):
        answers, usage = model.answer([requests[place] for place in batch])
        found |= dict(zip(batch, answers, strict=True))
        total = Usage(*map(sum, zip(total, usage, strict=True)))
    return [found[place] for place in range(len(requests))], total


@pytest.mark.parametrize("name", ["prp", "contrast", "query-likelihood-demonstrations"])
def test_reuse_changes_no_answer_and_saves_tokens(name: str) -> None:
    model = model_of(long_llama)
    requests = pairs(name)
    with_reuse, usage = answered(model, requests)
    without, whole = answered(model_of(long_llama, prefix_bytes=0), requests)
    for one, other in zip(with_reuse, without, strict=True):
        assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-4)
        assert one.tokens == other.tokens
    assert whole.reused == 0
    assert usage.tokens < 0.75 * whole.tokens
    assert usage.tokens + usage.reused == whole.tokens


def test_what_was_computed_is_kept_for_later_rounds() -> None:
    model = model_of(long_llama)
    requests = pairs("prp")
    _, first = answered(model, requests)
    _, again = answered(model, requests)
    assert again.tokens < first.tokens
    assert again.tokens + again.reused == first.tokens + first.reused


def test_a_small_store_forgets_but_runs_no_start_twice() -> None:
    model = model_of(long_llama)
    requests = pairs("prp")
    expected, usage = answered(model, requests)
    model = model_of(long_llama, prefix_bytes=150 * STATES)
    assert model.prefix_cache is not None
    assert model.prefix_cache.capacity == 150
    found, more = answered(model, requests)
    for one, other in zip(found, expected, strict=True):
        assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-4)
    assert model.prefix_cache.held <= 150
    # The plan keeps prompts with the same start together, so each start is still run once.
    assert more.tokens == usage.tokens


def test_no_more_than_the_limit_is_in_memory_whatever_is_asked() -> None:
    store = prefix_cache_for(long_llama().eval(), 60 * STATES)
    assert store is not None
    draw = random.Random(3)
    states = weakref.WeakSet[Prefix]()
    for _ in range(80):
        start, end = draw.randrange(3), draw.randrange(9)
        tokens = (*[10 + start] * 20, *[20 + end] * 10, 3)
        bounds = draw.choice([[20, 30], [10, 30], [20], [30]])
        with torch.inference_mode():
            prefix: Prefix | None = store.get(tokens, bounds)[0]
        while prefix is not None:
            states.add(prefix)
            prefix = prefix.parent
        # A parent that was evicted lives on in what extends it.
        assert sum(one.states.shape[3] for one in states) <= store.held <= 60
    del store
    assert not states


def test_a_start_is_the_same_to_the_bit_whatever_came_before() -> None:
    store = prefix_cache_for(long_llama().eval(), 1 << 20)
    assert store is not None
    tokens = tuple(range(3, 90))
    with torch.inference_mode():
        before, ran = store.get(tokens, [20, 60])
        store.get(tuple(range(5, 80)), [30, 70])
        store.clear()
        after, _ = store.get(tokens, [20, 60])
    assert ran == before.length == 60
    assert torch.equal(before.states, after.states)


def test_the_hint_is_no_part_of_what_is_asked() -> None:
    request = Request("a prompt", (" A", " B"))
    assert key("model", request) == key("model", request._replace(breaks=(2,)))


def test_breaks_stand_where_slots_begin() -> None:
    (request,) = pairwise_adapter(load_prompt("prp"), "scoring").requests(
        "q {first}", ("one", "two")
    )
    starts = [request.prompt[place:] for place in request.breaks]
    assert [start[:3] for start in starts] == ["q {", "one", "two"]


def test_a_break_inside_a_chat_template_is_found() -> None:
    model = model_of(long_llama)
    requests = [request._replace(chat=True) for request in pairs("contrast")]
    found, usage = answered(model, requests)
    expected, _ = answered(model_of(long_llama, prefix_bytes=0), requests)
    assert usage.reused > 0
    for one, other in zip(found, expected, strict=True):
        assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-4)


def test_absolute_positions_go_on_after_the_start() -> None:
    model = model_of(tiny.gpt2)
    shared = " ".join(WORDS)
    requests = [
        Request(f"{shared} {word}", (" A", " old mill"), breaks=(len(shared) + 1,))
        for word in WORDS
    ]
    found, usage = answered(model, requests)
    expected, _ = answered(model_of(tiny.gpt2, prefix_bytes=0), requests)
    assert usage.reused > 0
    for one, other in zip(found, expected, strict=True):
        assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-4)


def test_a_sliding_window_is_not_gone_on_from() -> None:
    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=400, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, sliding_window=4,
    )  # fmt: skip
    sliding: Any = MistralForCausalLM(config)
    whole: Any = tiny.llama()
    assert prefix_cache_for(sliding.eval(), 1 << 20) is None
    assert prefix_cache_for(whole.eval(), 1 << 20) is not None


def test_out_of_memory_halves_the_batch_and_asks_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = long_llama()
    model = model_of(lambda: network, batch_tokens=8192)
    requests = pairs("prp")[:8]
    expected, _ = answered(model, requests)
    plain = network.forward

    def crowded(**inputs: Any) -> Any:
        if inputs["input_ids"].numel() > 150:
            raise torch.OutOfMemoryError("no room")
        return plain(**inputs)

    monkeypatch.setattr(network, "forward", crowded)
    answers, _ = model.answer(requests)
    for one, other in zip(answers, expected, strict=True):
        assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-4)
    assert model.batch_tokens < 8192


# Generation


def written(prompt: str, tokens: int = 8) -> list[Request]:
    asked = [request._replace(options=()) for request in pairs(prompt)]
    # Each its own length, and one that shares nothing, in the same batches.
    found = [one._replace(max_tokens=1 + i % tokens) for i, one in enumerate(asked)]
    return [*found, Request("An old mill", max_tokens=3)]


@pytest.mark.parametrize("make", [long_llama, lambda: tiny.gpt2(n_positions=2048)])
@pytest.mark.parametrize("name", ["prp", "contrast"])
def test_reuse_changes_no_text_and_saves_tokens(make: Any, name: str) -> None:
    requests = written(name)
    with_reuse, usage = answered(model_of(make), requests)
    without, whole = answered(model_of(make, prefix_bytes=0), requests)
    assert with_reuse == without
    assert len({one.text for one in without}) > len(without) / 4
    assert whole.reused == 0
    assert usage.tokens < 0.75 * whole.tokens
    assert usage.tokens + usage.reused == whole.tokens


def test_scoring_and_generation_share_their_starts() -> None:
    model = model_of(long_llama)
    _, first = answered(model, pairs("prp"))
    _, alone = answered(model_of(long_llama), written("prp"))
    _, after = answered(model, written("prp"))
    assert first.reused > 0
    assert after.tokens < alone.tokens


def test_out_of_memory_in_generation_halves_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = long_llama()
    model = model_of(lambda: network, batch_tokens=8192)
    requests = written("prp")[:12]
    expected, _ = answered(model, requests)
    plain = network.forward

    @functools.wraps(plain)  # generate reads the signature
    def crowded(**inputs: Any) -> Any:
        if len(inputs["input_ids"]) > 4:
            raise torch.OutOfMemoryError("no room")
        return plain(**inputs)

    monkeypatch.setattr(network, "forward", crowded)
    assert model.answer(requests)[0] == expected
    assert model.batch_tokens < 8192


def embedded(**settings: Any) -> LocalModel:
    return load(resolve("smollm2-135m"), dtype="float32", device="cpu", **settings)


@pytest.mark.model
def test_reuse_changes_no_text_of_the_real_model() -> None:
    requests = written("prp")[:6]
    with_reuse, usage = answered(embedded(), requests)
    without, whole = answered(embedded(prefix_bytes=0), requests)
    assert with_reuse == without
    assert usage.tokens < 0.8 * whole.tokens
    assert usage.tokens + usage.reused == whole.tokens


@pytest.mark.model
def test_reuse_changes_no_answer_of_the_real_model() -> None:
    requests = pairs("prp")[:8]
    with_reuse, usage = answered(embedded(), requests)
    without, whole = answered(embedded(prefix_bytes=0), requests)
    for one, other in zip(with_reuse, without, strict=True):
        assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-4)
    assert usage.tokens < 0.75 * whole.tokens
