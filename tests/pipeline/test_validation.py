from pathlib import Path
from typing import Any

import pytest

from rankprompt.errors import InputError
from rankprompt.pipeline.validation import validate
from rankprompt.rankers import RankerSettings
from rankprompt.types import SetwiseQuestion
from tests.configs import change, configure

JOBS: dict[str, dict[str, Any]] = {
    "default": {},
    "oracle": {"model": "oracle:qrels.trec", "noise": 0.2},
    "setwise oracle": {"model": "oracle:qrels.trec", "method": "setwise-heapsort"},
    "prompt of one passage": {"prompt": "query-likelihood", "model": "smollm2-135m"},
    "reranker": {},
    "listwise": {"method": "listwise", "model": "org/model"},
    "server": {"model": "openai:gpt", "base_url": "http://localhost:1/v1"},
    "stages": {"method": "heapsort,allpair@20", "model": "org/model"},
    "cascade of a language model": {"method": "cascade", "teacher": "llm:org/model"},
    "instruction": {"prompt": "qwen3-reranker", "instruction": "Find {mills}", "model": "a/b"},
    "pairs of grades": {"prompt": "mxbai-rerank-v2", "method": "heapsort", "model": "a/b"},
    "duoT5": {"prompt": "duot5", "method": "allpair", "model": "a/b"},
    "windows": {"cascade": "bm25", "model": "org/model"},
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    names = {"run": "run.trec", "queries": "q.tsv", "docs": "d.jsonl", "output": "out.trec"}
    return {name: tmp_path / file for name, file in names.items()}


@pytest.mark.parametrize("name", JOBS)
def test_a_validated_configuration_is_valid_and_stays_as_it_is(
    files: dict[str, Path], name: str
) -> None:
    job = validate(configure(**files, **JOBS[name]))
    assert validate(job.config) == job


def test_a_job_has_what_its_fields_stand_for(files: dict[str, Path]) -> None:
    job = validate(configure(**files, **JOBS["setwise oracle"], k=3, set_size=5, seed=2))
    assert (job.source, job.model, job.prompt) == ("oracle", "qrels.trec", None)
    assert job.question is SetwiseQuestion
    assert job.settings == RankerSettings(k=3, passes=3, set_size=5, seed=2)
    assert (job.config.judge.decide, job.config.output.journal) == (None, None)
    server = validate(configure(**files, **JOBS["server"], max_prompts=4, price_in=1.0))
    assert (server.source, server.model) == ("server", "gpt")
    assert server.budget.limited
    assert server.prompt is not None
    assert server.prompt.name == server.config.judge.prompt == "prp"
    assert server.config.output.journal == files["output"].with_suffix(".journal")


def test_an_instruction_is_part_of_the_prompt_that_a_judge_or_a_teacher_gets(
    files: dict[str, Path],
) -> None:
    job = validate(configure(**files, **JOBS["instruction"]))
    assert job.prompt is not None
    assert "<Instruct>: Find {{mills}}\n" in str(job.prompt.text)
    assert (job.config.judge.instruction, job.config.ranker.method) == ("Find {mills}", "pointwise")
    teacher = {"method": "cascade", "teacher": "llm:a/b", "prompt": "qwen3-reranker"}
    job = validate(configure(**files, **teacher, instruction="Find mills"))
    assert job.prompt is not None
    assert "<Instruct>: Find mills\n" in str(job.prompt.text)


def test_options_of_a_local_model_play_no_part_behind_a_server(files: dict[str, Path]) -> None:
    servers: tuple[dict[str, Any], ...] = (
        {"model": "openai:m", "base_url": "http://x"},
        {"model": "rerank:m", "base_url": "http://x/v1"},
    )
    for server in servers:
        for name, value in LOCAL.items():
            problem = f"`{name}` plays no part in `model` {server['model']}, which"
            with pytest.raises(InputError, match=problem):
                validate(configure(**files, **server, **{name: value}))


def test_both_orders_are_concluded_as_suits_the_prompt(files: dict[str, Path]) -> None:
    for prompt, given, found in (
        ("duot5", None, "soft"),
        ("duot5", "agreement", "agreement"),
        ("prp", None, "agreement"),
        ("qwen3-reranker", None, "soft"),
    ):
        options = {"prompt": prompt, "method": "heapsort", "decide": given, "model": "a/b"}
        assert validate(configure(**files, **options)).config.judge.decide == found


LOCAL = {
    "dtype": "float16", "device": "cpu", "batch_tokens": 10, "threads": 1,
    "trust_remote_code": True, "revision": "main", "adapter": "folder", "quantize": "4bit",
    "attention": "eager", "tensor_parallel": 2, "engine_options": "{}",
}  # fmt: skip


def test_fields_are_named_and_no_flags(files: dict[str, Path]) -> None:
    for options, problem in (
        ({"output": None}, "give `output`"),
        ({"set_size": 1}, "`set_size` must be at least 2, not 1"),
        ({"order": "twice"}, "unknown order 'twice'"),
        ({"ray": "local", "max_prompts": 3}, "`ray` knows no budget"),
        ({"base_url": "http://x"}, "`base_url` goes with `model` openai:MODEL"),
        ({"run": Path("a\0b")}, r"`run` must hold no NUL character, as in 'a\\x00b'"),
        ({"dataset": "beir:a\0b"}, "`dataset` must hold no NUL"),
        ({"output": Path("\0")}, "`output` must hold no NUL"),
        ({"model": "oracle:a\0"}, "`model` must hold no NUL"),
        ({"instruction": "x"}, "`instruction` plays no part: `prompt` .* has no slot"),
        ({"instruction": "x", "model": "cross-encoder:a/b"}, "`prompt` relevance has no slot"),
        ({"instruction": "x", "model": "oracle:q"}, "`instruction` goes with a model; an oracle"),
        ({"instruction": "x", "method": "cascade"}, "`instruction` plays no part in `method`"),
        (
            {"prompt": "qwen3-reranker", "method": "setwise-heapsort", "model": "a/b"},
            "`prompt` qwen3-reranker is of kind grades",
        ),
        (
            {"prompt": "relevance-labels", "method": "heapsort", "model": "a/b"},
            "`prompt` relevance-labels is of kind grades",
        ),
        ({"model": "cross-encoder:rerank:x"}, "cross-encoder:rerank:x has two prefixes"),
        ({"model": "local:openai:x"}, "`model` local:openai:x has two prefixes; write openai:x"),
        ({"model": "cross-encoder:smollm2-135m"}, "smollm2-135m is a language model, and no class"),
        ({"tokenizer": "folder"}, "`tokenizer` goes with a language model, local or openai:MODEL"),
        ({"adapter": "folder"}, "`adapter` goes with a language model, and `model` ms-marco-"),
        ({"attention": "flash"}, "unknown attention 'flash'"),
        ({"quantize": "4bit", "model": "vllm:a/b"}, "`quantize` plays no part in `model` vllm:ID"),
        ({"tensor_parallel": 2}, "`tensor_parallel` goes with `model` vllm:ID"),
        ({"engine_options": "{}", "model": "oracle:q"}, "`engine_options` goes with"),
        ({"engine_options": "[]", "model": "vllm:a/b"}, "`engine_options` is a JSON object"),
        ({"threads": 2, "model": "vllm:a/b"}, "`threads` plays no part in `model` vllm:ID"),
        ({"model": "vllm:"}, "`model` vllm:: write a folder or a hub id after the colon"),
        ({"model": "vllm:m.gguf"}, "`model` vllm:m.gguf: vLLM reads folders and hub ids"),
        ({"model": "vllm:no/such/folder"}, "no such file or folder"),
    ):
        with pytest.raises(InputError, match=problem) as raised:
            validate(change(configure(**files), **options))
        assert "--" not in str(raised.value)
