import asyncio
import logging
import math
from collections.abc import Sequence
from typing import Any

import pytest

from rankprompt.errors import InputError, ModelError
from rankprompt.llm import load_server
from rankprompt.llm.base import Answer, Request, Usage
from rankprompt.llm.openai.settings import ServerSettings
from rankprompt.llm.rerankers.server import RerankServer
from rankprompt.llm.rerankers.server_forms import parse_form
from tests.llm.openai.calls import KEY
from tests.llm.rerankers.served import TEXTS, odds, refusal, score
from tests.servers.protocol import ProtocolServer, Reply, reply
from tests.servers.reranker import Body, Reranker

PATHS = {
    "/v1": "/v1/rerank",
    "/v1/rerank": "/v1/rerank",
    "/v2/": "/v2/rerank",
    "/v2/rerank": "/v2/rerank",
    "/score": "/score",
    "/v1/score": "/v1/score",
    "": "/rerank",
    "/rerank": "/rerank",
    "/proxy/v2": "/proxy/v2/rerank",
    "/proxy/rerank?a=b": "/proxy/rerank?a=b",
}


@pytest.mark.parametrize("path", PATHS)
def test_every_form_gives_the_log_odds_in_the_order_of_the_requests(path: str) -> None:
    reranker = Reranker()
    arrived: list[str] = []

    def respond(target: str, body: Body) -> Body | Reply:
        arrived.append(target)
        return reranker(target.removeprefix("/proxy").partition("?")[0], body)

    answers, usage = score(respond, path=path)
    assert arrived == [PATHS[path]]
    assert [answer.loglikelihoods[0] for answer in answers] == pytest.approx(odds())
    assert all(answer.tokens == (1,) and not answer.problem for answer in answers)
    counted = path.partition("/rerank")[0] in ("/v1", "/score", "/v1/score")
    # Cohere and TEI count no tokens.
    assert usage == Usage(70 if counted else 10 * 3, 0)


def test_the_bodies_of_the_forms() -> None:
    def body(url: str) -> Body:
        return parse_form(url).body("m", "q", ["a", "b"])

    documents = {"model": "m", "query": "q", "documents": ["a", "b"]}
    assert body("http://x/v1") == body("http://x/v2") == documents
    assert body("http://x/score") == {"model": "m", "text_1": "q", "text_2": ["a", "b"]}
    texts = {"query": "q", "texts": ["a", "b"], "raw_scores": True, "truncate": True}
    assert body("http://x") == body("http://x/rerank") == texts
    # A host named like a version is none.
    assert parse_form("http://v1").path == "/rerank"
    assert parse_form("http://v1/v2").root.base == "http://v1"


@pytest.mark.parametrize(
    "path",
    ["/v1/reranks", "/V1", "/v1beta/rerank", "/v1/chat/completions", "/Rerank", "/v1.1",
     "/v1/scores", "/chat/completions", "/v1/embeddings", "/tei/V1/rerank"],
)  # fmt: skip
def test_the_path_of_no_form_is_refused(path: str) -> None:
    with pytest.raises(ModelError, match=f"at '{path}', .*ends in /v1 or /v1/rerank .* TEI$"):
        parse_form(f"http://localhost:8000{path}")


@pytest.mark.parametrize(
    ("path", "root", "called"),
    [("/tei/rerank", "/tei", "/rerank"), ("/tei", "/tei", "/rerank"), ("", "", "/rerank"),
     ("/bge-reranker-v2-m3", "/bge-reranker-v2-m3", "/rerank"), ("/api/v1", "/api", "/v1/rerank"),
     ("/v1/gateway/v2/rerank", "/v1/gateway", "/v2/rerank"), ("/vllm/score", "/vllm", "/score")],
)  # fmt: skip
def test_a_server_may_stand_behind_a_prefix(path: str, root: str, called: str) -> None:
    form = parse_form(f"http://localhost:8000{path}")
    assert (form.root.base, form.path) == (f"http://localhost:8000{root}", called)


def test_equal_texts_are_sent_once() -> None:
    reranker = Reranker()
    answers, _ = score(reranker, ["a", "b", "a", "a"])
    assert reranker.calls[0][1]["documents"] == ["a", "b"]
    assert [answer.loglikelihoods[0] for answer in answers] == pytest.approx(odds("abaa"))


