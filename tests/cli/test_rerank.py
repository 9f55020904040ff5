"""``rankprompt rerank`` when all is well."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rankprompt.journal.store import Journal
from tests.cli.conftest import BEST, INPUTS, Collection, Command
from tests.fakes import FakeModel


def manifest(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(output.with_suffix(".json").read_text())
    return found


@pytest.mark.parametrize("method", ["allpair", "heapsort", "sliding", "pipelined", "quickselect"])
def test_every_method_ranks_as_the_oracle_says(
    command: Command, collection: Collection, method: str
) -> None:
    ran = command(*collection.rerank(method=method))
    assert (ran.code, ran.out) == (0, "")
    assert collection.ranking() == BEST
    assert collection.files() == {*INPUTS, "out.trec", "out.json"}


def test_the_run_is_written_as_trec_lines_without_ties(
    command: Command, collection: Collection
) -> None:
    command(*collection.rerank(limit=1))
    text = collection.output.read_text()
    assert re.sub(r" 0\.\d{5,7} ", " SCORE ", text) == (
        "q1 Q0 d3 1 SCORE rankprompt\nq1 Q0 d4 2 SCORE rankprompt\n"
        "q1 Q0 d1 3 SCORE rankprompt\nq1 Q0 d2 4 SCORE rankprompt\n"
    )
    scores = [float(line.split()[4]) for line in text.splitlines()]
    assert scores == sorted({*scores}, reverse=True)


def test_the_summary_goes_to_stderr_and_nothing_to_stdout(
    command: Command, collection: Collection
) -> None:
    ran = command(*collection.rerank(method="allpair"))
    assert ran.out == ""
    assert ran.err.startswith(f"rankprompt: {collection.output}: 2 queries, 7 comparisons; ")
    assert ran.err.count("\n") == 1


def test_quiet_says_nothing_at_all_even_on_a_terminal(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    assert command(*collection.rerank("--quiet")) == (0, "", "")
    assert collection.ranking() == BEST


def test_a_terminal_is_shown_how_far_it_is_and_how_long_it_takes(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    ran = command(*collection.rerank(method="allpair"))
    assert "allpair with an oracle" in ran.err
    assert "7/7" in ran.err
    assert "to go" in ran.err
    assert ran.out == ""


def test_json_prints_the_very_manifest_and_nothing_on_stderr(
    command: Command, collection: Collection
) -> None:
    ran = command(*collection.rerank("--json"))
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == manifest(collection.output)


def test_the_manifest_holds_the_settings_as_resolved_and_the_inputs_digests(
    command: Command, collection: Collection
) -> None:
    command(*collection.rerank(k=3))
    found = manifest(collection.output)
    config = found["config"]
    ranker, judge = config["ranker"], config["judge"]
    assert (ranker["method"], ranker["k"], ranker["passes"]) == ("heapsort", 3, 3)
    assert (judge["decide"], judge["prior"], config["seed"]) == ("agreement", 0.0, 0)
    assert set(found["inputs"]) == {"run", "queries", "docs", "qrels"}
    assert found["queries"] == 2
    assert found["documents"] == 6


def test_limit_takes_the_first_queries_of_the_run(command: Command, collection: Collection) -> None:
    command(*collection.rerank(limit=1))
    assert collection.ranking() == {"q1": BEST["q1"]}


def test_documents_below_the_depth_keep_their_places(
    command: Command, collection: Collection
) -> None:
    command(*collection.rerank(depth=3))
    assert collection.ranking() == {"q1": "d3 d1 d2 d4", "q2": "d2 d4"}


def test_candidates_without_text_keep_their_places_and_are_counted(
    command: Command, collection: Collection
) -> None:
    lines = collection.docs.read_text().splitlines(keepends=True)
    collection.docs.write_text("".join(lines[:1] + lines[2:]))  # d2 has gone
    ran = command(*collection.rerank("--skip-missing"))
    assert ran.code == 0
    # d2 stays second, and q2 has one candidate left, which cannot move.
    assert collection.ranking() == {"q1": "d3 d2 d4 d1", "q2": "d4 d2"}
    assert manifest(collection.output)["skipped_documents"] == 2
    assert "2 candidates without text left in place" in ran.err


def test_a_query_none_of_whose_candidates_has_text_is_written_as_it_was(
    command: Command, collection: Collection
) -> None:
    collection.docs.write_text('{"id": "d1", "text": "Salt."}\n{"id": "d3", "text": "Sea."}\n')
    ran = command(*collection.rerank("--skip-missing"))
    assert ran.code == 0
    assert collection.ranking() == {"q1": "d3 d2 d1 d4", "q2": "d4 d2"}
    assert "queries without candidates, left out of the ranking: 1" in ran.err


def test_a_model_is_asked_through_the_journal_and_a_second_run_asks_nothing(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    words = collection.rerank(model="fake", method="allpair")
    assert command(*words).code == 0
    assert collection.files() == {*INPUTS, "out.trec", "out.json", "out.journal"}
    first, run = manifest(collection.output), collection.output.read_bytes()
    assert len(fake.prompts) == 14  # 7 pairs in both orders
    assert first["costs"]["prompts"] == 14
    assert first["costs"]["model_batches"] == len(fake.batches) == 5
    assert first["costs"]["largest_batch"] == max(len(batch) for batch in fake.batches)
    assert first["costs"]["mean_batch"] == 2.8
    assert first["costs"]["comparisons_asked"] == 7
    assert first["model"]["fingerprint"] == "fake 1"
    assert first["config"]["judge"]["prompt"] == "prp"

    ran = command(*words)
    assert "7 comparisons (7 from the journal); 0 prompts" in ran.err
    assert len(fake.prompts) == 14
    again = manifest(collection.output)
    assert again["costs"]["prompts"] == again["costs"]["comparisons_asked"] == 0
    assert again["costs"]["comparisons_from_journal"] == 7
    assert again["costs"]["prompts_from_journal"] == 14
    assert collection.output.read_bytes() == run


def test_a_single_order_asks_half_and_follows_the_seed(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    asked: list[set[str]] = []
    for seed in (0, 0, 1):
        fake.batches.clear()
        options = {"model": "fake", "method": "allpair", "order": "single", "seed": seed}
        command(*collection.rerank(**options, journal=collection.folder / f"{len(asked)}.journal"))
        asked.append({request.prompt for request in fake.prompts})
        assert len(fake.prompts) == 7
    assert asked[0] == asked[1] != asked[2]


def test_a_prompt_file_is_taken_and_generation_reads_text(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    prompt = collection.folder / "mine.toml"
    prompt.write_text(
        'kind = "choice"\ntext = "{query}? A: {first} B: {second}"\n'
        'options = ["Passage A", "Passage B"]\n'
    )
    command(*collection.rerank(model="fake", prompt=prompt, mode="generation", limit=1))
    assert fake.prompts[0].prompt.startswith("why is the sea salt? A: ")
    assert fake.prompts[0].max_tokens == 8
    assert manifest(collection.output)["config"]["judge"]["prompt"] == str(prompt)


def test_a_passage_is_cut_where_the_user_says_and_counted(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    ran = command(*collection.rerank(model="fake", passage_tokens=4, method="allpair"))
    assert manifest(collection.output)["passages_cut"] == 4  # d1, d2, d3 for q1; d2 for q2
    assert "4 passages cut" in ran.err
    assert not any("one leg" in request.prompt for request in fake.prompts)


def test_a_special_token_in_a_text_is_shown_as_it_is_written_and_counted(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    for path in (collection.docs, collection.queries):
        path.write_text(path.read_text().replace("salt", "<|end|>salt"))
    texts = sum(path.read_text().count("<|end|>") for path in (collection.docs, collection.queries))
    ran = command(*collection.rerank(model="fake", method="allpair"))
    assert manifest(collection.output)["texts_with_special_tokens"] == texts > 1
    assert f"{texts} texts spell out special tokens, shown as plain text" in ran.err
    assert any("< |end|>salt" in request.prompt for request in fake.prompts)
    assert not any("<|end|>" in request.prompt for request in fake.prompts)


def test_early_exit_asks_less_and_ranks_the_same(command: Command, collection: Collection) -> None:
    collection.run.write_text("q1 Q0 d3 1 9 x\nq1 Q0 d4 2 8 x\nq1 Q0 d1 3 7 x\nq1 Q0 d2 4 6 x\n")
    asked = []
    for more in ([], ["--early-exit"]):
        command(*collection.rerank(*more, method="sliding", k=3))
        asked.append(manifest(collection.output)["costs"]["comparisons_asked"])
        assert collection.ranking() == {"q1": BEST["q1"]}
    assert asked == [3 + 2 + 1, 3]  # there is nothing to swap


def test_the_journal_of_one_run_serves_another_with_the_same_questions(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    journal = collection.folder / "kept.journal"
    command(*collection.rerank(model="fake", method="allpair", journal=journal))
    asked = len(fake.prompts)
    output = collection.folder / "other.trec"
    command(*collection.rerank(model="fake", method="sliding", journal=journal, output=output))
    assert len(fake.prompts) == asked
    with_journal = Journal(journal)
    assert with_journal.totals() == (asked, asked)
    with_journal.close()


def test_a_damaged_journal_is_set_aside_and_said(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    words = collection.rerank(model="fake", method="allpair")
    command(*words)
    journal = collection.folder / "out.journal"
    journal.write_bytes(damaged := b"not a database any more " * 50)
    ran = command(*words)
    assert ran.code == 0
    assert len(fake.prompts) == 2 * 14
    assert f"{journal} was damaged; it is kept as {journal}.damaged-1, and a fresh" in ran.err
    assert journal.with_name("out.journal.damaged-1").read_bytes() == damaged


def test_a_warning_reaches_stderr(command: Command, collection: Collection) -> None:
    collection.run.write_text("q1 Q0 d1 2 4.5 x\nq1 Q0 d3 1 3.5 x\n")
    ran = command(*collection.rerank())
    assert ran.code == 0
    assert ran.err.startswith("rankprompt: ")
    assert "run.trec: ranks disagree with scores on 2 lines of 1 queries, first on" in ran.err
