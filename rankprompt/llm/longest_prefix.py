"""Finds how much of a text fits into a number of tokens."""

from collections.abc import Callable

__all__ = ["longest_prefix"]


def longest_prefix(text: str, fits: Callable[[int], bool]) -> str:
    """Returns a prefix of whole characters that fits, where one character more does not.

    The search halves the text. All back ends share it, so that they cut alike even where a longer
    prefix has fewer tokens, as "interest" has than "interes".

    Args:
        text: which does not fit as a whole.
        fits: whether the prefix of so many characters fits.
    """
    longest, exceeds = 0, len(text)
    while exceeds - longest > 1:
        middle = (longest + exceeds) // 2
        if fits(middle):
            longest = middle
        else:
            exceeds = middle
    return text[:longest]
