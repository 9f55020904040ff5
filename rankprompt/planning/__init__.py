"""What a reranking would cost, and what it could reach, before a token is spent."""
