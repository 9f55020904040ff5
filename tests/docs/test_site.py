"""The site builds without a warning: links, anchors, navigation, and the generated pages.

``make docs`` is the same build; ``mkdocs.yml`` makes a warning an error.
"""

import importlib
import re
from html import unescape
from pathlib import Path

import pytest

from rankprompt.cli.verbs import VERBS
from tests.docs.conftest import ROOT, build

GOLDEN = ROOT / "tests" / "cli" / "golden"
CONCEPTS = ["generators", "journal", "cascade", "evolution"]
# The packages whose public names a user imports from the package itself.
API = ["rankprompt", "rankprompt.types", "rankprompt.errors", "rankprompt.llm", "rankprompt.files"]


def test_each_page_of_the_docs_is_there(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs")).with_suffix(".html").is_file()
    assert not list(site.rglob("*.py"))


def test_the_reference_has_each_verb_and_each_option(site: Path) -> None:
    page = unescape((site / "cli.html").read_text("utf-8"))
    text = re.sub(r"<[^>]*>", "", page)
    for golden in GOLDEN.glob("*.txt"):
        # evolve-run is a verb of a verb, and generate-queries is one verb.
        verb = golden.stem if golden.stem in VERBS else golden.stem.replace("-", " ")
        heading = "rankprompt" if verb == "rankprompt" else f"rankprompt {verb}"
        assert f"$ {heading} [OPTIONS]" in text
        options = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", golden.read_text(), re.MULTILINE))
        section = text.split(f"$ {heading} [OPTIONS]", 1)[1].split("Usage", 1)[0]
        assert options
        assert options <= set(re.findall(r"--[\w-]+", section)), verb


@pytest.mark.parametrize("name", API)
def test_the_api_reference_documents_each_public_name(site: Path, name: str) -> None:
    page = (site / "api" / f"{name}.html").read_text("utf-8")
    for public in importlib.import_module(name).__all__:
        assert f'id="{name}.{public}"' in page, public


def test_the_api_reference_of_a_package_has_its_modules(site: Path) -> None:
    page = (site / "api" / "rankprompt.rankers.html").read_text("utf-8")
    assert 'id="rankprompt.rankers.driver.drive"' in page
    assert 'id="rankprompt.rankers.heapsort.heapsort"' in page
    assert 'id="rankprompt.rankers.' not in (site / "api" / "rankprompt.html").read_text("utf-8")


def test_the_list_of_verbs_leads_to_them_in_whole_sentences(site: Path) -> None:
    page = (site / "cli.html").read_text("utf-8")
    assert 'href="#rankprompt-rerank"' in page
    assert "about one, two or several of them at a time." in page
    assert "..." not in re.findall(r"<strong>Commands</strong>.*?</ul>", page, re.DOTALL)[0]


def test_the_notebooks_are_pages_with_code_and_what_it_showed(site: Path) -> None:
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        page = (site / "notebooks" / f"{path.stem}.html").read_text("utf-8")
        assert "language-python" in page
        assert "language-text" in page


@pytest.mark.parametrize("concept", CONCEPTS)
def test_a_concept_has_a_picture_that_is_described(site: Path, concept: str) -> None:
    page = (site / "concepts" / f"{concept}.html").read_text("utf-8")
    (alternative,) = re.findall(rf'<img alt="([^"]+)" src="{concept}.svg"', page)
    assert len(alternative) > 40
    picture = (site / "concepts" / f"{concept}.svg").read_text("utf-8")
    assert "prefers-color-scheme: dark" in picture
    assert "<title" in picture
    assert "<desc" in picture


def test_nothing_is_loaded_from_a_network(site: Path) -> None:
    loads = re.compile(
        r'<(?:script|img|iframe)[^>]*\bsrc="(?:https?:)?//|<link[^>]*rel="(?!canonical)[^"]*"[^>]*'
        r'href="(?:https?:)?//|@import|url\(["\']?(?:https?:)?//'
    )
    for page in [*site.rglob("*.html"), *site.rglob("*.css")]:
        assert not loads.search(page.read_text("utf-8")), page


def test_a_link_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# A\n\n[b](index.md#none)\n")
    settings = re.sub(r"(?s)^(nav|hooks|exclude_docs|extra_css):.*?(?=^\w|\Z)", "",
                      (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE)  # fmt: skip
    (tmp_path / "mkdocs.yml").write_text(settings)
    completed = build(tmp_path / "site", tmp_path / "mkdocs.yml")
    assert completed.returncode != 0
    assert "index.md#none" in completed.stderr


def test_no_block_of_code_is_left_as_text(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert "```" not in page.read_text("utf-8"), page


def test_code_that_scrolls_takes_the_focus_and_signatures_do_not(site: Path) -> None:
    scrolls = '<pre><span></span><code><span class="scrolls" tabindex="0">'
    page = (site / "tutorial.html").read_text("utf-8")
    assert page.count(scrolls) == page.count("<pre>") > 3
    page = (site / "api" / "rankprompt.types.html").read_text("utf-8")
    assert 0 < page.count(scrolls) < page.count("<pre>") / 2
