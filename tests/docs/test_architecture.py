"""The page on the architecture says what the package is: its picture, its paths, its questions."""

import re
import tomllib

from tests.docs.conftest import ROOT

OLD = "eval/measure_kinds.py"  # named by the page as what was renamed
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def test_the_picture_shows_the_contract_of_the_imports() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layers = next(one["layers"] for one in linter["contracts"] if one["type"] == "layers")
    picture = (ROOT / "docs" / "architecture.svg").read_text("utf-8")
    assert re.findall(r'class="name"[^>]*>([^<]+)<', picture) == layers
    heights = [int(y) for y in re.findall(r'class="name" x="\d+" y="(\d+)"', picture)]
    assert heights == sorted(heights)


def test_each_path_of_the_page_is_there() -> None:
    answered = re.findall(r"`((?:rankprompt|eval|search)/[\w/.]*)`", PAGE.split("## Twenty")[1])
    of_package = re.findall(
        r"`((?:api|cli|integrations|pipeline|judges|llm|service)/[\w/.]*)`",
        PAGE.split("## Twenty")[0],
    )
    assert len(answered) > 40
    assert len(of_package) > 5
    assert not [path for path in answered if path != OLD and not (ROOT / path).exists()]
    assert not [path for path in of_package if not (ROOT / "rankprompt" / path).exists()]


def test_nineteen_of_twenty_questions_are_answered_right() -> None:
    rows = re.findall(r"^\| (\d+) \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 21))
    wrong = [number for number, named, right in rows if not right.startswith(named)]
    assert len(wrong) <= 1
    assert f"{20 - len(wrong)} answers are right" in PAGE
