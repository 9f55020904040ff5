"""``rankprompt plan --simulate``: quality against cost, before a judge that errs."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rankprompt.llm.base import Answer
from rankprompt.rankers import METHODS
from rankprompt.types import PairwiseQuestion
from tests.cli.conftest import INPUTS, Collection, Command, Ran
from tests.cli.test_plan import cells, fake, words
from tests.fakes import FakeModel

__all__ = ["fake"]


def simulated(command: Command, collection: Collection, *more: object, **options: object) -> Ran:
    return command(*words(collection, "--simulate", *more, **options))


def test_all_methods_stand_side_by_side_and_the_stages_that_are_asked_for(
    command: Command, collection: Collection
) -> None:
    ran = simulated(command, collection, judge_model="flip=0.3", method="heapsort,allpair@2", k=1)
    header, *rows = cells(ran)
    assert header == [
        "method", "prompts a query", "rounds", "nDCG@10", "±", "of a perfect judge",
    ]  # fmt: skip
    assert {row[0] for row in rows} == {*METHODS, "heapsort,allpair@2"}
    # Six pairs and one, in both orders.
    (allpair,) = [row for row in rows if row[0] == "allpair"]
    assert allpair[1] == "7"
    assert float(allpair[3]) <= float(allpair[5]) == 1
    assert [float(row[1]) for row in rows] == sorted(float(row[1]) for row in rows)
    assert "the judge is simulated: flip=0.3;" in ran.err
    assert collection.files() == INPUTS


def test_the_judge_errs_by_the_gap_where_nothing_is_said(
    command: Command, collection: Collection
) -> None:
    found = json.loads(simulated(command, collection, "--json").out)
    assert found["judge_model"].startswith("errors=0.2689/0.1192/0.04743/")
    assert found["methods"][0]["deviation"].keys() == {"0.0", "simulated"}
    assert {row["method"] for row in found["methods"]} == METHODS.keys()


def test_what_is_said_of_pairs_alone_leaves_other_methods_out_and_says_so(
    command: Command, collection: Collection
) -> None:
    ran = simulated(command, collection, judge_model="gap,bias=0.2")
    shown = {row[0] for row in cells(ran)[1:]}
    assert shown == {name for name, one in METHODS.items() if one.question is PairwiseQuestion}
    assert "only the methods that compare pairs are shown; gap=S and flip=P are for all" in ran.err


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_plot_is_drawn_and_the_same_again(
    command: Command, collection: Collection, ending: str
) -> None:
    drawn = []
    for name in ("one", "other"):
        path = collection.run.parent / f"{name}.{ending}"
        assert simulated(command, collection, "--quiet", judge_model="gap", plot=path).code == 0
        drawn.append(path.read_bytes())
    assert drawn[0] == drawn[1]
    if ending == "svg":
        texts = {text.strip() for text in ElementTree.fromstring(drawn[0]).itertext()}
        assert {"prompts a query (log scale)", "heapsort", "bradley-terry"} <= texts
    else:
        assert drawn[0].startswith(b"\x89PNG")


@pytest.fixture
def leaning(fake: FakeModel, monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """Prefers the passage shown first, always."""
    fake.rule = lambda _: Answer((-0.1, -2.0), (2, 2))
    monkeypatch.setattr("rankprompt.pipeline.model_access.load_model", lambda *_, **__: fake)
    return fake


@pytest.mark.usefixtures("leaning")
def test_a_judge_is_fitted_to_what_a_run_has_heard(
    command: Command, collection: Collection
) -> None:
    output = collection.run.parent / "real.trec"
    settings = {"model": "fake", "prompt": "prp", "method": "allpair"}
    assert command(*collection.rerank(**settings, output=output)).code == 0
    journal = output.with_suffix(".journal")
    ran = simulated(
        command, collection, "--no-calibrate", qrels=collection.qrels, model="fake", prompt="prp",
        judge_model=f"fitted:{journal}",
    )  # fmt: skip
    assert ran.code == 0
    # Nothing else can be told of it.
    assert re.search(r"the judge is simulated: errors=[\d./]+,bias=0\.499;", ran.err)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "fake"}, "--simulate needs the grades that its judge reads: --qrels"),
        ({"judge_model": "flop"}, "unknown judge model 'flop'; did you mean 'flip'"),
        ({"judge_model": "flip=2"}, "--judge-model flip=2: give a number from 0 to 1"),
        ({"judge_model": "fitted:x.journal"}, "needs the --model whose answers these are"),
        ({"plot": "plan.pdf"}, "draws to a file that ends with .svg or .png"),
        ({"plot": "nowhere/plan.svg"}, "the folder"),
    ],
)
def test_bad_input_is_told_in_one_line(
    command: Command, collection: Collection, options: dict[str, object], told: str
) -> None:
    ran = simulated(command, collection, **options)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert ran.err.count("\n") == 1
    assert collection.files() == INPUTS


@pytest.mark.parametrize(
    ("prompt", "journal", "told"),
    [
        ("prp", "nowhere.journal", "no such journal to fit a judge model to"),
        ("query-likelihood", "run.trec", "fitted to a prompt that shows two passages"),
        ("prp", "run.trec", "not a rankprompt journal"),
        ("prp", "empty.journal", "holds no answer about these candidates by this model"),
    ],
)
@pytest.mark.usefixtures("fake")
def test_a_journal_that_says_nothing_is_told(
    command: Command, collection: Collection, prompt: str, journal: str, told: str
) -> None:
    path: Path = collection.run.parent / journal
    if journal.startswith("empty"):
        path.touch()
    ran = simulated(
        command, collection, "--no-calibrate", model="fake", qrels=collection.qrels, prompt=prompt,
        judge_model=f"fitted:{path}",
    )  # fmt: skip
    assert ran.code == 2
    assert told in ran.err
