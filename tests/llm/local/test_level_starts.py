"""Shared prefixes that are run together, level by level, as on an accelerator."""

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import ModelError
from rankprompt.llm.base import Answer, Request
from rankprompt.llm.local.batches import BatchLimits, plan_batches
from rankprompt.llm.local.encoding import EncodedRequest, Row
from rankprompt.llm.local.level_starts import choose_levels, with_levels
from rankprompt.llm.local.limits import device_limits
from tests.llm import tiny
from tests.llm.local.test_prefix_cache import (
    WORDS,
    answered,
    long_llama,
    model_of,
    pairs,
    written,
)


def close(found: Sequence[Answer], expected: Sequence[Answer]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-4)
        assert (one.tokens, one.text) == (other.tokens, other.text)


@pytest.mark.parametrize("make", [long_llama, lambda: tiny.gpt2(n_positions=2048)])
def test_answers_are_those_of_whole_prompts(make: Any) -> None:
    together = model_of(make, launch_tokens=0, batch_tokens=2048)
    whole = model_of(make, prefix_bytes=0)
    for requests in (pairs("prp"), pairs("query-likelihood-demonstrations"), written("prp")[:20]):
        found, usage = answered(together, requests)
        expected, all_of_it = answered(whole, requests)
        close(found, expected)
        assert usage.tokens + usage.reused == all_of_it.tokens
        assert usage.tokens < 0.8 * all_of_it.tokens


