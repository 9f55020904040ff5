"""Rankings through a server with the model's own tokens equal the local ones, texts cut."""

import json
from pathlib import Path
from typing import Any

import pytest

from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.rerank import run_rerank
from tests.configs import change, configure
from tests.llm import tiny
from tests.llm.openai.small_vllm import CHATML, SmallServer
from tests.servers.protocol import ProtocolServer

LENGTH = 1024
WORDS = tiny.tokenizer(template=CHATML)
METHODS: dict[str, dict[str, Any]] = {
    "prp": {"prompt": "prp", "method": "allpair", "decide": "soft"},
    "setwise": {"prompt": "setwise", "method": "setwise-heapsort"},
    "listwise": {"prompt": "listwise", "method": "listwise", "set_size": 3, "step": 2},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tiny.llama(max_position_embeddings=LENGTH)
    return tiny.save(tmp_path_factory.mktemp("tiny"), model, WORDS)


@pytest.fixture
def config(tmp_path: Path, folder: Path) -> RerankConfig:
    texts = [*tiny.SENTENCES, " ".join(tiny.SENTENCES), "Boats. " * 90]
    lines = [json.dumps({"id": f"d{n}", "text": text}) for n, text in enumerate(texts)]
    (tmp_path / "docs.jsonl").write_text("\n".join(lines))
    (tmp_path / "queries.tsv").write_text("q1\twhere are the boats\n")
    run = "".join(f"q1 Q0 d{n} {n + 1} {9 - n} first\n" for n in range(len(texts)))
    (tmp_path / "run.trec").write_text(run)
    return configure(
        run=tmp_path / "run.trec",
        queries=tmp_path / "queries.tsv",
        docs=tmp_path / "docs.jsonl",
        model=str(folder),
        dtype="float32",
        passage_tokens=12,
    )


def order(config: RerankConfig, output: Path, **options: Any) -> tuple[list[str], str | None]:
    """The ranking, and what counted the tokens."""
    manifest = run_rerank(change(config, output=output, **options))
    assert manifest["passages_cut"] >= 6
    return (
        [line.split()[2] for line in output.read_text().splitlines()],
        manifest["model"]["tokens_counted_by"],
    )


@pytest.mark.parametrize("name", METHODS)
def test_rankings_through_a_server_equal_the_local_ones(
    config: RerankConfig, folder: Path, tmp_path: Path, name: str
) -> None:
    config = change(config, **METHODS[name])
    expected, counted = order(config, tmp_path / "local.trec")
    assert counted is None
    model = tiny.llama(max_position_embeddings=LENGTH)
    with ProtocolServer(SmallServer(WORDS, model=model, context=LENGTH), tokenizes=True) as server:
        config = change(config, model="openai:m", base_url=server.url, dtype="auto")
        assert order(config, tmp_path / "server.trec") == (expected, "server")
        asked = order(config, tmp_path / "folder.trec", tokenizer=str(folder))
        assert asked == (expected, f"tokenizer {folder}")


def test_an_estimate_is_said_and_in_the_manifest(
    config: RerankConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ProtocolServer(SmallServer(WORDS, ""), tokenizes=True) as server:
        config = change(
            config, model="openai:m", base_url=server.url, dtype="auto", prompt="prp", limit=1
        )
        _, counted = order(config, tmp_path / "out.trec")
    assert counted == "estimate"
    assert "texts are cut by an estimate" in caplog.text
