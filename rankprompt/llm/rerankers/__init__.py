"""Rerankers: models that score a passage for a query by a template of their own."""
