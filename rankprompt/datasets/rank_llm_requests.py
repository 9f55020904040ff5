"""rank_llm's requests and results: JSON or JSONL records of a query and its candidates.

A record is ``{"query": {"text", "qid"}, "candidates": [{"docid", "score", "doc": {...}}]}``.
Older versions wrote ``{"query": "text", "hits": [{"qid", "docid", "score", "content"}]}``. Files of
results have the same records with the candidates in the new order. A JSON file is one array; in
JSONL each line is a record.

A document's text is under the first of the keys ``text``, ``segment``, ``contents``, ``content``,
``body`` and ``passage`` that is present (rank_llm's own order), and becomes the field ``text``.
Every other key that holds a string becomes a field of that name.
"""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import pairwise
from logging import getLogger
from pathlib import Path

from rankprompt.datasets.base import Documents
from rankprompt.datasets.documents import MemoryDocuments
from rankprompt.datasets.rank_llm_records import Request, read_requests
from rankprompt.errors import FormatError, InputError
from rankprompt.files.atomic_write import Scratch, write_together
from rankprompt.files.compression import decompress, decompression_errors
from rankprompt.files.unique_ids import gather_documents
from rankprompt.types import Qrels, Run

__all__ = ["LAYOUT", "RequestCollection", "open_collection", "recognise", "write_requests"]

LAYOUT = "a JSON or JSONL file of records with a query and its candidates"

log = getLogger("rankprompt")

_HEAD_BYTES = 2**16


def open_collection(where: str, *, split: str | None = None) -> "RequestCollection":
    """Opens a file of requests.

    Args:
        where: the file, JSON or JSONL, plain or compressed.
        split: must be None, because these files have no splits.

    Raises:
        InputError: the file does not exist, or a split is named.
    """
    if split is not None:
        raise InputError(f"requests:{where} has no splits; leave out `split` {split}")
    if not Path(where).is_file():
        raise InputError(f"no file {where}; expected rank_llm's requests")
    return RequestCollection(Path(where))


def recognise(path: Path) -> bool:
    """Returns whether a file starts with a record of a query and its candidates."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            _, stream = decompress(path, file)
            head = stream.read(_HEAD_BYTES).decode(errors="replace").lstrip("\ufeff \t\r\n")
    except (OSError, InputError):
        return False
    except decompression_errors():
        return False
    return head.startswith(("[", "{")) and bool(
        re.search(r'"query"\s*:', head) and re.search(r'"(candidates|hits)"\s*:', head)
    )


class RequestCollection:
    """The queries, documents and candidates of a file of requests.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = f"requests:{path}"
        self.paths = self.document_paths = (path,)

    def queries(self) -> dict[str, str]:
        """Returns the query texts by id, in the file's order."""
        return self._queries_and_run[0]

    def documents(self, wanted: Iterable[str] | None = None) -> Documents:
        """Returns the documents of all candidates, each once, in the file's order.

        Raises:
            FormatError: a request is malformed, or a document's texts differ between requests.
        """
        rows = (
            (request.line, name, fields)
            for request in read_requests(self._path)
            for name, _, fields in request.candidates
        )
        where = "in the request of line"
        return MemoryDocuments(gather_documents(self._path, rows, wanted, where))

    def qrels(self, kind: str = "graded") -> Qrels | None:
        """Returns None: requests have no judgements."""
        del kind
        return None

    def run(self) -> Run:
        """Returns the candidates' scores, best first, without queries that have no candidates.

        As in a TREC run, the candidates are ordered by score; equal scores keep the file's order.
        One warning reports scores that contradict that order. The n candidates of a request
        without scores get n, n-1, ..., 1.
        """
        return self._queries_and_run[1]

    @cached_property
    def _queries_and_run(self) -> tuple[dict[str, str], dict[str, dict[str, float]]]:
        queries: dict[str, str] = {}
        lines: dict[str, int] = {}
        run: dict[str, dict[str, float]] = {}
        disagreeing: list[int] = []
        for request in read_requests(self._path):
            name = request.query
            if name in lines:
                problem = f"query {name} already has a request on line {lines[name]}"
                raise FormatError(self._path, request.line, problem)
            queries[name], lines[name] = request.text, request.line
            scores = _scores(self._path, request)
            best_first = sorted(scores, key=lambda document: -scores[document])  # stable
            if best_first != list(scores):
                disagreeing.append(request.line)
            if scores:
                run[name] = {document: scores[document] for document in best_first}
        if disagreeing:
            log.warning(
                "%s: the order of the candidates disagrees with their scores in %d requests, "
                "first on line %d; the scores are followed",
                self._path,
                len(disagreeing),
                disagreeing[0],
            )
        return queries, run


def write_requests(
    path: Path | str, queries: Mapping[str, str], run: Run, documents: Documents
) -> None:
    """Writes requests that rank_llm reads, atomically; they read back equal.

    Args:
        path: the file: a JSON array if its name ends in ``.json``, otherwise JSONL.
        queries: texts by query id; queries that are not in the run are not written.
        run: scores by query id and document id, best first.
        documents: the candidates' documents; each must have a field ``text``.

    Raises:
        InputError: the file cannot be written (an existing file is unchanged); or a query or
            document of the run is unknown, or a document has no ``text``.
        ValueError: a query's scores are not finite, or rise.
    """
    path = Path(path)
    array = path.suffix.lower() == ".json"
    with Scratch(path) as scratch:
        scratch.write("[\n" if array else "")
        for number, (query, scores) in enumerate(run.items()):
            if number:
                scratch.write(",\n" if array else "\n")
            record = _record(query, queries, scores, documents)
            scratch.write(json.dumps(record, ensure_ascii=False, allow_nan=False))
        scratch.write("\n]\n" if array else "\n")
        write_together({path: scratch})


def _record(
    query: str, queries: Mapping[str, str], scores: Mapping[str, float], documents: Documents
) -> dict[str, object]:
    if query not in queries:
        raise InputError(f"query {query} of the run has no text in the queries")
    if any(later > earlier for earlier, later in pairwise(scores.values())):
        raise ValueError(f"the scores of query {query} rise; expected the best document first")
    fields = documents.get(scores)
    for name in scores:
        if "text" not in fields.get(name, {}):
            raise InputError(f"document {name} of query {query} has no text in the documents")
    return {
        "query": {"text": queries[query], "qid": query},
        "candidates": [
            {"docid": name, "score": score, "doc": dict(fields[name])}
            for name, score in scores.items()
        ],
    }


def _scores(path: Path, request: Request) -> dict[str, float]:
    """Returns a request's scores in the order of its candidates."""
    scores: dict[str, float] = {}
    if len({candidate.score is None for candidate in request.candidates}) > 1:
        problem = f"some candidates of query {request.query} have scores and some have none"
        raise FormatError(path, request.line, problem)
    for index, (name, score, _) in enumerate(request.candidates):
        if name in scores:
            problem = f"document {name} occurs twice among the candidates of query {request.query}"
            raise FormatError(path, request.line, problem)
        scores[name] = float(len(request.candidates) - index) if score is None else score
    return scores
