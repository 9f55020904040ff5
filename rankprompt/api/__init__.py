"""The Python API: a reranking, an evolution and an evaluation in a call each."""
