"""What the scores of a job mean, and how they are made of its judge's own numbers."""

import math

from rankprompt.judges.registry import LanguageModelJudge, Oracle, pointwise_adapter
from rankprompt.judges.simulated.single_order_oracle import SingleOrderOracle
from rankprompt.pipeline.job import RerankJob
from rankprompt.rankers.scores import MEANINGS, Meaning, Probability
from rankprompt.types import PointwiseQuestion

__all__ = ["meaning_of", "probability_of", "teacher_probability"]


def meaning_of(job: RerankJob) -> Meaning:
    """What the scores of a job's run mean."""
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
    return pointwise_adapter(job.prompt).probability if job.prompt else _sigmoid


def _sigmoid(log_odds: float) -> float:
    return 0.5 + 0.5 * math.tanh(log_odds / 2)
