"""Lines of a TREC run that keep the scores a first stage gave."""

from collections.abc import Mapping

from rankprompt.errors import InputError

__all__ = ["format_scores"]


def format_scores(query: str, scores: Mapping[str, float], tag: str) -> str:
    """Gives a query's lines of a TREC run.

    The scores are written in single precision, as trec_eval holds them; those that tie, or would,
    are told apart by the smallest step, so that every tool sees this order.

    Args:
        query: its id.
        scores: by document id, best first.
        tag: the run's name, one word.

    Raises:
        InputError: an id is empty or holds whitespace.
    """
    import numpy as np

    lines, last = [], np.float32(np.inf)
    for rank, (document, score) in enumerate(scores.items(), start=1):
        for name in (query, document):
            if name.split() != [name]:
                raise InputError(f"an id must be one word without spaces, not {name!r}")
        last = min(np.float32(score), np.nextafter(last, np.float32(-np.inf)))
        lines.append(f"{query} Q0 {document} {rank} {last!s} {tag}\n")
    return "".join(lines)
