"""What a reranker is given: forms that are read, and mistakes that are one line."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rankprompt import Reranker
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
