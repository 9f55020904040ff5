"""Pictures of a run: how it went, what length costs, and which tokens survive."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rankprompt.search.history import front
from rankprompt.search.individual import Individual
from rankprompt.search.saved_run import Run

__all__ = ["draw", "survival"]


def survival(history: Sequence[Individual], genes: int) -> list[float]:
    """The share of the better half of the distinct prompts that keeps each gene."""
    scored = {one.text: one for one in history if one.score is not None}
    best = sorted(scored.values(), key=lambda one: -(one.score or 0.0))
    best = best[: max(1, len(best) // 2)]
    return [sum(one.genome[gene] for one in best) / max(1, len(best)) for gene in range(genes)]


def draw(run: Run) -> list[Path]:
    """Draws generations.svg, lengths.svg and tokens.svg into the run's folder.

    Returns:
        What was written; nothing where no prompt has a score.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    scored = [one for one in run.history if one.score is not None]
    if not scored:
        return []
    pictures = {"generations": _generations, "lengths": _lengths, "tokens": _tokens}
    written = []
    # The same run gives the same file.
    with mpl.rc_context({"svg.hashsalt": "rankprompt", "svg.fonttype": "none"}):
        for name, picture in pictures.items():
            figure = Figure(figsize=(7, 4), layout="constrained")
            picture(figure, run, scored)
            written.append(run.folder / f"{name}.svg")
            figure.savefig(written[-1], metadata={"Date": None})
    return written


def _generations(figure: Any, run: Run, scored: Sequence[Individual]) -> None:  # noqa: ARG001
    above, below = figure.subplots(2, 1, sharex=True)
    numbers = sorted({one.generation for one in scored})
    born = {number: [one for one in scored if one.generation == number] for number in numbers}
    best, so_far = [], float("-inf")
    for number in numbers:
        so_far = max(so_far, *(one.score or 0.0 for one in born[number]))
        best.append(so_far)
    means = [sum(one.score or 0.0 for one in born[n]) / len(born[n]) for n in numbers]
    above.plot(numbers, best, label="best so far")
    above.plot(numbers, means, label="mean of the generation")
    above.set_ylabel("fitness")
    above.legend()
    below.plot(numbers, [sum(one.length for one in born[n]) / len(born[n]) for n in numbers])
    below.set_ylabel("tokens kept, mean")
    below.set_xlabel("generation")


def _lengths(figure: Any, run: Run, scored: Sequence[Individual]) -> None:  # noqa: ARG001
    axes = figure.subplots()
    axes.scatter([one.length for one in scored], [one.score for one in scored], s=8, alpha=0.4)
    ahead = front(scored)
    axes.plot([one.length for one in ahead], [one.score for one in ahead], "o-", label="front")
    axes.set_xlabel("tokens kept")
    axes.set_ylabel("fitness")
    axes.legend()


def _tokens(figure: Any, run: Run, scored: Sequence[Individual]) -> None:
    genes = [text for text, gene in run.pieces if gene is not None]
    shares = survival(scored, len(genes))
    figure.set_size_inches(max(7.0, 0.22 * len(genes)), 2.4)
    axes = figure.subplots()
    picture = axes.imshow([shares], aspect="auto", vmin=0, vmax=1, cmap="viridis")
    axes.set_yticks([])
    # A dollar sign would begin a formula.
    shown = [text.replace("\n", "\u21b5").strip(" ").replace("$", r"\$") for text in genes]
    axes.set_xticks(range(len(genes)), shown, rotation=90, fontsize=7)
    figure.colorbar(picture, ax=axes, label="kept by the better half")
