"""Stages, judges that err, and budgets that are too small, as from a shell."""

import json
from typing import Any

import pytest

from tests.cli.conftest import BEST, INPUTS, Collection, Command
from tests.fakes import FakeModel


def manifest(collection: Collection) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(collection.output.with_suffix(".json").read_text())
    return found


def test_stages_add_up_and_their_pairs_are_asked_once(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    settings = {"model": "fake", "method": "allpair,sliding@3,allpair@2"}
    assert command(*collection.rerank(**settings)).code == 0
    costs = manifest(collection)["costs"]
    # q1 has four candidates, q2 two; the later stages ask nothing that is new.
    assert costs["comparisons_asked"] == 6 + 1
    assert costs["comparisons_repeated"] > costs["comparisons_from_journal"] == 0
    assert costs["prompts"] == len(fake.prompts) == 2 * 7
    ranked = collection.output.read_bytes()
    collection.output.unlink()
    assert command(*collection.rerank(**settings)).code == 0
    assert collection.output.read_bytes() == ranked
    assert len(fake.prompts) == 2 * 7


def test_an_oracle_ranks_in_stages(command: Command, collection: Collection) -> None:
    assert command(*collection.rerank(method="heapsort, allpair@2")).code == 0
    assert collection.ranking() == BEST


def without(words: list[object], option: str) -> list[object]:
    at = words.index(option)
    return words[:at] + words[at + 2 :]


def of_models(collection: Collection, *more: object) -> list[object]:
    """A command with a stage of the oracle and a stage of the fake model."""
    words = without(collection.rerank(*more), "--model")
    stages = (f"pointwise:oracle:{collection.qrels}@3", "heapsort:fake@2 prompt=prp price_in=5")
    return [*words, *(word for stage in stages for word in ("--stage", stage))]


def test_each_stage_has_a_model_and_is_summed_up(
    command: Command, collection: Collection, fake: FakeModel
) -> None:
    ran = command(*of_models(collection, "--keep-going"))
    assert ran.code == 0, ran.err
    whole, first, second = ran.err.splitlines()[-3:]
    tokens = f"{sum(map(fake.length, fake.prompts)):,}"
    assert whole.startswith(f"rankprompt: {collection.output}: 2 queries, 7 questions; 4 prompts, ")
    assert first.startswith(
        "rankprompt: stage 1: pointwise with an oracle; the first 3; 5 gradings; "
    )
    assert second.startswith(
        "rankprompt: stage 2: heapsort with fake; the first 2; 2 comparisons; 4 prompts, "
        f"{tokens} tokens; cost 0.00"
    )
    # The last document is below both stages; the first two are the model's.
    assert collection.ranking()["q1"].split()[2:] == ["d2", "d4"]
    # Made again from its manifest, it asks nothing.
    ranked = collection.output.read_bytes()
    again = command("rerank", "--from", collection.output.with_suffix(".json"))
    assert (again.code, "7 questions (2 from the journal); 0 prompts" in again.err) == (0, True)
    assert (collection.output.read_bytes(), len(fake.prompts)) == (ranked, 4)


@pytest.mark.parametrize("verb", ["plan", "rerank"])
def test_a_plan_has_a_row_for_each_stage_and_their_sum(
    command: Command, collection: Collection, fake: FakeModel, verb: str
) -> None:
    words = of_models(collection)[1:]
    if verb == "plan":
        words = without(words, "--output")
    ran = command(verb, *words, *(["--no-calibrate"] if verb == "plan" else ["--plan"]))
    assert ran.code == 0, ran.err
    rows = [line.split() for line in ran.out.splitlines() if "oracle" in line or "stage" in line]
    assert [row[0] for row in rows] == ["stage", f"pointwise:oracle:{collection.qrels}@3", "all"]
    assert "heapsort:fake@2" in ran.out
    assert "each stage reranks what the stage before left it" in ran.err
    assert (collection.files(), bool(fake.batches)) == (INPUTS, verb == "rerank")


def test_a_plot_compares_methods_and_no_stages(command: Command, collection: Collection) -> None:
    words = ("--simulate", "--qrels", collection.qrels, "--plot", collection.folder / "x.svg")
    ran = command("plan", "--stage", "heapsort:fake", *words)
    assert (ran.code, ran.err) == (
        2, "rankprompt: --plot compares methods; leave out --stage\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"method": "heapsort,allpair"}, "say how many of the best allpair reranks"),
        ({"method": "heapsort,allpair@101"}, "a stage reranks 101, but --depth is 100"),
        ({"method": "heapsort@2,allpair@3"}, "must rerank fewer than the 2"),
        ({"method": "heapsort,allpear@3"}, "unknown method 'allpear'"),
        ({"method": "heapsort>allpair@3"}, "unknown method 'heapsort>allpair'"),
        ({"judge_model": "gap"}, "--judge-model goes with --model oracle:QRELS only"),
    ],
)
def test_what_cannot_work_is_told_before_a_token_is_spent(
    command: Command, collection: Collection, fake: FakeModel, options: dict[str, str], told: str
) -> None:
    ran = command(*collection.rerank(model="fake", **options))
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert told in ran.err
    assert (collection.files(), fake.batches) == (INPUTS, [])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"judge_model": "flop"}, "unknown judge model 'flop'"),
        ({"judge_model": "flip=0.1", "noise": 0.1}, "give one of the two"),
        ({"judge_model": "fitted:x"}, "unknown judge model 'fitted:x'"),
    ],
)
def test_a_judge_model_that_cannot_work_is_told(
    command: Command, collection: Collection, options: dict[str, object], told: str
) -> None:
    ran = command(*collection.rerank(**options))
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert told in ran.err
    assert collection.files() == INPUTS


def test_noise_is_a_flip(command: Command, collection: Collection) -> None:
    runs = []
    for options in ({"noise": 0.6}, {"judge_model": "flip=0.6"}, {}):
        assert command(*collection.rerank(method="allpair", order="single", **options)).code == 0
        runs.append(collection.output.read_bytes())
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    "method", ["bradley-terry", "heapsort", "allpair", "bradley-terry,sliding@3"]
)
@pytest.mark.parametrize("k", [1, 50])
def test_ties_leave_all_as_it_was_and_circles_end(
    command: Command, collection: Collection, method: str, k: int
) -> None:
    settings = {"method": method, "k": k}
    assert command(*collection.rerank(judge_model="ties=1", **settings)).code == 0
    assert collection.ranking() == {"q1": "d1 d2 d3 d4", "q2": "d4 d2"}
    assert command(*collection.rerank(judge_model="circle=1", **settings)).code == 0
    assert manifest(collection)["costs"]["comparisons_asked"] <= 7 + 4
    ranked = {query: sorted(names.split()) for query, names in collection.ranking().items()}
    assert ranked == {"q1": ["d1", "d2", "d3", "d4"], "q2": ["d2", "d4"]}


def test_a_budget_too_small_to_see_each_document_is_spent_and_said(
    command: Command, collection: Collection
) -> None:
    told = "too few comparisons to see each document once"
    ran = command(*collection.rerank(method="bradley-terry", comparisons=1, k=1))
    assert (ran.code, told in ran.err) == (0, True)
    assert manifest(collection)["costs"]["comparisons_asked"] == 2
    assert told not in command(*collection.rerank(method="bradley-terry", comparisons=2)).err
    assert told not in command(*collection.rerank(method="heapsort", comparisons=1)).err
