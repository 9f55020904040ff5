"""A report whose names, queries and documents try to be more than text."""

from pathlib import Path

import pytest

from rankprompt.eval import Grades, parse_measures
from rankprompt.eval.report import Report, build_report, name_runs
from rankprompt.files import write_run

EVIL = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>]]><!-- $x$ & \u202edcba"
SAFE_FILE = "<b>a--b&$x$_%'\"重排"
QRELS = {"q1": {"<i>d</i>": 3, "b": 0}, "<q2>": {"c": 1, "d": 0}}
FIRST = {"q1": ["b", "<i>d</i>"], "<q2>": ["c", "d"]}
BETTER = {"q1": ["<i>d</i>", "b"], "<q2>": ["d", "c"]}


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Two runs, the second with a name that must be escaped."""
    paths = [tmp_path / "first.trec", tmp_path / f"{SAFE_FILE}.trec"]
    for path, run in zip(paths, (FIRST, BETTER), strict=True):
        write_run(path, run, "t")
    grades = Grades(QRELS, parse_measures(["ndcg@10", "mrr"]))
    texts = {"q1": EVIL, "<q2>": "control \x00\x1b and \ud800"}
    return build_report(name_runs(paths), grades, source=EVIL, texts=texts)
