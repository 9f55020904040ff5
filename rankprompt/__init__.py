"""Rank text with LLMs: pairwise ranking prompting that is correct, resumable and priced."""

from typing import TYPE_CHECKING, Any

from rankprompt.rankers.reranking import Reranked, as_run, rerank
from rankprompt.types import Candidates, Document, PairwiseQuestion, Preference, Qrels, Query, Run
from rankprompt.version import VERSION

if TYPE_CHECKING:
    from rankprompt.pipeline.config import RerankConfig
    from rankprompt.pipeline.rerank import run_rerank

__all__ = [
    "Candidates",
    "Document",
    "PairwiseQuestion",
    "Preference",
    "Qrels",
    "Query",
    "RerankConfig",
    "Reranked",
    "Run",
    "as_run",
    "rerank",
    "run_rerank",
]
__version__ = VERSION

# Imported when they are first used: a program with a judge of its own reads and writes no files.
_LAZY = {"RerankConfig": "rankprompt.pipeline.config", "run_rerank": "rankprompt.pipeline.rerank"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
