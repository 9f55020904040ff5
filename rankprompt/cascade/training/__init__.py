"""Training of teachers and students: examples, losses, the three stages, checkpoints and curves."""
