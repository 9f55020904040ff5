"""Replies that no sound server sends: each one is refused in a line, or scores every passage."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import ModelError
from rankprompt.llm.openai.bounded_json import parse_json
from rankprompt.llm.openai.call_errors import UnusableError
from rankprompt.llm.rerankers.server_replies import log_odds, parse_scores, tokens_in

NUMBER = 4
NUMBERS = st.floats(0, 1) | st.sampled_from([0, 1, -3.5, math.nan, math.inf, -math.inf, 10**400])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def rows(draw: st.DrawFn) -> list[Any]:
    """Rows of a sound reply, some of them changed, doubled or left out."""
    order = draw(st.permutations(range(NUMBER)))
    name = draw(st.sampled_from(["relevance_score", "score"]))
    made: list[Any] = [{"index": index, name: draw(NUMBERS)} for index in order]
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(made) - 1)) if made else 0
        kind = draw(st.sampled_from(["drop", "double", "replace", "index", "score"]))
        if not made:
            break
        if kind == "drop":
            del made[place]
        elif kind == "double":
            made.append(made[place])
        elif kind == "replace" or not isinstance(made[place], dict):
            made[place] = draw(ANY)
        else:
            key = "index" if kind == "index" else name
            made[place] = {**made[place], key: draw(ANY | st.integers(-2, NUMBER + 1))}
    return made


def _outcome(reply: dict[str, object]) -> list[float] | str:
    """The scores, or why there are none."""
    try:
        return parse_scores(reply, NUMBER)
    except UnusableError as error:
        return str(error)


def test_a_score_beside_a_null_is_read() -> None:
    rows = [{"index": 0, "relevance_score": None, "score": 0.7}, {"index": 1, "score": None}]
    found = parse_scores({"results": rows}, 2)
    assert found[0] == 0.7
    assert math.isnan(found[1])


@given(
    rows=rows() | st.lists(ANY, max_size=5) | ANY,
    name=st.sampled_from(["results", "data"]),
    more=st.dictionaries(st.sampled_from(["usage", "meta", "message", "detail", "x"]), ANY),
)
def test_every_reply_scores_every_passage_or_is_refused(
    rows: Any, name: str, more: dict[str, Any]
) -> None:
    # As it would come: json.dumps writes what is no number as NaN, which json.loads reads.
    reply = parse_json(json.dumps({**more, name: rows}).encode())
    assert isinstance(reply, dict)
    count = tokens_in(reply)
    assert count is None or 0 <= count < 1 << 41
    scores = _outcome(reply)
    if isinstance(scores, str):
        assert "\n" not in scores
        assert len(scores) < 300
        return
    by_index = {row["index"]: row.get("relevance_score", row.get("score")) for row in rows}
    assert sorted(by_index) == list(range(NUMBER))
    for index, score in enumerate(scores):
        given_score = by_index[index]
        finite = given_score is not None and math.isfinite(float(given_score))
        assert score == given_score if finite else math.isnan(score)


@given(st.permutations(range(6)), st.lists(st.floats(0, 1), min_size=6, max_size=6))
def test_the_order_of_the_results_does_not_matter(order: list[int], scores: list[float]) -> None:
    reply: dict[str, object] = {
        "results": [{"index": index, "relevance_score": scores[index]} for index in order]
    }
    assert parse_scores(reply, 6) == scores


@given(st.floats(0, 1), st.floats(0, 1))
def test_log_odds_are_finite_and_keep_the_order(first: float, second: float) -> None:
    low, high = (
        log_odds(score, is_log_odds=False) for score in (min(first, second), max(first, second))
    )
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low <= high
    assert 1 / (1 + math.exp(-low)) == pytest.approx(min(first, second), abs=1e-9)


@given(st.floats().filter(lambda score: not -1e-6 <= score <= 1 + 1e-6))
def test_what_is_no_probability_is_never_read_as_one(score: float) -> None:
    kept = log_odds(score, is_log_odds=True)
    assert kept == score or math.isnan(kept) == math.isnan(score)
    if math.isnan(score):
        assert math.isnan(log_odds(score, is_log_odds=False))
    else:
        with pytest.raises(ModelError, match="is no probability"):
            log_odds(score, is_log_odds=False)


@pytest.mark.parametrize(
    ("reply", "tokens"),
    [
        ({"usage": {"total_tokens": 9, "prompt_tokens": 8}}, 9),
        ({"usage": {"prompt_tokens": 8}}, 8),
        ({"meta": {"billed_units": {"search_units": 1}}}, None),
        ({"meta": {"tokens": {"input_tokens": 7}}}, 7),
        ({"usage": None, "meta": []}, None),
        ({"usage": {"total_tokens": -1}}, None),
        ({}, None),
    ],
)
def test_tokens_are_read_where_the_server_tells(
    reply: dict[str, object], tokens: int | None
) -> None:
    assert tokens_in(reply) == tokens
