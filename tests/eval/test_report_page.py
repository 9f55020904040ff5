"""The page and the files: what they hold, and that nothing in them runs or is fetched."""

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rankprompt.errors import InputError
from rankprompt.eval import Grades, parse_measures
from rankprompt.eval.report import Report, build_report, name_runs
from rankprompt.eval.report_files import write_report
from rankprompt.eval.report_page import format_page
from rankprompt.files import write_run

EVIL = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>]]><!-- $x$ & \u202edcba"
SAFE_FILE = "<b>a--b&$x$_%'\"重排"
QRELS = {"q1": {"<i>d</i>": 3, "b": 0}, "<q2>": {"c": 1, "d": 0}}
FIRST = {"q1": ["b", "<i>d</i>"], "<q2>": ["c", "d"]}
BETTER = {"q1": ["<i>d</i>", "b"], "<q2>": ["d", "c"]}


class Page(HTMLParser):
    """Elements, scripts and texts, as a browser finds them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Two runs whose names, queries and documents try to be more than text."""
    paths = [tmp_path / "first.trec", tmp_path / f"{SAFE_FILE}.trec"]
    for path, run in zip(paths, (FIRST, BETTER), strict=True):
        write_run(path, run, "t")
    measures = parse_measures(["ndcg@10", "mrr"])
    return build_report(
        name_runs(paths), Grades(QRELS, measures), source=EVIL,
        texts={"q1": EVIL, "<q2>": "control \x00\x1b and \ud800"},
    )  # fmt: skip


def test_whatever_things_are_called_shows_as_text(report: Report) -> None:
    page = Page(format_page(report))
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert not page.all("i")
    assert not page.all("b")
    assert not [name for _, attributes in page.tags for name in attributes if name[:2] == "on"]
    for shown in (EVIL, SAFE_FILE, "<i>d</i>", "<q2>", "control \ufffd\ufffd and ?"):
        assert shown in page.text


def test_nothing_is_fetched_and_only_our_script_may_run(report: Report) -> None:
    html = format_page(report)
    page = Page(html)
    policy = next(one["content"] for one in page.all("meta") if "http-equiv" in one)
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")
    links = [v for _, one in page.tags for k, v in one.items() if k in ("src", "href")]
    assert links
    assert all(link and link.startswith("#") for link in links)
    assert "url(http" not in html
    assert "@import" not in html
    html.encode()  # no half of a pair is left


def test_the_page_is_built_for_keyboards_and_screen_readers(report: Report) -> None:
    page = Page(format_page(report))
    names = [name for name, _ in page.tags]
    assert names.count("h1") == names.count("main") == names.count("header") == 1
    assert names.count("table") == names.count("caption")
    assert all(one.get("scope") in ("col", "row") for one in page.all("th"))
    ids = [one["id"] for _, one in page.tags if "id" in one]
    assert len(ids) == len(set(ids))
    used = {v for _, one in page.tags for k, v in one.items() if k.startswith("aria-labelledby")}
    assert used <= set(ids)
    assert {link[1:] for one in page.all("a") if (link := one["href"])} <= set(ids)
    plots = [one for one in page.all("svg") if one["role"] == "img"]
    assert len(plots) == len(page.all("svg")) == names.count("desc") > 3
    assert all(one["tabindex"] == "0" for one in page.all("div") if one.get("class") == "scroll")


def test_plots_take_the_pages_colours(report: Report) -> None:
    html = format_page(report)
    plots = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert "var(--gain)" in plots
    assert "var(--ink)" in plots
    assert not re.findall(r"(?:fill|stroke): ?#", plots)
    named = set(re.findall(r"var\(--([a-z0-9-]+)\)", plots))
    style = html[html.index("<style>") : html.index("</style>")]
    dark = style[style.index("prefers-color-scheme: dark") :]
    assert all(f"--{name}:" in style for name in named)
    assert all(f"--{name}:" in dark for name in named - {"font"})


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


def test_the_name_of_a_manifest_turns_no_text_around(tmp_path: Path) -> None:
    run = tmp_path / "turned\u202e.trec"
    write_run(run, FIRST, "t")
    run.with_suffix(".json").write_text(
        '{"form": "rankprompt manifest 1", "output": {"blake2b": "0"}}'
    )
    measures = parse_measures(["ndcg@10", "judged@10"])
    report = build_report(name_runs([run]), Grades(QRELS, measures), source="q")
    html = format_page(report)
    assert "\u202e" not in html
    assert r"turned\u202e.json belongs to another run" in html
    # It is asked for, so it needs no second column.
    assert html.count('<th scope="col">judged@10</th>') == 1
