"""Randomness that depends on what it is for, not on when it is drawn."""

from hashlib import blake2b

__all__ = ["uniform"]


def uniform(seed: int, *parts: str) -> float:
    """A number in [0, 1) that is the same for the same seed and parts, whatever the order of calls.

    So a judge's noise, or a pair's direction, survives a resume and does not depend on how queries
    are interleaved.
    """
    content = "\0".join([str(seed), *parts]).encode("utf-8", "surrogatepass")
    drawn = int.from_bytes(blake2b(content, digest_size=8).digest(), "big")
    return (drawn >> 11) / 2**53  # 53 bits are what a float holds: more could round up to 1
