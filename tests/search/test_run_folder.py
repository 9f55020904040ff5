import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rankprompt.errors import InputError
from rankprompt.search import SearchConfig
from rankprompt.search.history import record
from rankprompt.search.registry import run_search
from rankprompt.search.run_folder import RunFolder, read_history
from rankprompt.search.search_state import SearchState
from tests.search.toys import by_hash, on_texts, seed_of

ABOUT = {"model": {"name": "toy", "fingerprint": "1"}}
METHODS = ["gga", "ssga", "tapruning", "random"]

# Searches in a folder; in generation 3 it says so and waits to be killed, half the scores given.
KILLED = """
import sys, time
from pathlib import Path
from rankprompt.search import SearchConfig
from rankprompt.search.registry import run_search
from rankprompt.search.run_folder import RunFolder
from tests.search.toys import by_hash, on_texts, seed_of
from tests.search.test_run_folder import ABOUT

asked = 0

def fitness(prompts):
    global asked
    if state.generation == 3:
        asked += 1
        if asked > (0 if sys.argv[2] in ("gga", "random") else 10):
            print("now", flush=True)
            time.sleep(60)
    return by_hash(prompts)

config = SearchConfig(method=sys.argv[2], evaluations=400, min_length=0, acceptance=0.1)
with RunFolder(Path(sys.argv[1]), seed_of(40), config, ABOUT) as folder:
    state = folder.resume(on_texts(fitness))
    for _ in run_search(state):
        folder.save(state)
"""


def settings_of(method: str = "gga", **more: Any) -> SearchConfig:
    return SearchConfig(
        **{"method": method, "evaluations": 400, "min_length": 0, "acceptance": 0.1, **more}
    )


def finish(
    folder: Path,
    method: str = "gga",
    fitness: Callable[[Sequence[str]], list[float]] = by_hash,
    generations: int = 1000,
    **more: Any,
) -> SearchState:
    """Searches in a folder to the end, or for so many generations."""
    with RunFolder(folder, seed_of(40), settings_of(method, **more), ABOUT) as run:
        search = run.resume(on_texts(fitness))
        for done, _ in enumerate(run_search(search), 1):
            run.save(search)
            if done == generations:
                break
    return search


def outcome(search: SearchState) -> tuple[Any, ...]:
    assert search.best is not None
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in search.logbook]
    return (
        [record(one) for one in search.history],
        list(search.archive.scores.items()),
        record(search.best),
        [one.number for one in search.population],
        search.rng.getstate(),
        rows,
    )


class Counting:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, prompts: Sequence[str]) -> list[float]:
        self.asked += prompts
        return by_hash(prompts)


@pytest.mark.parametrize("method", METHODS)
def test_killed_in_generation_three_and_resumed_is_as_if_never_killed(
    method: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), method]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2], text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "now\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert json.loads(json.loads(checkpoint(tmp_path / "killed"))["state"])["generation"] == 3

    resumed = finish(tmp_path / "killed", method)
    whole = finish(tmp_path / "whole", method)
    assert whole.generation > 4 or method == "tapruning"
    assert outcome(resumed) == outcome(whole)
    histories = [(tmp_path / name / "history.jsonl").read_bytes() for name in ("killed", "whole")]
    assert histories[0] == histories[1]


def checkpoint(folder: Path) -> str:
    return (folder / "checkpoint.json").read_text()


@pytest.mark.parametrize("method", METHODS)
def test_stopped_after_any_generation_it_goes_on_and_asks_nothing_twice(
    method: str, tmp_path: Path
) -> None:
    fitness = Counting()
    whole = finish(tmp_path / "whole", method)
    for _ in range(whole.generation + 1):
        pieces = finish(tmp_path / "pieces", method, fitness, generations=1)
    assert outcome(pieces) == outcome(whole)
    assert pieces.stop is not None
    assert fitness.asked == list(map(str, whole.archive.scores))
    assert [record(one) for one in read_history(tmp_path / "pieces")] == outcome(whole)[0]


def test_infeasible_scores_and_two_objectives_are_resumed_too(tmp_path: Path) -> None:
    def fitness(prompts: Sequence[str]) -> list[float]:
        return [float("nan") if score > 0.8 else score for score in by_hash(prompts)]

    whole = finish(tmp_path / "whole", "gga", fitness, pareto=True)
    finish(tmp_path / "pieces", "gga", fitness, generations=2, pareto=True)
    assert outcome(finish(tmp_path / "pieces", "gga", fitness, pareto=True)) == outcome(whole)
    assert whole.archive.infeasible > 0


def test_ctrl_c_keeps_every_finished_generation(tmp_path: Path) -> None:
    calls = 0

    def fitness(prompts: Sequence[str]) -> list[float]:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return by_hash(prompts)

    with pytest.raises(KeyboardInterrupt):
        finish(tmp_path / "stopped", "gga", fitness)
    assert {one.generation for one in read_history(tmp_path / "stopped")} == {0, 1, 2, 3}
    resumed = finish(tmp_path / "stopped")
    assert outcome(resumed) == outcome(finish(tmp_path / "whole"))


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


