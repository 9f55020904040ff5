"""The examples of docs/configuration.md work as they are written."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.files import read_documents, read_queries, write_run
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_file import load_config
from rankprompt.pipeline.config_option import iterate_options
from rankprompt.retrieval import bm25

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")


def block(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


def test_the_table_names_every_option() -> None:
    named = set(re.findall(r"`--([a-z-]+)`", PAGE)) - {"from"}
    assert named == {one.name.replace("_", "-") for one in iterate_options(RerankConfig())}


def test_the_toml_example_is_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "job.toml").write_text(block("toml"))
    config = load_config(tmp_path / "job.toml")
    assert (config.seed, config.data.depth, config.model.name) == (1, 50, "openai:my-model")


def test_the_python_example_reranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("queries.tsv", "docs.jsonl", "qrels.trec"):
        shutil.copy(sample("en") / name, tmp_path)
    first = bm25(read_queries("queries.tsv"), read_documents("docs.jsonl"), depth=10)
    write_run("bm25.trec", {query: list(scores) for query, scores in first.items()}, tag="bm25")
    done = subprocess.run(
        [sys.executable, "-c", block("python")], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) > 100
    assert (tmp_path / "better.trec").exists()
