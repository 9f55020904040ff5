"""Adapters of ``Reranker`` to other frameworks, each imported only when it is used."""
