"""``Evolver``: ``rankprompt evolve`` in Python."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankprompt.api.tables import Record, Table, data_frame, html_of, text_of
from rankprompt.errors import naming_extras
from rankprompt.pipeline.config_keywords import config_from_options
from rankprompt.search.config import EvolveConfig
from rankprompt.types import Progress, no_progress

if TYPE_CHECKING:
    from pandas import DataFrame

    from rankprompt.search.evolution import ProgressListener

__all__ = ["Evolved", "Evolver"]


@dataclass(frozen=True)
class Evolved:
    """A finished evolution.

    Attributes:
        folder: the run folder.
        prompt: the file of the winner; where the task is ranking, a prompt that reranking takes.
        result: the content of its ``result.json``.
        records: every prompt that was born, in order: ``number``, ``generation``, ``parents``,
            ``genome`` (1 for a token that is kept), ``text``, ``length`` (tokens that are kept),
            ``tokens``, ``score`` (the fitness, higher is better; None where there is none) and
            ``new`` (whether the prompt was not seen before). With several rungs of successive
            halving, ``rungs`` has the score at each.
    """

    folder: Path
    prompt: Path
    result: dict[str, Any]
    records: tuple[Record, ...]

    @property
    def text(self) -> str:
        """The winner's text."""
        text: str = self.result["winner"]["text"]
        return text

    @property
    def scores(self) -> dict[str, dict[str, dict[str, float]]]:
        """Values by prompt (seed or winner), split (search, calibration or test) and measure.

        Higher values are better. The test split was scored once, at the end.
        """
        scores: dict[str, dict[str, dict[str, float]]] = self.result["scores"]
        return scores

    def to_frame(self) -> "DataFrame":
        """The records as a pandas DataFrame.

        Raises:
            InputError: pandas is not installed.
        """
        return data_frame(self.records)

    def __str__(self) -> str:
        """The scores of seed and winner as a table, and the test between them."""
        return "\n".join((text_of(self._table()), *self._notes()))

    def _repr_html_(self) -> str:
        return html_of([self._table()], self._notes())

    def _table(self) -> Table:
        from rankprompt.search.result import tabulate

        return Table(*tabulate(self.result), texts=2)

    def _notes(self) -> list[str]:
        from rankprompt.search.result import describe_comparison

        return [note for note in [describe_comparison(self.result)] if note]


class Evolver:
    """Evolves a prompt by pruning its tokens (PromptQuine), as ``rankprompt evolve run`` does.

    Args:
        task: the TOML file that describes the task (docs/evolve).
        output: the run folder; an evolution with the same options resumes from it.
        **options: the options of the command line by their names, with underscores, such as
            ``model``, ``base_url``, ``evaluations`` or ``population``, and the further fields of
            ``rankprompt.search.SearchConfig``.

    Attributes:
        config: the configuration.

    Raises:
        InputError: an unknown option, for which the nearest name is offered, or a value that cannot
            work.

    Examples:
        >>> from rankprompt.api.evolver import Evolver
        >>> evolver = Evolver("task.toml", "run", method="ssga", evaluations=300, seed=1)
        >>> evolver.config.search.method, evolver.config.model.name
        ('ssga', 'smollm2-135m')
        >>> Evolver("task.toml", "run", evaluation=300)
        Traceback (most recent call last):
        rankprompt.errors.InputError: unknown option `evaluation`; did you mean `evaluations`?

        ``evolver.run()`` then gives an ``Evolved``, whose ``prompt`` is the winner's file.
    """

    def __init__(
        self, task: str | os.PathLike[str], output: str | os.PathLike[str], **options: Any
    ) -> None:
        given = {"task": task, "output": output, **options}
        self.config = config_from_options(EvolveConfig(Path(), Path()), given)

    def run(self, progress: Progress = no_progress) -> Evolved:
        """Searches for a better prompt, calibrates the best, and tests the winner once.

        All data are read and checked before the model is asked. An evolution that was interrupted
        goes on when it is run again, and ends with the same result.

        Args:
            progress: opens the progress bar; its steps are prompts that are scored.

        Raises:
            InputError: the task, its data or the run folder cannot be used.
            ModelError: the model cannot be loaded, or a prompt does not fit into its context.
            MissingPackageError: a package of the extra ``evolve`` is not installed.
        """
        with naming_extras():
            from rankprompt.search import evolution
            from rankprompt.search.history import record
            from rankprompt.search.result import PROMPT_FILE
            from rankprompt.search.saved_run import load_run

            with progress("evolving", self.config.search.evaluations) as advance:
                result = evolution.run_evolution(self.config, _listener(advance))
        folder = self.config.output
        records = tuple(map(record, load_run(folder).history))
        return Evolved(folder, folder / PROMPT_FILE, result, records)


def _listener(advance: Callable[[int], None]) -> "ProgressListener":
    from rankprompt.search.evolution import Pace, ProgressListener
    from rankprompt.search.search_state import Generation

    class Listener(ProgressListener):
        done = 0

        def on_generation(self, generation: Generation, pace: Pace) -> None:
            del pace
            evaluations = generation.row["evaluations"]
            advance(evaluations - self.done)
            self.done = evaluations

    return Listener()
