"""About how many batches a run through the batch API waits for, one after another."""

import logging

from rankprompt.judges.registry import make_oracle
from rankprompt.judges.simulated.error_model import ErrorModel
from rankprompt.pipeline.job import RerankJob
from rankprompt.rankers.reranking import rerank
from rankprompt.rankers.seeded_random import uniform
from rankprompt.types import Candidates, Document, Query

__all__ = ["FEW_BATCHES", "count_rounds", "warn_of_waiting"]

log = logging.getLogger("rankprompt")

FEW_BATCHES = 5
"""Batches, one after another, that a user may wait for without being told of other methods."""

# As many documents show whether a method takes many rounds.
_DOCUMENTS = 100


def count_rounds(job: RerankJob) -> int:
    """Counts a method's rounds over the candidates of one query, as a perfect judge would see them.

    Args:
        job: a job of a single stage.
    """
    number = min(job.config.data.depth, _DOCUMENTS)
    documents = tuple(Document(str(place), "") for place in range(number))
    grades = {one.id: int(4 * uniform(0, "grade", one.id)) for one in documents}
    scores = tuple(float(-place) for place in range(number))
    query = Candidates(Query("q", ""), documents, scores)
    oracle = make_oracle(job.question, {"q": grades}, ErrorModel())
    return rerank([query], oracle, job.ranker, question=job.question).rounds


def warn_of_waiting(job: RerankJob) -> None:
    """Warns of methods that wait for many batches, one after another, before anything is asked."""
    for one in job.single_jobs:
        if one.config.model.batch_api and (rounds := count_rounds(one)) > FEW_BATCHES:
            log.warning(
                "`method` %s waits for about %d batches, one after another, each up to 24 hours; "
                "allpair and pointwise for one, and `rankprompt plan` shows the others",
                one.config.ranker.method, rounds,
            )  # fmt: skip
