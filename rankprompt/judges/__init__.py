"""Judges answer the questions that rankers ask: by a language model, or by relevance grades."""
