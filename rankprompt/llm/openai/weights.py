"""What a server tells of a model's weights, from the list of its models."""

import json
import logging
from hashlib import blake2b

from rankprompt.llm.openai.call_errors import (
    FilteredError,
    JsonObject,
    RefusedError,
    UnusableError,
)
from rankprompt.llm.openai.retrying_client import RetryingClient

__all__ = ["fetch_models", "models_named", "weights_digest"]

log = logging.getLogger("rankprompt")

# vLLM and SGLang name the folder or hub id; llama.cpp describes the file in ``meta``; TEI has the
# names that begin with "model".
_FACTS = (
    "root", "revision", "parent", "n_params", "size", "n_vocab", "model_id", "model_sha",
    "model_dtype",
)  # fmt: skip


async def fetch_models(client: RetryingClient, path: str = "/models") -> JsonObject:
    """Asks a server for the list of its models.

    Args:
        client: asks.
        path: of the list, or of what describes the server's only model.

    Returns:
        The reply; empty where the server has none, or cannot be asked.
    """
    try:
        return await client.get(path)
    except (RefusedError, FilteredError):
        return {}  # it has no such list
    except UnusableError as error:
        if not error.doubtful:  # else the first question says so
            log.warning(
                "%s: it cannot be asked which weights it has (%s); answers of a journal that knows "
                "them are not used",
                client.base_url,
                error,
            )
        return {}


def models_named(models: JsonObject, name: str) -> list[JsonObject]:
    """The models of a list that have a name; all of them where none has it.

    llama.cpp serves its only model by any name.
    """
    listed = models.get("data")
    entries = [
        one for one in (listed if isinstance(listed, list) else [models]) if isinstance(one, dict)
    ]
    return [one for one in entries if one.get("id") == name] or entries


def weights_digest(models: JsonObject, name: str) -> str:
    """Digests what a list of models says of a model's weights; "" if it says nothing."""
    served = models_named(models, name)
    named = [one for one in served if one.get("id") == name]
    model = served[0] if named or len(served) == 1 else {}
    meta = model.get("meta")
    described = {**(meta if isinstance(meta, dict) else {}), **model}
    facts = {
        fact: value
        for fact in _FACTS
        if isinstance(value := described.get(fact), str | int | float) and value != ""
    }
    if not facts:
        return ""
    return blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=8).hexdigest()
