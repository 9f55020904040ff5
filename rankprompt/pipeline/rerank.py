"""A reranking from files to files: what ``rankprompt rerank`` does."""

import time
from collections.abc import Sequence
from typing import Any

from rankprompt.llm.rerankers.language import check_language
from rankprompt.pipeline.batch_rounds import warn_of_waiting
from rankprompt.pipeline.candidate_source import CandidateSource
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.manifest import rerank_manifest
from rankprompt.pipeline.open_execution import open_execution
from rankprompt.pipeline.passages import open_cascade, tell_of_no_use
from rankprompt.pipeline.results import Totals
from rankprompt.pipeline.run_writer import RunWriter
from rankprompt.pipeline.validation import validate
from rankprompt.types import Candidates, Progress, no_progress

__all__ = ["run_rerank"]


def run_rerank(config: RerankConfig, progress: Progress = no_progress) -> dict[str, Any]:
    """Reranks, and writes the run and its manifest.

    Args:
        config: the configuration.
        progress: opens the progress bar, or one for each stage, once the models are loaded; its
            steps are questions.

    Returns:
        The manifest, as it was written.

    Raises:
        RankpromptError: bad input, a model that cannot be loaded, a journal that fails. No output
            is written then; what the model has answered is in the journal.
    """
    started = time.perf_counter()
    job = validate(config)
    warn_of_waiting(job)
    source = CandidateSource(job)
    cascade, totals = open_cascade(job), Totals()
    output = job.config.output
    assert output.run is not None, "validated"
    with (
        RunWriter(output.run, scores=output.scores, threshold=output.threshold) as writer,
        open_execution(job, cascade, progress) as execution,
    ):
        # Stages have progress bars of their own, one at a time.
        whole = no_progress if job.stages else progress
        with whole(job.title, source.questions) as advance:
            for block in source.blocks():
                writer.expect(block.run, {query.query.id for query in block.candidates})
                candidates = block.candidates
                _check_language(job, candidates)
                if cascade and job.source != "teacher":
                    candidates = cascade(candidates)
                for result in execution.rerank(candidates, advance) if candidates else ():
                    writer.write(result.rankings, result.scores)
                    totals.add(result)
        execution.finish()
        tell_of_no_use(cascade)
        manifest = rerank_manifest(job, source, cascade, totals, execution, writer, started=started)
        writer.commit(manifest.text)
    return manifest.content


def _check_language(job: RerankJob, candidates: Sequence[Candidates]) -> None:
    for stage in job.stages or (job,):
        if stage.source != "oracle" and not stage.config.judge.keep_going:
            check_language(stage.model, (query.query.text for query in candidates))
