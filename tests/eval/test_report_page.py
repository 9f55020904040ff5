"""The page: what it holds, and that nothing in it runs or is fetched."""

import re
from html.parser import HTMLParser
from pathlib import Path

from rankprompt.eval import Grades, parse_measures
from rankprompt.eval.report import Report, build_report, name_runs
from rankprompt.eval.report_page import format_page
from rankprompt.files import write_run
from tests.eval.conftest import EVIL, FIRST, QRELS, SAFE_FILE


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
