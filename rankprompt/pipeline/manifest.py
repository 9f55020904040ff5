"""The manifest of a reranking: how the run was made, and what it cost."""

import json
import time
from dataclasses import replace
from typing import Any, NamedTuple

from rankprompt.cascade import Cascade
from rankprompt.files.manifest import describe_file, format_manifest, versions
from rankprompt.journal.budget import Budget
from rankprompt.journal.costs import Costs
from rankprompt.pipeline.candidate_source import CandidateSource
from rankprompt.pipeline.config_file import as_dict
from rankprompt.pipeline.execution import Execution
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.results import ModelCard, Totals
from rankprompt.pipeline.run_writer import RunWriter
from rankprompt.pipeline.scoring import meaning_of, scored_stages
from rankprompt.pipeline.staged_execution import StagedExecution, StageExecution
from rankprompt.prompts.prompt import Prompt
from rankprompt.rankers.scores import Meaning
from rankprompt.rankers.stages import split_stages

__all__ = ["Manifest", "describe_costs", "describe_judge", "rerank_manifest"]

_PACKAGES = (
    "rankprompt", "torch", "transformers", "tokenizers", "numpy", "safetensors", "onnxruntime",
    "ray",
)  # fmt: skip


class Manifest(NamedTuple):
    """A manifest as text, and as JSON reads it."""

    text: str
    content: dict[str, Any]


def rerank_manifest(
    job: RerankJob,
    source: CandidateSource,
    cascade: Cascade | None,
    totals: Totals,
    execution: Execution,
    writer: RunWriter,
    *,
    started: float,
) -> Manifest:
    """Describes a reranking that is finished.

    Args:
        job: the validated job.
        source: the candidates.
        cascade: selected the windows that were read.
        totals: the results of all queries.
        execution: the way in which they were reranked.
        writer: has written the run.
        started: when the reranking began, by ``time.perf_counter``.
    """
    content: dict[str, Any] = {
        # By the digest, a report knows whose manifest this is.
        "output": {"path": str(job.config.output.run), "blake2b": writer.digest},
        "inputs": _inputs(job, source),
        "versions": versions(_PACKAGES),
        "scores": _scores(job, writer, execution),
        "queries": source.queries,
        "documents": source.documents,
        "skipped_documents": source.skipped,
        "too_few_comparisons": any(_too_few_comparisons(one, source) for one in job.single_jobs),
        **_outcome(job, totals, execution, time.perf_counter() - started),
    }
    if cascade:
        content["cascade"] = cascade.counts.summary()
    if job.config.ray.address:
        content["workers_replaced"] = execution.workers_replaced
    if isinstance(execution, StagedExecution):
        stages = [_describe_stage(stage) for stage in execution.stages]
        content["stages"] = stages
        content["model"] = {
            "judge": "stages",
            "name": ", ".join(stage["model"].get("name", "oracle") for stage in stages),
        }
        if "prompts" in content["costs"]:
            # Each stage has its own prices.
            cost = sum(stage["costs"].get("cost", 0.0) for stage in stages)
            content["costs"]["cost"] = round(cost, 6)
    text = format_manifest({"config": as_dict(job.config), **content})
    return Manifest(text, json.loads(text))


def _outcome(
    job: RerankJob, totals: Totals, execution: Execution, seconds: float
) -> dict[str, Any]:
    """Describes who judged, what it cost, and what the answers say: of a run, or of a stage."""
    asks_models = any(one.source != "oracle" for one in job.single_jobs)
    return {
        "model": describe_judge(
            execution.model, job.prompt, "teacher" if job.source == "teacher" else job.noun
        ),
        "costs": {
            "question": job.noun,
            "comparisons_asked": totals.asked,
            "comparisons_from_journal": totals.cache_hits,
            "comparisons_repeated": totals.repeated,
            "comparisons_unasked": totals.unasked,
            "rounds": totals.rounds,
            **(describe_costs(execution.costs, job.budget) if asks_models else {}),
            "seconds": round(seconds, 3),
        },
        "passages_cut": totals.truncated,
        "texts_with_special_tokens": totals.escaped,
        "diagnostics": totals.diagnostics,
        "unreadable_answers": execution.guard.causes(),
        "refused": [
            {"query": query, "document": document, "prompts": number}
            for (query, document), number in sorted(execution.guard.refused.items())
        ],
    }


def _describe_stage(stage: StageExecution) -> dict[str, Any]:
    config = stage.job.config
    described: dict[str, Any] = {"method": config.ranker.method, "depth": config.data.depth}
    described |= _outcome(stage.job, stage.totals, stage.execution, stage.seconds)
    if stage.cascade:
        described["cascade"] = stage.cascade.counts.summary()
    return described


