"""TAPruning (arXiv 2506.17930, section 3): hill climbing with threshold accepting."""

from rankprompt.search.search_state import Child, Generation, SearchState

__all__ = ["is_tolerated", "tapruning"]


def is_tolerated(score: float | None, best: float | None, acceptance: float) -> bool:
    """Whether a score is close enough to the best that was accepted so far.

    An infeasible score (None) never is; without a best (None), any other is. Deviation: the paper
    asks for ``score / best >= acceptance``, which is reversed for a negative best and undefined at
    zero. A tolerance of ``(1 - acceptance) * |best|`` is the same for a positive best.
    """
    if score is None or best is None:
        return score is not None
    return score >= best - (1 - acceptance) * abs(best)


def tapruning(state: SearchState) -> Generation | None:
    """Sweeps over the kept genes once, from left to right; generation 0 is the seed.

    A gene stays pruned if the score is tolerated beside the best that was accepted so far. The
    generation's survivor is the prompt that the climb has reached. After a sweep that pruned
    nothing, the search ends. Deviation: the reference code tokenises the prompt anew between
    sweeps; here the genes stay the seed's.
    """
    if not state.generation:
        return state.score_seed()
    (current,) = state.population
    if state.generation > 1 and current.generation < state.generation - 1:
        state.stop = "no token can be dropped"
        return None
    swept = []
    for gene, kept in enumerate(current.genome):
        if not kept:
            continue
        genome = (*current.genome[:gene], False, *current.genome[gene + 1 :])
        # A score above the best is always tolerated, so the best of all is an accepted one.
        best = state.best.score if state.best else None
        born = state.evaluate([Child(genome, (current.number,))])
        if not born:
            break
        swept += born
        if is_tolerated(born[0].score, best, state.config.acceptance):
            current = born[0]
    return state.finish_generation(swept, [current])
