"""What every adapter to another framework promises: the rankings are those of ``Reranker``."""

import asyncio
import doctest
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from rankprompt import Reranker
from tests.cascade.toy_models import teacher
from tests.contracts.adapters import ADAPTERS, Adapter

__all__ = ["teacher"]

QUERY = "why is the sky blue"
# Two are equal, and two have no text.
TEXTS = ["a mill by the river", "bees", "", "blue light is scattered", "bees", " \n", "a boat"]


@pytest.fixture(scope="module", params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> Adapter:
    return ADAPTERS[request.param]()


@pytest.fixture(scope="module")
def reranker(teacher: Path) -> Iterator[Reranker]:
    with Reranker(str(teacher)) as reranker:
        yield reranker


@pytest.fixture(scope="module")
def expected(reranker: Reranker) -> list[tuple[int, float]]:
    """The positions of the texts, best first, and their scores."""
    ranking = [(one.index, one.score) for one in reranker.rank(QUERY, TEXTS)]
    assert [index for index, _ in ranking] != list(range(len(TEXTS)))
    return ranking


def rank(adapter: Adapter, made: Any, texts: Sequence[str] = TEXTS) -> list[tuple[int, float]]:
    documents = adapter.documents(texts)
    before = repr(documents)
    found = adapter.rank(made, QUERY, documents)
    assert repr(documents) == before
    return [adapter.read(one) for one in found]


def test_the_ranking_is_that_of_the_reranker_and_leaves_what_was_given_as_it_is(
    adapter: Adapter, teacher: Path, expected: list[tuple[int, float]]
) -> None:
    assert rank(adapter, adapter.make(str(teacher), None)) == expected


def test_a_reranker_that_is_handed_in_ranks(
    adapter: Adapter, reranker: Reranker, expected: list[tuple[int, float]]
) -> None:
    before = reranker.usage.prompts
    assert rank(adapter, adapter.make(reranker, None)) == expected
    assert reranker.usage.prompts > before


@pytest.mark.parametrize("top", [0, 1, 3, 100])
def test_the_best_are_kept(
    adapter: Adapter, reranker: Reranker, expected: list[tuple[int, float]], top: int
) -> None:
    assert rank(adapter, adapter.make(reranker, top)) == expected[:top]


def test_few_documents(adapter: Adapter, reranker: Reranker) -> None:
    made = adapter.make(reranker, None)
    assert rank(adapter, made, []) == []
    for texts in (["a mill"], [""], ["", " "]):
        ranking = [(one.index, one.score) for one in reranker.rank(QUERY, texts)]
        assert rank(adapter, made, texts) == ranking


def test_asynchronous_calls_at_a_time_give_the_same(
    adapter: Adapter, reranker: Reranker, expected: list[tuple[int, float]]
) -> None:
    if adapter.arank is None:
        pytest.skip("the framework has nothing asynchronous")
    arank, made = adapter.arank, adapter.make(reranker, None)

    async def several() -> list[Sequence[Any]]:
        calls = (arank(made, QUERY, adapter.documents(TEXTS)) for _ in range(3))
        return await asyncio.gather(*calls)

    for found in asyncio.run(several()):
        assert [adapter.read(one) for one in found] == expected


@pytest.mark.parametrize("handed_in", [False, True])
def test_saved_and_loaded_again_it_gives_the_same(
    adapter: Adapter,
    teacher: Path,
    reranker: Reranker,
    expected: list[tuple[int, float]],
    handed_in: bool,
) -> None:
    if adapter.reload is None:
        pytest.skip("the framework saves nothing")
    loaded = adapter.reload(adapter.make(reranker if handed_in else str(teacher), 4))
    assert rank(adapter, loaded) == expected[:4]


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_examples_of_the_module_run(name: str) -> None:
    results = doctest.testmod(import_module(f"rankprompt.integrations.{name}"))
    assert results.attempted > 0
    assert results.failed == 0
