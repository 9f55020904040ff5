"""Each benchmark has its place in a results page, and each place its benchmark."""

import re

from tests.docs.conftest import ROOT

PAGES = sorted((ROOT / "docs" / "results").glob("*.md"))


def test_each_benchmark_that_writes_tables_has_one_pair_of_marks() -> None:
    sources = [path.read_text("utf-8") for path in (ROOT / "benchmarks").glob("*.py")]
    writers = re.findall(r'^WRITER = "(.+)"', "\n".join(sources), re.MULTILINE)
    marks = re.findall(
        r"^<!-- (\S+) writes (from|to) here -->",
        "\n".join(page.read_text() for page in (ROOT / "docs").rglob("*.md")),
        re.M,
    )
    assert len(writers) > 5
    assert sorted(marks) == sorted((writer, mark) for writer in writers for mark in ("from", "to"))


def test_each_section_with_tables_says_when_it_was_measured() -> None:
    for page in PAGES:
        for section in re.split(r"^## ", page.read_text("utf-8"), flags=re.MULTILINE)[1:]:
            if "\n| --- |" in section:
                dated = re.search(r"\bon 20\d\d-\d\d-\d\d", section)
                assert dated, f"{page.name}: {section.splitlines()[0]}"
