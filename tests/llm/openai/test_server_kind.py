"""A server is told by what it says of itself, and is unknown where that does not agree."""

import asyncio
from typing import Any

import pytest

from rankprompt.llm.base import Request
from rankprompt.llm.openai.model import OpenAIModel
from rankprompt.llm.openai.settings import ServerSettings
from tests.llm.openai.calls import said
from tests.servers.protocol import ProtocolServer

Body = dict[str, Any]
WRITE = Request("Which?", max_tokens=7, chat=True)


def listed(owner: str, *names: str) -> Body:
    return {"data": [{"id": name, "object": "model", "owned_by": owner} for name in names]}


def served_by(models: Body | None, pages: Body, **settings: Any) -> tuple[str | None, ...]:
    """What the manifest says before the server is asked, after that, and after an answer."""

    async def go(url: str) -> tuple[str | None, ...]:
        model = OpenAIModel("m", base_url=url, settings=ServerSettings(**settings))
        try:
            told = [model.served_by]
            await model.open()
            told.append(model.served_by)
            await model.answer(WRITE)
            return (*told, model.served_by)
        finally:
            await model.close()

    with ProtocolServer(lambda *_: said("A"), models=models, pages=pages) as server:
        return asyncio.run(go(server.url))


VERSION = {"version": "0.32.0"}


@pytest.mark.parametrize(
    ("models", "pages", "told"),
    [
        (listed("vllm", "m"), {"/version": VERSION}, "vLLM 0.32.0"),
        (listed("sglang", "m"), {"/server_info": {"version": "0.5.9"}}, "SGLang 0.5.9"),
        (listed("sglang", "m"), {"/get_server_info": {"version": "0.4.6"}}, "SGLang 0.4.6"),
        # Its only model answers to any name.
        (listed("llamacpp", "f.gguf"), {"/props": {"build_info": "b60-ab"}}, "llama.cpp b60-ab"),
        (listed("library", "m", "n"), {"/api/version": {"version": "0.12.6"}}, "Ollama 0.12.6"),
        (listed("m", "m"), {"/info": {"version": "3.3.5"}}, "TGI 3.3.5"),
        # A gateway that hands on the list of models alone.
        (listed("vllm", "m"), {}, "unknown"),
        (listed("vllm", "m"), {"/version": {"version": 3}}, "unknown"),
        (listed("openai", "m"), {"/version": VERSION, "/info": VERSION}, "unknown"),
        ({"data": [*listed("vllm", "n")["data"], *listed("sglang", "o")["data"]]},
         {"/version": VERSION}, "unknown"),
        ({"data": []}, {"/info": VERSION}, "unknown"),
        ({"data": "?"}, {"/info": VERSION}, "unknown"),
        (None, {"/version": VERSION, "/info": VERSION}, "unknown"),
    ],
)  # fmt: skip
def test_the_manifest_says_which_program_serves(models: Body, pages: Body, told: str) -> None:
    assert served_by(models, pages) == (None, told, told)


def test_with_a_model_id_the_server_is_asked_no_sooner_than_a_prompt_needs_it() -> None:
    pages = {"/version": VERSION}
    assert served_by(listed("vllm", "m"), pages, model_id="mine") == (None, None, "vLLM 0.32.0")


def test_a_version_is_one_short_line() -> None:
    pages = {"/version": {"version": "1\n2" + "3" * 1000}}
    _, told, _ = served_by(listed("vllm", "m"), pages)
    assert told == "vLLM 1 2" + "3" * 57
