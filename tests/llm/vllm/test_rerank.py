"""Reranking by a model in vLLM: the journal, stages and a reranker's threads, by a fake vLLM."""

import json
from pathlib import Path
from typing import Any

import pytest

from rankprompt import Reranker
from rankprompt.errors import InputError
from rankprompt.pipeline.rerank import run_rerank
from tests.configs import configure

TEXTS = ["The harbour is quiet.", "An old mill stands above the river.", "The boats are asleep."]
QUERY = "where are the boats"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The options that name a run of one query, with its texts."""
    names = {"queries": "queries.tsv", "docs": "docs.jsonl", "run": "run.trec"}
    paths = {name: tmp_path / file for name, file in names.items()}
    documents = [{"id": f"d{number}", "text": text} for number, text in enumerate(TEXTS)]
    lines = [f"q Q0 d{number} {number + 1} {9 - number} bm25" for number in range(len(TEXTS))]
    paths["queries"].write_text(f"q\t{QUERY}\n")
    paths["docs"].write_text("\n".join(map(json.dumps, documents)))
    paths["run"].write_text("\n".join(lines))
    return paths


def test_a_second_run_takes_all_from_the_journal_and_starts_no_engine(
    started: list[dict[str, Any]], llama: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    common = {**files, "dtype": "float32", "prompt": "prp", "method": "heapsort"}
    common["journal"] = tmp_path / "answers.journal"
    engine = {"engine_options": '{"max_num_seqs": 4}', "tensor_parallel": 2}
    model = {"model": f"vllm:{llama}", **engine}
    models: dict[str, dict[str, Any]] = {
        "first": model,
        "again": model,
        "local": {"model": str(llama)},
    }
    manifests, rankings = {}, {}
    for name, options in models.items():
        output = tmp_path / f"{name}.trec"
        manifests[name] = run_rerank(configure(**common, **options, output=output))
        rankings[name] = [line.split()[2] for line in output.read_text().splitlines()]
    assert rankings["again"] == rankings["first"] == rankings["local"]
    assert len(started) == 1
    first, again, local = (manifests[name]["costs"] for name in models)
    assert first["prompts"] == local["prompts"] > 0  # two engines share no answers
    assert (again["prompts"], again["prompts_from_journal"]) == (0, first["prompts"])
    assert manifests["first"]["model"]["dtype"] == "float32"


def test_a_reranker_shares_one_engine(started: list[dict[str, Any]], llama: Path) -> None:
    options: dict[str, Any] = {"prompt": "prp", "dtype": "float32"}
    with (
        Reranker(f"vllm:{llama}", method="allpair", **options) as reranker,
        Reranker(str(llama), method="allpair", **options) as local,
    ):
        ranked = [document.index for document in reranker.rank(QUERY, TEXTS)]
        assert ranked == [document.index for document in local.rank(QUERY, TEXTS)]
        sliding = reranker.with_options(method="sliding")
        assert len(sliding.rank(QUERY, TEXTS)) == 3
    assert len(started) == 1


def test_a_stage_has_engine_options_of_its_own(started: list[dict[str, Any]], llama: Path) -> None:
    stages = [
        f"allpair:{llama}@3 prompt=prp dtype=float32",
        f"sliding:vllm:{llama}@2 prompt=prp dtype=float32 tensor_parallel=2",
    ]
    with Reranker(stages=stages) as reranker:
        assert len(reranker.rank(QUERY, TEXTS)) == 3
    assert [engine["tensor_parallel_size"] for engine in started] == [2]
    with pytest.raises(InputError, match=r"stage 1: .*tensor"):
        Reranker(stages=[f"{stages[0]} tensor_parallel=2"])
