"""A real vLLM ranks as the local engine does: `make test-vllm`; no other target runs this."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from rankprompt.errors import ModelError
from rankprompt.files import read_run
from rankprompt.llm import load_model, load_server
from rankprompt.llm.base import Answer, Request
from rankprompt.llm.embedded import converted_folder
from rankprompt.llm.openai.settings import ServerSettings
from rankprompt.llm.rerankers.server import RerankServer
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.rerank import run_rerank
from tests.configs import change, configure
from tests.servers.classifier import LENGTH, TEXTS, save_classifier, small_config
from tests.servers.protocol import ProtocolServer, Reply
from tests.servers.vllm_process import running_vllm

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(3600)]

METHODS: dict[str, dict[str, Any]] = {
    "query likelihood": {"prompt": "query-likelihood", "method": "pointwise"},
    "listwise": {"prompt": "listwise", "method": "listwise"},
    "setwise": {"prompt": "setwise", "method": "setwise-heapsort", "k": 1},
    "prp": {"prompt": "prp", "method": "heapsort", "k": 1},
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("vllm")
    with running_vllm(folder, converted_folder(), "smol", "--max-model-len", "2048") as address:
        yield address


@pytest.fixture
def config(data: Path) -> RerankConfig:
    folder = data / "dl19"
    return configure(
        run=folder / "run.bm25.trec",
        queries=folder / "queries.tsv",
        docs=folder / "docs.jsonl",
        depth=10,
        limit=10,
        passage_tokens=64,
        model="smollm2-135m",
        dtype="float32",
        threads=1,
    )


def ranked(config: RerankConfig, output: Path, **options: Any) -> dict[str, list[str]]:
    """Reranks, prints what it cost, and reads the rankings."""
    began = time.perf_counter()
    done = run_rerank(change(config, output=output, **options))
    seconds = time.perf_counter() - began
    assert done["diagnostics"]["unreadable"] == 0
    print(f"{output.stem}: {json.dumps(done['costs'])}, {seconds:.0f} s")  # noqa: T201
    return {query: list(scores) for query, scores in read_run(output).items()}


@pytest.mark.parametrize("name", METHODS)
def test_rankings_through_the_server_equal_the_local_ones(
    url: str, config: RerankConfig, tmp_path: Path, name: str
) -> None:
    config = change(config, **METHODS[name])
    local = ranked(config, tmp_path / "local.trec")
    assert len(local) == 10
    assert all(len(documents) >= 10 for documents in local.values())
    config = change(
        config,
        model="openai:smol",
        base_url=url,
        dtype="auto",
        threads=None,
        journal=tmp_path / "server.journal",
    )
    served = ranked(config, tmp_path / "tokenizer.trec", tokenizer="smollm2-135m")
    assert served == local
    # The server's own /tokenize cuts every text alike: the journal holds all prompts.
    assert ranked(config, tmp_path / "tokenize.trec") == local
    manifests = [
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("tokenizer", "tokenize")
    ]
    assert [one["model"]["tokens_counted_by"] for one in manifests] == [
        "tokenizer smollm2-135m",
        "server",
    ]
    assert manifests[0]["costs"]["prompts"] > 0
    assert manifests[1]["costs"]["prompts"] == 0


def test_thinking_switched_off_is_seen_in_the_request(
    url: str, config: RerankConfig, tmp_path: Path
) -> None:
    arrived: list[tuple[str, dict[str, Any]]] = []

    def forward(path: str, body: dict[str, Any]) -> Reply:
        arrived.append((path, body))
        answer = httpx.post(url.removesuffix("/v1") + path, json=body, timeout=600)
        return Reply(answer.status_code, answer.content)

    with ProtocolServer(forward, tokenizes=True) as proxy:
        config = change(
            config,
            depth=2,
            limit=1,
            model="openai:smol",
            base_url=proxy.url,
            dtype="auto",
            threads=None,
        )
        ranked(change(config, **METHODS["prp"], thinking="off"), tmp_path / "run.trec")
    chats = [body for path, body in arrived if path.endswith("/chat/completions")]
    assert chats
    assert all(body["chat_template_kwargs"] == {"enable_thinking": False} for body in chats)


def test_written_answers_are_restricted_to_the_choices(
    url: str, config: RerankConfig, tmp_path: Path
) -> None:
    config = change(
        config, depth=3, limit=2, model="openai:smol", base_url=url, dtype="auto", threads=None
    )
    output = tmp_path / "run.trec"
    ranked(change(config, **METHODS["prp"], mode="generation", decide="soft"), output)
    manifest = json.loads(output.with_suffix(".json").read_text())
    assert manifest["model"]["choices_read_from"] == "structured answers"


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="module")
def reranker(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("vllm-reranker")
    with running_vllm(folder, classifier, "tiny", "--runner", "pooling") as address:
        yield address.removesuffix("/v1")


@pytest.mark.parametrize("path", ["/v1", "/v2/rerank", "/score"])
def test_a_served_classifier_scores_and_ranks_as_the_local_one(
    reranker: str, classifier: Path, tmp_path: Path, path: str
) -> None:
    config = small_config(tmp_path, classifier)
    local = ranked(config, tmp_path / "local.trec")
    served = change(config, model="rerank:tiny", base_url=reranker + path)
    whole = ranked(served, tmp_path / "tokenizer.trec", tokenizer=str(classifier))
    assert whole == local
    assert local["q1"] != [f"d{number}" for number in range(len(TEXTS))]
    # The server's own /tokenize cuts alike.
    cut = change(config, passage_tokens=40)
    assert ranked(
        change(cut, model="rerank:tiny", base_url=reranker + path),
        tmp_path / "tokenize.trec",
    ) == ranked(cut, tmp_path / "cut.trec")
    manifest = json.loads((tmp_path / "tokenizer.json").read_text())
    assert manifest["costs"]["model_batches"] == len(local) == 3
    requests = [Request("where are the boats", passage=text) for text in TEXTS[:6]]
    expected, _ = load_model(str(classifier), threads=1).answer(requests)
    answers = asyncio.run(_answer(reranker + path, requests))
    raw = ServerSettings(extra_body={"use_activation": False, "raw_scores": True})
    unsquashed = asyncio.run(_answer(reranker + path, requests, raw))
    for found in (answers, unsquashed):
        assert [one.loglikelihoods[0] for one in found] == pytest.approx(
            [one.loglikelihoods[0] for one in expected], abs=1e-4
        )


async def _answer(
    url: str, requests: list[Request], settings: ServerSettings | None = None
) -> list[Answer]:
    model = load_server("rerank:tiny", base_url=url, settings=settings)
    assert isinstance(model, RerankServer)
    try:
        await model.open()
        assert " of " in model.fingerprint
        assert model.context_length == LENGTH
        answers, usage = await model.answer_together(requests)
    finally:
        await model.close()
    assert usage.tokens > 6 * 10
    return answers


def test_a_text_that_is_too_long_for_the_server_is_told(reranker: str) -> None:
    with pytest.raises(ModelError, match="a prompt is too long; lower `passage_tokens`"):
        asyncio.run(_answer(f"{reranker}/v1", [Request("q", passage="boats " * 500)]))