@pytest.mark.parametrize("most", [1, 3, 32])
def test_a_server_that_takes_fewer_texts_is_sent_fewer(most: int) -> None:
    reranker, texts = Reranker(most=most), [str(number) for number in range(250)]

    async def go(url: str) -> list[Answer]:
        model = RerankServer("m", base_url=url)
        requests = [Request("q", passage=text) for text in texts]
        answers, _ = await model.answer_together(requests)
        assert model.requests_per_call <= most < 2 * model.requests_per_call + 1
        assert [len(await again(model, part)) for part in (requests[:40], requests[:1])] == [40, 1]
        await model.close()
        return answers

    async def again(model: RerankServer, requests: Sequence[Request]) -> list[Answer]:
        return (await model.answer_together(requests))[0]

    with ProtocolServer(reranker) as server:
        answers = asyncio.run(go(server.url))
        # Halving finds the size once; later calls keep to it.
        assert server.calls - len(reranker.calls) <= 7
    assert [answer.loglikelihoods[0] for answer in answers] == pytest.approx(odds(texts))
    assert max(reranker.sizes) <= most


def test_probabilities_of_0_and_1_are_finite() -> None:
    chances = iter([0.0, 1.0, 1 + 1e-7, -1e-9, 1e-20, 0.5])
    answers, _ = score(Reranker(lambda *_: next(chances)), TEXTS[:6])
    found = [answer.loglikelihoods[0] for answer in answers]
    assert found[0] == found[3] == found[4] == pytest.approx(-34.539, abs=1e-3)
    assert found[1] == found[2] == pytest.approx(34.539, abs=0.1)
    assert found[5] == 0


def test_what_is_no_probability_is_refused_unless_it_is_said_to_be_none() -> None:
    values = dict(zip(TEXTS, [-3.0, 0.5, 7.25, *map(float, range(7))], strict=True))
    reranker = Reranker(lambda _, text: values[text])
    message = refusal(reranker)
    assert "a score of -3 is no probability" in message
    assert '`extra_body` {"raw_scores": true}' in message
    settings = ServerSettings(extra_body={"raw_scores": True, "user": "u"})
    answers, _ = score(reranker, settings=settings)
    assert [answer.loglikelihoods[0] for answer in answers] == list(values.values())
    # Only TEI knows the field.
    assert "raw_scores" not in reranker.calls[-1][1]
    assert reranker.calls[-1][1]["user"] == "u"


