"""Training of the cascade: losses, data, the three stages, checkpoints and curves."""
