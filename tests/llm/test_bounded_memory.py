"""What a model keeps does not grow with all that it was ever asked."""

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rankprompt.cascade.teachers.cross_encoder import CrossEncoder
from rankprompt.llm.base import Request
from rankprompt.llm.encoder_networks import Network
from rankprompt.llm.local.model import LocalModel
from rankprompt.llm.rerankers.cross_encoder import CrossEncoderModel
from tests.llm import tiny
from tests.llm.rerankers.classifiers import tokenizer

# Texts of each use of a model, and queries that one remembers.
_TOGETHER, _REMEMBERED = 20, 256
_QUERIES = 8000


class _Text(str):
    """A text of which it can be told whether anything still holds it."""


@contextmanager
def texts_that_are_forgotten(most: int) -> Iterator[Callable[[str], str]]:
    """Gives a function that makes texts; checks that at most so many of them remain in the end."""
    made: list[weakref.ref[_Text]] = []

    def make(text: str) -> str:
        found = _Text(text)
        made.append(weakref.ref(found))
        return found

    yield make
    gc.collect()
    assert len(made) > 2 * most
    assert sum(one() is not None for one in made) <= most


@pytest.fixture(scope="module")
def network() -> Network:
    """A network that scores at once, with a tokenizer as rerankers have."""
    words: Any = tokenizer().backend_tokenizer
    words.no_truncation()
    words.no_padding()

    def forward(inputs: Any) -> Any:
        return inputs["input_ids"][:, :1].astype(np.float32)

    return Network(
        Path("network"), words, longest=30, fingerprint="f", pad=0, load=lambda: (forward, 32)
    )


def test_a_cross_encoder_forgets_queries_and_passages(network: Network) -> None:
    model = CrossEncoderModel(network, name="tiny")
    with texts_that_are_forgotten(_REMEMBERED + 2 * _TOGETHER) as text:
        for first in range(0, _QUERIES, _TOGETHER):
            requests = [
                Request(
                    # Every hundredth query is too long.
                    text(f"{number} {'boats ' * 16 * (number % 100 == 0)}"),
                    passage=text(f"passage {number}"),
                )
                for number in range(first, first + _TOGETHER)
            ]
            batches = model.plan(requests)
            model.answer([requests[index] for index in batches[0]])
            del requests
    assert model.queries_cut == _QUERIES // 100


def test_a_teacher_forgets_queries_and_windows(network: Network) -> None:
    teacher = CrossEncoder(network, query_tokens=9)
    with texts_that_are_forgotten(_REMEMBERED) as text:
        for first in range(0, _QUERIES, _TOGETHER):
            numbers = range(first, first + _TOGETHER)
            teacher([(text(f"query {number}"), text(f"{number}")) for number in numbers])


def test_a_language_model_forgets_prompts() -> None:
    words = tiny.tokenizer(template=tiny.TEMPLATE)
    model = LocalModel(tiny.llama().eval(), words, name="tiny")
    # Of at least 1,400 tokens each, of which 262,144 are kept for later.
    with texts_that_are_forgotten(187 + _TOGETHER) as text:
        for first in range(0, 440, _TOGETHER):
            requests = [
                Request(
                    text(f"{number}{' the harbour' * 700} Passage"),
                    (" A", " B"),
                    breaks=(30,),
                    chat=number % 2 == 0,
                )
                for number in range(first, first + _TOGETHER)
            ]
            for request in requests[:2]:
                assert model.length(request) > 1400
                model.truncate(request.prompt, 9)
            model.plan(requests)
            model.answer([Request("A", (" B",))])
            del requests, request
