"""A command that the journal answers whole loads neither the weights nor torch.

The same run, journal and model; what must not load torch is a process of its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rankprompt.cli.app import app
from tests.llm import tiny

PROGRAM = """
import sys
from rankprompt.cli import main
try:
    main()
finally:
    print("torch" in sys.modules)
"""
PASSAGES = {
    "d1": "The harbour is quiet in the morning.",
    "d2": "An old mill stands above the river; its wheel has not turned for years. " * 20,
    "d3": "The boats are still asleep. </s>",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RANKPROMPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    words = tiny.tokenizer(template=tiny.TEMPLATE)
    network = tiny.llama(max_position_embeddings=512)
    tiny.save(tmp_path / "model", network, words)
    (tmp_path / "queries.tsv").write_text("q1\twhere is the mill\nq2\tis the harbour quiet\n")
    lines = (json.dumps({"id": name, "text": text}) for name, text in PASSAGES.items())
    (tmp_path / "docs.jsonl").write_text("\n".join(lines) + "\n")
    ranks = [
        f"{query} Q0 {name} {rank} {-rank} first\n"
        for query in ("q1", "q2")
        for rank, name in enumerate(PASSAGES, 1)
    ]
    (tmp_path / "first.trec").write_text("".join(ranks))
    return tmp_path


def words(output: str, *options: str, of: str = "rerank") -> list[str]:
    files = ["--run", "first.trec", "--queries", "queries.tsv", "--docs", "docs.jsonl"]
    if of == "rerank":
        files += ["--output", output, "--journal", "answers.journal", "--keep-going"]
    return [of, *files, "--model", "model", "--quiet", *options]


def command(output: str, *options: str) -> Result:
    """Reranks in this process, which has loaded torch."""
    return CliRunner().invoke(app, words(output, *options))


def alone(output: str, *options: str, of: str = "rerank") -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own, which says at the end whether it loaded torch."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words(output, *options, of=of)],
        text=True, capture_output=True, timeout=300, check=False,
    )  # fmt: skip


def told(folder: Path, output: str) -> dict[str, Any]:
    """A manifest without what differs between two runs of a command."""
    manifest: dict[str, Any] = json.loads((folder / output).with_suffix(".json").read_text())
    del manifest["created"], manifest["output"]["path"], manifest["config"]["output"]
    return manifest


@pytest.mark.parametrize("options", [
    ["--prompt", "prp", "--method", "allpair"],
    ["--prompt", "query-likelihood", "--method", "pointwise"],
])  # fmt: skip
def test_the_run_and_the_manifest_are_the_same_without_weights(
    folder: Path, options: list[str]
) -> None:
    first = command("first-run.trec", *options)
    assert (first.exit_code, first.stdout) == (0, ""), first.stderr
    # Nothing that the second command reads from here is of use.
    weights = folder / "model" / "model.safetensors"
    before = weights.stat()
    weights.write_bytes(b"\xff" * before.st_size)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    again = alone("again.trec", *options)
    assert (again.returncode, again.stdout) == (0, "False\n"), again.stderr
    assert (folder / "again.trec").read_bytes() == (folder / "first-run.trec").read_bytes()
    one, two = told(folder, "first-run.trec"), told(folder, "again.trec")
    costs, new = one.pop("costs"), two.pop("costs")
    assert one == two
    assert new["prompts"] == new["model_batches"] == 0
    assert new["prompts_from_journal"] == costs["prompts"] > 0


def test_a_new_question_loads_the_weights_and_is_answered_as_ever(folder: Path) -> None:
    pairs = ["--prompt", "prp", "--method", "allpair"]
    assert command("half.trec", *pairs, "--depth", "2").exit_code == 0
    assert command("more.trec", *pairs).exit_code == 0
    costs = told(folder, "more.trec")["costs"]
    assert costs["model_batches"] > 0 < costs["prompts_from_journal"]
    (folder / "answers.journal").unlink()
    for path in (folder / "cache" / "model-facts").iterdir():
        path.unlink()
    assert command("whole.trec", *pairs).exit_code == 0
    assert (folder / "more.trec").read_bytes() == (folder / "whole.trec").read_bytes()


def test_weights_that_were_changed_in_place_are_one_line(folder: Path) -> None:
    pairs = ["--prompt", "prp", "--method", "allpair"]
    assert command("half.trec", *pairs, "--depth", "2").exit_code == 0
    weights = folder / "model" / "model.safetensors"
    before = weights.stat()
    other = tiny.save(folder / "other", tiny.llama(1, max_position_embeddings=512))
    weights.write_bytes((other / "model.safetensors").read_bytes())
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    changed = alone("more.trec", *pairs)
    assert changed.returncode == 2
    assert changed.stderr.count("\n") == 1
    assert "start the same command again, and it is read anew" in changed.stderr
    assert not (folder / "more.trec").exists()
    assert command("more.trec", *pairs).exit_code == 0


@pytest.mark.usefixtures("folder")
def test_a_plan_needs_no_weights_either() -> None:
    plan = ["--prompt", "prp", "--json", "--no-calibrate"]
    first = CliRunner().invoke(app, words("", *plan, of="plan"))
    again = alone("", *plan, of="plan")
    assert (first.exit_code, again.returncode) == (0, 0), first.stderr + again.stderr
    assert again.stdout == f"{first.stdout}False\n"