def counting(network: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each pass, as they come."""
    rows: list[int] = []
    plain = network.forward

    def counted(**inputs: Any) -> Any:
        rows.append(len(inputs["input_ids"]))
        return plain(**inputs)

    monkeypatch.setattr(network, "forward", counted)
    return rows


def tree() -> list[Request]:
    """Four questions about each of five first passages of two queries, all of similar length."""
    draw = random.Random(1)
    queries, passages = ([" ".join(draw.choices(WORDS, k=24)) for _ in range(n)] for n in (2, 9))
    return [
        Request(
            f"{query} {first} {second}",
            (" A", " B"),
            breaks=(len(query), len(query) + 1 + len(first)),
        )
        for query in queries
        for first in passages[:5]
        for second in passages[5:]
    ]


@pytest.mark.parametrize(("launch", "expected"), [(0, [2, 10, 40]), (1000, [10, 40])])
def test_a_batch_costs_a_pass_a_level(
    monkeypatch: pytest.MonkeyPatch, launch: int, expected: list[int]
) -> None:
    network = long_llama()
    model = model_of(lambda: network, launch_tokens=launch, batch_tokens=32768)
    requests = tree()
    rows = counting(network, monkeypatch)
    (batch,) = model.plan(requests)
    model.answer([requests[index] for index in batch])
    # Two queries with five first passages each; the queries' own texts save few tokens.
    assert rows == expected
    assert model.prefix_cache is not None
    assert model.prefix_cache.held == 0


def test_where_starting_costs_more_prompts_are_run_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    network = long_llama()
    model = model_of(lambda: network, launch_tokens=10**6, batch_tokens=32768)
    requests = pairs("prp")
    rows = counting(network, monkeypatch)
    assert [len(batch) for batch in model.plan(requests)] == [40]
    _, usage = answered(model, requests)
    assert rows == [40]
    assert usage.reused == 0


def test_an_answer_depends_on_its_batch_alone() -> None:
    requests = pairs("prp")
    model = model_of(long_llama, launch_tokens=0, batch_tokens=700)
    batches = [[requests[index] for index in batch] for batch in model.plan(requests)]
    assert len(batches) > 3
    first = [model.answer(batch) for batch in batches]
    resumed = model_of(long_llama, launch_tokens=0, batch_tokens=700)
    assert [resumed.answer(batch) for batch in batches[::-1]] == first[::-1]


prompts = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20
)


def prompt(query: int, first: int, second: int) -> EncodedRequest:
    context = (*[query] * 20, *[first] * 30, *[second] * 9)
    return EncodedRequest(context, (1,), (Row((), ((0, 1),)),), (20, 50))


def cost(encoded: Sequence[EncodedRequest], levels: Sequence[int], launch: int) -> int:
    """The tokens of a trie, counted by hand, and a launch for each level."""
    nodes: dict[tuple[int, ...], int] = {}
    for one in encoded:
        bounds: tuple[int, ...] = (0, *with_levels(one, levels).bounds)
        for parent, bound in pairwise(bounds):
            nodes[one.context[:bound]] = bound - parent
    beyond = sum(len(one.context) - len(with_levels(one, levels).start) for one in encoded)
    return sum(nodes.values()) + beyond + launch * len(levels)


@given(prompts, st.integers(0, 300))
def test_the_cheapest_levels_are_chosen(shown: list[tuple[int, int, int]], launch: int) -> None:
    encoded = [prompt(*one) for one in shown]
    chosen = choose_levels(encoded, launch_tokens=launch, pass_tokens=10**6)
    every: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (0, 1))
    costs = {one: cost(encoded, one, launch) for one in every}
    assert costs[chosen] <= costs[()]
    # One level at a time: the best single level is never missed.
    assert costs[chosen] <= min(costs[(0,)], costs[(1,)])


def test_limits_follow_the_free_memory() -> None:
    cpu, unknown, card = (device_limits(*one) for one in (("cpu", 1), ("mps", None), ("cuda", 80)))
    assert (cpu.padding, cpu.launch_tokens) == (50, None)
    assert cpu.tokens < unknown.tokens == card.tokens
    assert unknown.prefix_bytes == cpu.prefix_bytes == 1 << 30
    assert (card.prefix_bytes, card.logit_bytes) == (20, 10)
    assert card.launch_tokens


def test_logits_are_counted_in_the_plan() -> None:
    options = Row((3, 4), ((0, 5),))  # three positions are read
    encoded = [prompt(0, 0, 0)._replace(rows=(options,))] * 10
    requests = [Request(str(place), (" A",)) for place in range(10)]
    by_request = dict(zip(requests, encoded, strict=True))
    for limit, expected in ((9, [3, 3, 3, 1]), (2, [1] * 10), (None, [10])):
        batches = plan_batches(requests, by_request, BatchLimits(10**6, logits=limit))
        assert [len(batch) for batch in batches] == expected


def test_keys_and_values_are_counted_where_they_are_kept() -> None:
    requests = [Request(str(place), (" A",)) for place in range(6)]
    by_request = {request: prompt(0, 0, 0) for request in requests}
    limits = BatchLimits(10**6, states=59 * 2)
    assert [len(batch) for batch in plan_batches(requests, by_request, limits)] == [2, 2, 2]
    whole = {request: one._replace(bounds=()) for request, one in by_request.items()}
    assert [len(batch) for batch in plan_batches(requests, whole, limits)] == [6]


def test_out_of_memory_sets_the_batch_size_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    network = long_llama()
    model = model_of(lambda: network, prefix_bytes=0, batch_tokens=4096)
    requests = pairs("prp")
    expected, _ = answered(model, requests)
    batches = [[requests[index] for index in batch] for batch in model.plan(requests)]
    plain, failed = network.forward, []

    def crowded(**inputs: Any) -> Any:
        if inputs["input_ids"].numel() > 1000:
            failed.append(inputs["input_ids"].numel())
            raise torch.OutOfMemoryError("no room")
        return plain(**inputs)

    monkeypatch.setattr(network, "forward", crowded)
    found: dict[Request, Answer] = {}
    for batch in batches:
        found |= zip(batch, model.answer(batch)[0], strict=True)
    close([found[one] for one in requests], expected)
    # The batches that were planned before are planned anew instead of failing, too.
    assert len(failed) == 1
    assert model.batch_tokens == failed[0] // 2
    assert caplog.text.count("out of memory") == 1
    assert max(len(batch) for batch in model.plan(requests)) < len(batches[0])


def test_a_single_prompt_without_room_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    network = long_llama()
    model = model_of(lambda: network)

    def crowded(**_: Any) -> Any:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(network, "forward", crowded)
    with pytest.raises(ModelError, match=r"no memory for a single prompt; lower `passage_tokens`"):
        model.answer(pairs("prp")[:4])
