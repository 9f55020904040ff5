"""Stages: the top is reranked, the rest keeps its order, and costs add up."""

import pickle
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError
from rankprompt.rankers import METHODS, RankerSettings, allpair, heapsort, method
from rankprompt.rankers.driver import drive

Pair = tuple[int, int]


def ranked(name: str, items: Sequence[int], k: int = 10) -> tuple[list[int], list[Pair]]:
    """The ranking by a judge that prefers the smaller number, and the pairs compared."""
    compared: list[Pair] = []

    def answer(pairs: Sequence[Pair]) -> list[float]:
        compared.extend(pairs)
        return [float(first < second) for first, second in pairs]

    return drive(method(name).bind(RankerSettings(k, k, False))(items), answer), compared


def test_a_stage_reranks_the_head_of_the_one_before() -> None:
    items = list(range(40))[::-1]
    ranking, compared = ranked("heapsort,allpair@6", items, k=3)
    # heapsort ranks to the depth of allpair.
    first_stage: list[Pair] = []

    def answer(pairs: Sequence[Pair]) -> list[float]:
        first_stage.extend(pairs)
        return [float(first < second) for first, second in pairs]

    drive(heapsort(items, k=6), answer)
    assert compared[: len(first_stage)] == first_stage
    assert len(compared) == len(first_stage) + 15
    assert {item for pair in compared[len(first_stage) :] for item in pair} == set(range(6))
    assert ranking[:6] == list(range(6))


def test_a_first_stage_may_be_shallower_than_the_items() -> None:
    items = list(range(30))[::-1]
    ranking, compared = ranked("allpair@10", items)
    assert ranking == sorted(items[:10]) + items[10:]
    assert len(compared) == 45


def test_a_stage_shallower_than_k_leaves_the_one_before_to_rank_the_rest() -> None:
    ranking, _ = ranked("sliding,allpair@5", list(range(30))[::-1], k=8)
    assert ranking[:8] == list(range(8))


def test_a_method_alone_is_itself() -> None:
    assert method("allpair") is METHODS["allpair"]
    assert method("allpair").bind(RankerSettings(10, 10, False)) is allpair


STAGES = st.sampled_from(
    ["heapsort,allpair@4", "bradley-terry@9,allpair@3", "quickselect@30,sliding@8,allpair@2"]
)


@given(STAGES, st.integers(0, 14).flatmap(lambda n: st.permutations(range(n))),
       st.integers(-1, 16), st.randoms(use_true_random=False))  # fmt: skip
def test_any_answers_give_a_permutation(name: str, items: list[int], k: int, random) -> None:  # type: ignore[no-untyped-def]
    ranker = method(name).bind(RankerSettings(k, k, False))
    ranking = drive(ranker(items), lambda pairs: [random.choice([0, 0.5, 1]) for _ in pairs])
    assert sorted(ranking) == sorted(items)
    assert drive(ranker(items), lambda pairs: [0.5] * len(pairs)) == items


@pytest.mark.parametrize("name", ["heapsort,allpair@20", "sliding@50,quickselect@30,allpair@12"])
def test_the_estimate_adds_up(name: str) -> None:
    estimate = method(name).estimate(100, RankerSettings(10, 10))
    _, compared = ranked(name, [(37 * i) % 100 for i in range(100)])
    assert len(compared) / 2 <= estimate <= len(compared) * 2


def test_a_ranker_of_stages_travels() -> None:
    ranker = method("heapsort,allpair@4").bind(RankerSettings(3, 3, False))
    again = pickle.loads(pickle.dumps(ranker))
    assert drive(again(range(9)), lambda pairs: [float(a > b) for a, b in pairs])[:4] == [
        8,
        7,
        6,
        5,
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("heapsort,allpar@20", "unknown method 'allpar'; did you mean 'allpair'"),
        ("heapsort,allpair", "say how many of the best allpair reranks, as in allpair@20"),
        ("heapsort,allpair@", "give a number from 1 after @"),
        ("heapsort,allpair@0", "give a number from 1 after @"),
        ("allpair@-5", "give a number from 1 after @"),
        ("heapsort@20,allpair@20", "allpair must rerank fewer than the 20 of the stage before"),
        ("heapsort,,allpair@3", "a stage has no name"),
        ("heapsort>allpair@3", "unknown method 'heapsort>allpair'"),
    ],
)
def test_stages_that_cannot_work_are_refused(name: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        method(name)
    assert message in str(error.value)
