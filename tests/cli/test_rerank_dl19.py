"""``rankprompt rerank`` on TREC DL 2019: known costs, and the best order there is."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from rankprompt.eval import parse_measure, score
from rankprompt.files import read_qrels, read_run
from tests.cli.conftest import Command
from tests.cli.test_rerank import manifest


def dl19(data: Path, output: Path, method: str, *more: object) -> Sequence[object]:
    folder = data / "dl19"
    return [
        "rerank", "--run", folder / "run.bm25.trec", "--queries", folder / "queries.tsv",
        "--docs", folder / "docs.jsonl", "--model", f"oracle:{folder / 'qrels.trec'}",
        "--method", method, "--output", output, *more,
    ]  # fmt: skip


def ndcg(run: Path, data: Path) -> float:
    measure = parse_measure("ndcg@10")
    qrels = read_qrels(data / "dl19" / "qrels.trec")
    return score(read_run(run), qrels, [measure]).means[measure.name]


@pytest.mark.parametrize(
    ("method", "comparisons", "rounds"),
    [
        ("allpair", 4950 * 43, 1),
        ("sliding", 945 * 43, 945),
        ("pipelined", 945 * 43, 108),
        ("heapsort", pytest.approx(235 * 43, rel=0.01), None),
        ("quickselect", pytest.approx(198 * 43, rel=0.01), None),
    ],
)
def test_a_perfect_judge_reaches_the_ceiling_of_dl19_at_the_known_price(
    command: Command,
    data: Path,
    tmp_path: Path,
    method: str,
    comparisons: int,
    rounds: int | None,
) -> None:
    output = tmp_path / "out.trec"
    assert command(*dl19(data, output, method)).code == 0
    assert ndcg(output, data) == pytest.approx(0.892, abs=0.0005)
    costs = manifest(output)["costs"]
    assert costs["comparisons_asked"] == comparisons
    assert rounds is None or costs["rounds"] == rounds
    # Every query lends its round to the others: rounds are not summed over queries.
    assert costs["rounds"] <= 945


@pytest.mark.parametrize("order", ["inverse", "random"])
def test_allpair_is_worth_the_same_from_any_input_order(
    command: Command, data: Path, tmp_path: Path, order: str
) -> None:
    output = tmp_path / "out.trec"
    given = ["--depth", 20, "--limit", 10]
    command(*dl19(data, tmp_path / "given.trec", "allpair", *given))
    command(*dl19(data, output, "allpair", *given, "--input-order", order))
    assert ndcg(output, data) == pytest.approx(ndcg(tmp_path / "given.trec", data), abs=1e-9)
    # The grades come in the same order; only documents of one grade may change places.
    qrels = read_qrels(data / "dl19" / "qrels.trec")
    runs = [read_run(tmp_path / "given.trec"), read_run(output)]
    grades = [
        {query: [qrels[query].get(one, 0) for one in run[query]][:20] for query in run}
        for run in runs
    ]
    assert grades[0] == grades[1]


def test_noise_changes_the_ranking_and_the_seed_repeats_it(
    command: Command, data: Path, tmp_path: Path
) -> None:
    def ranked(name: str, *more: object) -> bytes:
        output = tmp_path / name
        words = dl19(data, output, "heapsort", "--depth", 20, "--limit", 10, *more)
        assert command(*words).code == 0
        return output.read_bytes()

    clean = ranked("clean.trec")
    noisy = ranked("noisy.trec", "--noise", 0.1)
    assert noisy != clean
    assert ranked("again.trec", "--noise", 0.1) == noisy
    assert ranked("other.trec", "--noise", 0.1, "--seed", 1) not in (noisy, clean)
