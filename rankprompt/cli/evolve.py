"""``rankprompt evolve``: prompts evolved by pruning tokens (PromptQuine)."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rankprompt.cli.console import print_json, print_table, tell
from rankprompt.search.config import SearchSettings

if TYPE_CHECKING:
    from rich.text import Text

    from rankprompt.search.fitness import Problem
    from rankprompt.search.genome import SeedPrompt
    from rankprompt.search.search_state import Generation

__all__ = ["evolve"]

_ABOUT = "Evolve a prompt by pruning its tokens (PromptQuine), and show what came of it."

evolve = typer.Typer(name="evolve", help=_ABOUT, no_args_is_help=True)


@evolve.callback()
def _root() -> None:
    """Evolve a prompt by pruning its tokens (PromptQuine), and show what came of it."""


class _Lines:
    """Says on stderr how a run goes, a line a generation."""

    def __init__(self, evaluations: int, *, quiet: bool) -> None:
        self._evaluations, self._quiet = evaluations, quiet

    def _tell(self, message: str) -> None:
        if not self._quiet:
            tell(message)

    def began(self, problem: "Problem", seed: "SeedPrompt", resumed: int) -> None:
        labels = ", ".join(f"{name} {number:,}" for name, number in problem.labels.items())
        self._tell(f"{len(seed.genes)} prunable tokens; labels used: {labels}")
        if resumed:
            self._tell(f"resumed: {resumed} generations were finished before")

    def generation(self, finished: "Generation", pace: float) -> None:
        row = finished.row
        best = "none" if row["best"] is None else f"{row['best']:.4g}"
        left = max(0, self._evaluations - row["evaluations"])
        # Where nothing new was scored, nothing can be said of what is left.
        ahead = f"; about {left / pace / 60:.0f} min left" if pace and left else ""
        self._tell(
            f"generation {row['generation']}: best {best} with {row['best_length']} tokens, mean "
            f"length {row['length_mean']:.1f}; {row['evaluations']:,} evaluations, {pace:.2f}/s"
            f"{ahead}"
        )

    def calibrating(self, stop: str, prompts: int) -> None:
        self._tell(f"{stop}; {prompts:,} prompts scored; calibrating the best")


@evolve.command()
def run(
    task: Path = typer.Argument(..., metavar="TASK.toml", help="What the prompt is for."),
    output: Path = typer.Option(
        ...,
        help="Folder for the history, the journal, prompt.toml and result.json; the same command "
        "again goes on where it was stopped. A file named stop in it ends the search.",
    ),
    method: str = typer.Option(
        SearchSettings.method, help="gga, ssga, tapruning, random or unpruned."
    ),
    evaluations: int = typer.Option(
        SearchSettings.evaluations, help="Distinct prompts scored, at the most."
    ),
    seed: int = typer.Option(
        SearchSettings.seed, help="Of the demonstrations, the search split and all draws."
    ),
    population: int = typer.Option(SearchSettings.population, help="Prompts that live."),
    offspring: int = typer.Option(SearchSettings.offspring, help="Children of a generation."),
    start: str = typer.Option(
        SearchSettings.start, help="seed, or pruned: the first population is pruned at random."
    ),
    min_length: int = typer.Option(
        SearchSettings.min_length, help="Ends when the mean length is no more, in tokens."
    ),
    restart: bool = typer.Option(
        False, "--restart", help="At that length, begin anew from the seed instead."
    ),
    rungs: int = typer.Option(
        SearchSettings.rungs,
        help="Successive halving: 3 scores a generation on a quarter of the search split, its "
        "better half on a half, and the better half of that on the whole.",
    ),
    pareto: bool = typer.Option(
        False, "--pareto", help="Make the length a second objective (NSGA-II)."
    ),
    stagnation: int | None = typer.Option(
        None, help="Ends after so many generations without a better best."
    ),
    minutes: float | None = typer.Option(None, help="Ends after so much time, over resumes."),
    max_prompts: int | None = typer.Option(
        None, help="Ends the search after so many prompts to the model in this process."
    ),
    calibrated: float = typer.Option(
        SearchSettings.calibrated, help="Share of the history that calibration scores again."
    ),
    model: str = typer.Option("smollm2-135m", help="As in rerank, on this machine."),
    dtype: str = typer.Option("auto", help="auto, float32, bfloat16 or float16."),
    device: str = typer.Option("auto", help="auto, cpu, cuda:0 and so on."),
    batch_tokens: int | None = typer.Option(None, help="Padded tokens a batch, at the most."),
    threads: int | None = typer.Option(None, help="Of the processor; left out: all."),
    quiet: bool = typer.Option(False, "--quiet", help="No progress on stderr."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON."),
) -> None:
    """Search for a better prompt, calibrate the best, and test the winner once."""
    from rankprompt.search.evolution import EvolveJob, run_evolution

    settings = SearchSettings(
        method=method, evaluations=evaluations, seed=seed, population=population,
        offspring=offspring, start=start, min_length=min_length, restart=restart, rungs=rungs,
        pareto=pareto, stagnation=stagnation, minutes=minutes, calibrated=calibrated,
    )  # fmt: skip
    job = EvolveJob(
        task, output, settings, model, dtype, device, batch_tokens, threads, max_prompts
    )
    try:
        result = run_evolution(job, _Lines(evaluations, quiet=quiet))
    except KeyboardInterrupt:
        tell("interrupted; the same command, started again, goes on from there")
        raise typer.Exit(130) from None
    if as_json:
        print_json(result)
        return
    _print_scores(result)
    tell(f"{output / 'prompt.toml'}: the winner; see rankprompt evolve show {output}")


@evolve.command()
def show(
    folder: Path = typer.Argument(..., metavar="RUN", help="A run's folder."),
    best: int = typer.Option(5, help="Prompts to show."),
    plots: bool = typer.Option(
        False, "--plots", help="Write generations.svg, lengths.svg and tokens.svg into RUN."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Show a run's best prompts, with what was pruned struck through, and their scores.

    A run that is not finished shows its best prompts so far, by fitness alone.
    """
    from rankprompt.search.saved_run import best_prompts, load_run

    shown = load_run(folder)
    prompts = best_prompts(shown, best)
    if plots:
        from rankprompt.search.plots import draw

        for path in draw(shown):
            tell(f"{path}: written")
    if as_json:
        print_json(
            {
                "result": shown.result,
                "prompts": [
                    {**one.individual.record(), "calibration": one.measures} for one in prompts
                ],
            }
        )
        return
    if shown.result is None:
        tell(f"{folder}: not finished; the same evolve run command goes on")
    else:
        _print_scores(shown.result)
    for one in prompts:
        measures = "".join(f"; calibration {_value(*each)}" for each in one.measures.items())
        who = one.individual
        _print_text(
            _heading(f"#{who.number}: fitness {who.score:.4g}, {who.length} tokens{measures}"),
            _struck(shown.pieces, who.genome),
        )


