"""Scores options by the log-probabilities that vLLM lists: which prompts are run, and how read.

vLLM lists the log-probabilities of given tokens after a prompt (``logprob_token_ids``), normalised
over the whole vocabulary: one prefill scores all options that differ in their last token. A short
stem of an option (``encoding.Row``) takes a further prompt for each of its tokens, of which the
prefix cache has all but the end. A long one, such as a query that follows a passage, is read from
the log-probabilities of the prompt's own tokens (``prompt_logprobs``), for which vLLM computes the
whole prompt anew.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

from rankprompt.llm.base import Answer
from rankprompt.llm.local.encoding import EncodedRequest

__all__ = ["Prompt", "RequestOutput", "read_options", "scoring_prompts", "writes_space"]

MAX_SCORED = 128
"""The most tokens whose log-probabilities vLLM lists after a prompt."""
# Stems up to this length are scored by a prompt for each token.
_SHORT_STEM = 2

Tokens: TypeAlias = tuple[int, ...]
Logprobs: TypeAlias = dict[tuple[Tokens, int], float]
"""The log-probability of a token, given the context and the tokens of options that follow it."""


class Prompt(NamedTuple):
    """What vLLM is asked at once.

    Attributes:
        tokens: the prompt.
        scored: tokens whose log-probabilities after the prompt are listed.
        lists_prompt: whether the log-probability of each token of the prompt is listed.
        likeliest: how many of the likeliest tokens after the prompt are listed.
        max_tokens: how many tokens are generated, at the most; 1 where log-probabilities are asked.
    """

    tokens: Tokens
    scored: Tokens = ()
    lists_prompt: bool = False
    likeliest: int = 0
    max_tokens: int = 1


class RequestOutput(Protocol):
    """What vLLM answers to a prompt: as much of ``vllm.RequestOutput`` as is read here."""

    @property
    def outputs(self) -> Sequence[Any]:
        """One output, with ``token_ids`` and ``logprobs``, a mapping by token for each of them."""

    @property
    def prompt_logprobs(self) -> Sequence[Mapping[int, Any] | None] | None:
        """A mapping for each token of the prompt, None for the first."""

    @property
    def num_cached_tokens(self) -> int | None:
        """How many tokens of the prompt the prefix cache had."""


def scoring_prompts(encoded: EncodedRequest, *, lists_prompts: bool = True) -> list[Prompt]:
    """Returns the prompts that score the options of a request, none of them twice.

    Args:
        encoded: the request.
        lists_prompts: whether the log-probabilities of a prompt's own tokens can be had; else each
            token before an option's last takes a prompt.
    """
    scored: dict[Tokens, dict[int, None]] = {}
    listed: list[Tokens] = []

    def score(after: Tokens, tokens: Sequence[int]) -> None:
        scored.setdefault(after, {}).update(dict.fromkeys(tokens))

    for stem, lasts, stops in encoded.rows:
        score(stem, [token for _, token in lasts])
        for _, length, tokens in stops:
            score(stem[:length], tokens)
        if lists_prompts and len(stem) > _SHORT_STEM:
            listed.append(stem)
        else:
            for place, token in enumerate(stem):
                score(stem[:place], [token])
    prompts = []
    for after, wanted in scored.items():
        ids = tuple(wanted)
        for start in range(0, len(ids), MAX_SCORED):
            lists_prompt = after in listed and start == 0
            some = ids[start : start + MAX_SCORED]
            prompts.append(Prompt(encoded.context + after, some, lists_prompt))
    return prompts


def read_options(
    encoded: EncodedRequest, prompts: Sequence[Prompt], outputs: Sequence[RequestOutput]
) -> Answer:
    """Reads the options' log-likelihoods.

    Args:
        encoded: the request.
        prompts: those of ``scoring_prompts``.
        outputs: vLLM's, in the order of ``prompts``.

    Raises:
        KeyError: vLLM did not list a token that it was asked for.
    """
    logprobs = _logprobs(len(encoded.context), prompts, outputs)
    sums = [0.0] * len(encoded.counts)
    for stem, lasts, stops in encoded.rows:
        before = sum(logprobs[stem[:place], token] for place, token in enumerate(stem))
        for option, token in lasts:
            sums[option] += before + logprobs[stem, token]
        for option, length, tokens in stops:
            longer = math.fsum(math.exp(logprobs[stem[:length], token]) for token in tokens)
            # Float32 has no more digits near 1.
            sums[option] += math.log1p(-min(longer, 1 - 2**-24))
    return Answer(tuple(sums), encoded.counts)


def _logprobs(
    context: int, prompts: Sequence[Prompt], outputs: Sequence[RequestOutput]
) -> Logprobs:
    found: Logprobs = {}
    for prompt, output in zip(prompts, outputs, strict=True):
        after = prompt.tokens[context:]
        listed = output.outputs[0].logprobs[0]
        for token in prompt.scored:
            found[after, token] = float(listed[token].logprob)
        if prompt.lists_prompt and output.prompt_logprobs:
            for place, token in enumerate(after):
                entry = output.prompt_logprobs[context + place]
                if entry is None:
                    raise KeyError(token)
                found[after[:place], token] = float(entry[token].logprob)
    return found


def writes_space(output: RequestOutput, spell: Callable[[int], str]) -> bool:
    """Whether a word that the model writes next more likely begins with a space.

    Args:
        output: vLLM's, which lists the likeliest tokens.
        spell: returns a token as the tokenizer's vocabulary writes it.
    """
    sums = {True: 0.0, False: 0.0}
    for token, entry in output.outputs[0].logprobs[0].items():
        spelled = spell(token)
        # How byte-level and SentencePiece vocabularies write a space.
        word = spelled.lstrip("Ġ▁")
        if word[:1].isalnum():
            sums[word != spelled] += math.exp(entry.logprob)
    return sums[True] > sums[False]
