"""What vLLM is asked to score options, and how its lists are read."""

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.llm.base import Request
from rankprompt.llm.local.encoding import EncodedRequest, encode
from rankprompt.llm.vllm.scoring import (
    MAX_SCORED,
    Prompt,
    read_options,
    scoring_prompts,
    writes_space,
)
from tests.llm import tiny

WORDS = tiny.tokenizer()


def probability(before: Sequence[int], token: int) -> float:
    """A language model of sorts: each token's probability after others, all below 1 / 400."""
    return (1 + hash((tuple(before), token)) % 997) / 997 / 400


def output(prompt: Prompt) -> Any:
    """What vLLM would list of that model."""

    def entry(before: Sequence[int], token: int) -> Any:
        return SimpleNamespace(logprob=math.log(probability(before, token)))

    tokens = prompt.tokens
    listed = {token: entry(tokens, token) for token in prompt.scored}
    own = [None, *({tokens[i]: entry(tokens[:i], tokens[i])} for i in range(1, len(tokens)))]
    return SimpleNamespace(
        outputs=[SimpleNamespace(token_ids=[7], logprobs=[listed])],
        prompt_logprobs=own if prompt.lists_prompt else None,
        num_cached_tokens=0,
    )


def expected(encoded: EncodedRequest, tails: Sequence[Sequence[int]]) -> list[float]:
    """Each option's log-likelihood, token by token; longer options are other options."""
    found = []
    for tail in tails:
        total, before = 0.0, list(encoded.context)
        for token in tail:
            total += math.log(probability(before, token))
            before.append(token)
        size = len(tail)
        longer = {one[size] for one in tails if len(one) > size and one[:size] == tail}
        found.append(total + math.log1p(-sum(probability(before, token) for token in longer)))
    return found


OPTION = st.lists(st.sampled_from("abc"), min_size=1, max_size=6).map("".join)


@given(st.lists(OPTION, min_size=1, max_size=6, unique=True), st.booleans())
def test_options_are_scored_token_by_token(options: list[str], lists_prompts: bool) -> None:
    # A space between the letters keeps each a token of its own.
    texts = tuple("".join(f" {letter}" for letter in option) for option in options)
    encoded = encode(WORDS, Request("The mill:", texts))
    prompts = scoring_prompts(encoded, lists_prompts=lists_prompts)
    assert len({prompt.tokens for prompt in prompts}) == len(prompts)
    assert lists_prompts or not any(prompt.lists_prompt for prompt in prompts)
    answer = read_options(encoded, prompts, [output(one) for one in prompts])
    context = len(encoded.context)
    tails = [list(WORDS(f"The mill:{text}").input_ids)[context:] for text in texts]
    assert answer.loglikelihoods == pytest.approx(expected(encoded, tails))
    assert answer.tokens == tuple(map(len, tails))


def test_options_that_differ_in_their_last_token_are_one_prompt() -> None:
    encoded = encode(WORDS, Request("Which is better?", (" A", " B", " m")))
    (prompt,) = scoring_prompts(encoded)
    assert prompt.tokens == encoded.context
    assert len(prompt.scored) == 3
    assert not prompt.lists_prompt


def test_a_query_is_read_from_one_prompt() -> None:
    encoded = encode(WORDS, Request("The passage.", (" where are the boats in the morning",)))
    (prompt,) = scoring_prompts(encoded)
    assert prompt.lists_prompt
    assert len(prompt.tokens) == len(encoded.context) + encoded.counts[0] - 1


def test_more_tokens_than_vllm_lists_are_asked_in_parts() -> None:
    lasts = tuple((option, 5 + option) for option in range(300))
    encoded = EncodedRequest((3, 4), (1,) * 300, (((), lasts, ()),))  # type: ignore[arg-type]
    prompts = scoring_prompts(encoded)
    assert [len(prompt.scored) for prompt in prompts] == [MAX_SCORED, MAX_SCORED, 44]
    answer = read_options(encoded, prompts, [output(one) for one in prompts])
    assert answer.loglikelihoods == pytest.approx(
        [math.log(probability((3, 4), token)) for _, token in lasts]
    )


def test_an_option_that_always_goes_on_is_unlikely_and_not_an_error() -> None:
    encoded = encode(WORDS, Request("x:", (" A", " A B")))
    prompts = scoring_prompts(encoded)

    def certain(prompt: Prompt) -> Any:
        listed = {token: SimpleNamespace(logprob=1e-7) for token in prompt.scored}
        return SimpleNamespace(
            outputs=[SimpleNamespace(token_ids=[7], logprobs=[listed])],
            prompt_logprobs=None,
            num_cached_tokens=None,
        )

    one, other = read_options(encoded, prompts, [certain(one) for one in prompts]).loglikelihoods
    assert -20 < one < -10
    assert other == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("likely", "space"),
    [({"ĠA": 0.6, "A": 0.3}, True), ({"▁The": 0.2, "The": 0.3}, False), ({"Ċ": 0.9}, False)],
)
def test_the_likeliest_words_tell_whether_an_answer_begins_with_a_space(
    likely: dict[str, float], space: bool
) -> None:
    spelled = dict(enumerate(likely))
    listed = {
        token: SimpleNamespace(logprob=math.log(likely[word])) for token, word in spelled.items()
    }
    answer: Any = SimpleNamespace(outputs=[SimpleNamespace(logprobs=[listed])])
    assert writes_space(answer, spelled.__getitem__) is space