@pytest.mark.parametrize(
    ("scores", "warning"),
    [
        ([0.25] * 10, "m gives 10 passages of a query the same score, 0.25"),
        ([1.0] * 3 + [0.5] * 7, "m gives 3 passages of a query a score of 1"),
        ([1.0] * 2 + [0.5] * 8, ""),
    ],
)
def test_scores_that_rank_nothing_are_told(
    scores: list[float], warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    by_text = dict(zip(TEXTS, scores, strict=True))
    score(Reranker(lambda _, text: by_text[text]))
    assert [record.getMessage()[: len(warning)] for record in caplog.records] == (
        [warning] if warning else []
    )


def test_tei_can_be_asked_for_probabilities() -> None:
    def respond(_: str, body: Body) -> Reply:
        assert body["raw_scores"] is False
        return reply([{"index": 0, "score": 0.75}])

    settings = ServerSettings(extra_body={"raw_scores": False})
    ((answer,), _) = score(respond, ["a"], "", settings=settings)
    assert answer.loglikelihoods == pytest.approx((math.log(3),))


@pytest.mark.parametrize("value", ["NaN", "null", "Infinity", "-Infinity"])
@pytest.mark.parametrize("path", ["/v1", ""])
def test_what_is_no_number_is_left_to_the_guard(value: str, path: str) -> None:
    rows = f'[{{"index": 1, "score": 0.5}}, {{"index": 0, "score": {value}}}]'
    content = rows if not path else f'{{"results": {rows}}}'
    answers, _ = score(lambda _, __: Reply(200, content.encode()), TEXTS[:2], path)
    assert math.isnan(answers[0].loglikelihoods[0])
    assert [answer.problem for answer in answers] == ["unscored", ""]
    assert answers[1].loglikelihoods == (0.5 if not path else 0.0,)


def test_what_is_no_number_is_no_tie(caplog: pytest.LogCaptureFixture) -> None:
    rows: list[Any] = [{"index": index, "score": None} for index in range(5)]
    score(lambda _, __: reply(rows), ["a", "b", "c", "d", "e"], "")
    assert not caplog.text


def test_requests_of_another_kind_are_refused() -> None:
    async def go(*requests: Request) -> None:
        model = RerankServer("m", base_url="http://localhost:1/v1")
        try:
            await model.answer_together(requests)
        finally:
            await model.close()

    with pytest.raises(ModelError, match="m is a reranker: it scores passages"):
        asyncio.run(go(Request("Which?", max_tokens=3)))
    with pytest.raises(ValueError, match="about one query"):
        asyncio.run(go(Request("p", passage="a"), Request("q", passage="a")))


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ({"documents": []}, "must not hold documents"),
        ({"query": "x"}, "must not hold query"),
        ({"raw_scores": "yes"}, "raw_scores must be true or false"),
    ],
)
def test_the_question_cannot_be_changed(extra: Body, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        RerankServer("m", base_url="http://x", settings=ServerSettings(extra_body=extra))


@pytest.mark.parametrize(
    ("host", "variable"),
    [
        ("api.cohere.com", "CO_API_KEY"),
        ("api.cohere.com", "COHERE_API_KEY"),
        ("api.jina.ai", "JINA_API_KEY"),
        ("notcohere.com", "OPENAI_API_KEY"),
        ("jina.ai.example", "OPENAI_API_KEY"),
    ],
)
def test_a_providers_key_goes_to_the_provider_alone(
    host: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "a-key-of-the-user")
    address = parse_form(f"https://{host}/v2").root
    assert next(name for name in address.keys if name in (variable, "OPENAI_API_KEY")) == variable
    assert ("OPENAI_API_KEY" in address.keys) == (variable == "OPENAI_API_KEY")


def test_the_key_is_sent_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        ProtocolServer(Reranker(), rate=0.5, faults=("429", "500", "error")) as server,
    ):
        model = load_server("rerank:m", base_url=server.url)
        assert isinstance(model, RerankServer)
        asyncio.run(_answer_all(model))
        assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    assert KEY not in caplog.text + repr(vars(model)) + model.fingerprint


async def _answer_all(model: RerankServer) -> None:
    for text in TEXTS[:3]:
        await model.answer(Request("q", passage=text))
    await model.close()


def test_a_fingerprint_changes_with_what_may_change_scores() -> None:
    def fingerprint(url: str = "http://x/v1", name: str = "m", **settings: Any) -> str:
        return RerankServer(name, base_url=url, settings=ServerSettings(**settings)).fingerprint

    different = [
        fingerprint(),
        fingerprint(name="n"),
        fingerprint("http://y/v1"),
        fingerprint(extra_body={"raw_scores": True}),
        fingerprint(model_id="i"),
    ]
    assert len(set(different)) == 5
    assert fingerprint() == fingerprint("http://x/v1/rerank/")
    assert fingerprint(model_id="i") == fingerprint("http://y", model_id="i")


@pytest.mark.parametrize("path", ["/v1", ""])
def test_the_weights_are_asked_for_where_the_server_tells(path: str) -> None:
    listed = {"data": [{"id": "m", "root": "bge"}]}

    async def opened(url: str) -> str:
        model = RerankServer("m", base_url=url)
        await model.open()
        await model.close()
        return model.fingerprint

    with ProtocolServer(Reranker(), models=listed) as server:
        url = server.url.removesuffix("/v1") + path
        plain = RerankServer("m", base_url=url).fingerprint
        found = asyncio.run(opened(url))
    assert found.startswith(plain)
    # A server of TEI's form is asked for /info, which this one has not.
    assert (found != plain) == (path == "/v1")


def test_texts_are_counted_and_cut_by_an_estimate() -> None:
    model = RerankServer("m", base_url="http://x")
    assert model.context_length > 100_000
    assert model.length(Request("a" * 30, passage="b" * 60)) == 10 + 20 + 4
    assert model.truncate("a" * 100, 10) == "a" * 30
    assert model.escape("</s>") == "< /s>"
    assert model.tokens_counted_by == "estimate"
    assert model.choices_read_from == "log-odds of /rerank"
