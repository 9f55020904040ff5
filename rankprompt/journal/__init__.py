"""The journal of a model's answers, and the cached model that asks the model only for the rest."""
