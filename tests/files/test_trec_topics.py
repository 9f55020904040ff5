from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import FormatError
from rankprompt.files import read_queries

OLD = """\
<top>
<head> Tipster Topic Description
<num> Number:  051
<dom> Domain: International Economics
<title> Topic:  Airbus
Subsidies

<desc> Description:
Not this, <title> or not.
</top>
"""
NEW = """
<TOP>

<num> Number: 301 </num>
<title>
International   Organized Crime

<desc> Description:
Not this.

<narr> Narrative:
Nor this: number 7.

</top>

<top><num>q 7x</num><title>AT&amp;T a < b <b>c</b></title></top>
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "topics"


def read(path: Path, text: str) -> dict[str, str]:
    path.write_text(text, encoding="utf-8")
    return read_queries(path)


def test_topics(path: Path) -> None:
    assert read(path, OLD.replace(", <title>", "")) == {"051": "Airbus Subsidies"}
    assert read(path, NEW.replace("q 7x", "q7x")) == {
        "301": "International Organized Crime",
        "q7x": "AT&amp;T a < b <b>c</b>",
    }


@given(st.lists(st.text(st.characters(categories=["L", "Nd"], max_codepoint=0x9FFF))))
def test_any_titles(titles: list[str]) -> None:
    import tempfile

    topics = "".join(
        f"<top>\n<num> Number: {number}\n<title> {title}\n<desc> x\n</top>\n"
        for number, title in enumerate(["first", *titles])
    )
    with tempfile.TemporaryDirectory() as folder:
        found = read(Path(folder) / "topics", topics)
    expected = ["first", *titles]
    assert found == {str(number): title for number, title in enumerate(expected)}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (OLD, ":9: a second <title> in one topic"),
        (NEW, ":16: an id must be one word without spaces, not 'q 7x'"),
        ("<top>\n<num> 1\n<title> a\n", ": the last topic has no </top>"),
        ("<top>\n<num> 1\n<title> a\n<top>\n", ":4: <top> within a topic"),
        ("<top>\n<num> 1\n</top>\n", ":3: the topic that ends here has no <title>"),
        ("<top>\n<title> 1\n</top>\n", ":3: the topic that ends here has no <num>"),
        ("<top>\n<num> 1\n<title> a\n</top>\nand\n", ":5: expected <top>, found 'and'"),
        ("<top>\n<num> 1\n<num> 2\n<title> a\n</top>\n", ":3: a second <num>"),
        ("<top>\n<num>\n<title> a\n</top>\n", ":2: an id must be one word"),
        (
            "<top><num>1<title>a</top>\n<top><num>1<title>b</top>\n",
            ":2: query 1 is already on line 1",
        ),
    ],
)
def test_malformed_topics_are_told(path: Path, text: str, problem: str) -> None:
    with pytest.raises(FormatError, match=f"topics{problem}"):
        read(path, text)
