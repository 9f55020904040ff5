import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from rankprompt import Reranker
from rankprompt.distil.config import DistilConfig
from rankprompt.distil.job import distil
from rankprompt.errors import InputError, ModelError
from rankprompt.llm.rerankers.head_files import CONFIG, WEIGHTS, read_head
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_keywords import config_from_options
from rankprompt.pipeline.rerank import run_rerank
from tests.distil.teaching import Lesson
from tests.servers.protocol import ProtocolServer
from tests.servers.speaker import Speaker


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    monkeypatch.setenv("RANKPROMPT_CACHE", str(tmp_path / "cache"))
    return Lesson(tmp_path)


def test_the_folder_has_a_head_its_card_and_its_curves(lesson: Lesson) -> None:
    made = distil(lesson.config())
    assert {path.name for path in lesson.output.iterdir()} == {
        WEIGHTS, CONFIG, "README.md", "curves.csv", "curves.svg",
    }  # fmt: skip
    config, weight, bias = read_head(lesson.output)
    assert (config.model, config.layers) == (str(lesson.student), (1, 2))
    assert weight.shape == (2 * 32,)
    assert bias == pytest.approx(made.head.bias, abs=1e-5)
    # 21 of the 28 pairs of eight documents have unequal grades.
    assert (made.pairs, made.queries, made.passages) == (84, 4, 32)
    assert made.head.learned > 0.8
    card = (lesson.output / "README.md").read_text()
    for told in (
        lesson.oracle,
        "84 of 4 queries",
        f"{made.head.right:.3f}",
        f"{made.head.ndcg:.3f}",
    ):
        assert told in card
    rows = list(csv.DictReader((lesson.output / "curves.csv").read_text().splitlines()))
    assert len(rows) == len(made.head.curve)
    assert max(float(row["held_out"]) for row in rows) == pytest.approx(made.head.right)