DAMAGE: dict[str, tuple[Callable[[Path], object], int]] = {
    "no checkpoint": (lambda folder: (folder / "checkpoint.json").unlink(), 0),
    "empty checkpoint": (lambda folder: cut(folder / "checkpoint.json", 0), 0),
    "torn checkpoint": (lambda folder: cut(folder / "checkpoint.json", 999), 0),
    "altered checkpoint": (lambda folder: flip(folder / "checkpoint.json", 99), 0),
    "torn last line": (lambda folder: cut(folder / "history.jsonl", -20), 1),
    "altered line": (lambda folder: flip(folder / "history.jsonl", 20_000), 1),
    "no history": (lambda folder: (folder / "history.jsonl").unlink(), 1000),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_mended_and_said_and_no_score_that_is_whole_is_asked_again(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    harm, lost = DAMAGE[damage]
    whole = finish(tmp_path / "whole")
    before = finish(tmp_path / "damaged", generations=4)
    harm(tmp_path / "damaged")
    with pytest.raises(InputError, match="start the search again"):
        read_history(tmp_path / "damaged")

    # Killed again while it mends: still nothing is lost.
    fitness = Counting()
    finish(tmp_path / "damaged", fitness=fitness, generations=2)
    assert "played again" in caplog.text
    caplog.clear()
    mended = finish(tmp_path / "damaged", fitness=fitness)
    assert "played again" not in caplog.text
    assert outcome(mended) == outcome(whole)
    assert len(set(fitness.asked) & set(map(str, before.archive.scores))) <= lost


@pytest.mark.parametrize("generations", [3, 1000])
def test_lines_beyond_the_checkpoint_are_of_no_finished_generation(
    generations: int, tmp_path: Path
) -> None:
    finish(tmp_path / "run", generations=generations)
    with (tmp_path / "run" / "history.jsonl").open("a") as file:
        file.write('{"number": 91, "gener' * 50_000)
    assert outcome(finish(tmp_path / "run")) == outcome(finish(tmp_path / "whole"))
    histories = [(tmp_path / name / "history.jsonl").read_bytes() for name in ("run", "whole")]
    assert histories[0] == histories[1]


def test_other_settings_another_model_or_seed_are_refused_with_the_difference(
    tmp_path: Path,
) -> None:
    finish(tmp_path / "run", generations=2)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(
        InputError,
        match=r"settings\.seed was 0, is now 5; settings\.population was 30, is now 20; name",
    ):
        finish(tmp_path / "run", population=20, seed=5)
    about = {"model": {"name": "toy", "fingerprint": "2"}}
    with pytest.raises(InputError, match=r'about\.model\.fingerprint was "1", is now "2"'):
        RunFolder(tmp_path / "run", seed_of(40), settings_of(), about)
    with pytest.raises(InputError, match=r"about.seed was 42 parts, is now 41 parts|about.seed\["):
        RunFolder(tmp_path / "run", seed_of(39), settings_of(), ABOUT)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}


def test_a_newer_version_and_other_folders_are_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    finish(folder, generations=1)
    path = folder / "settings.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(InputError, match=r"newer rankprompt \(form 2, this one knows 1\)"):
        finish(folder)
    with pytest.raises(InputError, match="newer rankprompt"):
        read_history(folder)

    path.write_text("{")
    with pytest.raises(InputError, match="is damaged"):
        finish(folder)
    path.write_text("[]")
    with pytest.raises(InputError, match="is not a search's"):
        finish(folder)

    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"is no search's folder, but holds thesis\.txt"):
        finish(other)
    assert [one.name for one in other.iterdir()] == ["thesis.txt"]
    with pytest.raises(InputError, match="cannot use the folder"):
        finish(other / "thesis.txt")
    with pytest.raises(InputError, match="cannot use the folder"):
        finish(tmp_path / "missing" / "run")
    with pytest.raises(InputError, match="is no search's folder"):
        read_history(other)


def test_two_processes_cannot_share_a_folder(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path / "run", seed_of(40), settings_of(), ABOUT),
        pytest.raises(InputError, match="another process is at this search"),
    ):
        finish(tmp_path / "run")


def test_a_full_disk_is_one_line_and_what_was_saved_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunFolder(tmp_path / "run", seed_of(40), settings_of(), ABOUT) as folder:
        search = folder.resume(on_texts(by_hash))
        generations = run_search(search)
        next(generations)
        folder.save(search)
        next(generations)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space")))
            with pytest.raises(InputError, match=r"cannot write .*No space; what was finished"):
                folder.save(search)
        folder.save(search)
    assert outcome(finish(tmp_path / "run")) == outcome(finish(tmp_path / "whole"))


def test_settings_json_holds_what_made_the_search(tmp_path: Path) -> None:
    finish(tmp_path / "run", generations=1)
    made = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert made["settings"]["tournament"] == 0.2
    assert made["about"]["model"] == ABOUT["model"]
    assert "".join(text for text, _ in made["about"]["seed"]).endswith("w39 {query}")
