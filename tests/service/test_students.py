"""What ``rankprompt distil`` trains stands behind the service as it stands behind ``Reranker``."""

from dataclasses import replace
from pathlib import Path

import pytest

from rankprompt import Reranker
from rankprompt.distil.job import distil
from rankprompt.distil.lora_config import LoraConfig
from rankprompt.distil.lora_job import distil_lora
from tests.distil.teaching import YES_NO, Lesson
from tests.service.conftest import Start

TEXTS = ["river river river", "the boats of the quiet morning", "river and an answer", "years"]


@pytest.mark.parametrize("kind", ["head", "lora"])
def test_a_student_serves(
    started: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("RANKPROMPT_CACHE", str(tmp_path / "cache"))
    lesson = Lesson(tmp_path, queries=2)
    if kind == "head":
        distil(lesson.config())
    else:
        prompt = tmp_path / "yes-no.toml"
        prompt.write_text(YES_NO)
        distil_lora(replace(lesson.config(), prompt=str(prompt)), LoraConfig(epochs=1))
    with Reranker(str(lesson.output)) as reranker:
        ranked = reranker.rank("where is the mill", TEXTS)
    with Reranker(str(lesson.output)) as served:
        answer = started(served).post(
            "/v1/rerank", json={"query": "where is the mill", "documents": TEXTS}
        )
    assert answer.status_code == 200
    found = [(one["index"], one["relevance_score"]) for one in answer.json()["results"]]
    assert found == [(one.index, pytest.approx(one.score, abs=1e-6)) for one in ranked]
    assert len({score for _, score in found}) == len(TEXTS)
