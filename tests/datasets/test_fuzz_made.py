"""Well-formed files of T2Ranking's form, made up: what is written is read. And any bytes at all."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankprompt.datasets.t2ranking import T2RankingCollection, clean
from rankprompt.errors import RankpromptError
from tests.datasets.stores import FAST
from tests.datasets.test_fuzz_readers import TARGETS

NUMBERS = st.integers(0, 10**6).map(str)
LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"))
PIECES = [
    "0",
    "1",
    "23",
    " ",
    "\t",
    "\n",
    "\r",
    "<br>",
    "pid",
    "qid",
    "-",
    ".5",
    "{",
    '"',
    "\0",
    "题",
]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=FAST) as name:
        for part in ("collection.tsv", "queries.dev.tsv"):
            (Path(name) / part).write_text("1\ta\n")
        yield Path(name)


def write(folder: Path, name: str, header: str, rows: list[str]) -> T2RankingCollection:
    text = "".join(f"{row}\n" for row in [header, *rows] if row)
    (folder / name).write_bytes(text.encode())
    return T2RankingCollection(folder, "dev")


@given(
    passages=st.dictionaries(NUMBERS, LINES, min_size=1), header=st.sampled_from(["", "pid\ttext"])
)
def test_passages_and_queries(folder: Path, passages: dict[str, str], header: str) -> None:
    rows = [f"{name}\t{text}" for name, text in passages.items()]
    documents = write(folder, "collection.tsv", header, rows).documents()
    expected = [(name, {"text": clean(text)}) for name, text in passages.items()]
    assert list(documents) == expected
    queries = write(folder, "queries.dev.tsv", header.replace("pid", "qid"), rows).queries()
    assert list(queries.items()) == list(passages.items())


@given(
    run=st.dictionaries(
        NUMBERS, st.lists(NUMBERS, min_size=1, max_size=5, unique=True), min_size=1, max_size=5
    ),
    header=st.booleans(),
    form=st.sampled_from(["rank", "score", "rank and score"]),
)
def test_candidates(folder: Path, run: dict[str, list[str]], header: bool, form: str) -> None:
    columns = {"rank": "{0}", "score": "{1}.5", "rank and score": "{0}\t{1}"}[form]
    rows = [
        f"{query}\t{passage}\t{columns.format(place, 10 - place)}"
        for query, passages in run.items()
        for place, passage in enumerate(passages, start=1)
    ]
    names = "qid\tpid\t" + form.replace(" and ", "\t") if header else ""
    found = write(folder, "dev.bm25.tsv", names, rows).run()
    assert found is not None
    assert {query: list(scores) for query, scores in found.items()} == run
    assert list(found) == list(run)


@given(
    qrels=st.dictionaries(
        NUMBERS, st.dictionaries(NUMBERS, st.integers(0, 3), min_size=1, max_size=5), min_size=1
    ),
    header=st.booleans(),
    middle=st.sampled_from(["", "-", "0"]),
)
def test_judgements(
    folder: Path, qrels: dict[str, dict[str, int]], header: bool, middle: str
) -> None:
    rows = [
        f"{query}\t{middle}\t{passage} {grade}".replace("\t\t", "\t")
        for query, grades in qrels.items()
        for passage, grade in grades.items()
    ]
    names = ("qid\t-\tpid\tgrade" if middle else "qid\tpid\tgrade") if header else ""
    assert write(folder, "qrels.dev.tsv", names, rows).qrels() == qrels
    pairs = [row.replace(f"\t{middle}\t", "\t").rpartition(" ")[0] for row in rows]
    found = write(folder, "qrels.retrieval.dev.tsv", "qid\tpid" if header else "", pairs)
    binary = {query: dict.fromkeys(grades, 1) for query, grades in qrels.items()}
    assert found.qrels("binary") == binary


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60)
@given(
    content=st.binary(max_size=60) | st.lists(st.sampled_from(PIECES)).map("".join).map(str.encode)
)
def test_any_bytes_are_read_or_refused(folder: Path, name: str, content: bytes) -> None:
    (folder / "input").write_bytes(content)
    try:
        found = TARGETS[name].read(folder / "input")
    except RankpromptError:
        return
    assert found
