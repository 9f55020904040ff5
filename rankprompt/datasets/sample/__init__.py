"""The sample collection: small, of our own writing, CC0 (see README.md beside this file)."""

from pathlib import Path

__all__ = ["SAMPLES", "sample"]

SAMPLES = ("en", "zh", "long")
"""English passages, Chinese passages, long English documents with one passage that answers."""


def sample(name: str) -> Path:
    """The folder of a sample: queries.tsv, docs.jsonl, qrels.trec.

    Raises:
        KeyError: not one of ``SAMPLES``.
    """
    if name not in SAMPLES:
        raise KeyError(name)
    return Path(__file__).parent / name
