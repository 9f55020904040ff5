"""``rankprompt rerank`` by questions that are no pairs."""

import json
from math import log
from typing import Any

import pytest

from rankprompt.llm.base import Answer, Request
from rankprompt.rankers import METHODS, PAIRWISE
from rankprompt.types import QUESTION_NOUNS
from tests.cli.conftest import BEST, INPUTS, Collection, Command
from tests.fakes import FakeModel

GAIN = {"Salt": 0.1, "Cranes": 0.3, "Rivers": 0.9, "The sea": 0.5}


def manifest(collection: Collection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(collection.output.with_suffix(".json").read_text())
    return found


def gains(prompt: str) -> list[float]:
    """The passages' gains, in the order in which the prompt shows them."""
    places = {prompt.find(text): gain for text, gain in GAIN.items() if text in prompt}
    if "how do cranes" in prompt:
        places[prompt.find("Cranes")] = 1.0
    return [gain for _, gain in sorted(places.items())]


def knowing(request: Request) -> Answer:
    """Answers every kind of prompt by the gains."""
    found = gains(request.prompt)
    if not request.options:
        order = sorted(range(len(found)), key=lambda place: -found[place])
        return Answer(text=" > ".join(f"[{'ABCD'[place]}]" for place in order[:2]))
    if len(request.options) == 1:
        return Answer((log(found[0]),), (1,))
    if "Yes or No" in request.prompt:
        return Answer((log(found[0]), log(1.001 - found[0])), (1, 1))
    return Answer(tuple(map(log, found)), (1,) * len(found))


@pytest.fixture
def knows(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    model = FakeModel(knowing)
    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", lambda *_, **__: model)
    return model


@pytest.mark.parametrize("method", [name for name in METHODS if name not in PAIRWISE])
def test_every_method_ranks_as_its_judge_says(
    command: Command, collection: Collection, knows: FakeModel, method: str
) -> None:
    ran = command(*collection.rerank(method=method))
    assert (ran.code, ran.out) == (0, "")
    assert collection.files() == {*INPUTS, "out.trec", "out.json"}
    if method != "tourrank":
        assert collection.ranking() == BEST
    kept = collection.folder / "kept.journal"
    ran = command(*collection.rerank(method=method, model="fake", journal=kept))
    assert ran.code == 0, ran.err
    kind = QUESTION_NOUNS[METHODS[method].question]
    assert f" {kind}s" in ran.err
    if method != "tourrank":
        assert collection.ranking()["q1"].startswith("d3 d4")
    found = manifest(collection)
    assert found["costs"]["question"] == found["model"]["judge"] == kind
    assert 0 < found["costs"]["comparisons_asked"] <= found["diagnostics"]["questions"]
    prompts = len(knows.prompts)
    again = command(*collection.rerank(method=method, model="fake", journal=kept))
    assert again.code == 0
    assert len(knows.prompts) == prompts


def test_a_written_permutation_is_repaired_and_counted(
    command: Command, collection: Collection, knows: FakeModel
) -> None:
    ran = command(*collection.rerank(method="listwise", model="fake", mode="generation"))
    assert ran.code == 0, ran.err
    assert "1 answers repaired" in ran.err
    # Of q1's four passages two are named, the others follow as they were; q2 has but two.
    assert collection.ranking() == {"q1": "d3 d4 d1 d2", "q2": "d2 d4"}
    found = manifest(collection)["diagnostics"]
    assert {name: found[name] for name in ("questions", "repaired", "missing", "invented")} == {
        "questions": 2, "repaired": 1, "missing": 2, "invented": 0,
    }  # fmt: skip
    assert [one.max_tokens for one in knows.prompts] == [32, 16]


def test_an_answer_that_cannot_be_read_leaves_the_order(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = FakeModel(lambda _: Answer(text="I would rather not say."))
    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", lambda *_, **__: model)
    for method in ("listwise", "setwise-heapsort", "pointwise"):
        prompt = {"pointwise": "relevance-yes-no"}.get(method, method.partition("-")[0])
        ran = command(
            *collection.rerank(
                "--keep-going", method=method, prompt=prompt, model="fake", mode="generation"
            )
        )
        assert "unreadable" in ran.err
        assert collection.ranking() == {"q1": "d1 d2 d3 d4", "q2": "d4 d2"}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (
            {"method": "listwise", "prompt": "prp", "model": "fake"},
            "--method listwise asks listings, and --prompt prp is of kind choice",
        ),
        (
            {"method": "heapsort", "prompt": "setwise", "model": "fake"},
            "take --method setwise-heapsort, setwise-bubblesort, setwise-insertion",
        ),
        ({"method": "pointwise", "decide": "soft"}, "--method pointwise asks gradings"),
        ({"method": "listwise", "order": "single"}, "go with pairs"),
        ({"method": "listwise", "order": "lazy"}, "go with pairs"),
        ({"method": "allpair", "order": "lazy"}, "goes with methods that sort (heapsort, sliding"),
        ({"method": "heapsort,allpair@4", "order": "lazy"}, "needs both orders of its pairs"),
        ({"method": "heapsort", "order": "lazy", "decide": "soft"}, "--decide agreement"),
        ({"method": "heapsort", "order": "lazy", "prior": 1.0}, "goes without --prior"),
        ({"method": "listwise", "set_size": 1}, "--set-size must be at least 2, not 1"),
        ({"method": "listwise", "step": 0}, "--step must be at least 1, not 0"),
    ],
)
def test_what_does_not_fit_is_told_before_anything_is_asked(
    command: Command, collection: Collection, given: dict[str, object], problem: str
) -> None:
    ran = command(*collection.rerank(**given))
    assert ran.code == 2
    assert problem in ran.err
    assert ran.err.count("\n") == 1
    assert collection.files() == INPUTS


def test_a_window_beyond_the_context_is_refused_and_says_what_to_do(
    command: Command, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = FakeModel(knowing, context_length=55)
    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", lambda *_, **__: model)
    ran = command(*collection.rerank(method="listwise", model="fake"))
    assert ran.code == 2
    assert "leaves no room for 4 passages" in ran.err
    assert "show fewer at a time with --set-size" in ran.err
    assert model.prompts == []


def test_a_plan_prices_each_method_with_a_prompt_of_its_kind(
    command: Command, collection: Collection, knows: FakeModel
) -> None:
    words = collection.rerank("--json", "--no-calibrate", model="fake", prompt="prp")
    words = ["plan", *(word for word in words[1:] if word not in ("--output", collection.output))]
    rows = {row["method"]: row for row in json.loads(command(*words).out)["methods"]}
    assert rows.keys() == METHODS.keys()
    for name, prompt in (
        ("heapsort", "prp"), ("pointwise", "relevance-yes-no"), ("listwise", "listwise"),
        ("tourrank", "listwise"), ("setwise-insertion", "setwise"),
    ):  # fmt: skip
        assert rows[name]["prompt"] == prompt
        assert rows[name]["tokens"] > 0
    assert rows["listwise"]["prompts"] == 2
    assert rows["pointwise"]["prompts"] == 6
    assert knows.prompts == []
