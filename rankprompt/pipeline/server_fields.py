"""The fields of a configuration that go with a model behind a server."""

import os
from dataclasses import replace
from pathlib import Path

from rankprompt.errors import InputError
from rankprompt.llm import AsyncLanguageModel, load_server
from rankprompt.llm.openai.address import KEYS, read_key
from rankprompt.llm.openai.settings import ServerSettings, parse_extra_body, parse_headers
from rankprompt.llm.registry import BACK_ENDS, is_reranker
from rankprompt.llm.rerankers.server_forms import FORMS
from rankprompt.pipeline.config import SERVER, ModelConfig, RerankConfig
from rankprompt.pipeline.config_option import iterate_options
from rankprompt.pipeline.engine_fields import ENGINE_FIELDS
from rankprompt.pipeline.job import RerankJob

__all__ = [
    "LANGUAGE_MODEL_FIELDS", "LOCAL_FIELDS", "SERVER_FIELDS", "batches_path", "check_key",
    "check_server_fields", "connect", "connect_batches",
]  # fmt: skip

_OPENAI = "https://api.openai.com/v1"

SERVER_FIELDS = (
    "base_url", "model_id", "reasoning_effort", "extra_body", "header", "skip_refused",
    "timeout", "retries", "batch_api",
)  # fmt: skip
"""What plays no part where no server answers."""

LANGUAGE_MODEL_FIELDS = ("adapter", "quantize", "attention")
"""What only a language model in this process has; as for ``tokenizer``, one at a server, too."""

LOCAL_FIELDS = (
    "dtype", "device", "batch_tokens", "threads", "trust_remote_code", "revision",
    *LANGUAGE_MODEL_FIELDS, *ENGINE_FIELDS,
)  # fmt: skip
"""What plays no part where a server answers: it says how a model runs in this process."""


def check_server_fields(
    config: RerankConfig, model: str | None, *, field: str = "model"
) -> RerankConfig:
    """Checks the fields of a server, and fills in its address.

    Args:
        config: the configuration.
        model: the model's name at the server; None where there is no server.
        field: the field that names a reranker, for messages.

    Raises:
        InputError: a field that cannot work; no message shows a header's value.
    """
    prefix = config.model.name.partition(":")[0]
    if model is not None and prefix in BACK_ENDS and BACK_ENDS[prefix].reranker:
        _check_reranker(config.model, field)
    if model is None:
        for name, value, default, _ in iterate_options(config):
            if name in SERVER_FIELDS and value != default:
                raise InputError(f"`{name}` goes with `model` openai:MODEL or rerank:MODEL")
        if config.model.tokenizer and (is_reranker(config.model.name) or prefix == "oracle"):
            raise InputError("`tokenizer` goes with a language model, local or openai:MODEL")
        if is_reranker(config.model.name):
            for name in LANGUAGE_MODEL_FIELDS:
                if getattr(config.model, name) is not None:
                    raise InputError(
                        f"`{name}` goes with a language model, and `{field}` {config.model.name} "
                        "is a reranker"
                    )
        if config.model.thinking == "on":
            raise InputError("`thinking` on goes with `model` openai:MODEL; no other reasons yet")
        return config
    for name, value, default, _ in iterate_options(config):
        if name in LOCAL_FIELDS and value != default:
            raise InputError(
                f"`{name}` plays no part in `{field}` {config.model.name}, which runs at its "
                "server; leave it out"
            )
    if not model:
        raise InputError("`model` openai:MODEL needs the model's name at the server")
    named = os.environ.get("OPENAI_BASE_URL")
    base_url = config.model.base_url or ((named,) if named else ())
    if not base_url and config.model.name.startswith(SERVER):
        base_url = (_OPENAI,)
    if not base_url:
        raise InputError(f"`model` {prefix}:MODEL needs `base_url` (or OPENAI_BASE_URL)")
    if config.model.model_id is not None and not config.model.model_id.strip():
        raise InputError("`model_id` is empty")
    _settings(config.model)
    if config.model.batch_api:
        _check_batch_api(config)
    return replace(config, model=replace(config.model, base_url=base_url))


def connect(job: RerankJob) -> AsyncLanguageModel:
    """The model behind a job's server; ``open`` it before its fingerprint is read."""
    model = job.config.model
    return load_server(
        job.model,
        base_url=model.base_url,
        tokenizer=model.tokenizer,
        settings=_settings(model),
    )


def connect_batches(job: RerankJob) -> AsyncLanguageModel:
    """As ``connect``, where the job's server is asked through its batch API."""
    from rankprompt.llm.openai.loading import load_batches

    model, journal = job.config.model, job.config.output.journal
    assert journal is not None, "a run has a journal"
    return load_batches(
        job.model,
        base_url=model.base_url[0],
        records=batches_path(journal),
        tokenizer=model.tokenizer,
        settings=_settings(model),
    )


def batches_path(journal: Path) -> Path:
    """The file that keeps the batches of a run, beside its journal."""
    return journal.with_name(f"{journal.name.removesuffix('.journal')}.batches")


def check_key(config: RerankConfig) -> None:
    """Refuses to ask OpenAI itself without a key; other servers may need none.

    Args:
        config: the configuration, validated.

    Raises:
        InputError: there is no key.
    """
    if not any(url.startswith(_OPENAI) for url in config.model.base_url):
        return
    headers = {name.lower() for name in parse_headers(config.model.header)}
    if "authorization" not in headers and not read_key()[0]:
        raise InputError(
            f"`model` {config.model.name} is asked at {_OPENAI}, which needs a key: set "
            f"{' or '.join(reversed(KEYS))}, or give the `base_url` of another server"
        )


def _check_reranker(model: ModelConfig, field: str) -> None:
    prefix, _, name = model.name.partition(":")
    if not name:
        raise InputError(f"`{field}` {prefix}:MODEL needs the model's name at the server")
    if model.thinking != "auto" or model.reasoning_effort:
        raise InputError(
            f"`thinking` and `reasoning_effort` play no part in `{field}` {model.name}: a reranker "
            "only scores"
        )
    if model.batch_api:
        raise InputError(
            f"`batch_api` plays no part in `{field}` {model.name}: rerankers have no batch API"
        )
    if not model.base_url:
        raise InputError(f"`{field}` {model.name} needs `base_url`: {FORMS}")


def _check_batch_api(config: RerankConfig) -> None:
    if config.output.run is None:
        raise InputError(
            "`batch_api` answers after hours, which no call waits for: rerank a run with it "
            "(`rankprompt rerank`, rerank_run)"
        )
    if len(config.model.base_url) > 1:
        raise InputError("`batch_api` goes with one `base_url`: a batch is at one server")
    if config.model.concurrency != ModelConfig().concurrency:
        raise InputError(
            "`concurrency` plays no part with `batch_api`: all questions of a round "
            "are sent together"
        )
    budget = config.budget
    for name, limit in (("max_tokens", budget.max_tokens), ("max_cost", budget.max_cost)):
        if limit is not None:
            raise InputError(
                f"`{name}` cannot be kept to with `batch_api`: a whole round is sent before its "
                "first answer is counted; use `max_prompts`"
            )


def _settings(model: ModelConfig) -> ServerSettings:
    return ServerSettings(
        model.thinking,
        model.reasoning_effort,
        parse_extra_body(model.extra_body),
        parse_headers(model.header),
        model.model_id,
        model.timeout,
        model.retries,
    )
