"""What ``evaluate``, ``compare`` and ``report`` claim of runs that lack queries."""

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rankprompt.cli.app import app
from tests.cli.conftest import Collection, Command

LACKS = "limited.trec shares only 10 of 43 queries with the grades; the 33 that it lacks count 0."
ADVICE = "--shared scores only the 10 of 43 queries that all runs have, as trec_eval without -c."
MOSTLY_ABSENT = (
    "by ndcg@10: 0.3067 worse (10 queries better, 32 worse, 1 equal), but most of that comes from "
    "33 absent queries, counted as 0; on the 10 queries that both have, 0.3296 better; --shared "
    "tests the queries that all runs have."
)
QRELS = ("--qrels", "qrels.trec")


@pytest.fixture(scope="module")
def runs(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BM25's run of TREC DL 2019, one with errors of all its queries, and one of ten of them."""
    folder, dl19 = tmp_path_factory.mktemp("runs"), data / "dl19"
    for name in ("run.bm25.trec", "qrels.trec"):
        shutil.copy(dl19 / name, folder)
    words = ["rerank", "--run", dl19 / "run.bm25.trec", "--queries", dl19 / "queries.tsv"]
    words += ["--docs", dl19 / "docs.jsonl", "--model", f"oracle:{dl19 / 'qrels.trec'}", "--quiet"]
    for more in (["--limit", 10, "--output", folder / "limited.trec"],
                 ["--noise", 0.47, "--output", folder / "noisy.trec"]):  # fmt: skip
        done = CliRunner().invoke(app, [*map(str, words), *map(str, more)])
        assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(autouse=True)
def _copied(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in runs.glob("*.trec"):
        shutil.copy(path, path.name)


def sentences(page: Path) -> list[str]:
    """What the page says in short, line by line."""
    html = page.read_text("utf-8")
    short = html[html.index('id="short"') : html.index("</section>", html.index('id="short"'))]
    return re.findall(r"<li><bdi>(.*?)</bdi></li>", short)


def cut(name: str) -> Path:
    """The run of the queries that the limited run has too."""
    kept = {line.split()[0] for line in Path("limited.trec").read_text().splitlines()}
    lines = Path(name).read_text().splitlines(keepends=True)
    path = Path(f"cut-{name}")
    path.write_text("".join(line for line in lines if line.split()[0] in kept))
    return path


def test_queries_that_a_run_never_had_are_told_first_and_no_finding(command: Command) -> None:
    ran = command("compare", "limited.trec", "--baseline", "run.bm25.trec", *QRELS)
    assert ran.err == f"rankprompt: {LACKS}\nrankprompt: {ADVICE}\n"
    assert ran.out.splitlines()[-1] == f"limited.trec against run.bm25.trec {MOSTLY_ABSENT}"
    ran = command("report", "run.bm25.trec", "limited.trec", *QRELS, "--output", "r.html",
                  "--files", "r")  # fmt: skip
    assert LACKS.replace(".trec", "") in ran.err
    assert sentences(Path("r.html")) == [
        LACKS.replace(".trec", ""), ADVICE, f"limited against run.bm25 {MOSTLY_ABSENT}",
    ]  # fmt: skip
    html = Path("r.html").read_text("utf-8")
    assert "worse than the baseline</span>" not in html
    assert "unless most of the difference comes from queries that a run lacks" in html
    assert "0.1991*" not in Path("r/scores.md").read_text()
    ran = command("evaluate", "run.bm25.trec", "limited.trec", *QRELS)
    assert ran.err == f"rankprompt: {LACKS}\nrankprompt: {ADVICE}\n"


@pytest.mark.parametrize("measures", [[], ["--measures", "mrr map P@5"]])
@pytest.mark.parametrize("shared", [[], ["--shared"]])
def test_compare_and_report_say_the_same_of_the_first_measure(
    command: Command, measures: list[str], shared: list[str]
) -> None:
    runs, options = ["noisy.trec", "limited.trec"], [*QRELS, *measures, *shared]
    ran = command("compare", *runs, "--baseline", "run.bm25.trec", *options)
    compared = [line for line in ran.out.splitlines() if " against run.bm25.trec by " in line]
    command("report", *runs, "--baseline", "run.bm25.trec", *options, "--output", "r.html")
    found = [line for line in sentences(Path("r.html")) if " against " in line]
    assert len(found) == 2
    assert found == [line.replace(".trec", "") for line in compared[:2]]
    assert any("(corrected p " in line for line in found)


def test_shared_scores_are_those_of_runs_cut_beforehand(command: Command) -> None:
    runs = ["run.bm25.trec", "noisy.trec", "limited.trec"]
    of_cut = [cut(name) for name in runs]
    kept = {line.split()[0] for line in of_cut[0].read_text().splitlines()}
    grades = Path("qrels.trec").read_text().splitlines(keepends=True)
    Path("cut.qrels").write_text("".join(line for line in grades if line.split()[0] in kept))

    ran = command("evaluate", *runs, *QRELS, "--shared", "--json")
    assert ran.err == (
        "rankprompt: All numbers are over the 10 of 43 judged queries that all runs have "
        "(--shared); limited.trec lacks 33.\n"
    )
    shared = json.loads(ran.out)
    assert len(shared["shared"].pop("queries")) == 10
    assert shared.pop("shared") == {
        "judged": 43,
        "lacking": {"run.bm25.trec": 0, "noisy.trec": 0, "limited.trec": 33},
    }
    beforehand = json.loads(command("evaluate", *of_cut, "--qrels", "cut.qrels", "--json").out)
    for ours, theirs in zip(shared["runs"], beforehand["runs"], strict=True):
        assert ours["queries"] == 10
        assert {**ours, "run": f"cut-{ours['run']}"} == theirs

    def comparisons(paths: list[Path] | list[str], *options: str) -> object:
        words = [*paths[1:], "--baseline", paths[0], *options, "--measures", "ndcg@10 map"]
        text = command("compare", *words, "--json").out.replace("cut-", "")
        found = json.loads(text)
        assert found["comparisons"][0]["queries"] == 10
        return found["comparisons"], found["means"]

    assert comparisons(runs, *QRELS, "--shared") == comparisons(of_cut, "--qrels", "cut.qrels")

    command("report", *runs, *QRELS, "--shared", "--output", "r.html", "--files", "r")
    reported = json.loads(Path("r/report.json").read_text())
    for ours, theirs in zip(reported["runs"], beforehand["runs"], strict=True):
        assert ours["scores"]["by_query"] == theirs["by_query"]
    html = Path("r.html").read_text("utf-8")
    assert "10 of 43 queries, those that all runs have, judged by" in html
    assert "rules without -c: the judged queries that all runs have count" in html
    assert "Over the 10 of 43 judged queries that all runs have." in Path("r/scores.md").read_text()


def test_few_shared_queries_are_warned_of(command: Command) -> None:
    lines = Path("limited.trec").read_text().splitlines(keepends=True)
    kept = list(dict.fromkeys(line.split()[0] for line in lines))[:4]
    Path("four.trec").write_text("".join(line for line in lines if line.split()[0] in kept))
    words = ["four.trec", "--baseline", "run.bm25.trec", *QRELS]
    ran = command("compare", *words, "--shared")
    assert "There are 4 queries only: the intervals and tests are rough." in ran.err
    assert "may well be chance (corrected p 0.125)" in ran.out


def test_runs_without_a_common_query_are_one_line(command: Command) -> None:
    lines = Path("run.bm25.trec").read_text().splitlines(keepends=True)
    had = {line.split()[0] for line in Path("limited.trec").read_text().splitlines()}
    Path("rest.trec").write_text("".join(line for line in lines if line.split()[0] not in had))
    both = ["limited.trec", "rest.trec"]
    ran = command("evaluate", *both, *QRELS)
    assert "No judged query is in all runs, so they cannot be compared." in ran.err
    ran = command("compare", both[1], "--baseline", both[0], *QRELS)
    assert ran.out.splitlines()[-1] == (
        "rest.trec against limited.trec by ndcg@10: no query is in both runs, so nothing is "
        "compared."
    )
    for words in (
        ["evaluate", *both],
        ["compare", both[1], "--baseline", both[0]],
        ["report", *both, "--output", "r.html"],
    ):
        ran = command(*words, *QRELS, "--shared")
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert "--shared: none of the 43 queries that are judged for ndcg@10 is in all" in ran.err
        assert "lacks 33" in ran.err
    assert not Path("r.html").exists()


def test_a_run_alone_is_scored_over_its_own_queries(
    command: Command, collection: Collection
) -> None:
    collection.run.write_text("q2 Q0 d4 1 9 x\nq2 Q0 d2 2 8 x\n")
    words = ["evaluate", collection.run, "--qrels", collection.qrels, "--measures", "mrr"]
    assert command(*words).out.split()[-2:] == ["0.2500", "2"]
    ran = command(*words, "--shared")
    assert ran.out.split()[-2:] == ["0.5000", "1"]
    assert "over the 1 of 2 judged queries that all runs have (--shared)" in ran.err
