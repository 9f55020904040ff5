"""Simulated judges, which read relevance grades and err as an error model says."""
