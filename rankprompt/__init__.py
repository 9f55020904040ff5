"""Rank text with LLMs: pairwise ranking prompting that is correct, resumable and priced."""

from typing import TYPE_CHECKING, Any

from rankprompt.rankers.reranking import Reranked, as_run, rerank
from rankprompt.types import Candidates, Document, PairwiseQuestion, Preference, Qrels, Query, Run
from rankprompt.version import VERSION

if TYPE_CHECKING:
    from rankprompt.pipeline.rerank import Job, run_job

__all__ = [
    "Candidates",
    "Document",
    "Job",
    "PairwiseQuestion",
    "Preference",
    "Qrels",
    "Query",
    "Reranked",
    "Run",
    "as_run",
    "rerank",
    "run_job",
]
__version__ = VERSION


def __getattr__(name: str) -> Any:
    # Whoever ranks with a judge of their own need not wait for what reads and writes files.
    if name in ("Job", "run_job"):
        from rankprompt.pipeline import rerank as job

        return getattr(job, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
