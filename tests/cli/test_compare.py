"""``rankprompt compare``."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Collection, Command


def shuffled(run: Path, to: Path) -> Path:
    """The same run with each query's scores turned round."""
    lines = [line.split() for line in run.read_text().splitlines()]
    to.write_text("".join(f"{q} Q0 {d} 1 {-float(s)} other\n" for q, _, d, _, s, _ in lines))
    return to


def test_a_run_against_itself_reversed_on_dl19(
    command: Command, data: Path, tmp_path: Path
) -> None:
    folder = data / "dl19"
    other = shuffled(folder / "run.bm25.trec", tmp_path / "reversed.trec")
    words = ["--qrels", folder / "qrels.trec", "--baseline", folder / "run.bm25.trec", other]
    ran = command("compare", *words, "--json")
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(ran.out)
    assert found["means"][0]["mean"] == pytest.approx(0.5058, abs=5e-5)
    (one,) = found["comparisons"]
    assert one["queries"] == 43 == one["wins"] + one["ties"] + one["losses"]
    assert one["losses"] > one["wins"]
    assert one["holm"] == one["randomisation"] < 0.001
    assert one["difference"] == pytest.approx(found["means"][1]["mean"] - found["means"][0]["mean"])
    low, high = one["interval"]["low"], one["interval"]["high"]
    assert low < one["difference"] < high < 0
    ran = command("compare", *words)
    assert ran.code == 0
    assert "unlikely to be chance (corrected p below .001)." in ran.out
    assert f"{one['difference']:+.4f}" in ran.out


def test_several_measures_are_corrected_together(command: Command, collection: Collection) -> None:
    other = shuffled(collection.run, collection.run.with_name("other.trec"))
    words = ["--qrels", collection.qrels, "--baseline", collection.run, other]
    found = json.loads(command("compare", *words, "--measures", "mrr P@1", "--json").out)
    assert [one["measure"] for one in found["comparisons"]] == ["mrr", "precision@1"]
    assert all(one["holm"] >= one["randomisation"] for one in found["comparisons"])


def test_what_cannot_be_compared_is_one_line(command: Command, collection: Collection) -> None:
    run = collection.run
    ran = command("compare", "--qrels", collection.qrels, "--baseline", run, run)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "rankprompt: each run, and the baseline, may be given once\n"
    ran = command("compare", "--baseline", run, collection.docs)
    assert (ran.code, ran.err) == (2, "rankprompt: give either --qrels or --dataset\n")


def test_many_queries_take_fewer_draws_and_that_is_said(
    command: Command, collection: Collection
) -> None:
    queries = [f"q{number}" for number in range(2000)]
    other = collection.folder / "other.trec"
    collection.qrels.write_text("".join(f"{query} 0 a 1\n" for query in queries))
    collection.run.write_text("".join(f"{query} Q0 a 1 1 x\n" for query in queries))
    other.write_text("".join(f"{q} Q0 {'ab'[n % 7 == 0]} 1 1 x\n" for n, q in enumerate(queries)))
    words = ["--qrels", collection.qrels, "--baseline", collection.run, other]
    ran = command("compare", *words, "--measures", "mrr", "--json")
    assert ran.code == 0
    assert "for 2,000 queries intervals and tests take 10,000 draws, not 20,000" in ran.err
    assert json.loads(ran.out)["resamples"] == 10_000
