"""``rankprompt plan`` on the command line."""

import json
import subprocess
import sys
from typing import Any

import pytest

from rankprompt.rankers import METHODS
from tests.cli.conftest import INPUTS, Collection, Command, Ran
from tests.fakes import FakeModel


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """The model that every name but the oracle's loads."""
    model = FakeModel()
    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", lambda *_, **__: model)
    return model


def words(collection: Collection, *more: object, **options: object) -> list[object]:
    given = {
        "run": collection.run,
        "queries": collection.queries,
        "docs": collection.docs,
        "model": f"oracle:{collection.qrels}",
        **options,
    }
    said: list[object] = ["plan"]
    for name, value in given.items():
        said += [f"--{name.replace('_', '-')}", value]
    return [*said, *more]


def table(ran: Ran) -> list[list[str]]:
    """The header's cells, then each row's."""
    lines = [line.strip() for line in ran.out.splitlines() if line.strip()]
    return [line.split("   ") for line in lines if not line.startswith("─")]


def cells(ran: Ran) -> list[list[str]]:
    return [[cell.strip() for cell in row if cell.strip()] for row in table(ran)]


def test_an_oracle_is_planned_without_a_model(command: Command, collection: Collection) -> None:
    ran = command(*words(collection))
    assert ran.code == 0
    header, *rows = cells(ran)
    assert header == [
        "method", "comparisons", "prompts", "rounds", "nDCG@10", "10% wrong", "20% wrong",
    ]  # fmt: skip
    assert {row[0] for row in rows} == set(METHODS)
    by_name = {row[0]: row[1:5] for row in rows}
    assert by_name["allpair"] == ["7", "14", "1", "1.000"]
    assert [int(row[1]) for row in rows] == sorted(int(row[1]) for row in rows)
    assert "2 queries, 6 candidates; their first stage has nDCG@10 0.581" in ran.err
    assert "mean of 3 simulations" in ran.err
    assert "estimate" not in ran.err
    assert collection.files() == INPUTS


def test_a_model_adds_tokens_time_and_cost(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    ran = command(*words(collection, model="fake", price_in=1000, qrels=collection.qrels))
    header, *rows = cells(ran)
    assert header[:7] == ["method", "comparisons", "prompts", "rounds", "tokens", "time", "cost"]
    (allpair,) = [row for row in rows if row[0] == "allpair"]
    assert float(allpair[6]) == pytest.approx(int(allpair[4].replace(",", "")) / 1000)
    assert allpair[5].endswith(" s")
    assert "the time is an estimate from " in ran.err
    assert fake.prompts
    assert collection.files() == INPUTS


def test_no_calibrate_asks_the_model_nothing(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    ran = command(*words(collection, "--no-calibrate", model="fake"))
    assert "tokens" in cells(ran)[0]
    assert not {"time", "cost"} & set(cells(ran)[0])
    assert fake.prompts == []


def test_synthetic_grades_are_called_simulated(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    ran = command(*words(collection, "--no-calibrate", model="fake"))
    assert "simulated nDCG@10" in cells(ran)[0]
    assert "relevant with probability 1/(2 sqrt(r)); --qrels takes real grades" in ran.err
    graded = command(*words(collection, "--no-calibrate", model="fake", qrels=collection.qrels))
    assert "simulated nDCG@10" not in graded.out
    assert "synthetic" not in graded.err
    assert fake.batches == []


def test_a_prompt_that_reads_one_passage_is_told_apart(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    likelihood = words(collection, "--no-calibrate", model="fake", prompt="query-likelihood")
    assert "reads one passage at a time" in command(*likelihood).err
    assert "reads one passage at a time" not in command(*words(collection)).err
    assert fake.batches == []


def test_json_prints_everything_and_nothing_on_stderr(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    ran = command(*words(collection, "--json", model="fake", prompt="prp", k=2, price_in=1))
    assert (ran.code, ran.err) == (0, "")
    found: dict[str, Any] = json.loads(ran.out)
    assert found["settings"]["prompt"] == "prp"
    assert (found["queries"], found["documents"], found["seeds"]) == (2, 6, 3)
    assert found["calibration"]["tokens_per_second"] > 0
    assert [row["comparisons"] for row in found["methods"]] == sorted(
        row["comparisons"] for row in found["methods"]
    )
    for row in found["methods"]:
        assert row.keys() == {
            "method", "comparisons", "prompts", "rounds", "tokens", "written_tokens", "seconds",
            "waits", "cost", "quality", "deviation", "question", "prompt",
        }  # fmt: skip
        assert row["quality"].keys() == {"0.0", "0.1", "0.2"}
        assert row["seconds"] > 0
    assert fake.prompts


def test_quiet_leaves_the_table_alone(command: Command, collection: Collection) -> None:
    ran = command(*words(collection, "--quiet"))
    assert "allpair" in ran.out
    assert ran.err == ""


def test_queries_without_grades_are_counted(command: Command, collection: Collection) -> None:
    collection.qrels.write_text("q1 0 d3 3\n")
    assert "1 queries without grades are left out of nDCG@10" in command(*words(collection)).err


def test_a_terminal_is_shown_how_far_the_simulation_is(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "simulating" in command(*words(collection)).err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"depth": 0}, "--depth must be at least 1, not 0"),
        ({"seeds": 0}, "--seeds must be at least 1, not 0"),
        ({"order": "twice"}, "unknown order 'twice'"),
        ({"model": "smollm2-135"}, "unknown model 'smollm2-135'; did you mean 'smollm2-135m'?"),
        ({"prompt": "prp"}, "--prompt goes with a model"),
        ({"model": "fake", "prompt": "pr"}, "unknown prompt 'pr'; did you mean 'prp'?"),
        ({"price_in": -1}, "--price-in must be at least 0"),
        ({"run": "nowhere.trec"}, "nowhere.trec"),
        ({"qrels": "nowhere.qrels"}, "nowhere.qrels"),
        ({"judge_model": "gap"}, "--judge-model goes with --simulate"),
        ({"plot": "plan.svg"}, "--plot goes with --simulate"),
        ({"method": "heapsort,allpair@200"}, "a stage reranks 200, but --depth is 100"),
        ({"method": "heapsort,allpair"}, "say how many of the best allpair reranks"),
    ],
)
def test_bad_input_is_told_in_one_line(
    command: Command, collection: Collection, options: dict[str, object], told: str
) -> None:
    ran = command(*words(collection, **options))
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert ran.err.count("\n") == 1
    assert collection.files() == INPUTS


def test_a_malformed_line_is_named(command: Command, collection: Collection) -> None:
    collection.qrels.write_text("q1 0 d3 3\nq1 0 d4\n")
    ran = command(*words(collection))
    assert ran.code == 2
    assert "qrels.trec:2: " in ran.err


def test_without_a_model_torch_is_not_loaded(collection: Collection) -> None:
    script = "import sys, rankprompt.cli\ntry: rankprompt.cli.main()\nexcept SystemExit: pass\n"
    script += "print('torch' in sys.modules, 'transformers' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words(collection))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "False False"
