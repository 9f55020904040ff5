"""Rank text with LLMs: pairwise ranking prompting that is correct, resumable and priced."""

from rankprompt.records import Candidates, Comparison, Document, Preference, Qrels, Query, Run
from rankprompt.reranking import Reranked, rerank

__all__ = [
    "Candidates",
    "Comparison",
    "Document",
    "Preference",
    "Qrels",
    "Query",
    "Reranked",
    "Run",
    "rerank",
]
__version__ = "0.1.0"
