import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from rankprompt import Reranker
from rankprompt.distil.config import DistilConfig
from rankprompt.distil.job import teach
from rankprompt.distil.lora_config import LoraConfig
from rankprompt.distil.lora_job import distil_lora
from rankprompt.distil.pairs import Taught
from rankprompt.errors import InputError, MissingPackageError
from rankprompt.files import read_run
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_keywords import config_from_options
from rankprompt.pipeline.rerank import run_rerank
from rankprompt.prompts.prompt import load_prompt
from tests.distil.teaching import YES_NO, Lesson

pytest.importorskip("peft", reason="peft is not installed")

ADAPTER = "adapter_model.safetensors"
FEW = LoraConfig(epochs=4, learning_rate=1e-2)


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    monkeypatch.setenv("RANKPROMPT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "yes-no.toml").write_text(YES_NO)
    return Lesson(tmp_path)


def config(lesson: Lesson, prompt: str = "prp", **more: Any) -> DistilConfig:
    return replace(lesson.config(threads=1, **more), prompt=prompt)


def ranked(lesson: Lesson, name: str, **options: Any) -> tuple[dict[str, Any], Any]:
    """A run's manifest and its rankings."""
    output = lesson.folder / f"{name}.trec"
    given = {**lesson.options, "output": output, "dtype": "float32", **options}
    manifest = run_rerank(config_from_options(RerankConfig(), given))
    return manifest, read_run(output)


def test_the_folder_is_an_adapter_and_a_model(lesson: Lesson) -> None:
    made = distil_lora(config(lesson, seed=1), FEW)
    assert {path.name for path in lesson.output.iterdir()} == {
        ADAPTER, "adapter_config.json", "README.md", "curves.csv", "prompt.toml",
    }  # fmt: skip
    assert not (lesson.folder / "mine.checkpoint").exists()
    assert (made.pairs, made.queries) == ((63, 21), (3, 1))
    assert made.best["step"] > 0
    about = json.loads((lesson.output / "adapter_config.json").read_text())
    assert about["base_model_name_or_path"] == str(lesson.student)
    own = load_prompt(str(lesson.output / "prompt.toml"))
    assert replace(own, name="prp") == load_prompt("prp")
    card = (lesson.output / "README.md").read_text()
    for told in (lesson.oracle, "63 of 3 queries", f"{made.best['held_out']:.3f}", "Licences"):
        assert told in card
    rows = (lesson.output / "curves.csv").read_text().splitlines()
    assert len(rows) == 1 + len(made.curve)
    mine = str(lesson.output)
    manifest, whole = ranked(lesson, "whole", model=mine)
    assert manifest["config"]["ranker"]["method"] == "heapsort"
    assert manifest["config"]["judge"]["prompt"] == str(lesson.output / "prompt.toml")
    plain: dict[str, Any] = {"model": str(lesson.student), "prompt": "prp"}
    _, parts = ranked(lesson, "parts", adapter=mine, **plain)
    assert whole == parts
    soft = {"method": "allpair", "decide": "soft"}
    _, adapted = ranked(lesson, "adapted", model=mine, **soft)
    assert adapted != ranked(lesson, "plain", **plain, **soft)[1]
    _, staged = ranked(lesson, "staged", stage=(f"heapsort:{mine}@8",))
    assert {query: list(one) for query, one in staged.items()} == {
        query: list(one) for query, one in whole.items()
    }
    texts = [json.loads(line)["text"] for line in lesson.docs.read_text().splitlines()[:8]]
    with Reranker(mine, dtype="float32") as reranker:
        found = reranker.rank("where is the mill", texts)
    assert [f"d0-{one.index}" for one in found] == list(whole["q0"])
    with pytest.raises(InputError, match="is an adapter, too: give its base"):
        ranked(lesson, "twice", model=mine, adapter=mine)


def test_a_student_of_single_passages_scores_them(lesson: Lesson) -> None:
    distil_lora(config(lesson, str(lesson.folder / "yes-no.toml")), FEW)
    manifest, _ = ranked(lesson, "whole", model=str(lesson.output))
    assert manifest["config"]["ranker"]["method"] == "pointwise"
    manifest, _ = ranked(lesson, "pairs", model=str(lesson.output), method="allpair")
    assert manifest["config"]["judge"]["prompt"] == str(lesson.output / "prompt.toml")


def test_a_killed_distillation_comes_to_the_same_weights(lesson: Lesson) -> None:
    long = [
        *(word for name, path in lesson.options.items() for word in (f"--{name}", str(path))),
        *("--teacher", lesson.oracle, "--student", str(lesson.student), "--threads", "1"),
        *("--student-kind", "lora", "--student-prompt", "prp", "--epochs", "12"),
    ]

    def start(output: Path) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "rankprompt", "distil", *long, "--output", str(output)]
        return subprocess.Popen(command, env=os.environ, stderr=subprocess.DEVNULL)

    whole = lesson.folder / "whole"
    checkpoint = lesson.folder / "mine.checkpoint"
    with start(lesson.output) as process:
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert checkpoint.exists()
    assert not lesson.output.exists()
    teacher = config(lesson)
    for output in (whole, lesson.output):
        distil_lora(replace(teacher, output=output), LoraConfig(epochs=12))
    assert not checkpoint.exists()
    for name in (ADAPTER, "curves.csv", "adapter_config.json"):
        assert (lesson.output / name).read_bytes() == (whole / name).read_bytes()


def refused(config: DistilConfig, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        distil_lora(config, FEW)
    assert "\n" not in str(caught.value)
    assert not config.output.exists()


def test_a_student_or_prompt_that_cannot_work_is_refused(lesson: Lesson) -> None:
    backwards = lesson.folder / "backwards.toml"
    backwards.write_text(YES_NO.replace("[1, 0]", "[0, 1]"))
    for prompt, message in (
        ("query-likelihood", "of kind likelihood: a LoRA student learns to choose"),
        ("relevance-labels", "of kind grades: a LoRA student learns to choose"),
        ("relevance-yes-no", "more than one token tells its options"),
        (str(backwards), "the first option must have the higher grade"),
    ):
        refused(config(lesson, prompt), message)
    for name in ("openai:gpt", "ms-marco-minilm-l12", "vllm:org/model"):
        refused(replace(config(lesson), student=name), "on a language model in this process")


def test_a_preference_that_is_no_probability_is_refused(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*given: Any) -> list[Taught]:
        return [one._replace(preference=float("nan")) for one in teach(*given)]

    monkeypatch.setattr("rankprompt.distil.lora_job.teach", broken)
    refused(config(lesson), "a preference of the teacher is nan, and no probability")


def test_without_peft_its_pip_line_is_told(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "rankprompt.errors.find_spec", lambda name: None if name == "peft" else find_spec(name)
    )
    with pytest.raises(MissingPackageError, match=r"pip install 'rankprompt\[peft\]'"):
        distil_lora(config(lesson))
    assert not lesson.output.exists()