def test_without_matplotlib_no_plot_is_drawn_and_a_line_says_so(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rankprompt.distil.folder.find_spec", lambda _: None)
    distil(lesson.config())
    assert not (lesson.output / "curves.svg").exists()
    assert (lesson.output / "curves.csv").exists()
    assert caplog.messages.count(
        "curves.svg is not drawn: matplotlib is missing; pip install 'rankprompt[report]'"
    ) == 1  # fmt: skip


def test_a_model_behind_a_server_teaches(lesson: Lesson) -> None:
    def prefer(first: str, second: str) -> float | None:
        gap = first.count("river") - second.count("river")
        return 0.9 if gap > 0 else 0.1 if gap < 0 else 0.5

    with ProtocolServer(Speaker(prefer)) as server:
        served: dict[str, Any] = {
            "model": "openai:m", "base_url": (server.url,), "prompt": "prp",
        }  # fmt: skip
        made = distil(lesson.config(**served))
        # Both orders of the 28 pairs of each of four queries; the journal knows equal texts.
        assert 4 * 28 < server.calls <= 2 * 4 * 28 + 4
    assert made.head.learned > 0.8
    served["journal"] = lesson.folder / "mine.journal"
    distil(lesson.config(output=lesson.folder / "read", **served))
    # The same pairs, in another order.
    weights = [read_head(lesson.folder / name)[1] for name in ("mine", "read")]
    assert weights[0] == pytest.approx(weights[1], rel=0.01, abs=1e-3)


def test_an_interrupted_distillation_comes_to_the_same_weights(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher: dict[str, Any] = {"model": str(lesson.student), "prompt": "relevance-yes-no"}
    distil(lesson.config(output=lesson.folder / "whole", **teacher))

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("rankprompt.distil.job.fit_head", killed)
        with pytest.raises(KeyboardInterrupt):
            distil(lesson.config(**teacher))
    assert not lesson.output.exists()
    assert (lesson.folder / "mine.journal").is_file()
    distil(lesson.config(**teacher))
    for name in (WEIGHTS, "curves.csv"):
        whole = lesson.folder / "whole" / name
        assert (lesson.output / name).read_bytes() == whole.read_bytes()


@pytest.mark.parametrize(
    ("prompt", "more"),
    [
        ("prp", {"method": "allpair"}),
        ("prp", {"method": "heapsort", "order": "single", "seed": 3}),
        ("relevance-yes-no", {"method": "pointwise"}),
    ],
)
def test_a_run_s_journal_teaches_whichever_method_asked(
    lesson: Lesson, prompt: str, more: dict[str, Any]
) -> None:
    teacher = {**lesson.options, "model": str(lesson.student), "prompt": prompt, **more}
    output = lesson.folder / "better.trec"
    run_rerank(config_from_options(RerankConfig(), {**teacher, "output": output}))
    journal = lesson.folder / "better.journal"
    before = journal.read_bytes()
    made = distil(
        lesson.config(journal=journal, **{k: v for k, v in teacher.items() if k != "method"})
    )
    # All pairs have 28 a query; a sort asks fewer.
    assert 20 < made.pairs <= 4 * 28
    assert more["method"] != "heapsort" or made.pairs < 4 * 25
    assert journal.read_bytes() == before
    assert str(journal) in (lesson.output / "README.md").read_text()


def test_a_journal_of_another_prompt_holds_no_answer(lesson: Lesson) -> None:
    teacher = {**lesson.options, "model": str(lesson.student), "prompt": "relevance-yes-no"}
    output = lesson.folder / "better.trec"
    run_rerank(config_from_options(RerankConfig(), {**teacher, "output": output}))
    journal = lesson.folder / "better.journal"
    others: list[dict[str, Any]] = [{"prompt": "prp"}, {"prompt": "prp", "mode": "generation"}]
    for other in others:
        with pytest.raises(InputError, match="holds no answer about pairs of these candidates"):
            distil(lesson.config(journal=journal, model=str(lesson.student), **other))
    with pytest.raises(InputError, match="no such journal"):
        distil(lesson.config(journal=lesson.folder / "none.journal", model=str(lesson.student)))
    with pytest.raises(InputError, match="an oracle has no `journal`"):
        distil(lesson.config(journal=journal))
    assert not lesson.output.exists()


def refused(config: DistilConfig, message: str) -> None:
    with pytest.raises((InputError, ModelError), match=message) as caught:
        distil(config)
    assert "\n" not in str(caught.value)
    assert not (config.output / WEIGHTS).exists()


def test_what_teaches_nothing_is_refused(lesson: Lesson, tmp_path: Path) -> None:
    refused(lesson.config(pairs=10), "prefers a passage in .* pairs of . queries; it takes 20")
    refused(lesson.config(limit=1), "1 query with candidates: it takes two")
    ties = tmp_path / "ties.trec"
    ties.write_text(re.sub(r"\d\n", "1\n", lesson.qrels.read_text()))
    refused(lesson.config(model=f"oracle:{ties}"), "are ties to the teacher")
    one = tmp_path / "one.trec"
    one.write_text("".join(lesson.qrels.read_text().splitlines(keepends=True)[:8]))
    refused(lesson.config(model=f"oracle:{one}"), "21 pairs of 1 queries")


def test_what_exists_is_not_overwritten(lesson: Lesson) -> None:
    lesson.output.mkdir()
    (lesson.output / "notes.txt").write_text("mine")
    refused(lesson.config(), "mine exists: name another `output`, or remove it")
    assert [path.name for path in lesson.output.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("student", "prompt", "message"),
    [
        ("openai:gpt", "monot5", "a language model in this process"),
        ("ms-marco-minilm-l12", "monot5", "a language model in this process"),
        ("./nowhere", "monot5", "no such file or folder"),
        (None, "query-likelihood", "must show a {query} and one {passage}"),
        (None, "prp", "must show a {query} and one {passage}"),
    ],
)
def test_a_student_or_prompt_that_cannot_work_is_refused(
    lesson: Lesson, student: str | None, prompt: str, message: str
) -> None:
    config = lesson.config()
    name = student or str(lesson.student)
    refused(DistilConfig(lesson.output, config.teacher, name, prompt), message)


def test_pairs_below_one_are_refused(lesson: Lesson) -> None:
    with pytest.raises(InputError, match="`pairs` must be at least 1, not 0"):
        lesson.config(pairs=0)


def test_the_command_line_s_run_and_the_reranker_s_ranking_are_the_same(lesson: Lesson) -> None:
    distil(lesson.config())
    output = lesson.folder / "out.trec"
    options = {**lesson.options, "model": str(lesson.output), "output": output}
    manifest = run_rerank(config_from_options(RerankConfig(), options))
    assert manifest["config"]["ranker"]["method"] == "pointwise"
    ranked = [line.split()[2] for line in output.read_text().splitlines() if line[:2] == "q1"]
    docs = map(json.loads, lesson.docs.read_text().splitlines())
    texts = {one["id"]: one["text"] for one in docs if one["id"].startswith("d1-")}
    with Reranker(str(lesson.output)) as reranker:
        found = reranker.rank("where is the mill", list(texts.values()))
    assert [list(texts)[one.index] for one in found] == ranked
