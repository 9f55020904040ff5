"""BM25 search in an index of Lucene, by Anserini."""

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rankprompt.errors import InputError, UnknownNameError
from rankprompt.files.trec_run import read_run
from rankprompt.retrieval import anserini
from rankprompt.retrieval.bm25 import K1, B
from rankprompt.retrieval.lucene_index import DESCRIPTION, LANGUAGES

__all__ = ["search"]

_PREBUILT = "pyserini:"


def search(
    index: Path | str,
    queries: Mapping[str, str],
    *,
    depth: int = 1000,
    k1: float = K1,
    b: float = B,
    language: str | None = None,
    timeout: float | None = None,
) -> dict[str, dict[str, float]]:
    """Ranks the documents of an index by Lucene's BM25.

    A query is a bag of words: none of its characters is syntax. Scores are those of Anserini:
    rounded to four decimals; equal scores are ordered by document id and separated by a millionth
    each, so the last of many ties may be negative.

    Args:
        index: a folder made by ``build`` or by Anserini; or ``pyserini:NAME``, one of Anserini's
            prebuilt indexes, which Anserini downloads into its own cache (three attempts).
        queries: texts by query id.
        depth: the largest number of documents per query.
        k1: the saturation of term frequencies, 0 or more; the default is Anserini's.
        b: the length normalisation, from 0 (none) to 1 (full); the default is Anserini's.
        language: the language of the index; None for the language that the index records, which is
            English for a prebuilt one.
        timeout: seconds after which the search, including a download, is stopped; None for no
            limit.

    Returns:
        Scores by query and document, best first. All queries are there, in their order; those that
        match no document have no scores.

    Raises:
        InputError: there is no Java or Anserini, or no such index; its language differs or is
            unknown; a parameter is out of range; a query has more than 1,024 different words; or
            Anserini failed.
    """
    if depth < 1 or not k1 >= 0 or not 0 <= b <= 1:
        raise InputError(
            f"expected `depth` >= 1, `k1` >= 0, 0 <= `b` <= 1, not {depth}, {k1:g}, {b:g}"
        )
    name, language = _resolve(index, language)
    # Anserini takes a row without text for a malformed file.
    rows = [
        f"{number}\t{_column(text)}\n"
        for number, text in enumerate(queries.values())
        if text.strip()
    ]
    run: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="rankprompt-") as folder:
        topics, output = Path(folder, "topics.tsv"), Path(folder, "run.trec")
        topics.write_text("".join(rows), "utf-8", newline="\n")
        if rows:
            anserini.run(
                "io.anserini.search.SearchCollection",
                ["-index", name, "-topics", topics, "-topicReader", "TsvString", "-output", output,
                 "-language", language, "-hits", depth, "-threads", os.cpu_count() or 1,
                 "-bm25", "-bm25.k1", k1, "-bm25.b", b],
                Path(folder, "log"),
                timeout,
            )  # fmt: skip
        if output.exists() and output.stat().st_size:
            run = read_run(output)
    return {query: run.get(str(number), {}) for number, query in enumerate(queries)}


def _resolve(index: Path | str, language: str | None) -> tuple[str, str]:
    """Returns Anserini's name of the index, and its language."""
    if language is not None and language not in LANGUAGES:
        raise UnknownNameError("language", language, LANGUAGES)
    if isinstance(index, str) and index.startswith(_PREBUILT):
        return index.removeprefix(_PREBUILT), language or "en"
    folder = Path(index)
    if not any(folder.glob("segments_*")):
        raise InputError(f"{folder} is not a Lucene index; make one with: rankprompt index")
    try:
        recorded: object = json.loads((folder / DESCRIPTION).read_text("utf-8"))["language"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        recorded = language
    if recorded is None:
        raise InputError(f"{folder} does not record its language ({DESCRIPTION}); give `language`")
    if language not in (None, recorded):
        raise InputError(f"{folder} was indexed as {recorded!r:.80}, not {language!r}")
    if not isinstance(recorded, str) or recorded not in LANGUAGES:
        raise InputError(f"{folder / DESCRIPTION}: {recorded!r:.80} is no language of Anserini's")
    return str(folder.resolve()), recorded


def _column(text: str) -> str:
    """Returns a query as a column of TSV; half a surrogate pair becomes a question mark."""
    return re.sub(r"[\t\r\n]+", " ", text).encode(errors="replace").decode()
