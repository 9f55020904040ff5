"""Rank text with LLMs: pairwise ranking prompting that is correct, resumable and priced."""

from typing import TYPE_CHECKING, Any

from rankprompt.rankers.reranking import Reranked, as_run, rerank
from rankprompt.types import Candidates, Document, PairwiseQuestion, Preference, Qrels, Query, Run
from rankprompt.version import VERSION

if TYPE_CHECKING:
    from rankprompt.api.evaluation import compare, evaluate
    from rankprompt.api.evolver import Evolver
    from rankprompt.api.rerank_run import rerank_run
    from rankprompt.api.reranker import Reranker
    from rankprompt.api.results import JudgedQuestion, RankedDocument, Ranking, Usage
    from rankprompt.pipeline.config import RerankConfig
    from rankprompt.pipeline.rerank import run_rerank

__all__ = [
    "Candidates",
    "Document",
    "Evolver",
    "JudgedQuestion",
    "PairwiseQuestion",
    "Preference",
    "Qrels",
    "Query",
    "RankedDocument",
    "Ranking",
    "RerankConfig",
    "Reranked",
    "Reranker",
    "Run",
    "Usage",
    "as_run",
    "compare",
    "evaluate",
    "rerank",
    "rerank_run",
    "run_rerank",
]
__version__ = VERSION

# Imported when they are first used: a program with a judge of its own reads and writes no files.
_LAZY = {
    "Evolver": "rankprompt.api.evolver",
    "JudgedQuestion": "rankprompt.api.results",
    "RankedDocument": "rankprompt.api.results",
    "Ranking": "rankprompt.api.results",
    "RerankConfig": "rankprompt.pipeline.config",
    "Reranker": "rankprompt.api.reranker",
    "Usage": "rankprompt.api.results",
    "compare": "rankprompt.api.evaluation",
    "evaluate": "rankprompt.api.evaluation",
    "rerank_run": "rankprompt.api.rerank_run",
    "run_rerank": "rankprompt.pipeline.rerank",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
