"""The files of a report: the page, the data, the tables and the plots."""

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rankprompt.errors import InputError
from rankprompt.eval.report import Report
from rankprompt.eval.report_files import write_report
from tests.eval.conftest import EVIL, SAFE_FILE


def test_the_same_runs_make_the_same_bytes(report: Report, tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in write(report, tmp_path / "one")}
    again = {path.name: path.read_bytes() for path in write(report, tmp_path / "two")}
    assert first == again


def write(report: Report, folder: Path) -> list[Path]:
    """All files, in a folder of their own."""
    folder.mkdir()
    return write_report(report, folder / "report.html", folder / "files")


def test_the_files_hold_the_data_the_tables_and_the_plots(report: Report, tmp_path: Path) -> None:
    written = {path.name: path for path in write(report, tmp_path / "out")}
    with written["queries.csv"].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert rows[0]["text"] == EVIL
    assert [float(row["mrr"]) for row in rows] == [0.5, 1.0, 1.0, 0.5]
    with written["comparisons.csv"].open(encoding="utf-8", newline="") as file:
        assert {row["measure"] for row in csv.DictReader(file)} == {"ndcg@10", "mrr"}
    assert json.loads(written["report.json"].read_text("utf-8"))["baseline"] == "first"
    assert r"<b>a--b\&\$x\$\_\%'" in written["scores.tex"].read_text("utf-8")
    assert r"| \<b\>a--b&$x$\_%'" in written["scores.md"].read_text("utf-8")
    pictures = [path for path in written.values() if path.suffix == ".svg"]
    assert {path.stem for path in pictures} == {
        "intervals", "differences-1", "movement-1", "ceiling",
    }  # fmt: skip
    for path in pictures:
        root = ElementTree.fromstring(path.read_text("utf-8"))
        assert root.tag.endswith("svg")
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    shown = ElementTree.fromstring(written["intervals.svg"].read_text("utf-8"))
    assert SAFE_FILE in {one.text for one in shown.iter() if one.tag.endswith("text")}


def test_all_files_are_written_or_none(report: Report, tmp_path: Path) -> None:
    (tmp_path / "out" / "files" / "scores.md").mkdir(parents=True)
    with pytest.raises(InputError, match="it is a directory"):
        write_report(report, tmp_path / "out" / "report.html", tmp_path / "out" / "files")
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["files", "scores.md"]


def test_a_folder_that_cannot_be_made_is_one_line(report: Report, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"):
        write_report(report, tmp_path / "report.html", tmp_path / "taken" / "files")


def test_a_folder_of_an_earlier_report_is_replaced_whole(report: Report, tmp_path: Path) -> None:
    written = write(report, tmp_path / "out")
    folder = tmp_path / "out" / "files"
    folder.chmod(0o750)
    (folder / "movement-9.svg").write_text("of a run that is no longer compared")
    number = folder.stat().st_ino
    assert write_report(report, tmp_path / "out" / "report.html", folder) == written
    assert {path.name for path in folder.iterdir()} == {path.name for path in written[1:]}
    assert (folder.stat().st_ino != number, folder.stat().st_mode & 0o777) == (True, 0o750)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["files", "report.html"]


@pytest.mark.parametrize("page", ["report.html", "files/report.html"])
def test_what_a_user_keeps_in_the_folder_stays(report: Report, tmp_path: Path, page: str) -> None:
    folder = tmp_path / "files"
    (folder / "thesis").mkdir(parents=True)
    (folder / "thesis" / "chapter.tex").write_text("mine")
    (folder / "movement-9.svg").write_text("an old plot")
    write_report(report, tmp_path / page, folder)
    assert (folder / "thesis" / "chapter.tex").read_text() == "mine"
    assert (folder / "movement-9.svg").read_text() == "an old plot"
    assert (folder / "report.json").exists()
    assert (tmp_path / page).exists()


def test_a_page_beside_its_files_is_written(report: Report, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    written = write_report(report, folder / "report.html", folder)
    assert {path.name for path in folder.iterdir()} == {path.name for path in written}


def test_a_page_that_cannot_be_written_leaves_the_folder_as_it_was(
    report: Report, tmp_path: Path
) -> None:
    write_report(report, tmp_path / "report.html", tmp_path / "files")
    (tmp_path / "files" / "scores.md").write_text("of the first report")
    with pytest.raises(InputError, match="does not exist"):
        write_report(report, tmp_path / "missing" / "report.html", tmp_path / "files")
    assert (tmp_path / "files" / "scores.md").read_text() == "of the first report"
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".trec"} == {
        "files",
        "report.html",
    }
