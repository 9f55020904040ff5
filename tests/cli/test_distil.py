"""``rankprompt distil``: from a command to a reranker."""

import json
import re
from pathlib import Path

import pytest

from rankprompt.files import read_run
from tests.cli.conftest import Command
from tests.cli.refusals import refused
from tests.distil.teaching import Lesson

SAMPLE = Path(__file__).parent.parent.parent / "rankprompt" / "datasets" / "sample" / "en"


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    monkeypatch.setenv("RANKPROMPT_CACHE", str(tmp_path / "cache"))
    return Lesson(tmp_path)


def texts(lesson: Lesson) -> list[object]:
    return [word for name, value in lesson.options.items() for word in (f"--{name}", value)]


def test_a_run_s_manifest_is_all_that_a_distillation_needs(
    command: Command, lesson: Lesson
) -> None:
    better, mine = lesson.folder / "better.trec", lesson.output
    asking = ["--model", lesson.student, "--prompt", "prp", "--method", "allpair"]
    assert command("rerank", *texts(lesson), *asking, "--output", better).code == 0
    manifest = lesson.folder / "better.json"
    ran = command("distil", "--from", manifest, "--student", lesson.student, "--output", mine)
    assert ran.code == 0, ran.err
    assert ran.err.splitlines()[-1].startswith(f"rankprompt: {mine}: a head on {lesson.student}, ")
    card = (mine / "README.md").read_text()
    assert f"from the journal {lesson.folder / 'better.journal'}" in card
    ranked = lesson.folder / "ranked.trec"
    ran = command("rerank", *texts(lesson), "--model", mine, "--output", ranked)
    assert ran.code == 0, ran.err
    told = json.loads((lesson.folder / "ranked.json").read_text())["model"]
    assert told["prompt"]["kind"] == "relevance"
    assert told["weights"].startswith("a head on layers 1, 2 of ")
    assert [len(scores) for scores in read_run(ranked).values()] == [8] * 4
    # A second run asks nothing, and a stage takes the folder, too.
    assert command("rerank", "--from", lesson.folder / "ranked.json").code == 0
    again = json.loads((lesson.folder / "ranked.json").read_text())
    assert again["costs"]["prompts"] == 0
    staged = ["--stage", f"pointwise:{mine}@4", "--output", lesson.folder / "staged.trec"]
    assert command("rerank", *texts(lesson), *staged).code == 0


def test_bad_input_is_one_line(command: Command, lesson: Lesson) -> None:
    mine: list[object] = ["--student", lesson.student, "--output", lesson.output]
    oracle: list[object] = [*texts(lesson), "--teacher", lesson.oracle, *mine]
    refused(command("distil", *oracle, "--pairs", 0), "--pairs must be at least 1")
    refused(command("distil", *oracle, "--pairs", 5), "it takes 20 pairs of two queries")
    refused(
        command("distil", *oracle, "--journal", lesson.folder / "a.journal"),
        "an oracle has no --journal",
    )
    refused(command("distil", *mine), "give --run, --queries, --docs, or a --dataset")
    refused(command("distil", *oracle, "--student-prompt", "prp"), "--student-prompt prp must show")
    lesson.output.mkdir()
    refused(command("distil", *oracle), "name another --output, or remove it")


def test_a_dry_run_counts_and_writes_nothing(command: Command, lesson: Lesson) -> None:
    before = {path.name for path in lesson.folder.iterdir()}
    teacher: list[object] = ["--teacher", lesson.student, "--prompt", "prp"]
    mine: list[object] = ["--student", lesson.student, "--output", lesson.output]
    ran = command("distil", *texts(lesson), *teacher, *mine, "--pairs", 40, "--dry-run")
    assert ran.code == 0, ran.err
    (said,) = ran.err.splitlines()
    assert "40 pairs of 4 queries; at most 80 prompts of" in said
    assert "passages of" in said
    assert {path.name for path in lesson.folder.iterdir()} - {"cache"} == before - {"cache"}


@pytest.mark.model
def test_the_embedded_models_teach_and_learn(command: Command, tmp_path: Path) -> None:
    given: list[object] = ["--queries", SAMPLE / "queries.tsv", "--docs", SAMPLE / "docs.jsonl"]
    bm25, mine = tmp_path / "bm25.trec", tmp_path / "mine"
    assert command("retrieve", *given, "--depth", 5, "--output", bm25).code == 0
    few: list[object] = [*given, "--run", bm25, "--limit", 6]
    ran = command("distil", *few, "--output", mine, "--passage-tokens", 32)
    assert ran.code == 0, ran.err
    assert "a head on smollm2-135m, fitted to" in ran.err
    ran = command("rerank", *few, "--model", mine, "--output", tmp_path / "better.trec")
    assert ran.code == 0, ran.err


def test_an_adapter_is_planned_trained_and_asked(command: Command, lesson: Lesson) -> None:
    pytest.importorskip("peft", reason="peft is not installed")
    mine: list[object] = ["--student", lesson.student, "--output", lesson.output]
    lora: list[object] = [
        *texts(lesson), "--teacher", lesson.oracle, *mine, "--student-kind", "lora",
        "--student-prompt", "prp", "--epochs", 1,
    ]  # fmt: skip
    before = {path.name for path in lesson.folder.iterdir()}
    ran = command("distil", *lora, "--dry-run")
    assert ran.code == 0, ran.err
    said = "112 pairs of 4 queries; 3 steps at the most, in which the student reads "
    assert ran.err.splitlines()[-1].startswith(f"rankprompt: {said}"), ran.err
    assert {path.name for path in lesson.folder.iterdir()} - {"cache"} == before - {"cache"}
    silent = [lesson.folder / "silent" if word == lesson.output else word for word in lora]
    ran = command("distil", *silent, "--quiet")
    assert ran.code == 0
    assert " of the pairs right" not in ran.err
    ran = command("distil", *lora)
    assert ran.code == 0, ran.err
    assert re.search(
        "step 1 of 2: loss .*, held out .* of the pairs right, .* by their place", ran.err
    )
    assert "an adapter of" in ran.err.splitlines()[-1]
    assert " by their place" in ran.err.splitlines()[-1]
    ranked = lesson.folder / "ranked.trec"
    ran = command("rerank", *texts(lesson), "--model", lesson.output, "--output", ranked)
    assert ran.code == 0, ran.err
    told = json.loads((lesson.folder / "ranked.json").read_text())["model"]
    assert told["prompt"]["kind"] == "choice"


def test_what_does_not_go_with_a_kind_of_student_is_one_line(
    command: Command, lesson: Lesson
) -> None:
    given: list[object] = [
        *texts(lesson), "--teacher", lesson.oracle, "--student", lesson.student,
        "--output", lesson.output,
    ]  # fmt: skip
    refused(command("distil", *given, "--epochs", 2), "--epochs goes with --student-kind lora")
    lora: list[object] = [*given, "--student-kind", "lora"]
    refused(command("distil", *lora, "--epochs", 0), "--epochs must be at least 1")
    refused(command("distil", *lora, "--learning-rate", "-1"), "--learning-rate must be above 0")
    refused(command("distil", *lora, "--student-prompt", "monot5"), "--student-prompt monot5")
