"""The Python API: reranking, evaluation and evolution in a few lines."""
