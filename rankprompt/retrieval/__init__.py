"""First stages: candidates where there is no run yet."""

from rankprompt.retrieval.bm25 import bm25

__all__ = ["bm25"]
