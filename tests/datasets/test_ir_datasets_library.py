"""ir_datasets silenced: downloads, failures and the terminal, with files in place of downloads."""

import json
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from rankprompt.datasets.ir_datasets_library import guarded, library
from rankprompt.errors import InputError

ir_datasets: Any = pytest.importorskip("ir_datasets")


def run(script: str, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "IR_DATASETS_HOME": str(home), "IR_DATASETS_DL_TIMEOUT": "2"},
        check=False,
    )


SHOW = """
    import json, logging, sys
    from rankprompt.datasets import open_collection
    from rankprompt.errors import RankpromptError
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        found = open_collection(sys.argv[1])
        documents = found.documents()
        print(json.dumps([
            found.queries(), documents.get(["2", "1", "x"]), [name for name, _ in documents],
            len(documents), found.qrels(), found.run(),
        ]))
    except RankpromptError as error:
        print(type(error).__name__, error)
"""


def test_a_collection_of_ir_datasets_whose_files_are_laid_by_hand(tmp_path: Path) -> None:
    folder = tmp_path / "vaswani"
    folder.mkdir()
    (folder / "docs.txt").write_text("1\nfast\nstars\n   /\n2\nslow stars\n   /\n")
    (folder / "queries.txt").write_text("1\nHOW FAST\n/\n")
    (folder / "qrels.txt").write_text("1\n  2 1\n   /\n")
    for _ in range(2):  # the second time, documents come from its store
        done = run(SHOW, tmp_path, "ir:vaswani")
        # Neither a progress bar nor a traceback.
        assert [line for line in done.stderr.splitlines() if line[:12] != "ir_datasets:"] == []
        queries, some, names, count, qrels, scored = json.loads(done.stdout)
        assert queries == {"1": "HOW FAST\n"}
        assert some == {"2": {"text": "slow stars\n"}, "1": {"text": "fast\nstars\n"}}
        assert list(some) == ["2", "1"]
        assert names == ["1", "2"]
        assert count == 2
        assert qrels == {"1": {"2": 1, "1": 1}}
        assert scored is None


def test_an_archive_laid_by_hand_is_unpacked(tmp_path: Path) -> None:
    script = """
        import io, tarfile, sys
        with tarfile.open(sys.argv[1], "w:gz") as archive:
            for name, text in {
                "cran.all.1400": ".I 1\\n.T\\nfast wings\\n.A\\nme\\n.B\\nx\\n.W\\nthey fly\\n"
                                 ".I 2\\n.T\\nslow\\n.A\\n.B\\n.W\\nb\\n",
                "cran.qry": ".I 001\\n.W\\nwings?\\n",
                "cranqrel": "1 2 3\\n",
            }.items():
                info = tarfile.TarInfo(name)
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
    """
    (tmp_path / "cranfield").mkdir()
    made = run(script, tmp_path, str(tmp_path / "cranfield" / "cran.tar.gz"))
    assert made.returncode == 0, made.stderr
    queries, some, *_, qrels, _ = json.loads(run(SHOW, tmp_path, "ir:cranfield").stdout)
    assert queries == {"1": "wings?"}
    assert some["1"] == {
        "title": "fast wings",
        "text": "they fly",
        "author": "me",
        "bib": "x",
    }
    assert qrels == {"1": {"2": 3}}


def test_what_cannot_be_downloaded_is_told_in_one_line(tmp_path: Path) -> None:
    done = run(
        "import socket\nsocket.getaddrinfo = None\n" + textwrap.dedent(SHOW), tmp_path, "ir:vaswani"
    )
    (line,) = done.stdout.splitlines()
    assert line.startswith("InputError ir:vaswani: cannot download http://ir.dcs.gla.ac.uk/")
    assert line.endswith(f"put the file here: {tmp_path}/vaswani/npl.tar.gz")
    assert not done.stderr


def test_what_must_be_asked_for_is_told_with_its_place(tmp_path: Path) -> None:
    done = run(SHOW, tmp_path, "ir:nyt")
    (line,) = done.stdout.splitlines()
    assert "available from the LDC" in line
    assert line.endswith(f"symlink the source file here: {tmp_path}/nyt/nyt.tgz")
    assert not done.stderr


def test_a_question_on_the_terminal_is_an_error() -> None:
    download = ir_datasets.util.RequestsDownload("http://localhost:9/x", auth="somebody")
    place = ir_datasets.util.home_path() / "auth" / "somebody"
    expected = f"ir:x: .* needs a user name and a password: .*{place}"
    with pytest.raises(InputError, match=expected), guarded("ir:x"):
        list(download)


def test_terms_are_passed_on_and_bars_count_unseen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    library()
    (tmp_path / "x").write_text("")
    source = ir_datasets.util.LocalDownload(tmp_path / "x")
    with caplog.at_level(logging.INFO, "rankprompt"):
        ir_datasets.util.Download([source], tmp_path / "copy", dua="You agree\nto this").path()
    assert "ir_datasets: You agree to this" in caplog.text
    with ir_datasets.log.easy().pbar_raw(total=9) as bar:
        bar.update(3)
        assert bar.n == 3  # where a download that broke off goes on
    assert capsys.readouterr() == ("", "")
