"""OpenAI's batch API: requests that may wait up to a day, at a lower price."""
