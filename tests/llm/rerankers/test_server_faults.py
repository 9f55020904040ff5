"""Replies and refusals that are not what was asked for: one line each, or another call."""

import math

import pytest

from tests.llm.openai.calls import KEY
from tests.llm.rerankers.served import odds, refusal, score
from tests.servers.protocol import Reply, reply
from tests.servers.reranker import Body, Reranker


def test_one_text_that_is_too_large_is_named() -> None:
    message = refusal(lambda _, __: Reply(413, b"<html>Request Entity Too Large</html>"))
    assert "a prompt is too long; lower `passage_tokens`" in message


def _rows(*indices: int) -> Body:
    return {"results": [{"index": index, "relevance_score": 0.5} for index in indices]}


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (_rows(0, 1, 2, 3), "scores for 4 of 10 documents; if the server gives only the best"),
        (_rows(*range(9), 10), "a score for document 10, counted from 0, where 10 were sent"),
        (_rows(*range(11)), "a score for document 10"),
        (_rows(*range(9), 8), "two scores for document 8"),
        (_rows(*range(9), -1), "cannot be read (at index)"),
        ({"results": [{"relevance_score": 0.5}] * 10}, "cannot be read (at index)"),
        ({"results": [{"index": 0}] * 10}, "cannot be read (at relevance_score)"),
        ({"results": [{"index": 0, "score": "0.5"}]}, "cannot be read (at score)"),
        ({"results": [{"index": True, "score": 0.5}]}, "cannot be read (at index)"),
        ({"results": [0.5, 0.25]}, "cannot be read"),
        ({"results": {}}, "a reply without scores"),
        ({"message": "no such\nmodel"}, "a reply without scores: no such model"),
        ({"error": "oh no", "error_type": "Backend"}, "an error in place of an answer: oh no"),
        (Reply(200, b"<html>Welcome</html>"), "a reply that is not JSON"),
        (reply("0.5"), "a reply that is not a JSON object"),
        (reply({"detail": "Not Found"}, 404), "no model 'm', or no such path; the base URL ends"),
        (reply({"error": {"message": "key " + KEY}}, 401), "the key in OPENAI_API_KEY is refused"),
        (reply({"message": "trial over"}, 403), "not allowed (403: trial over)"),
        (reply({"detail": "field required"}, 422), "a call is refused (422: field required)"),
        (
            reply({"error": "maximum context length is 512 tokens"}, 400),
            "a prompt is too long; lower `passage_tokens`",
        ),
        (Reply(500, b"<html>Oops</html>"), "500: "),
    ],
)
def test_a_bad_reply_is_told_in_a_line(answer: Body | Reply, problem: str) -> None:
    message = refusal(lambda _, __: answer)
    assert problem in message
    assert message.startswith("http://127.0.0.1:")


@pytest.mark.parametrize("row", [{"index": 0, "score": "0.5"}, {"index": "0"}, 0.5])
def test_a_row_that_cannot_be_read_is_asked_for_three_times(row: object) -> None:
    message = refusal(lambda _, __: {"results": [row]})
    assert message.endswith("(tried 3 times)")


def test_a_bad_reply_may_be_followed_by_a_good_one() -> None:
    bad: list[Body | Reply] = [
        _rows(1), reply({"message": "slow down"}, 429, retry_after="0"), Reply(500, b""),
    ]  # fmt: skip
    good = Reranker()

    def respond(path: str, body: Body) -> Body | Reply:
        return bad.pop() if bad else good(path, body)

    answers, usage = score(respond)
    assert [answer.loglikelihoods[0] for answer in answers] == pytest.approx(odds())
    assert usage.retries == 3
    # The reply that could not be used is paid for, too; it does not say what it cost.
    assert usage.tokens == 70 + 30


def test_a_refused_text_is_found() -> None:
    good = Reranker()

    def respond(path: str, body: Body) -> Body | Reply:
        if "text 7" in body["documents"]:
            return reply({"error": {"code": "content_filter", "message": "no"}}, 400)
        return good(path, body)

    answers, _ = score(respond)
    assert [answer.problem for answer in answers] == [
        "refused" if at == 7 else "" for at in range(10)
    ]
    assert math.isnan(answers[7].loglikelihoods[0])
