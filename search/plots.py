"""Plots of a run: its course, what length costs, and which tokens survive."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from rankprompt.files import write_atomically
from rankprompt.search.history import distinct_prompts, pareto_front
from rankprompt.search.individual import Individual
from rankprompt.search.saved_run import SavedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_run", "survival"]


def survival(history: Sequence[Individual], genes: int) -> list[float]:
    """Gives, for each gene, the share of the better half of the distinct prompts that keep it."""
    prompts = distinct_prompts(history)
    best = prompts[: max(1, len(prompts) // 2)]
    return [
        sum(individual.genome[gene] for individual in best) / max(1, len(best))
        for gene in range(genes)
    ]


def plot_run(run: SavedRun) -> list[Path]:
    """Writes generations.svg, lengths.svg and tokens.svg into the run folder.

    Returns:
        The files; none where no prompt has a score. The same run gives the same bytes.
    """
    from matplotlib.figure import Figure

    from rankprompt.eval.figures import drawing_style, to_svg

    scored = [individual for individual in run.history if individual.score is not None]
    if not scored:
        return []
    plots = {"generations": _plot_generations, "lengths": _plot_lengths, "tokens": _plot_tokens}
    written = []
    with drawing_style():
        for name, plot in plots.items():
            figure = Figure(figsize=(7, 4), layout="constrained")
            plot(figure, run, scored)
            written.append(run.folder / f"{name}.svg")
            write_atomically(written[-1], to_svg(figure))
    return written


def _plot_generations(figure: "Figure", _: SavedRun, scored: Sequence[Individual]) -> None:
    score_axes, length_axes = figure.subplots(2, 1, sharex=True)
    numbers = sorted({individual.generation for individual in scored})
    best: list[float] = []
    means, lengths = [], []
    for number in numbers:
        born = [individual for individual in scored if individual.generation == number]
        scores = [individual.score or 0.0 for individual in born]
        best.append(max([*best[-1:], *scores]))
        means.append(fmean(scores))
        lengths.append(fmean(individual.length for individual in born))
    score_axes.plot(numbers, best, label="best so far")
    score_axes.plot(numbers, means, label="mean of the generation")
    score_axes.set(ylabel="fitness")
    score_axes.legend()
    length_axes.plot(numbers, lengths)
    length_axes.set(xlabel="generation", ylabel="tokens kept, mean")


def _plot_lengths(figure: "Figure", _: SavedRun, scored: Sequence[Individual]) -> None:
    axes = figure.subplots()
    axes.scatter(
        [individual.length for individual in scored],
        [individual.score or 0.0 for individual in scored],
        s=8,
        alpha=0.4,
    )
    front = pareto_front(scored)
    axes.plot(
        [individual.length for individual in front],
        [individual.score or 0.0 for individual in front],
        "o-",
        label="front",
    )
    axes.set(xlabel="tokens kept", ylabel="fitness")
    axes.legend()


def _plot_tokens(figure: "Figure", run: SavedRun, scored: Sequence[Individual]) -> None:
    genes = [text for text, gene in run.pieces if gene is not None]
    figure.set_size_inches(max(7.0, 0.22 * len(genes)), 2.4)
    axes = figure.subplots()
    shares = survival(scored, len(genes))
    image = axes.imshow([shares], aspect="auto", vmin=0, vmax=1, cmap="viridis")
    axes.set_yticks([])
    # A dollar sign would start a formula.
    labels = [text.replace("\n", "\u21b5").strip(" ").replace("$", r"\$") for text in genes]
    axes.set_xticks(range(len(genes)), labels, rotation=90, fontsize=7)
    figure.colorbar(image, ax=axes, label="kept by the better half")
