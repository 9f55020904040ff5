"""Rerankers by prompt from the command line, on this machine and behind a server."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.cli.conftest import Collection, Command
from tests.llm.tiny_rerankers import mxbai_rerank, qwen3_reranker, save_reranker
from tests.servers.protocol import ProtocolServer

Body = dict[str, Any]


class CompletionServer:
    """Lists what a tiny model thinks of a few tokens after a prompt, as vLLM's completions do."""

    def __init__(self, folder: Path, tokens: tuple[str, ...]) -> None:
        auto: Any = AutoModelForCausalLM
        self._model = auto.from_pretrained(folder, dtype=torch.float32).eval()
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self._tokens = tokens
        self.prompts: list[str] = []

    @torch.inference_mode()
    def __call__(self, path: str, body: Body) -> Body:
        assert path == "/v1/completions"
        self.prompts.append(body["prompt"])
        ids = torch.tensor([self._tokenizer(body["prompt"]).input_ids])
        logprobs = self._model(input_ids=ids).logits[0, -1].log_softmax(-1)
        listed = {one: float(logprobs[self._tokenizer.vocab[one]]) for one in self._tokens}
        # Other spellings than what the reranker was trained to write do not count.
        listed |= {" yes": -2.0, "Yes": -2.5, "No": -3.0, " 1": -1.8}
        best = max(listed, key=lambda one: listed[one])
        choice = {
            "text": best,
            "finish_reason": "length",
            "logprobs": {
                "tokens": [best],
                "token_logprobs": [listed[best]],
                "top_logprobs": [listed],
                "text_offset": [0],
            },
        }
        usage = {"prompt_tokens": ids.shape[1], "completion_tokens": 1}
        return {"object": "text_completion", "choices": [choice], "usage": usage}


@pytest.mark.parametrize("method", ["pointwise", "heapsort"])
@pytest.mark.parametrize(
    ("prompt", "family", "options", "write"),
    [
        ("qwen3-reranker", "qwen3", ("yes", "no"), qwen3_reranker),
        ("mxbai-rerank-v2", "qwen2", ("1", "0"), mxbai_rerank),
    ],
)
def test_a_server_is_sent_the_raw_text_and_ranks_as_the_local_model(
    prompt: str,
    family: str,
    options: tuple[str, ...],
    write: Any,
    method: str,
    command: Command,
    collection: Collection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RANKPROMPT_API_KEY", "k")
    folder = save_reranker(collection.folder / family, family)
    how = {"prompt": prompt, "instruction": "Find {salt}.", "method": method}
    local = command(*collection.rerank(model=folder, dtype="float32", threads=1, **how))
    assert local.code == 0, local.err
    expected = collection.output.read_text()
    respond = CompletionServer(folder, options)
    with ProtocolServer(respond) as server:
        served = {"model": "openai:m", "base_url": server.url, **how}
        fresh = {"output": collection.folder / "served.trec"}
        ran = command(*collection.rerank(**{**served, **fresh}))
        assert ran.code == 0, ran.err
    assert [line.split()[:4] for line in fresh["output"].read_text().splitlines()] == [
        line.split()[:4] for line in expected.splitlines()
    ]
    assert len(respond.prompts) == 6
    assert write("why is the sea salt", "The sea is wide.", "Find {salt}.") in respond.prompts
    manifest = json.loads(fresh["output"].with_suffix(".json").read_text())
    assert manifest["config"]["judge"]["instruction"] == "Find {salt}."
    assert "Find {{salt}}." in manifest["model"]["prompt"]["text"]
    again = ("rerank", "--from", collection.output.with_suffix(".json"))
    assert command(*again).code == 0
    assert collection.output.read_text() == expected


def test_a_model_of_another_family_is_one_line(command: Command, collection: Collection) -> None:
    folder = save_reranker(collection.folder / "t5", "t5")
    for method in ("pointwise", "heapsort"):
        words = collection.rerank(
            model=folder, prompt="qwen3-reranker", method=method, dtype="float32", threads=1
        )
        ran = command(*words)
        assert ran.code == 2
        assert "--prompt qwen3-reranker is written for other models: <|im_start|> is no" in ran.err
        assert not collection.output.exists()


@pytest.mark.parametrize("prompt", ["monot5", "duot5"])
def test_encoder_decoders_rank(prompt: str, command: Command, collection: Collection) -> None:
    folder = save_reranker(collection.folder / "t5", "t5")
    ran = command(*collection.rerank(model=folder, prompt=prompt, dtype="float32", threads=1))
    assert ran.code == 0, ran.err
    judge = json.loads(collection.output.with_suffix(".json").read_text())["config"]["judge"]
    assert judge["decide"] == {"monot5": None, "duot5": "soft"}[prompt]


def test_plan_prices_a_reranker(command: Command, collection: Collection) -> None:
    folder = save_reranker(collection.folder / "qwen3", "qwen3")
    words = collection.rerank(
        "--json", model=folder, prompt="qwen3-reranker", instruction="so", dtype="float32"
    )
    place = words.index("--output")
    ran = command("plan", *words[1:place], *words[place + 2 :])
    assert ran.code == 0, ran.err
    planned = json.loads(ran.out)
    assert planned["settings"]["instruction"] == "so"
    prompts = {row["method"]: row["prompts"] for row in planned["methods"]}
    # Each passage is read once, whatever it is compared with.
    assert prompts["pointwise"] == prompts["heapsort"] == prompts["allpair"] == 6