def _scores(job: RerankJob, writer: RunWriter, execution: Execution) -> dict[str, Any]:
    """What the scores mean, and the queries that a threshold left without a document."""
    described: dict[str, Any] = {
        "meaning": _meaning(job), "calibration": None, "values": _values(job, execution),
    }  # fmt: skip
    if (fitted := job.calibration) and job.config.output.calibration:
        described["calibration"] = {
            **describe_file(job.config.output.calibration),
            "method": fitted.method,
            "model": fitted.model,
            "fingerprint": fitted.fingerprint,
            "level": fitted.level,
            "unjudged_as_irrelevant": fitted.unjudged_as_irrelevant,
            "queries": fitted.queries,
            "documents": fitted.documents,
        }
    if job.config.output.threshold is not None:
        described |= {"kept": writer.kept, "dropped": writer.dropped}
        described["none_relevant"] = writer.none_relevant
        described["not_judged"] = writer.not_judged
    return described


def _values(job: RerankJob, execution: Execution) -> list[dict[str, Any]]:
    """Whose numbers the scores are made of and what these mean, from the first documents down."""
    described: list[dict[str, Any]] = []
    for index in scored_stages(job):
        stage, card = job.single_jobs[index], execution.model
        if isinstance(execution, StagedExecution):
            card = execution.stages[index].execution.model
        described.append({
            "first": stage.config.data.depth,
            "meaning": meaning_of(replace(stage, calibration=None)),
            "calibrated": stage.calibration is not None,
            "method": stage.config.ranker.method,
            "prompt": stage.prompt.name if stage.prompt else None,
            "model": card.name if card else None,
            "fingerprint": card.fingerprint if card else None,
        })  # fmt: skip
    return described


def _meaning(job: RerankJob) -> str:
    """What the scores mean, also where those of the first documents mean something else."""
    text, above, depth = "", "", 0
    for stage in (job.single_jobs[index] for index in scored_stages(job)):
        meaning: str = meaning_of(stage)
        if meaning == Meaning.RELEVANCE and job.calibration and not stage.calibration:
            meaning += ", not calibrated"
        if meaning != above:
            text += f"; below the first {depth}, {meaning}" if above else meaning
        above, depth = meaning, stage.config.data.depth
    return text


def _too_few_comparisons(job: RerankJob, source: CandidateSource) -> bool:
    """Whether a tournament's budget is less than a comparison for every two documents."""
    ranker = job.config.ranker
    (first, depth), *_ = split_stages(ranker.method or "")
    if ranker.comparisons is None or first != "bradley-terry" or not source.queries:
        return False
    documents = min(source.documents / source.queries, job.config.data.depth)
    return 2 * ranker.comparisons < min(depth or documents, documents)


def _inputs(job: RerankJob, source: CandidateSource) -> dict[str, Any]:
    data = job.config.data
    files = {"run": data.run, "queries": data.queries, "docs": data.docs}
    inputs: dict[str, Any] = {name: describe_file(path) for name, path in files.items() if path}
    qrels = dict.fromkeys(one.qrels for one in job.single_jobs if one.source == "oracle")
    for number, path in enumerate(qrels):
        inputs[f"qrels-{number + 1}" if number else "qrels"] = describe_file(path)
    if data.dataset:
        inputs["dataset"] = [describe_file(path) for path in source.dataset.paths]
    return inputs


def describe_judge(model: ModelCard | None, prompt: Prompt | None, noun: str) -> dict[str, Any]:
    """Describes who judged: an oracle (None), or a model and its prompt.

    Args:
        model: the model.
        prompt: what it was asked; None where it reads no prompt.
        noun: the questions' noun, such as "comparison"; "teacher" where it scored windows.
    """
    if model is None:
        return {"judge": "oracle"}
    return {
        "judge": "pairwise" if noun == "comparison" else noun,
        **model._asdict(),
        "prompt": _describe_prompt(prompt) if prompt else None,
    }


def _describe_prompt(prompt: Prompt) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": prompt.name,
        "kind": prompt.kind,
        "text": str(prompt.text),
        "target": str(prompt.target),
        "options": prompt.options,
        "chat": prompt.chat,
    }
    if prompt.grades:
        described["grades"] = prompt.grades
    if prompt.labels:
        described |= {"passage": str(prompt.passage), "answer": str(prompt.answer)}
    return described


def describe_costs(costs: Costs, budget: Budget) -> dict[str, Any]:
    """Describes what was asked of a model, and its price."""
    return {
        "prompts": costs.prompts,
        "prompts_from_journal": costs.prompts_from_journal,
        "model_batches": costs.batches,
        "largest_batch": costs.largest_batch,
        "mean_batch": round(costs.prompts / costs.batches, 1) if costs.batches else 0,
        "prompt_tokens": costs.tokens,
        "padding_tokens": costs.padding,
        "reused_tokens": costs.reused,
        "written_tokens": costs.written,
        "retries": costs.retries,
        "cost": round(budget.price(costs), 6),
        "model_seconds": round(costs.seconds, 3),
    }
