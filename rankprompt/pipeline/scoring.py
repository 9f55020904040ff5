"""What the scores of a job mean, and how they are made of its judge's own numbers."""

import logging
from dataclasses import replace

from rankprompt.errors import InputError
from rankprompt.eval.calibration import Calibration
from rankprompt.judges.registry import LanguageModelJudge, Oracle, pointwise_adapter
from rankprompt.judges.simulated.single_order_oracle import SingleOrderOracle
from rankprompt.pipeline.job import RerankJob
from rankprompt.pipeline.results import ModelCard
from rankprompt.prompts.prompt import RELEVANCE
from rankprompt.rankers.scores import MEANINGS, Meaning, Probability
from rankprompt.types import PointwiseQuestion

__all__ = [
    "calibrate_job", "check_calibration", "meaning_of", "probability_of", "scored_by",
    "scored_stages", "teacher_probability",
]  # fmt: skip

log = logging.getLogger("rankprompt")


def scored_by(job: RerankJob) -> int:
    """The index of the stage whose numbers the scores of the first documents are made of.

    It is the last one that gives probabilities of relevance, or else the first: other stages only
    order (``join_scores``).
    """
    given = [meaning_of(stage) is Meaning.RELEVANCE for stage in job.stages]
    return max((index for index, gives in enumerate(given) if gives), default=0)


def scored_stages(job: RerankJob) -> list[int]:
    """The indices of all stages whose numbers scores are made of, from the first documents down.

    The first is ``scored_by``; the scores of documents below its depth are of the next one.
    """
    depths = [stage.config.data.depth for stage in job.stages]
    index = scored_by(job)
    found = [index]
    while index:
        index = scored_by(replace(job, stages=job.stages[:index]))
        # A later stage of the same depth has replaced all scores.
        if depths[index] > depths[found[-1]]:
            found.append(index)
    return found


def calibrate_job(job: RerankJob, calibration: Calibration) -> RerankJob:
    """A job whose scores are calibrated; of several stages, those of ``scored_by``."""
    if not job.stages:
        return replace(job, calibration=calibration)
    stages = list(job.stages)
    index = scored_by(job)
    stages[index] = replace(stages[index], calibration=calibration)
    return replace(job, calibration=calibration, stages=tuple(stages))


def check_calibration(job: RerankJob, model: ModelCard | None) -> None:
    """Compares a loaded model with the one whose numbers a job's calibration was fitted on.

    Raises:
        InputError: it is another model, by both its name and its fingerprint.
    """
    fitted = job.calibration
    if not (fitted and fitted.fingerprint and model) or fitted.fingerprint == model.fingerprint:
        return
    if fitted.model != model.name:
        raise InputError(
            f"`calibration` is of the model {fitted.model}, not of {model.name}: their "
            "fingerprints differ; make one with `rankprompt calibrate`"
        )
    log.warning(
        "the calibration was fitted when %s had another fingerprint: other weights, another number "
        "format or server; where its scores differ, make a new one with `rankprompt calibrate`",
        model.name,
    )


def meaning_of(job: RerankJob) -> Meaning:
    """What the scores of a job's run mean; with stages, those of the first documents."""
    if job.stages:
        return meaning_of(job.stages[scored_by(job)])
    if job.calibration:
        return Meaning.RELEVANCE
    if job.source != "teacher" and job.question is not PointwiseQuestion:
        return MEANINGS[job.question]
    if job.source == "oracle":
        return Meaning.GRADE
    if job.prompt is None:
        return Meaning.RELEVANCE
    return pointwise_adapter(job.prompt, job.config.judge.mode).meaning


def probability_of(job: RerankJob, judge: LanguageModelJudge | Oracle) -> Probability | None:
    """How a judge's own number of a document becomes its score; None where its answers say it."""
    if job.calibration:
        return job.calibration.map
    if isinstance(judge, SingleOrderOracle):
        return judge.probability if job.question is PointwiseQuestion else None
    if job.question is not PointwiseQuestion or job.prompt is None:
        return None
    return pointwise_adapter(job.prompt, job.config.judge.mode).probability


def teacher_probability(job: RerankJob) -> Probability:
    """How a teacher's score of a document becomes its score in the run."""
    if job.calibration:
        return job.calibration.map
    # A cross-encoder reads no prompt, and scores as every reranker does.
    return pointwise_adapter(job.prompt or RELEVANCE).probability
