"""Finds how much of a text fits into a number of tokens."""

from collections.abc import Callable

__all__ = ["cut_to_fit", "longest_prefix"]

# Few texts have more characters a token than this; those that do are only searched for longer.
_PROBED = 16


def cut_to_fit(text: str, tokens: int, fits: Callable[[int], bool]) -> str:
    """Returns the text, or a prefix of it that fits as ``longest_prefix`` says.

    Of a text of megabytes only a beginning is read, since a tokenizer lets no other thread of the
    process run.

    Args:
        text: any text.
        tokens: about how many tokens fit.
        fits: whether the prefix of so many characters fits.
    """
    fitting, probe = 0, _PROBED * max(tokens, 1)
    while probe < len(text):
        if not fits(probe):
            return longest_prefix(text[:probe], fits, longest=fitting)
        fitting, probe = probe, 2 * probe
    return text if fits(len(text)) else longest_prefix(text, fits, longest=fitting)


def longest_prefix(text: str, fits: Callable[[int], bool], *, longest: int = 0) -> str:
    """Returns a prefix of whole characters that fits, where one character more does not.

    The search halves the text. All back ends share it, so that they cut alike even where a longer
    prefix has fewer tokens, as "interest" has than "interes".

    Args:
        text: which does not fit as a whole.
        fits: whether the prefix of so many characters fits.
        longest: the length of a prefix that fits.
    """
    exceeds = len(text)
    while exceeds - longest > 1:
        middle = (longest + exceeds) // 2
        if fits(middle):
            longest = middle
        else:
            exceeds = middle
    return text[:longest]
