"""``rankprompt serve``: a reranker behind HTTP."""

from dataclasses import replace
from pathlib import Path

import typer

from rankprompt.cli.options_from_config import takes_rerank_config
from rankprompt.errors import InputError, UnknownNameError, require
from rankprompt.pipeline.config import ORACLE, RerankConfig

__all__ = ["serve"]

# Options about files of a run, and about judges that know the grades.
_WITHOUT = frozenset(
    {
        "run", "queries", "docs", "dataset", "split", "depth", "limit", "skip_missing",
        "output", "journal", "scores", "noise", "judge_model", "timeout", "batch_api", "together",
    }
)  # fmt: skip
_ALL = 1_000_000
_LAST_PORT = 65_535
_FORMATS = ("text", "json")
_PANEL = "Service"


@takes_rerank_config(without=_WITHOUT)
def serve(
    config: RerankConfig,
    depth: int | None = typer.Option(
        None,
        help="Rank only the first DEPTH documents of each request; the others come below. A "
        "file's depth plays no part. Default: all.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
    journal: Path | None = typer.Option(
        None,
        help="Keep all answers in this file; a question that it holds is not asked again. "
        "Default: none.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
    host: str = typer.Option(
        "127.0.0.1",
        help="The address to listen on; 0.0.0.0 is all of this machine's. With "
        "RANKPROMPT_SERVE_KEYS, clients must send one of its keys. Default: 127.0.0.1.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
    port: int = typer.Option(
        8000,
        help="The port; 0 is one that is free. Default: 8000.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
    max_queue: int = typer.Option(
        256,
        help="The most requests that wait or are answered; more get 429. Default: 256.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
    timeout: float = typer.Option(
        60,
        help="The most seconds for a request; then it gets 504. Default: 60.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
    call_timeout: float | None = typer.Option(
        None,
        help="The most seconds for a call to a model's server; then it is repeated. Default: 60, "
        "or 300 for a reranker.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
    max_body: int = typer.Option(
        16_000_000,
        help="The most bytes of a request; larger ones get 413. Default: 16000000.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
    max_documents: int = typer.Option(
        10_000,
        help="The most documents of a request; more get 413. Default: 10000.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
    max_questions: int = typer.Option(
        20_000,
        help="The most questions that a request may be expected to need. Default: 20000.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
    log_format: str = typer.Option(
        "text",
        help="The form of the log on stderr, a line a request: text or json. Default: text.",
        show_default=False,
        rich_help_panel=_PANEL,
    ),
) -> None:
    """Serve a reranker to the clients of Cohere, Jina, vLLM, LiteLLM and TEI.

    Requests that arrive together share the model's batches. A page to try it is at /, the
    description of the endpoints at /openapi.json, and metrics for Prometheus at /metrics.
    """
    for module in ("fastapi", "uvicorn", "prometheus_client"):
        require(module)
    from rankprompt.api.reranker import Reranker
    from rankprompt.service.logs import set_up_service_log
    from rankprompt.service.server import run_server
    from rankprompt.service.settings import ServiceSettings

    if log_format not in _FORMATS:
        raise UnknownNameError("log format", log_format, _FORMATS)
    if config.model.name.startswith(ORACLE):
        raise InputError("`model` oracle: judges queries by their ids, and requests have none")
    if not 0 <= port <= _LAST_PORT:
        raise InputError(f"`port` must be from 0 to {_LAST_PORT}, not {port}")
    settings = ServiceSettings.from_environment(
        max_queue=max_queue,
        timeout=timeout,
        max_body=max_body,
        max_documents=max_documents,
        max_questions=max_questions,
    )
    set_up_service_log(as_json=log_format == "json")
    config = replace(
        config,
        model=replace(config.model, timeout=call_timeout or config.model.timeout),
        data=replace(config.data, depth=_ALL if depth is None else depth),
        output=replace(config.output, journal=journal or config.output.journal),
    )
    if config.ray.address:
        from rankprompt.service.ray_serve import reranker_on_ray

        with reranker_on_ray(config, settings) as workers:
            run_server(workers, settings, host, port, workers.prepare)
        return
    with Reranker.from_config(config) as reranker:
        run_server(reranker, settings, host, port)
