"""The journal of a model's answers, and the cached model that asks only what is not in it."""
