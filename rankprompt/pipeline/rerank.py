"""One reranking, from files to files: what ``rankprompt rerank`` does."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from hashlib import blake2b
from typing import Any

from rankprompt.datasets.candidates import Block
from rankprompt.files import Scratch, read_qrels, write_together
from rankprompt.files.manifest import describe_file, format_manifest, manifest_path, versions
from rankprompt.journal.store import Journal
from rankprompt.pipeline.blocks import Outcome
from rankprompt.pipeline.candidate_source import Supply
from rankprompt.pipeline.config import Job
from rankprompt.pipeline.execution import Work
from rankprompt.pipeline.manifest import describe_costs, describe_judge
from rankprompt.pipeline.run_writer import GrowingRun
from rankprompt.pipeline.validation import resolve
from rankprompt.prompts.prompt import Prompt
from rankprompt.types import QUESTION_NOUNS

__all__ = ["Job", "run_job"]

_Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def run_job(
    job: Job, progress: _Progress = lambda *_: nullcontext(lambda _: None)
) -> dict[str, Any]:
    """Reranks, and writes the run and its manifest.

    Args:
        job: the settings.
        progress: opened with a description and about how many comparisons there will be; gives the
            function to call with the comparisons done.

    Returns:
        The manifest.

    Raises:
        RankpromptError: bad input, a model that cannot be loaded, a journal that fails. No output
            is written then; what the model has answered is in the journal.
    """
    started = time.perf_counter()
    job, prompt = resolve(job)
    supply = Supply(job, lambda size: job.estimate(job.method or "", size))
    qrels = read_qrels(job.oracle) if job.oracle else None
    with ExitStack() as stack:
        scratch = stack.enter_context(Scratch(job.output))
        digest = blake2b(digest_size=16)

        def write(text: str) -> None:
            digest.update(text.encode())
            scratch.write(text)

        growing = GrowingRun(write, tag="rankprompt")
        journal = Journal(job.journal) if prompt or job.teacher else None
        if journal:
            stack.callback(journal.close)
        work = Work(
            job,
            supply.parts(lambda block: growing.expect(block.run, _queries(block))),
            supply.comparisons,
            show=lambda *what: stack.enter_context(progress(*what)),
            keep=growing.keep,
        )
        if job.teacher and journal and supply.cascade:
            done = work.ask_teacher(prompt, journal, supply.cascade)
        elif prompt is None or journal is None:
            done = work.ask_oracle(qrels or {})
        elif job.server:
            done = asyncio.run(work.ask_server(prompt, journal))
        elif job.ray:
            done = work.ask_cluster(prompt, journal)
        else:
            done = work.ask_model(prompt, journal)
        described = _describe(job, prompt, supply, done, started)
        # By which a report knows whose manifest this is.
        output = {"path": str(job.output), "blake2b": digest.hexdigest()}
        manifest = format_manifest(job, {"output": output, **described})
        write_together({job.output: scratch, manifest_path(job.output): manifest})
    written: dict[str, Any] = json.loads(manifest)
    return written


def _queries(block: Block) -> set[str]:
    return {one.query.id for one in block.candidates}


def _describe(
    job: Job, prompt: Prompt | None, supply: Supply, done: Outcome, started: float
) -> dict[str, Any]:
    files = {"run": job.run, "queries": job.queries, "docs": job.docs, "qrels": job.oracle}
    inputs: dict[str, Any] = {name: describe_file(path) for name, path in files.items() if path}
    if job.dataset:
        inputs["dataset"] = [describe_file(path) for path in supply.collection.paths]
    question = "window" if job.teacher else QUESTION_NOUNS[job.question]
    content: dict[str, Any] = {
        "inputs": inputs,
        "versions": versions(
            (
                "rankprompt",
                "torch",
                "transformers",
                "tokenizers",
                "numpy",
                "safetensors",
                "onnxruntime",
                "ray",
            )
        ),
        "model": describe_judge(done.model, prompt, "teacher" if job.teacher else question),
        "queries": supply.queries,
        "documents": supply.documents,
        "skipped_documents": supply.skipped,
        "costs": {
            "question": question,
            "comparisons_asked": done.asked,
            "comparisons_from_journal": done.from_journal,
            "comparisons_unasked": done.unasked,
            "rounds": done.rounds,
            **(describe_costs(done.costs, job.budget) if done.model else {}),
            "seconds": round(time.perf_counter() - started, 3),
        },
        "passages_cut": done.cut,
        "texts_with_special_tokens": done.marked,
        "diagnostics": done.diagnostics,
    }
    if supply.cascade:
        content["cascade"] = supply.cascade.counts.summary()
    if job.ray:
        content["workers_replaced"] = done.replaced
    return content
