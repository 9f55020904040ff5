"""Rank text with LLMs: pairwise ranking prompting that is correct, resumable and priced."""

from rankprompt.records import Candidates, Comparison, Document, Preference, Query

__all__ = ["Candidates", "Comparison", "Document", "Preference", "Query"]
__version__ = "0.1.0"
