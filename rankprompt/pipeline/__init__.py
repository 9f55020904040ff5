"""Reranking as a job: configuration, validation, candidates, execution, and the written run."""
