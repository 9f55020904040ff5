"""What a reranker is given: forms that are read, and mistakes that are one line."""

import asyncio
import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rankprompt import Reranker, Usage
from rankprompt.errors import InputError
from tests.api.conftest import TEXTS

QUERY = "the quick brown fox"
TABLE = pd.DataFrame({"id": [1, 2], "text": TEXTS[:2]})
HINT = r'give frame\.to_dict\("records"\)'


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: one.rank(QUERY, TABLE), f"`documents`.*not a DataFrame: {HINT}"),
        (lambda one: one.rank_many(TABLE, [TEXTS]), f"`queries`.*not a DataFrame: {HINT}"),
        (lambda one: one.rank(QUERY, None), "`documents` must be a sequence"),
        (lambda one: one.rank(QUERY, 5), "`documents` must be a sequence"),
        (lambda one: one.rank_many([QUERY], None), "`documents` must be a sequence"),
        (lambda one: one.rank_many(None, [TEXTS]), "`queries` must be a sequence"),
        (lambda one: one.rank(QUERY, TEXTS, threshold="0.5"), "`threshold` must be a number"),
        (lambda one: one.rank(QUERY, TEXTS, threshold=float("nan")), "`threshold` must be"),
        (lambda one: one.rank(QUERY, TEXTS, top_k=True), "`top_k` must be a whole number"),
        (lambda one: one.rank(QUERY, TEXTS, top_k=2.5), "`top_k` must be a whole number"),
    ],
)
def test_a_mistake_names_the_argument(
    reranker: Reranker, call: Callable[[Any], object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        call(reranker)


def test_generators_and_numbers_of_numpy_are_read(reranker: Reranker) -> None:
    expected = reranker.rank(QUERY, TEXTS, top_k=3)
    found = reranker.rank(QUERY, (text for text in TEXTS), top_k=np.int64(3))  # type: ignore
    assert found.as_run() == expected.as_run()
    (found,) = reranker.rank_many((one for one in [QUERY]), iter([TEXTS]), top_k=3)  # type: ignore
    assert found.as_run() == expected.as_run()
    rows = TABLE.to_dict("records")
    assert sorted(one.id for one in reranker.rank(QUERY, rows)) == ["1", "2"]
    pair: Any = (np.int64(7), "a fox")
    assert [one.id for one in reranker.rank(QUERY, [pair])] == ["7"]
    # The threshold is exact in single precision.
    assert len(reranker.rank(QUERY, TEXTS, threshold=np.float32(1))) == 0  # type: ignore


def test_a_threshold_keeps_texts_that_were_never_judged(reranker: Reranker) -> None:
    blank = ["", *TEXTS[:3]]
    compared = reranker.with_options(method="allpair", threshold=0.9)
    assert [one.index for one in compared.rank(QUERY, ["", TEXTS[0]])] == [1]
    shallow = reranker.with_options(depth=1, threshold=1.0)
    assert [(one.index, one.value) for one in shallow.rank(QUERY, blank)] == [(2, None), (3, None)]
    poor = reranker.with_options(max_prompts=1, threshold=1.0)
    assert [(one.index, one.value) for one in poor.rank(QUERY, blank)] == [(2, None), (3, None)]


def test_usages_have_a_sum() -> None:
    assert sum([Usage(questions=1), Usage(questions=2)]) == Usage(questions=3)
    with pytest.raises(TypeError):
        1 + Usage()


def test_a_teacher_has_nothing_to_explain(reranker: Reranker, folder: Path) -> None:
    teacher = Reranker(method="cascade", cascade="all", window=20, teacher=str(folder))
    with pytest.raises(InputError, match="a cascade's teacher asks none"):
        teacher.rank(QUERY, TEXTS, explain=True)
    with pytest.raises(InputError, match="a cascade's teacher asks none"):
        asyncio.run(teacher.arank(QUERY, TEXTS, explain=True))
    assert reranker.rank(QUERY, TEXTS[:2], explain=True).explanation


def test_one_stage_may_be_a_text(folder: Path) -> None:
    stage = f"pointwise:{folder}@3"
    assert Reranker(stages=stage).config == Reranker(stages=[stage]).config


def test_a_pickle_and_a_copy_are_new_rerankers_and_hold_no_secret(reranker: Reranker) -> None:
    changed = reranker.with_options(method="allpair", threshold=0.01)
    expected = changed.rank(QUERY, TEXTS).as_run()
    for made in (pickle.loads(pickle.dumps(changed)), copy.deepcopy(changed)):
        with made:
            assert made.config == changed.config
            assert made.rank(QUERY, TEXTS).as_run() == expected
    server: dict[str, Any] = {"base_url": "http://localhost:1/v1"}
    for kept in (
        Reranker("openai:m", **server, header="X-Key:env:HOME"),
        Reranker(stages=["pointwise@9", "heapsort@3"], k=2),
        Reranker(method="cascade", cascade="all", window=20),
    ):
        assert pickle.loads(pickle.dumps(kept)).config == kept.config
    secret = Reranker("openai:m", **server, header="X-Key:s3cret")
    for write in (pickle.dumps, copy.copy):
        with pytest.raises(InputError, match="write NAME:env:VARIABLE"):
            write(secret)
