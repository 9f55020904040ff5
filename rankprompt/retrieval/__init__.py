"""First stages: candidates where there is no run yet, and the fusion of runs."""

from rankprompt.retrieval.bm25 import bm25
from rankprompt.retrieval.fusion import fuse

__all__ = ["bm25", "fuse"]
