"""TAPruning (arXiv 2506.17930, section 3): hill climbing by threshold accepting."""

from collections.abc import Iterator

from rankprompt.search.individual import Individual
from rankprompt.search.search_state import Child, Generation, Limits, Search, reason_to_stop

__all__ = ["tapruning", "tolerated"]


def tolerated(score: float | None, best: float | None, acceptance: float) -> bool:
    """Whether a score is good enough beside the best so far.

    The paper asks ``score / best >= acceptance``, which turns round for a negative best and fails
    at zero. The same for a positive best, and right for the others, is a tolerance of
    ``(1 - acceptance) * |best|``.

    Args:
        score: None, infeasible, is never good enough.
        best: None, everything infeasible so far, lets any score pass.
        acceptance: as in ``SearchSettings``.
    """
    if score is None or best is None:
        return score is not None
    return score >= best - (1 - acceptance) * abs(best)


def tapruning(search: Search, limits: Limits | None = None) -> Iterator[Generation]:
    """Drops tokens one at a time, and yields after each sweep; generation 0 is the seed.

    A sweep goes through the live genes from left to right; a token stays dropped if the score is
    tolerated beside the best of all that was accepted so far. Sweeps are repeated until one drops
    nothing. Unlike the reference code, the prompt is not tokenised anew between sweeps: the genes
    stay the seed's. Each generation's survivor is the prompt that the climb has reached.

    Args:
        search: fresh, or resumed; it is changed.
        limits: what ends the search from outside.
    """
    while not (stop := reason_to_stop(search, limits or Limits())):
        if not search.generation:
            born = search.evaluate([Child(search.seed.whole)])
            yield search.finish(born, born)
            continue
        if search.generation > 1 and search.population[0].generation < search.generation - 1:
            stop = "no token can be dropped"
            break
        born, reached = _sweep(search, search.population[0])
        yield search.finish(born, [reached])
    search.stop = stop


def _sweep(search: Search, current: Individual) -> tuple[list[Individual], Individual]:
    swept: list[Individual] = []
    for gene in range(len(current.genome)):
        if not current.genome[gene]:
            continue
        genome = (*current.genome[:gene], False, *current.genome[gene + 1 :])
        # What beats the best is tolerated, so the best of all is the best of the accepted.
        best = search.best.score if search.best else None
        born = search.evaluate([Child(genome, (current.number,))])
        if not born:
            break
        swept += born
        if tolerated(born[0].score, best, search.settings.acceptance):
            current = born[0]
    return swept, current
