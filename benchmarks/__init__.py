"""Measurements behind the numbers in docs/; each is run by a `make bench-...`."""
