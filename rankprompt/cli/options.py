"""Options that several verbs have; each verb says the default."""

from typing import Annotated, TypeAlias

import typer

Split: TypeAlias = Annotated[str | None, typer.Option(help="Of the dataset, such as dev or test.")]
Passes: TypeAlias = Annotated[
    int | None, typer.Option(help="Passes of sliding and pipelined; left out: as many as k.")
]
Comparisons: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Comparisons a query that bradley-terry and prp-graph may ask; left out: 7 for each "
        "document, and 20 rounds."
    ),
]
SetSize: TypeAlias = Annotated[
    int | None,
    typer.Option(help="Passages shown at a time; left out: 4 (setwise), 20 (listwise, tourrank)."),
]
Step: TypeAlias = Annotated[
    int | None, typer.Option(help="How far a listwise window moves up; left out: 10.")
]
Tournaments: TypeAlias = Annotated[
    int | None, typer.Option(help="That tourrank plays; left out: 2.")
]
Depth: TypeAlias = Annotated[
    int, typer.Option(help="Rerank the first DEPTH documents of each query.")
]
Cascade: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Of long documents, show only the passages that a student chooses: bm25, encoder, "
        "encoder:DIR, ck:DIR, or the controls first, random and all."
    ),
]
Keep: TypeAlias = Annotated[
    int, typer.Option(help="With --cascade: windows of a document to keep.")
]
Window: TypeAlias = Annotated[int, typer.Option(help="With --cascade: tokens of a window.")]
Overlap: TypeAlias = Annotated[
    int, typer.Option(help="With --cascade: tokens shown on each side of a window.")
]
_UNITS = "windows with tokens, or with whole sentences or paragraphs (which do not overlap)."
WindowUnit: TypeAlias = Annotated[str, typer.Option(help=f"With --cascade: fill {_UNITS}")]
CutUnit: TypeAlias = Annotated[str, typer.Option("--window-unit", help=f"Fill {_UNITS}")]
PassageTokens: TypeAlias = Annotated[
    int | None,
    typer.Option(help="Show at most this many tokens of a passage; left out: as many as fit."),
]
InputOrder: TypeAlias = Annotated[
    str, typer.Option(help="Feed the candidates in given, inverse or random order.")
]
Seed: TypeAlias = Annotated[int, typer.Option(help="Seed of all that is random.")]
SkipMissing: TypeAlias = Annotated[
    bool,
    typer.Option("--skip-missing", help="Candidates without text keep their place; else an error."),
]
Dtype: TypeAlias = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
Device: TypeAlias = Annotated[
    str, typer.Option(help="auto, or a torch device such as cpu or cuda:0.")
]
BatchTokens: TypeAlias = Annotated[
    int | None,
    typer.Option(help="Tokens a model batch, padding included; left out: what suits the device."),
]
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option(
        help="Of the processor. Left out: OMP_NUM_THREADS, or all cores that this process may use; "
        "beside another busy process, 1 may be many times as fast."
    ),
]
TrustRemoteCode: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code", help="Run code that comes with the model, which may do anything."
    ),
]
Concurrency: TypeAlias = Annotated[int, typer.Option(help="Calls to a server under way at a time.")]
PriceIn: TypeAlias = Annotated[float, typer.Option(help="Price of a million tokens read.")]
PriceOut: TypeAlias = Annotated[float, typer.Option(help="Price of a million tokens written.")]
