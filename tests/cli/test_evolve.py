"""``rankprompt evolve`` from the shell's side."""

import json
import os
import re
from functools import partial
from pathlib import Path

import pytest

from rankprompt.search.evolution import run_evolution
from tests.cli.conftest import Command
from tests.fakes import FakeModel
from tests.search.worlds import offsets, opinion, write_task

GOLDEN = Path(__file__).parent / "golden"
SMALL = ("--evaluations", 40, "--population", 4, "--offspring", 8, "--min-length", 0)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    model = FakeModel(opinion)
    run = partial(run_evolution, load=lambda *_, **__: model, tokens=offsets)
    monkeypatch.setattr("rankprompt.search.evolution.run_evolution", run)
    return model


@pytest.mark.parametrize("verb", ["run", "show"])
def test_the_help_page_is_the_golden_one(command: Command, verb: str) -> None:
    ran = command("evolve", verb, "--help")
    assert (ran.code, ran.err) == (0, "")
    golden = GOLDEN / f"evolve-{verb}.txt"
    if os.environ.get("RANKPROMPT_RENEW"):
        golden.write_text(ran.out)
    assert ran.out == golden.read_text(), "if that is meant, renew with RANKPROMPT_RENEW=1"


@pytest.mark.usefixtures("model")
def test_a_run_says_how_it_goes_and_what_came_of_it(command: Command, tmp_path: Path) -> None:
    task, output = write_task(tmp_path), tmp_path / "run"
    ran = command("evolve", "run", task, "--output", output, *SMALL)
    assert ran.code == 0
    assert "labels used: demonstrations 2, search 4, calibration 4, test 6" in ran.err
    lines = [line for line in ran.err.splitlines() if "generation " in line]
    assert len(lines) > 2
    assert "best " in lines[1]
    assert "evaluations, " in lines[1]
    assert re.search(r"; \d+ prompts scored; calibrating the best$", ran.err, re.MULTILINE)
    for word in ("seed", "winner", "search", "calibration", "test", "accuracy", "reward"):
        assert word in ran.out
    assert "accuracy on the test split, winner against seed: 0 wins, 0 losses, no test" in ran.err
    again = command("evolve", "run", task, "--output", output, *SMALL, "--json", "--quiet")
    assert again.err == ""
    assert (
        json.loads(again.out)["scores"]
        == json.loads((output / "result.json").read_text())["scores"]
    )


@pytest.mark.usefixtures("model")
def test_what_is_pruned_is_shown(command: Command, tmp_path: Path) -> None:
    output = tmp_path / "run"
    command("evolve", "run", write_task(tmp_path), "--output", output, *SMALL)
    result = json.loads((output / "result.json").read_text())
    ran = command("evolve", "show", output, "--best", 1)
    assert ran.code == 0
    assert f"#{result['winner']['number']}: fitness" in ran.out
    shown = ran.out[ran.out.index("#") :].partition("\n")[2].strip("\n")
    kept = "".join(part.rpartition("-]")[2] for part in shown.split("[-"))
    assert "[-" in shown
    assert kept.replace(" ", "") == result["winner"]["text"].replace(" ", "").rstrip("\n")
    found = json.loads(command("evolve", "show", output, "--best", 2, "--json").out)
    assert len(found["prompts"]) == 2
    assert found["result"] == result
    assert "tokens.svg: written" in command("evolve", "show", output, "--plots").err


def test_ctrl_c_is_answered_with_how_to_go_on(
    command: Command, tmp_path: Path, model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "answer", stop)
    ran = command("evolve", "run", write_task(tmp_path), "--output", tmp_path / "run", *SMALL)
    assert ran.code == 130
    assert "the same command, started again, goes on from there" in ran.err


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "gag"), "did you mean 'gga'?"),
        (("--evaluations", 0), "rankprompt: --evaluations must be at least 1"),
        (("--min-length", 15), "nothing would be pruned; lower --min-length"),
    ],
)
def test_what_cannot_work_is_one_line(
    command: Command, tmp_path: Path, options: tuple[object, ...], said: str
) -> None:
    task = write_task(tmp_path)
    ran = command("evolve", "run", task, "--output", tmp_path / "run", *options, "--quiet")
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_folder_that_is_no_run_is_refused(command: Command, tmp_path: Path) -> None:
    ran = command("evolve", "show", tmp_path)
    assert ran.code == 2
    assert "is no search's folder" in ran.err


def spoil(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("task.toml", "search = 4", "serach = 4", "unknown key 'serach'; did you mean 'search'?"),
        ("task.toml", "{text}", "{txt}", "no column 'txt'; there are label, text"),
        ("task.toml", "{text}", "{text", "a lone '{'"),
        ("task.toml", '"gloomy"', '"cheer"', "'cheer' of 'bad' begins 'cheerful' of 'good'"),
        ("task.toml", '"gloomy"', '"cheerful"', "have one verbaliser, 'cheerful'"),
        (
            "task.toml",
            "search = 4",
            "search = 40",
            "too few examples: 40 for search, and 10 are left",
        ),
        (
            "task.toml",
            "[verb",
            'shots = 0\nfrozen = ["Review: ", "\\nMood:"]\n[verb',
            "the seed prompt has nothing to prune",
        ),
        ("train.jsonl", '"label": "bad"', '"label": "so"', "no verbaliser for the label 'so'"),
        ("dev.jsonl", '"dev 1"', '"train 1"', "the splits would overlap: "),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(
    command: Command, tmp_path: Path, file: str, old: str, new: str, said: str
) -> None:
    task = write_task(tmp_path)
    spoil(tmp_path / file, old, new)
    ran = command("evolve", "run", task, "--output", tmp_path / "run", *SMALL, "--quiet")
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("model")
def test_a_run_of_a_newer_version_is_left_alone(command: Command, tmp_path: Path) -> None:
    asked = ("evolve", "run", write_task(tmp_path), "--output", tmp_path / "run", *SMALL, "--quiet")
    assert command(*asked).code == 0
    spoil(tmp_path / "run" / "settings.json", '"version": 1', '"version": 2')
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    ran = command(*asked)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "was written by a newer rankprompt" in ran.err
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


@pytest.mark.usefixtures("model")
def test_a_damaged_checkpoint_is_said_and_nothing_is_lost(command: Command, tmp_path: Path) -> None:
    asked = ("evolve", "run", write_task(tmp_path), "--output", tmp_path / "run", *SMALL, "--quiet")
    assert command(*asked).code == 0
    history = (tmp_path / "run" / "history.jsonl").read_bytes()
    (tmp_path / "run" / "checkpoint.json").write_text("{")
    ran = command(*asked)
    assert ran.code == 0
    assert "the checkpoint is damaged; the search is played again from the scores" in ran.err
    assert (tmp_path / "run" / "history.jsonl").read_bytes() == history
