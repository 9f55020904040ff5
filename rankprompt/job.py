"""One reranking, from files to files: what ``rankprompt rerank`` does."""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

from rankprompt.files import format_run, read_candidates, read_qrels, write_together
from rankprompt.journal import Journal
from rankprompt.manifest import (
    describe_costs,
    describe_file,
    describe_judge,
    format_manifest,
    manifest_path,
    versions,
)
from rankprompt.reranking import merge
from rankprompt.settings import Job, resolve
from rankprompt.working import Work

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
    first_stage, candidates, skipped = read_candidates(
        job.run,
        job.queries,
        job.docs,
        depth=job.depth,
        limit=job.limit,
        skip_missing=job.skip_missing,
    )
    qrels = read_qrels(job.oracle) if job.oracle else None
    with ExitStack() as stack:
        journal = Journal(job.journal) if prompt else None
        if journal:
            stack.callback(journal.close)
        work = Work(job, candidates, lambda *what: stack.enter_context(progress(*what)))
        if prompt is None or journal is None:
            done = work.ask_oracle(qrels or {})
        elif job.server:
            done = asyncio.run(work.ask_server(prompt, journal))
        elif job.ray:
            done = work.ask_cluster(prompt, journal)
        else:
            done = work.ask_model(prompt, journal)
    rankings = {
        query: merge(list(scores), done.rankings.get(query, []))
        for query, scores in list(first_stage.items())[: job.limit]
    }
    content: dict[str, Any] = {
        "inputs": {
            name: describe_file(path)
            for name, path in {
                "run": job.run,
                "queries": job.queries,
                "docs": job.docs,
                "qrels": job.oracle,
            }.items()
            if path
        },
        "versions": versions(
            ("rankprompt", "torch", "transformers", "tokenizers", "numpy", "safetensors", "ray")
        ),
        "model": describe_judge(done.model, prompt),
        "queries": len(rankings),
        "documents": sum(len(one.documents) for one in candidates),
        "skipped_documents": len(skipped),
        "costs": {
            "comparisons_asked": done.asked,
            "comparisons_from_journal": done.from_journal,
            "comparisons_unasked": done.unasked,
            "rounds": done.rounds,
            **(describe_costs(done.costs, job.budget) if done.costs else {}),
            "seconds": round(time.perf_counter() - started, 3),
        },
        "passages_cut": done.cut,
        "diagnostics": done.diagnostics,
    }
    if job.ray:
        content["workers_replaced"] = done.replaced
    manifest = format_manifest(job, content)
    run = format_run(rankings, tag="rankprompt")
    write_together({job.output: run, manifest_path(job.output): manifest})
    written: dict[str, Any] = json.loads(manifest)
    return written
