"""The Python example of docs/measures.md works as it is written."""

import re
from pathlib import Path

import pytest

from rankprompt.datasets.sample import sample
from rankprompt.files import read_qrels, write_run

PAGE = (Path(__file__).parents[2] / "docs" / "measures.md").read_text("utf-8")


def test_the_python_example_evaluates_and_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "qrels.trec").write_bytes((sample("en") / "qrels.trec").read_bytes())
    grades = read_qrels("qrels.trec")
    for name, by_grade in (("better", True), ("bm25", False)):
        runs = {
            query: sorted(of, key=of.__getitem__ if by_grade else str, reverse=by_grade)
            for query, of in grades.items()
        }
        write_run(f"{name}.trec", runs, tag=name)
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    header, bm25, better, *_ = capsys.readouterr().out.splitlines()
    assert header.split() == ["run", "ndcg@10", "mrr", "queries"]
    assert bm25.split()[0] == "bm25"
    assert better.split()[1:3] == ["1.0000", "1.0000"]
    assert len(names["frame"]) == 4  # type: ignore[arg-type]
