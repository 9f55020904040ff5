import tempfile
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import FormatError
from rankprompt.files import read_queries

TOPICS = """<?xml version="1.0" encoding="UTF-8"?>

<!-- two topics -->
<topics task="web" batch="2012">
  <topic number="151" type="ambiguous">
    <query>403b &amp; <b>IRA</b>
      plans</query>
    <description>What is a 403b?</description>
    <subtopic number="1" type="nav">A page</subtopic>
    <subtopic number="2" type="inf">Another</subtopic>
  </topic>
  <topic number="152"><title>angular \u00a0cheilitis</title></topic>
</topics>
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "topics.xml"


def test_number_and_query_are_read(path: Path) -> None:
    path.write_text(TOPICS)
    assert read_queries(path) == {"151": "403b & IRA plans", "152": "angular cheilitis"}


@pytest.mark.parametrize(
    "topic",
    [
        "<topic number='7'><query>so</query></topic>",
        "<topic id='7'><title>so</title><narrative>long</narrative></topic>",
        "<topic><number>7</number><title>so</title></topic>",
        "<top><num> 7 </num><title>so</title></top>",
        "<TOPIC number='7'>so</TOPIC>",
        "<topic NUMBER='7'><query>so</query></topic>",
        "<Topic Id='7'><Query>so</Query></Topic>",
        "<top><num>Number: 7</num><title>so</title></top>",
        "<topic number='7'><title>no</title><query>so</query></topic>",
    ],
)
def test_the_spellings_of_a_topic(path: Path, topic: str) -> None:
    path.write_text(f"<topics>{topic}</topics>")
    assert read_queries(path) == {"7": "so"}


@given(
    st.dictionaries(
        st.from_regex("[A-Za-z0-9_-]{1,6}", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="\ufffe")),
        min_size=1,
    )
)
def test_what_is_escaped_is_read(queries: dict[str, str]) -> None:
    lines = (
        f"<topic number={quoteattr(name)}><query>{escape(text)}</query></topic>\n"
        for name, text in queries.items()
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "topics.xml"
        path.write_text(f"<topics>\n{''.join(lines)}</topics>\n", encoding="utf-8")
        assert read_queries(path) == {k: " ".join(text.split()) for k, text in queries.items()}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("<topics>\n\n<topic number='1'><query>a</topic>", ":3: malformed XML: mismatched tag"),
        ("<topics>\n<topic number='1'><query>a</query></topic>\n", ":3: malformed XML: no element"),
        ("<topics>\n<topic><query>a</query></topic></topics>", ":2: .* has no number"),
        ("<topics>\n</topics>", ": no <topic> among"),
        ("<rows>\n<row>a</row>\n</rows>", ": no <topic> among"),
        ("<TOPICS>\n<top>\n<num> 1\n<title> a\n</top>\n</TOPICS>", ":5: malformed XML"),
        (
            "<topics><topic number='1'><summary>a</summary></topic></topics>",
            ":1: topic 1 has no <query> or <title>, only <summary>",
        ),
        (
            "<topics><topic number='1'><query>a</query><query>b</query></topic></topics>",
            ":1: a second query in one topic",
        ),
        (
            "<topics><topic number='1'>a</topic>\n<topic number='1'>b</topic></topics>",
            ":2: query 1 is already on line 1",
        ),
        ("<topics><topic number='1 2'>a</topic></topics>", ":1: an id must be one word"),
        (
            '<?xml version="1.0"?>\n<!DOCTYPE t [<!ENTITY a "b">]>\n<topics></topics>',
            ":2: a document type declaration, which is not read",
        ),
        ("<topics><topic number='1'>&a;</topic></topics>", ":1: malformed XML: undefined entity"),
    ],
)
def test_what_is_malformed_is_told(path: Path, content: str, problem: str) -> None:
    path.write_text(content)
    with pytest.raises(FormatError, match=rf"topics\.xml{problem}"):
        read_queries(path)
