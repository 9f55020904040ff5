"""Makes models behind servers of what a user says about them."""

from collections.abc import Sequence
from pathlib import Path

from rankprompt.llm.base import AsyncLanguageModel
from rankprompt.llm.openai.address import parse_addresses
from rankprompt.llm.openai.exact_choices import ExactChoices
from rankprompt.llm.openai.model import TIMEOUT, OpenAIModel
from rankprompt.llm.openai.settings import ServerSettings
from rankprompt.llm.openai.structured_choices import StructuredChoices
from rankprompt.llm.openai.tokenize_endpoint import TokenizeEndpoint
from rankprompt.llm.openai.tokens import count_by

__all__ = ["load", "load_batches"]


def load(
    name: str,
    *,
    base_url: str | Sequence[str],
    tokenizer: str | None = None,
    settings: ServerSettings | None = None,
) -> AsyncLanguageModel:
    """Returns a model behind a server, as ``load_server`` does."""
    settings = settings or ServerSettings()
    endpoint = TokenizeEndpoint(parse_addresses(base_url), name, headers=settings.headers)
    return OpenAIModel(
        name,
        base_url=base_url,
        timeout=settings.timeout or TIMEOUT,
        retries=settings.retries,
        counter=count_by(tokenizer, endpoint),
        exact=ExactChoices(endpoint),
        structured=StructuredChoices(endpoint, own=settings.extra_body),
        settings=settings,
    )


def load_batches(
    name: str,
    *,
    base_url: str,
    records: Path,
    tokenizer: str | None = None,
    settings: ServerSettings | None = None,
) -> AsyncLanguageModel:
    """Returns a model behind a server that is asked through its batch API; ``open`` connects.

    Args:
        name: the model's name at the server.
        base_url: such as ``https://api.openai.com/v1``.
        records: the file that keeps the batches that run.
        tokenizer: as in ``rankprompt.llm.load_server``.
        settings: how it is called; None for the defaults.

    Raises:
        ModelError: the address, the key or the tokenizer cannot be used.
    """
    from rankprompt.llm.openai.batches.model import BatchModel

    settings = settings or ServerSettings()
    endpoint = TokenizeEndpoint(parse_addresses(base_url), name, headers=settings.headers)
    return BatchModel(
        name,
        base_url=base_url,
        records=records,
        timeout=settings.timeout or TIMEOUT,
        retries=settings.retries,
        counter=count_by(tokenizer, endpoint),
        settings=settings,
    )
