"""First stages: retrieval by BM25 (bm25s or Lucene), and the fusion of runs.

``first_stage`` and ``run_fusion`` work from files to files, as ``rankprompt retrieve`` and
``rankprompt fuse`` do; ``bm25``, ``lucene_search`` and ``fusion``
work in memory.
"""

from rankprompt.retrieval.bm25 import bm25
from rankprompt.retrieval.fusion import fuse

__all__ = ["bm25", "fuse"]
