"""``rankprompt cascade train``: the three stages of training."""

import typer

from rankprompt.cascade.training.config import TrainingJobConfig
from rankprompt.cli.console import progress_bar, tell
from rankprompt.cli.options_from_annotations import options_of

__all__ = ["train"]


@options_of(TrainingJobConfig)
def train(
    config: TrainingJobConfig,
    *,
    quiet: bool = typer.Option(False, "--quiet", help="Show no progress bar and no summary."),
) -> None:
    """Train a teacher, or distil the student that chooses a document's windows for it."""
    from rankprompt.cascade.training.job import run_training

    with progress_bar("training", 1, quiet=quiet) as advance:
        result = run_training(config, advance)
    if quiet:
        return
    measure, curve = config.loop.measure, result.state.curve
    best = result.state.best_row(measure)
    counts = {"documents cut": result.documents_cut, "queries cut": result.queries_cut}
    tell(
        f"{config.output}: {result.state.step:,} steps, {result.state.seconds:.0f} s; {measure} "
        f"{best[measure]:.4f} at step {best['step']:,}, {curve[0][measure]:.4f} before training; "
        "see curves.csv" + "".join(f"; {count} {noun}" for noun, count in counts.items() if count)
    )
