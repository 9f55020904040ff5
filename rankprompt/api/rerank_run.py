"""``rerank_run``: the whole of ``rankprompt rerank`` as a function, from files to files."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankprompt.errors import naming_extras
from rankprompt.files import read_run
from rankprompt.pipeline.config_keywords import ConfigSource, config_from
from rankprompt.types import Progress, no_progress

__all__ = ["RerankedRun", "rerank_run"]


@dataclass(frozen=True)
class RerankedRun:
    """A run that was written.

    Attributes:
        run: its file.
        manifest: how the run was made and what it cost, as it is written beside the run.
    """

    run: Path
    manifest: dict[str, Any]

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """The scores by query id and document id, best first, read from the file.

        ``rankprompt.api.evaluation.evaluate`` takes them, and the file as well.
        """
        return read_run(self.run)


def rerank_run(
    config: ConfigSource | None = None, *, progress: Progress = no_progress, **options: Any
) -> RerankedRun:
    """Reranks a run from files to files, as ``rankprompt rerank`` does.

    A run that was interrupted continues where it was when it is called again.

    Args:
        config: a ``RerankConfig``, a TOML file, or the manifest (.json) of an earlier run, whose
            options the keywords replace. By default, the defaults.
        progress: opens the progress bar, or one for each stage.
        **options: the options of the command line by their names, with underscores: ``run``,
            ``queries``, ``docs``, ``model``, ``method``, ``output`` and so on (docs/configuration).
            A path may be a text; a repeated option such as ``stage`` takes a list.

    Raises:
        InputError: an unknown option, for which the nearest name is offered, a value that cannot
            work, or a file that cannot be read.
        RankpromptError: a model that cannot be loaded, a package that is missing, a journal that
            fails. No run is written then; what the model has answered is in the journal.

    Examples:
        The grades of the sample judge, in place of a model:

        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from rankprompt.api.rerank_run import rerank_run
        >>> from rankprompt.datasets.sample import sample
        >>> from rankprompt.files import read_qrels, write_run
        >>> grades = read_qrels(sample("en") / "qrels.trec")
        >>> with TemporaryDirectory() as folder:
        ...     first = Path(folder, "first.trec")
        ...     write_run(first, {query: sorted(of) for query, of in grades.items()}, tag="first")
        ...     reranked = rerank_run(
        ...         run=first,
        ...         queries=sample("en") / "queries.tsv",
        ...         docs=sample("en") / "docs.jsonl",
        ...         model=f"oracle:{sample('en') / 'qrels.trec'}",
        ...         method="heapsort",
        ...         depth=5,
        ...         output=Path(folder, "better.trec"),
        ...     )
        ...     scores = reranked.scores
        >>> reranked.manifest["queries"] == len(grades)
        True
        >>> best = {query: next(iter(of)) for query, of in scores.items()}
        >>> all(grades[query][document] > 0 for query, document in best.items())
        True
        >>> rerank_run(ouput="better.trec")
        Traceback (most recent call last):
        rankprompt.errors.InputError: unknown option `ouput`; did you mean `output`?
    """
    from rankprompt.pipeline.rerank import run_rerank

    resolved = config_from(config, options)
    with naming_extras():
        if _in_event_loop():  # as in a notebook: a server is asked in a loop of another thread
            with ThreadPoolExecutor(1) as pool:
                manifest = pool.submit(run_rerank, resolved, progress).result()
        else:
            manifest = run_rerank(resolved, progress)
    return RerankedRun(Path(manifest["output"]["path"]), manifest)


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
