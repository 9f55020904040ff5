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
from itertools import islice
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeAlias

from rankprompt.datasets import open_collection
from rankprompt.datasets.base import Documents
from rankprompt.datasets.document_file import DocumentFile
from rankprompt.datasets.documents import open_documents
from rankprompt.datasets.passages import join_fields, parse_fields
from rankprompt.distil.config import GenerationConfig
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
from rankprompt.prompts.template import parse_template
from rankprompt.retrieval.analyzer import guess_language, words
from rankprompt.types import Document, Progress, no_progress

__all__ = [
    "GeneratedQueries",
    "describe_dropped",
    "generate_queries",
]

log = logging.getLogger("rankprompt")

_Ask: TypeAlias = Callable[[Sequence[Request]], list[Reply]]
_Write: TypeAlias = Callable[[Sequence[Document]], list[Reply]]

# No demonstrations: a small model repeats their form and their words for most passages.
_PROMPT = ('Text: {passage}\n\nThe question that this text answers is: "', "{query}")
_MARK = "-q"  # after a passage's id, in its query's
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
    drawn = _draw(_open_documents(job), job)
    with ExitStack() as stack:
        model, ask = _open_model(job, stack)

        def write(passages: Sequence[Document]) -> list[Reply]:
            return ask([_request(model, prompt, passage, job) for passage in passages])

        advance = stack.enter_context(progress("writing queries", config.number))
        queries, dropped = _collect(config.number, drawn, write, advance)
    _write(queries, output, config.qrels)
    passages = len(queries) + dropped.total()
    return GeneratedQueries(queries, passages, dropped, time.monotonic() - started)


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
    return job, output, _load_prompt(job)


def _load_prompt(job: RerankJob) -> Prompt:
    """The prompt that is named, or our own; raises InputError where it shows no passage alone."""
    name = job.config.judge.prompt
    if name is None:
        # Most servers offer nothing but chats.
        text, target = map(parse_template, _PROMPT)
        return Prompt("ours", "likelihood", text, target, (), chat=job.source == "server")
    prompt = load_prompt(name)
    if prompt.kind != "likelihood":
        raise InputError(
            f"`prompt` {name}: queries are written after a prompt of kind likelihood, such as "
            f"query-likelihood, not {prompt.kind}"
        )
    return prompt


def _open_documents(job: RerankJob) -> Documents:
    data = job.config.data
    if data.docs:
        return open_documents(DocumentFile(data.docs))
    return open_collection(data.dataset or "", split=data.split).documents()


def _draw(documents: Documents, job: RerankJob) -> Iterator[Document]:
    """Documents with a text, in an order that the seed draws.

    More documents leave the order of the others as it is.
    """
    seed = job.config.seed
    names = sorted(
        (name for name, _ in documents), key=lambda name: Random(f"{seed} passage {name}").random()
    )
    for start in range(0, len(names), _CHUNK):
        for name, fields in documents.get(names[start : start + _CHUNK]).items():
            # On one line, since a query ends with its line.
            text = " ".join(join_fields(name, fields, job.fields).text.split())
            if text:
                yield Document(name, text)


def _collect(
    number: int, drawn: Iterator[Document], write: _Write, advance: Callable[[int], None]
) -> tuple[dict[str, str], Counter[str]]:
    """Queries by id, and how many answers were left out, by the reason."""
    queries: dict[str, str] = {}
    cleaner: QueryCleaner | None = None
    while len(queries) < number:
        passages = list(islice(drawn, min(_CHUNK, number - len(queries))))
        if not passages:
            log.warning("the documents have no more passages: %d queries", len(queries))
            break
        cleaner = cleaner or _cleaner(passages)
        before = len(queries)
        replies = write(passages)
        for passage, (answer, *_) in zip(passages, replies, strict=True):
            if answer is not None and (query := cleaner.query(answer, passage.text)):
                queries[f"{passage.id}{_MARK}"] = query
        advance(len(queries) - before)
        asked = len(queries) + cleaner.dropped.total()
        if asked >= _CHUNK and len(queries) < _FEWEST * asked:
            raise ModelError(
                f"{len(queries)} of the first {asked} answers are queries "
                f"({describe_dropped(cleaner.dropped)}): try another `model` or `prompt`"
            )
        if any(reply.answer is None for reply in replies):
            log.warning("the budget is spent: %d queries", len(queries))
            break
    if cleaner is None:
        raise InputError("the documents have no text in their `fields`")
    if not queries:
        raise ModelError(
            f"no answer is a query ({describe_dropped(cleaner.dropped)}): try another `model` or "
            "`prompt`"
        )
    return queries, cleaner.dropped


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
    model: LanguageModel | AsyncLanguageModel,
    prompt: Prompt,
    passage: Document,
    job: RerankJob,
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


def _write(queries: Mapping[str, str], output: Path, qrels: Path | None) -> None:
    files = {output: "".join(f"{name}\t{text}\n" for name, text in queries.items())}
    if qrels:
        files[qrels] = "".join(f"{name} 0 {name.removesuffix(_MARK)} 1\n" for name in queries)
    write_together(files)