def _value(name: str, value: float) -> str:
    return f"{name} {value:.4f}"


def _print_scores(result: dict[str, Any]) -> None:
    measures = list(result["scores"]["seed"]["test"])
    rows = [
        [who, split, *(f"{values[name]:.4f}" if name in values else "-" for name in measures)]
        for who, splits in result["scores"].items()
        for split, values in splits.items()
    ]
    print_table(("prompt", "split", *measures), rows, texts=2)
    if found := result.get("comparison"):
        p = found.get("mcnemar", found.get("randomisation"))
        shown = "no test" if p is None else f"p = {p:.3g}"
        tell(
            f"{found['measure']} on the test split, winner against seed: {found['wins']} wins, "
            f"{found['losses']} losses, {shown}"
        )


def _heading(text: str) -> "Text":
    from rich.text import Text

    return Text(text, style="bold")


def _struck(pieces: "list[tuple[str, int | None]]", genome: tuple[bool, ...]) -> "Text":
    """The seed, what is pruned struck through, and in brackets where there are no styles."""
    from rich.text import Text

    text = Text()
    for piece, gene in pieces:
        if gene is None:
            text.append(piece, style="dim")
        elif genome[gene]:
            text.append(piece)
        else:
            # What ends a line is shown, or nobody would see that it is gone.
            text.append(piece.replace("\n", "\u21b5"), style="strike red")
    return text


def _print_text(*texts: "Text") -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False, soft_wrap=True)
    for text in texts:
        if console.is_terminal:
            console.print(text)
            continue
        plain = Text()
        for span, struck in _spans(text):
            plain.append(f"[-{span}-]" if struck else span)
        console.print(plain)
    console.print()


def _spans(text: "Text") -> list[tuple[str, bool]]:
    """A text in pieces, each with whether it is struck through; neighbours are one."""
    found: list[tuple[str, bool]] = []
    styles = {
        place: "strike" in str(span.style)
        for span in text.spans
        for place in range(span.start, span.end)
    }
    for place, character in enumerate(text.plain):
        struck = styles.get(place, False)
        if found and found[-1][1] == struck:
            found[-1] = (found[-1][0] + character, struck)
        else:
            found.append((character, struck))
    return found
