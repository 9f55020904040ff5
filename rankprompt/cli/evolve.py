"""``rankprompt evolve``: prompts evolved by pruning tokens (PromptQuine)."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rankprompt.cli.console import print_json, print_table, tell
from rankprompt.cli.help_page import example
from rankprompt.errors import InputError
from rankprompt.search.config import EvolveConfig, SearchConfig

if TYPE_CHECKING:
    from rankprompt.search.evolution import ProgressListener
    from rankprompt.search.result import EvolutionResult

__all__ = ["evolve"]

evolve = typer.Typer(
    name="evolve",
    help="Evolve a prompt by pruning its tokens (PromptQuine), and show the result.",
    no_args_is_help=True,
)


@evolve.command(**example("rankprompt evolve run task.toml --output run --evaluations 300"))
def run(
    task: Path = typer.Argument(..., metavar="TASK.toml", help="File that describes the task."),
    output: Path = typer.Option(
        ...,
        help="Run folder for the history, the journal, prompt.toml and result.json. The same "
        "command resumes an interrupted run. A file named stop in the folder ends the search.",
    ),
    method: str = typer.Option(
        SearchConfig.method, help="Search method: gga, ssga, tapruning, random or unpruned."
    ),
    evaluations: int = typer.Option(
        SearchConfig.evaluations, help="Score at most this many distinct prompts."
    ),
    seed: int = typer.Option(
        SearchConfig.seed,
        help="Seed of the demonstrations, the search split and all random draws.",
    ),
    population: int = typer.Option(
        SearchConfig.population, help="Number of prompts that survive a generation."
    ),
    offspring: int = typer.Option(
        SearchConfig.offspring, help="Number of children in a generation."
    ),
    start: str = typer.Option(
        SearchConfig.start,
        help="First population: seed (copies of the seed prompt) or pruned (copies pruned at "
        "random).",
    ),
    min_length: int = typer.Option(
        SearchConfig.min_length,
        help="End the search when the mean length of the population is at most this many tokens.",
    ),
    restart: bool = typer.Option(
        False,
        "--restart",
        help="At the minimum length, start again from the seed. Default: the search ends.",
    ),
    rungs: int = typer.Option(
        SearchConfig.rungs,
        help="Rungs of successive halving: 3 scores a generation on a quarter of the search split, "
        "its better half on a half, and the better half of that on the whole.",
    ),
    pareto: bool = typer.Option(
        False,
        "--pareto",
        help="Make the prompt's length a second objective (NSGA-II). Default: the score alone.",
    ),
    stagnation: int | None = typer.Option(
        None,
        help="End the search after this many generations without a better best. Default: no limit.",
    ),
    minutes: float | None = typer.Option(
        None,
        help="End the search after this many minutes, summed over resumes. Default: no limit.",
    ),
    max_prompts: int | None = typer.Option(
        None,
        help="End the search after this many prompts that this process sent to the model. "
        "Default: no limit.",
    ),
    calibrated: float = typer.Option(
        SearchConfig.calibrated, help="Share of the history that calibration scores again."
    ),
    model: str = typer.Option(
        EvolveConfig.model,
        help="Language model on this machine: smollm2-135m (embedded), a folder, a .gguf file or a "
        "Hugging Face id.",
    ),
    dtype: str = typer.Option(
        EvolveConfig.dtype, help="Number format: auto, float32, bfloat16 or float16."
    ),
    device: str = typer.Option(
        EvolveConfig.device, help="Device: auto, or a torch device such as cpu or cuda:0."
    ),
    batch_tokens: int | None = typer.Option(
        None,
        help="Tokens in a model batch, padding included. Default: as many as suit the device.",
    ),
    threads: int | None = typer.Option(
        None,
        help="Processor threads. Default: OMP_NUM_THREADS, or all cores that this process may use.",
    ),
    quiet: bool = typer.Option(
        False, "--quiet", help="Print no progress. Default: progress on stderr."
    ),
    as_json: bool = typer.Option(
        False, "--json", help="Print the result as JSON. Default: a table."
    ),
) -> None:
    """Search for a better prompt, calibrate the best, and test the winner once."""
    from rankprompt.search.evolution import run_evolution

    search = SearchConfig(
        method=method, evaluations=evaluations, seed=seed, population=population,
        offspring=offspring, start=start, min_length=min_length, restart=restart, rungs=rungs,
        pareto=pareto, stagnation=stagnation, minutes=minutes, calibrated=calibrated,
    )  # fmt: skip
    config = EvolveConfig(
        task, output, search, model, dtype, device, batch_tokens, threads, max_prompts
    )
    try:
        result = run_evolution(config, None if quiet else _progress_lines())
    except KeyboardInterrupt:
        tell("interrupted; the same command, started again, goes on from there")
        raise typer.Exit(130) from None
    if as_json:
        print_json(result)
        return
    _print_scores(result)
    tell(f"{output / 'prompt.toml'}: the winner; see rankprompt evolve show {output}")


@evolve.command(**example("rankprompt evolve show run --best 3"))
def show(
    folder: Path = typer.Argument(..., metavar="RUN", help="Run folder to show."),
    best: int = typer.Option(5, help="Number of prompts to show."),
    plots: bool = typer.Option(
        False,
        "--plots",
        help="Write generations.svg, lengths.svg and tokens.svg into RUN. Default: no plots.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON. Default: tables and text."),
) -> None:
    """Show the best prompts of a run and their scores; pruned tokens are struck through.

    A run that is not finished shows its best prompts so far, by fitness alone.
    """
    from rankprompt.search.history import record
    from rankprompt.search.saved_run import best_prompts, load_run

    if best < 1:
        raise InputError(f"`best` must be at least 1, not {best}")
    saved = load_run(folder)
    prompts = best_prompts(saved, best)
    if plots:
        from rankprompt.search.plots import plot_run

        for path in plot_run(saved):
            tell(f"{path}: written")
    if as_json:
        shown = [
            {**record(prompt.individual), "calibration": prompt.measures} for prompt in prompts
        ]
        print_json({"result": saved.result, "prompts": shown})
        return
    if saved.result is None:
        tell(f"{folder}: not finished; the same evolve run command goes on")
    else:
        _print_scores(saved.result)
    for individual, measures in prompts:
        calibration = "".join(
            f"; calibration {name} {value:.4f}" for name, value in measures.items()
        )
        _print_prompt(
            f"#{individual.number}: fitness {individual.score:.4g}, {individual.length} tokens"
            f"{calibration}",
            saved.pieces,
            individual.genome,
        )


def _progress_lines() -> "ProgressListener":
    """Gives a listener that prints a line for each generation on stderr."""
    from rankprompt.search.evolution import Pace, ProgressListener
    from rankprompt.search.fitness.base import Problem
    from rankprompt.search.genome import SeedPrompt
    from rankprompt.search.search_state import Generation

    class ProgressLines(ProgressListener):
        def on_start(self, problem: Problem, seed: SeedPrompt, finished_generations: int) -> None:
            labels = ", ".join(f"{name} {number:,}" for name, number in problem.labels.items())
            tell(f"{len(seed.genes)} prunable tokens; labels used: {labels}")
            if finished_generations:
                tell(f"resumed: {finished_generations} generations were finished before")

        def on_generation(self, generation: Generation, pace: Pace) -> None:
            row = generation.row
            best = "none" if row["best"] is None else f"{row['best']:.4g}"
            seconds = pace.seconds_left
            left = "" if seconds is None else f"; about {seconds / 60:.0f} min left"
            tell(
                f"generation {row['generation']}: best {best} with {row['best_length']} tokens, "
                f"mean length {row['length_mean']:.1f}; {row['evaluations']:,} evaluations, "
                f"{pace.evaluations_per_second:.2f}/s{left}"
            )

        def on_calibration(self, stop: str, evaluations: int) -> None:
            tell(f"{stop}; {evaluations:,} prompts scored; calibrating the best")

    return ProgressLines()


def _print_scores(result: "EvolutionResult") -> None:
    from rankprompt.search.result import describe_comparison, tabulate

    print_table(*tabulate(result), texts=2)
    if comparison := describe_comparison(result):
        tell(comparison)


def _print_prompt(
    heading: str, pieces: list[tuple[str, int | None]], genome: tuple[bool, ...]
) -> None:
    """Prints a seed with its pruned text struck through, or in brackets without a terminal."""
    from rich.console import Console
    from rich.text import Text

    from rankprompt.search.saved_run import pruned_spans

    console = Console(highlight=False, markup=False, soft_wrap=True)
    console.print(Text(heading, style="bold"))
    styles = {"frozen": "dim", "kept": "", "pruned": "strike red"}
    text = Text()
    for span, kind in pruned_spans(pieces, genome):
        if kind != "pruned":
            text.append(span, style=styles[kind])
            continue
        span = span.replace("\n", "\u21b5")  # a pruned line end would be invisible
        text.append(span if console.is_terminal else f"[-{span}-]", style=styles[kind])
    console.print(text)
    console.print()
