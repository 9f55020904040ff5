"""The service: rerankers behind HTTP, by the protocols that clients speak."""
