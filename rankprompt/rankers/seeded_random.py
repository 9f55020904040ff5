"""Random numbers that depend on their purpose, not on when they are drawn."""

from hashlib import blake2b

__all__ = ["uniform"]


def uniform(seed: int, *parts: str) -> float:
    """Draws a number in [0, 1) that is a function of the seed and the parts alone.

    A judge's noise, or the direction of a pair, is therefore the same after a resume and does not
    depend on how queries are interleaved.

    Args:
        seed: the seed of the run.
        parts: the purpose of the number, and the ids that it is drawn for.
    """
    content = "\0".join([str(seed), *parts]).encode("utf-8", "surrogatepass")
    number = int.from_bytes(blake2b(content, digest_size=8).digest(), "big")
    return (number >> 11) / 2**53  # a float has 53 bits; more of them could round up to 1
