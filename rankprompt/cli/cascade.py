"""``rankprompt cascade``: the group of the verbs that train a cascade and measure it."""

import typer

from rankprompt.cli.cascade_report import report
from rankprompt.cli.cascade_train import train
from rankprompt.cli.help_page import example

__all__ = ["cascade"]

cascade = typer.Typer(
    name="cascade",
    help="The intra-document cascade (IDCM): train its parts, measure what it saves.",
    no_args_is_help=True,
)


@cascade.callback()
def _root() -> None:
    """The intra-document cascade (IDCM): train its parts, measure what it saves."""


cascade.command(
    **example(
        "rankprompt cascade report --run bm25.trec --queries queries.tsv --docs docs.jsonl \\",
        "  --qrels qrels.trec --output report",
    )
)(report)
cascade.command(
    **example(
        "rankprompt cascade train --stage passages --teacher MODEL --run bm25.trec \\",
        "  --queries queries.tsv --docs docs.jsonl --qrels qrels.trec --output trained",
    )
)(train)
