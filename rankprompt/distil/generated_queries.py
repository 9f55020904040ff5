"""Queries that a model writes for passages, for a collection that has few queries or none.

InPars (arXiv 2202.05144) and GPL (arXiv 2112.07577) train rankers so: a language model writes a
query for a passage, a first stage finds candidates for it, and a teacher judges them.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeAlias

from rankprompt.datasets import open_collection
from rankprompt.datasets.base import Documents
from rankprompt.datasets.document_file import DocumentFile
from rankprompt.datasets.documents import open_documents
from rankprompt.datasets.passages import join_fields, parse_fields
from rankprompt.distil.config import QUERY_PROMPT, GenerationConfig
from rankprompt.distil.query_cleaning import QueryCleaner
from rankprompt.errors import InputError, ModelError
from rankprompt.files.atomic_write import write_together
from rankprompt.files.manifest import beside, check_paths
from rankprompt.journal.cached_model import CachedModel, Reply
from rankprompt.llm.base import AsyncLanguageModel, LanguageModel, Request
from rankprompt.pipeline.config_option import check_values
from rankprompt.pipeline.execution import open_server
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.language_model import language_model_job
from rankprompt.pipeline.model_access import OwnModels
from rankprompt.prompts.prompt import Prompt, load_prompt
from rankprompt.retrieval.analyzer import guess_language, words
from rankprompt.types import Document, Progress, no_progress

__all__ = [
    "GeneratedQueries",
    "describe_dropped",
    "generate_queries",
]

log = logging.getLogger("rankprompt")

_Ask: TypeAlias = Callable[[Sequence[Request]], list[Reply]]

_QUERY_TOKENS = 32
# Passages asked about at a time: enough for full batches, and seldom too many.
_CHUNK = 64
# A model of which fewer answers are queries, after a chunk or more, is not worth its cost.
_FEWEST = 0.1
# As in rankprompt.judges.base: a passage may have more tokens between other texts than alone.
_SPARE_TOKENS = 8


class GeneratedQueries(NamedTuple):
    """What a generation gave.

    Attributes:
        queries: texts by query id, which is the passage's id with -q after it.
        passages: the number of passages that the model was asked about.
        dropped: how many answers were left out, by the reason.
        seconds: how long it took.
    """

    queries: dict[str, str]
    passages: int
    dropped: Mapping[str, int]
    seconds: float


def generate_queries(
    config: GenerationConfig, progress: Progress = no_progress
) -> GeneratedQueries:
    """Has a model write a query for each of some passages, and writes a file of queries.

    Passages are drawn by the seed. One whose answer is no query is replaced by the next, until
    there are enough queries, or no more passages. Answers go into the journal, so that an
    interrupted generation goes on where it was.

    Args:
        config: who writes how many queries for what.
        progress: opens a progress bar.

    Raises:
        InputError: an input cannot be read, or an output not be written.
        ModelError: the model cannot be loaded, or hardly writes queries. Nothing is written then.
    """
    started = time.monotonic()
    job, output, prompt = _check(config)
    documents = _open_documents(job)
    order = _draw_order(documents, job.config.seed)
    queries: dict[str, str] = {}
    asked = 0
    with ExitStack() as stack:
        model, ask = _open_model(job, stack)
        cleaner: QueryCleaner | None = None
        with progress("writing queries", config.number) as advance:
            while len(queries) < config.number:
                passages = _next_passages(
                    documents, order, job, min(_CHUNK, config.number - len(queries))
                )
                if not passages:
                    log.warning("no more passages: %d queries of %d", len(queries), config.number)
                    break
                cleaner = cleaner or _cleaner(passages)
                requests = [_request(model, prompt, one, job) for one in passages]
                replies = ask(requests)
                asked += sum(reply.answer is not None for reply in replies)
                before = len(queries)
                for passage, reply in zip(passages, replies, strict=True):
                    query = reply.answer and cleaner.query(reply.answer, passage.text)
                    if query:
                        queries[f"{passage.id}-q"] = query
                advance(len(queries) - before)
                _check_share(len(queries), asked, cleaner)
                if any(reply.answer is None for reply in replies):
                    log.warning(
                        "the budget is spent: %d queries of %d", len(queries), config.number
                    )
                    break
    dropped = cleaner.dropped if cleaner else Counter[str]()
    if not queries:
        raise InputError(
            f"none of {asked} passages got a query"
            + (f": {describe_dropped(dropped)}" if dropped else "; are the documents blank?")
        )
    _write(queries, output, config.qrels)
    return GeneratedQueries(queries, asked, dropped, time.monotonic() - started)


def describe_dropped(dropped: Mapping[str, int]) -> str:
    """Says in a clause how many answers were left out, and why, the most frequent reason first."""
    ranked = sorted(dropped.items(), key=lambda item: -item[1])
    return ", ".join(f"{number:,} {reason}" for reason, number in ranked)


def _check(config: GenerationConfig) -> tuple[RerankJob, Path, Prompt]:
    """Checks all that can be checked at no cost."""
    asked = config.asked
    check_values(asked)
    data, output = asked.data, asked.output.run
    if output is None:
        raise InputError("give `output`, the file of queries to write")
    if (data.docs is None) == (data.dataset is None):
        raise InputError("give `docs`, or a `dataset` that has them")
    if data.split and not data.dataset:
        raise InputError("`split` goes with `dataset`")
    parse_fields(data.fields)
    journal = asked.output.journal or beside(output, ".journal")
    check_paths(output, journal, [data.docs], config.qrels)
    asked = replace(asked, output=replace(asked.output, journal=journal))
    job = language_model_job(asked, "writes no queries", asks=not journal.is_file())
    prompt = load_prompt(asked.judge.prompt or QUERY_PROMPT, asked.judge.instruction)
    if prompt.kind != "likelihood":
        raise InputError(
            f"`prompt` {prompt.name}: queries are written after a prompt of kind likelihood, such "
            f"as {QUERY_PROMPT}, not {prompt.kind}"
        )
    if job.source == "server" and asked.judge.prompt is None:
        # Most servers offer nothing but chats, and models that chat follow the demonstrations.
        prompt = replace(prompt, chat=True)
    return job, output, prompt


def _open_documents(job: RerankJob) -> Documents:
    data = job.config.data
    if data.docs:
        return open_documents(DocumentFile(data.docs))
    return open_collection(data.dataset or "", split=data.split).documents()


def _draw_order(documents: Documents, seed: int) -> Iterator[str]:
    """Document ids in an order that the seed draws; more documents leave that of the others."""

    def place(name: str) -> bytes:
        return blake2b(f"{seed} {name}".encode(), digest_size=8).digest()

    return iter(sorted((name for name, _ in documents), key=place))


def _next_passages(
    documents: Documents, order: Iterator[str], job: RerankJob, number: int
) -> list[Document]:
    """The next documents with a text, each on one line, as the demonstrations are."""
    passages: list[Document] = []
    while len(passages) < number and (names := list(islice(order, number - len(passages)))):
        for name, fields in documents.get(names).items():
            text = " ".join(join_fields(name, fields, job.fields).text.split())
            if text:
                passages.append(Document(name, text))
    return passages


def _open_model(
    job: RerankJob, stack: ExitStack
) -> tuple[LanguageModel | AsyncLanguageModel, _Ask]:
    models = OwnModels()
    journal = models.journal(job.config.output.journal, stack)
    if job.source == "server":
        runner, served = open_server(job, models, journal, stack)
        return served.model, lambda requests: runner.run(served.answer(requests))
    cached = CachedModel(models.local(job, stack), journal, job.budget)
    return cached.model, cached.answer


def _cleaner(passages: Sequence[Document]) -> QueryCleaner:
    try:
        language = guess_language(passage.text for passage in passages)
    except InputError:  # neither Latin nor Chinese letters
        language = "none"
    return QueryCleaner(words(language))


def _request(
    model: LanguageModel | AsyncLanguageModel, prompt: Prompt, passage: Document, job: RerankJob
) -> Request:
    """The prompt with a passage, which is truncated to fit."""

    def request(text: str) -> Request:
        values = {"passage": text, "query": ""}
        return Request(
            prompt.text.fill(**values),
            max_tokens=_QUERY_TOKENS,
            chat=prompt.chat,
            breaks=prompt.text.breaks(**values),
        )

    used = model.length(request(""))
    space = model.context_length - used - _SPARE_TOKENS
    if space < 1:
        raise ModelError(
            f"`prompt` {prompt.name} leaves no room for a passage: it takes {used} of the "
            f"{model.context_length} tokens of {model.name}"
        )
    tokens = min(space, job.config.judge.passage_tokens or space)
    return request(model.truncate(model.escape(passage.text), tokens))


def _check_share(found: int, asked: int, cleaner: QueryCleaner) -> None:
    """Stops before a whole collection is asked about in vain."""
    if asked >= _CHUNK and found < _FEWEST * asked:
        raise ModelError(
            f"{found} of the first {asked} answers are queries ("
            f"{describe_dropped(cleaner.dropped)}): try another `model` or `prompt`"
        )


def _write(queries: Mapping[str, str], output: Path, qrels: Path | None) -> None:
    files = {output: "".join(f"{name}\t{text}\n" for name, text in queries.items())}
    if qrels:
        files[qrels] = "".join(f"{name} 0 {name.removesuffix('-q')} 1\n" for name in queries)
    write_together(files)
