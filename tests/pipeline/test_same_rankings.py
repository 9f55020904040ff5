"""Runs before an oracle rank as those of commit f38e026 did, whatever is rebuilt.

That commit wrote the scores n, n-1, ..., 1. The digests are of its bytes: the present order is
given those scores, so not a document has moved. ``python -m tests.pipeline.test_same_rankings
DATA`` prints the digests of the present code, to be kept in ``golden/oracle_runs.json`` where a
change of the rankings is intended.
"""

import json
import sys
from hashlib import blake2b
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from typer.testing import CliRunner

from rankprompt.cli.app import app
from rankprompt.files import format_run, read_run

GOLDEN = Path(__file__).parent / "golden" / "oracle_runs.json"

METHODS = {
    "allpair": [],
    "heapsort": [],
    "sliding": ["--passes", "3"],
    "pipelined": ["--early-exit"],
    "quickselect": ["--input-order", "random"],
    "bradley-terry": ["--comparisons", "150"],
    "prp-graph": [],
    "pointwise": [],
    "setwise-heapsort": [],
    "setwise-bubblesort": ["--set-size", "5"],
    "setwise-insertion": ["--input-order", "inverse"],
    "listwise": [],
    "tourrank": ["--tournaments", "1"],
    "heapsort,allpair@20": ["--prior", "0.5"],
}
PAIRWISE = ("allpair", "bradley-terry", "heapsort", "heapsort,allpair@20", "pipelined", "prp-graph",
            "quickselect", "sliding")  # fmt: skip
JUDGES = {
    "perfect": [],
    "noise": ["--noise", "0.2", "--seed", "1"],
    "gap": ["--judge-model", "gap", "--seed", "2"],
}
PAIRS_ONLY = {
    "single": ["--noise", "0.2", "--order", "single"],
    "biased": ["--judge-model", "gap,bias=0.1,ties=0.05,circle=0.1", "--decide", "soft"],
}
CASES = [
    *product(METHODS, JUDGES),
    *product(PAIRWISE, PAIRS_ONLY),
]


def digest(method: str, judge: str, data: Path, folder: Path, *, limit: int = 10) -> str:
    """The digest of the order of the run that the command line writes."""
    dl19, output = data / "dl19", folder / "run.trec"
    words = {
        "--run": dl19 / "run.bm25.trec",
        "--queries": dl19 / "queries.tsv",
        "--docs": dl19 / "docs.jsonl",
        "--model": f"oracle:{dl19 / 'qrels.trec'}",
        "--method": method,
        "--limit": limit,
        "--output": output,
    }
    options = [str(word) for pair in words.items() for word in pair]
    judged = (JUDGES | PAIRS_ONLY)[judge]
    done = CliRunner().invoke(app, ["rerank", *options, *METHODS[method], *judged, "--quiet"])
    assert done.exit_code == 0, done.output + str(done.exception)
    lines = [line.split() for line in output.read_text().splitlines()]
    ranked: dict[str, list[str]] = {}
    for query, _, document, *_ in lines:
        ranked.setdefault(query, []).append(document)
    run = read_run(output)
    # The scores say the same as the lines, and are scores of a stated scale.
    assert {query: list(scores) for query, scores in run.items()} == ranked
    for scores in run.values():
        values = np.array(list(scores.values()), dtype=np.float32)
        assert (np.diff(values) < 0).all()
        assert 0 < values[-1] <= values[0] <= 1
    text = format_run(ranked, "rankprompt")
    return blake2b(text.encode(), digest_size=8).hexdigest()


@pytest.mark.parametrize(("method", "judge"), CASES)
def test_a_run_before_an_oracle_ranks_as_it_did(
    method: str, judge: str, data: Path, tmp_path: Path
) -> None:
    known = json.loads(GOLDEN.read_text())
    assert digest(method, judge, data, tmp_path) == known[f"{method} {judge}"]


if __name__ == "__main__":
    with TemporaryDirectory() as scratch:
        limit = int(sys.argv[2]) if sys.argv[2:] else 10
        found = {
            f"{method} {judge}": digest(
                method, judge, Path(sys.argv[1]), Path(scratch), limit=limit
            )
            for method, judge in CASES
        }
    print(json.dumps(found, indent=1))  # noqa: T201
