"""Datasets (test collections) in the formats of ir_datasets, BEIR, T2Ranking, rank_llm and TREC.

``open_collection`` opens a dataset by its name; ``registry`` lists the formats. The other modules
hold one format each, the documents in memory or in the document store on disk, and the candidates:
a first-stage run joined with the texts of its queries and documents.
"""

from rankprompt.datasets.registry import name_collection, open_collection

__all__ = ["name_collection", "open_collection"]
