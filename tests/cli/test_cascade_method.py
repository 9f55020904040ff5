"""``rankprompt rerank --method cascade``: documents by a teacher's scores of their passages."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from rankprompt.files.scores_file import read_scores
from rankprompt.llm.base import Answer, Request
from rankprompt.llm.tokenizer_offsets import word_offsets
from tests.cascade.toy_models import teacher as teacher  # a fixture
from tests.cli.conftest import BEST, Collection, Command
from tests.fakes import FakeModel


def words(collection: Collection, teacher: object, **options: object) -> list[object]:
    chosen = {"method": "cascade", "teacher": teacher, **options}
    given = collection.rerank(**chosen)
    place = given.index("--model")
    return given if "model" in options else given[:place] + given[place + 2 :]


def manifest(collection: Collection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(collection.output.with_suffix(".json").read_text())
    return found


def test_the_manifest_says_what_was_seen_kept_and_asked(
    command: Command, collection: Collection, teacher: Path
) -> None:
    ran = command(*words(collection, teacher, window=3, overlap=0, keep=1))
    assert (ran.code, ran.out) == (0, "")
    assert "of" in ran.err
    made = manifest(collection)
    assert made["model"]["judge"] == "teacher"
    assert made["model"]["name"] == str(teacher)
    cascade = made["cascade"]
    assert (cascade["documents"], cascade["windows_kept"], cascade["teacher_pairs"]) == (6, 6, 6)
    assert cascade["windows_seen"] > 6
    assert cascade["queries_timed"] == 2
    assert set(cascade["milliseconds_a_query"]) == {"p50", "p95", "p99"}
    assert (made["costs"]["prompts"], made["costs"]["prompts_from_journal"]) == (6, 0)
    assert made["costs"]["prompt_tokens"] > 30
    cascade = made["config"]["cascade"]
    assert (cascade["student"], cascade["aggregate"]) == ("bm25", "mean:3")


def test_a_second_run_asks_nothing_and_a_stopped_one_ends_alike(
    command: Command, collection: Collection, teacher: Path
) -> None:
    command(*words(collection, teacher, limit=1))
    assert manifest(collection)["cascade"]["teacher_pairs"] == 4
    command(*words(collection, teacher))
    resumed = collection.output.read_bytes()
    made = manifest(collection)
    assert (made["costs"]["prompts"], made["costs"]["prompts_from_journal"]) == (2, 4)
    assert made["cascade"]["queries_timed"] == 1
    command(*words(collection, teacher))
    assert collection.output.read_bytes() == resumed
    assert manifest(collection)["costs"]["prompts"] == 0
    command(*words(collection, teacher, journal=collection.folder / "fresh.journal"))
    assert collection.output.read_bytes() == resumed
    assert manifest(collection)["costs"]["prompts"] == 6


def test_a_teachers_log_odds_become_probabilities(
    command: Command, collection: Collection, teacher: Path
) -> None:
    table = collection.folder / "scores.tsv"
    assert command(*words(collection, teacher, scores=table)).code == 0
    assert manifest(collection)["scores"]["meaning"] == "probability of relevance"
    values = []
    for documents in read_scores(table).values():
        for one in documents.values():
            assert one.value is not None
            values.append(one.value)
            assert one.score == pytest.approx(1 / (1 + math.exp(-one.value)), abs=1e-5)
    assert len({*values}) > 3


def test_a_language_model_is_asked_yes_or_no(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: Request) -> Answer:
        assert request.options == ("Yes", "No")
        good = "Rivers wash" in request.prompt, "sea is wide" in request.prompt
        good_too = "one leg" in request.prompt and "cranes sleep" in request.prompt
        return Answer((-2.0 + good[0] + good[1] / 2 + good_too, -1.0), (1, 1))

    model = FakeModel(answer)
    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", lambda *_, **__: model)
    monkeypatch.setattr("rankprompt.pipeline.passages.teacher_offsets", lambda _: word_offsets)
    ran = command(*words(collection, "llm:a/model"))
    assert ran.code == 0
    assert collection.ranking() == BEST
    made = manifest(collection)
    assert made["config"]["model"]["name"] == "a/model"
    assert made["model"]["prompt"]["name"] == "relevance-yes-no"
    assert made["costs"]["prompts"] == len(model.prompts) == 6
    command(*words(collection, "llm:a/model"))
    assert len(model.prompts) == 6
    ran = command(*words(collection, "llm:a/model", max_prompts=1, journal="/dev/null/x"))
    assert ran.code == 2
    more = collection.folder / "more.journal"
    ran = command(*words(collection, "llm:a/model", max_prompts=1, journal=more))
    assert ran.code == 2
    assert "the budget is spent before every window has a score" in ran.err


def test_odd_documents_and_queries_are_counted_and_none_is_lost(
    command: Command, collection: Collection, teacher: Path
) -> None:
    texts = {"d1": "", "d2": " \t ", "d3": "x", "d4": "the mill " * 50_000}
    lines = (json.dumps({"id": name, "text": text}) + "\n" for name, text in texts.items())
    collection.docs.write_text("".join(lines))
    collection.queries.write_text(f"q1\t{'long ' * 200}\nq2\tx\n")
    ran = command(*words(collection, teacher, keep=1000), "--skip-missing")
    assert ran.code == 0
    ranking = collection.ranking()
    assert {query: sorted(found.split()) for query, found in ranking.items()} == {
        "q1": ["d1", "d2", "d3", "d4"], "q2": ["d2", "d4"],
    }  # fmt: skip
    cascade = manifest(collection)["cascade"]
    assert cascade["documents_cut"] == 2
    assert cascade["queries_cut"] == 1
    assert cascade["windows_kept"] == cascade["windows_seen"]


def test_windows_that_are_longer_than_the_teacher_reads_are_counted_and_said(
    command: Command, collection: Collection, teacher: Path
) -> None:
    lines = [json.loads(line) for line in collection.docs.read_text().splitlines()]
    lines[0]["text"] = "the mill above the river " * 100
    collection.docs.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ran = command(*words(collection, teacher, window=1000))
    assert ran.code == 0
    cut = manifest(collection)["cascade"]["windows_cut"]
    assert cut >= 1
    assert f"windows kept, {cut} of them longer than the teacher reads" in ran.err


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"teacher": "absent"}, "unknown teacher 'absent'"),
        ({"teacher": " "}, "unknown teacher ' '"),
        ({"teacher": "ms-marco"}, "did you mean 'ms-marco-minilm-l12'?"),
        ({"cascade": "bm52"}, "did you mean 'bm25'?"),
        ({"aggregate": "median"}, "aggregated by max, learned or mean:L"),
        ({"aggregate": "learned"}, "no learned weights of the best windows (cascade.json"),
        ({"prior": 0.1}, "--prior plays no part in --method cascade"),
        ({"passage_tokens": 9}, "--passage-tokens plays no part"),
        ({"model": "gpt2"}, "--model plays no part"),
        ({"prompt": "relevance-yes-no"}, "--prompt plays no part"),
        ({"max_tokens": 5}, "--max-tokens plays no part"),
        ({"teacher": "llm:openai:x"}, "a language model as a teacher is one on this machine"),
        ({"teacher": "rerank:m"}, "--teacher rerank:m needs --base-url"),
        ({"teacher": "llm:a/b", "prompt": "prp"}, "--prompt prp is of kind choice"),
        ({"keep": 0}, "--keep must be at least 1, not 0"),
        ({"window": 0}, "--window must be at least 1, not 0"),
        ({"overlap": -1}, "--overlap must be at least 0, not -1"),
        ({"window_unit": "sentence"}, "did you mean 'sentences'?"),
        ({"method": "heapsort"}, "--teacher goes with --method cascade"),
    ],
)
def test_what_cannot_work_is_told_in_a_line(
    command: Command, collection: Collection, teacher: Path, options: dict[str, Any], line: str
) -> None:
    ran = command(*words(collection, options.pop("teacher", teacher), **options))
    assert (ran.code, ran.out) == (2, "")
    assert line in ran.err
    assert ran.err.count("\n") == 1
    assert not collection.output.exists()


def test_a_plan_prices_pairs_alone(command: Command, collection: Collection, teacher: Path) -> None:
    ran = command(*words(collection, teacher), "--plan")
    assert ran.code == 2
    assert "cascade asks none" in ran.err


def test_a_cascade_that_has_nothing_to_choose_says_so(
    command: Command, collection: Collection, teacher: Path
) -> None:
    short = command(*collection.rerank(cascade="bm25"))
    assert short.code == 0
    assert "the cascade is of no use here: 6 of 6 documents" in short.err
    counted = command(*words(collection, teacher, window=3, overlap=0))
    assert counted.code == 0
    assert "the cascade is of no use here: 6 of 6 documents" in counted.err
    long = command(*collection.rerank(cascade="bm25", window=1, overlap=0, keep=1))
    assert long.code == 0
    assert "of no use" not in long.err
