"""``rankprompt cascade train``: the three stages, one after the other, on the sample collection."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rankprompt.cascade.students.ck import load_ck
from rankprompt.cli.cascade import cascade
from rankprompt.datasets.sample import sample
from rankprompt.errors import InputError, ModelError, UnknownNameError
from rankprompt.files import read_documents, read_queries, write_run
from rankprompt.retrieval.bm25 import bm25
from tests.cascade.toy_models import teacher as teacher  # a fixture


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, path = sample("en"), tmp_path_factory.mktemp("run") / "run.trec"
    queries, documents = read_queries(source / "queries.tsv"), read_documents(source / "docs.jsonl")
    found = bm25(queries, documents, depth=4)
    write_run(path, {query: list(scores) for query, scores in found.items()}, "bm25")
    return path


def train(run: Path, stage: str, teacher: Path | str, output: Path, *more: str) -> str:
    source = sample("en")
    words = [
        "--queries", str(source / "queries.tsv"), "--docs", str(source / "docs.jsonl"),
        "--qrels", str(source / "qrels.trec"), "--run", str(run),
        "--epochs", "1", *more,
    ]  # fmt: skip
    done = CliRunner().invoke(
        cascade,
        ["train", "--stage", stage, "--teacher", str(teacher), "--output", str(output), *words],
    )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_the_three_stages_follow_each_other(run: Path, teacher: Path, tmp_path: Path) -> None:
    one, two, three = tmp_path / "one", tmp_path / "two", tmp_path / "three"
    passages = train(run, "passages", teacher, one)
    assert "ndcg@10" in passages
    assert "documents cut" not in passages
    cut = ("--window", "20", "--tokens", "25")
    told = [
        train(run, "documents", one, two, *cut, "--top", "2"),
        train(run, "esm", two, three, "--encoder", str(two), *cut, "--channels", "8"),
    ]
    assert all(re.search(r"; \d+ documents cut; \d+ queries cut", one) for one in told)
    assert len(load_ck(three)("harbour", ["the mill", "the harbour"])) == 2
    for folder in (one, two, three):
        names = {path.name for path in folder.iterdir()}
        assert {"README.md", "curves.csv", "curves.svg", "checkpoint.safetensors"} <= names
    before = (three / "ck.safetensors").read_bytes()
    train(run, "esm", two, three, "--encoder", str(two), *cut, "--channels", "8")
    assert (three / "ck.safetensors").read_bytes() == before


def test_windows_of_whole_sentences_make_other_examples(
    run: Path, teacher: Path, tmp_path: Path
) -> None:
    cut = ("--window", "20", "--epochs", "1")
    train(run, "documents", teacher, tmp_path, *cut)
    with pytest.raises(InputError, match="a training with other settings or data"):
        train(run, "documents", teacher, tmp_path, *cut, "--window-unit", "sentences")


@pytest.mark.parametrize("stage", ["passages", "documents"])
def test_another_teacher_does_not_go_on_from_the_first_one_s_checkpoint(
    run: Path, teacher: Path, tmp_path: Path, stage: str
) -> None:
    train(run, stage, teacher, tmp_path / "out", "--epochs", "1")
    other = shutil.copytree(teacher, tmp_path / "other")
    settings = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**settings, "layer_norm_eps": 1e-9}))
    with pytest.raises(InputError, match="a training with other settings or data"):
        train(run, stage, other, tmp_path / "out", "--epochs", "1")


def test_what_cannot_be_used_is_refused(run: Path, teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'passages'"):
        train(run, "passage", teacher, tmp_path)
    with pytest.raises(InputError, match="needs `encoder`"):
        train(run, "esm", teacher, tmp_path)
    with pytest.raises(InputError, match="`window` must be at least 1, not 0"):
        train(run, "documents", teacher, tmp_path, "--window", "0")
    with pytest.raises(InputError, match="Known: paragraphs, sentences, tokens"):
        train(run, "documents", teacher, tmp_path, "--window-unit", "words")
    with pytest.raises(ModelError, match="cannot load the teacher"):
        train(run, "passages", tmp_path, tmp_path)
    with pytest.raises(InputError, match="`epochs` must be 1 or more"):
        train(run, "passages", teacher, tmp_path, "--epochs", "0")


def test_the_module_loads_nothing_heavy() -> None:
    script = "import sys, rankprompt.cli.cascade; assert not {'torch', 'numpy'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", script], check=True)
