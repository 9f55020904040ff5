"""PromptQuine, the evolutionary search for prompts (not here yet)."""
