"""The examples of docs/python.md run one after another, and print what the page shows."""

import re
from pathlib import Path

import pytest

from tests.docs.conftest import ROOT

PAGE = (ROOT / "docs" / "python.md").read_text("utf-8")


@pytest.mark.model
def test_the_examples_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rerank.toml").write_text("[ranker]\nk = 5\n")
    blocks = re.findall(r"^```python\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", PAGE, re.M | re.S)
    names: dict[str, object] = {}
    for code, output in blocks:
        exec(code, names)
        assert capsys.readouterr().out == output
    assert sum(bool(output) for _, output in blocks) == 5
