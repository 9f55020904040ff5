"""Requests encoded together are encoded as each alone is."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt.errors import ModelError
from rankprompt.llm.base import Request
from rankprompt.llm.local.batch_encoding import Encoder
from rankprompt.llm.local.encoding import EncodedRequest, encode, make_shareable, truncate
from tests.llm.local.tokenizers_of_all_kinds import KINDS, make
from tests.llm.tiny import SENTENCES, TEMPLATE

# Ends of prompts, some of which an option would change: by a merge, or by what a word is.
ENDS = [
    "", " ", "\n", "\n\n", " \n", ":", " Answer:", "\nQuery:", "\n\nOutput Passage A or Passage B:",
    " Pass", " the Pass", "\nOutput Pass", " 1", "it'", " more", " Passage A", "<s>assistant:\n",
    "<s>", " <mask>", " e", " 段落", "？\n答案：", " Passage", "   ", " which of",
    " relevant\u0301",
]  # fmt: skip
OPTIONS = [
    " A", " B", " Passage A", " Passage B", "age", "ed", "1", "10", "s", "'s", " ", "\n", "\u0301",
    "<mask>", "</s>", " or Passage", "?", " relevant", "😀", " the harbour is quiet", "  x", "甲",
]  # fmt: skip
WORDS = [
    *SENTENCES, "Passage A: ", "\n\nPassage B: ", " ", "\n", "  ", "naïve e\u0301", "1,234", "\t",
    "Given a query", " which of the following", "<s>", "</s>", "ﬁ", "it's", "\u200d", "a b", "😀",
]  # fmt: skip

prompts = st.tuples(st.lists(st.sampled_from(WORDS), max_size=6), st.sampled_from(ENDS)).map(
    lambda parts: "".join(parts[0]) + parts[1]
)
asked = st.builds(
    Request,
    prompt=prompts,
    options=st.lists(st.sampled_from(OPTIONS), max_size=4, unique=True).map(tuple),
    max_tokens=st.sampled_from([0, 5]),
    chat=st.booleans(),
    breaks=st.lists(st.integers(0, 80), max_size=3).map(sorted).map(tuple),
)


@cache
def tokenizer(kind: str) -> Any:
    words = make(kind, TEMPLATE)
    make_shareable(words)
    return words


def alone(words: Any, request: Request, **how: Any) -> EncodedRequest | str:
    try:
        return encode(words, request, **how)
    except ModelError as error:
        return str(error)


@pytest.mark.parametrize("kind", KINDS)
@given(requests=st.lists(asked, max_size=8), encoder_decoder=st.booleans())
@settings(max_examples=25)
def test_together_as_alone(kind: str, requests: list[Request], encoder_decoder: bool) -> None:
    words = tokenizer(kind)
    how: dict[str, Any] = {"encoder_decoder": encoder_decoder, "shortest_start": 2}
    expected = [alone(words, request, **how) for request in requests]
    encoder = Encoder(words, **how)
    good = [
        one for one, found in zip(requests, expected, strict=True) if not isinstance(found, str)
    ]
    assert encoder(good) == [one for one in expected if not isinstance(one, str)]
    # And once more, of which some are kept, and after what cannot be encoded.
    for request, found in zip(requests, expected, strict=True):
        if isinstance(found, str):
            with pytest.raises(ModelError) as raised:
                encoder([request])
            assert str(raised.value) == found
        else:
            assert encoder([request]) == [found]


@pytest.mark.parametrize("kind", KINDS)
@given(text=prompts, tokens=st.integers(0, 30))
@settings(max_examples=30)
def test_texts_are_cut_alike(kind: str, text: str, tokens: int) -> None:
    words = tokenizer(kind)
    assert Encoder(words).truncate(text, tokens) == truncate(words, text, tokens)


def test_a_prompt_that_is_asked_again_is_not_read_again() -> None:
    words = tokenizer("byte level")
    encoder = Encoder(words, shortest_start=2)
    request = Request("The harbour is quiet.\nWhich passage?", (" A", " B"), breaks=(22,))
    (first,) = encoder([request])
    assert encoder([request, request]) == [first, first]
    assert encoder([request])[0] is first


def test_requests_of_several_threads_are_encoded_alike() -> None:
    words = tokenizer("start and end")
    encoder = Encoder(words, shortest_start=2)
    requests = [
        Request(f"{SENTENCES[number % 5]}\nPassage {number}:", (" A", " B"), breaks=(9, 40))
        for number in range(200)
    ]
    expected = [encode(words, request, shortest_start=2) for request in requests]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(encoder, [requests[start:] for start in range(0, 40, 5)]))
    for start, encoded in zip(range(0, 40, 5), found, strict=True):
        assert encoded == expected[start:]
