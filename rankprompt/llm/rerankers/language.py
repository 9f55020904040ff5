"""A check that a reranker has learnt the writing of the texts that it is to read."""

from collections.abc import Iterable

from rankprompt.errors import InputError
from rankprompt.llm.rerankers.names import MINILM

__all__ = ["check_language"]

_LAST_LATIN = "\u024f"
_QUERIES = 100  # as many as are looked at
_CHARACTERS = 10_000  # of each


def check_language(model: str, queries: Iterable[str]) -> None:
    """Refuses the embedded cross-encoder for queries that are not written in Latin letters.

    It has learnt English alone, and ranks other writing much worse than the first stage does: on
    the T2Ranking sample, in Chinese, nDCG@10 falls from .87 to .40 (docs/results/default.md).

    Args:
        model: the model's name, as a user writes it.
        queries: the texts of some queries; the first hundred are looked at.

    Raises:
        InputError: more than half of the queries' letters are not Latin.
    """
    if model.removeprefix("cross-encoder:") != MINILM:
        return
    letters = [
        letter
        for _, query in zip(range(_QUERIES), queries, strict=False)
        for letter in query[:_CHARACTERS]
        if letter.isalpha()
    ]
    other = sum(letter > _LAST_LATIN for letter in letters)
    if 2 * other > len(letters):
        raise InputError(
            f"the queries are not written in Latin letters, and `model` {MINILM} has learnt "
            "English alone: it would spoil the ranking. Name another `model`, such as "
            "cross-encoder:BAAI/bge-reranker-v2-m3, or smollm2-135m with `prompt` "
            "query-likelihood-zh; `keep_going` goes on all the same"
        )
