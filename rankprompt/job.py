"""One reranking, from files to files: what ``rankprompt rerank`` does."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

from rankprompt.answering import Answering, AsyncAnswering
from rankprompt.files import format_run, read_candidates, read_qrels, write_together
from rankprompt.journal import Journal
from rankprompt.judges import AsyncPairwiseJudge, Judge, OracleJudge, PairwiseJudge
from rankprompt.manifest import (
    describe_costs,
    describe_file,
    describe_judge,
    format_manifest,
    manifest_path,
    versions,
)
from rankprompt.models import load_model, load_server
from rankprompt.prior import AsyncPriorJudge, PriorJudge
from rankprompt.prompt import Prompt
from rankprompt.readings import reading
from rankprompt.records import Candidates, Qrels
from rankprompt.reranking import Reranked, arerank, merge, rerank
from rankprompt.settings import Job, resolve
from rankprompt.sorting import method

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
        work = _Work(job, candidates, journal, lambda *what: stack.enter_context(progress(*what)))
        if prompt is None:
            judge, answering, ranked = work.ask_oracle(qrels or {})
        elif job.server:
            judge, answering, ranked = asyncio.run(work.ask_server(prompt))
        else:
            judge, answering, ranked = work.ask_model(prompt)
    rankings = {
        query: merge(list(scores), ranked.rankings.get(query, []))
        for query, scores in list(first_stage.items())[: job.limit]
    }
    content = {
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
            ("rankprompt", "torch", "transformers", "tokenizers", "numpy", "safetensors")
        ),
        "model": describe_judge(answering, prompt),
        "queries": len(rankings),
        "documents": sum(len(one.documents) for one in candidates),
        "skipped_documents": len(skipped),
        "costs": {
            "comparisons_asked": judge.asked,
            "comparisons_from_journal": getattr(judge, "from_journal", 0),
            "comparisons_unasked": getattr(judge, "unasked", 0),
            "rounds": ranked.rounds,
            **describe_costs(answering),
            "seconds": round(time.perf_counter() - started, 3),
        },
        "passages_cut": len(getattr(judge, "cut", ())),
        "diagnostics": judge.diagnostics.summary(),
    }
    manifest = format_manifest(job, content)
    run = format_run(rankings, tag="rankprompt")
    write_together({job.output: run, manifest_path(job.output): manifest})
    written: dict[str, Any] = json.loads(manifest)
    return written


_Done = tuple[
    PairwiseJudge | AsyncPairwiseJudge | OracleJudge, Answering | AsyncAnswering | None, Reranked
]


class _Work:
    """The three ways to have candidates judged."""

    def __init__(
        self,
        job: Job,
        candidates: Sequence[Candidates],
        journal: Journal | None,
        show: Callable[[str, int], Callable[[int], None]],
    ) -> None:
        self._job, self._candidates, self._show = job, candidates, show
        self._journal = journal or Journal(None)
        used = method(job.method or "")
        passes = job.passes or job.k
        self._ranker = used.ranker(job.k, passes, job.early_exit)
        self._total = sum(used.estimate(len(one.documents), job.k, passes) for one in candidates)
        self._order: dict[str, Any] = {"input_order": job.input_order, "seed": job.seed}

    def ask_oracle(self, qrels: Qrels) -> _Done:
        job = self._job
        judge = OracleJudge(
            qrels, noise=job.noise, seed=job.seed, on_judged=self._progress("an oracle")
        )
        return judge, None, self._rerank(judge)

    def ask_model(self, prompt: Prompt) -> _Done:
        job = self._job
        # Loaded before the bar is shown: it may have something to say.
        model = load_model(
            job.model,
            dtype=job.dtype,
            device=job.device,
            batch_tokens=job.batch_tokens,
            trust_remote_code=job.trust_remote_code,
        )
        answering = Answering(model, self._journal, job.budget)
        judge = PairwiseJudge(answering, reading(prompt, job.mode), **self._judging())
        return judge, answering, self._rerank(judge)

    async def ask_server(self, prompt: Prompt) -> _Done:
        job = self._job
        model = load_server(job.server or "", base_url=job.base_url or "")
        try:
            answering = AsyncAnswering(
                model, self._journal, job.budget, concurrency=job.concurrency
            )
            judge = AsyncPairwiseJudge(answering, reading(prompt, job.mode), **self._judging())
            ranked = await arerank(
                self._candidates,
                AsyncPriorJudge(judge, self._candidates, job.prior or 0.0),
                self._ranker,
                queries=2 * job.concurrency,
                **self._order,
            )
        finally:
            await model.close()
        return judge, answering, ranked

    def _judging(self) -> dict[str, Any]:
        job = self._job
        return {
            "order": job.order,
            "decide": job.decide,
            "seed": job.seed,
            "passage_tokens": job.passage_tokens,
            # A path would push the numbers off the terminal's edge.
            "on_judged": self._progress(Path(job.model).name),
        }

    def _progress(self, judge: str) -> Callable[[int], None]:
        return self._show(f"{self._job.method} with {judge}", self._total)

    def _rerank(self, judge: Judge) -> Reranked:
        prior = PriorJudge(judge, self._candidates, self._job.prior or 0.0)
        return rerank(self._candidates, prior, self._ranker, **self._order)
