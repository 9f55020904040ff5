"""Adapters turn a question into prompts, and parse the model's replies into an answer."""
