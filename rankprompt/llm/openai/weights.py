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

__all__ = ["fetch_weights", "weights_digest"]

log = logging.getLogger("rankprompt")

# vLLM and SGLang name the folder or hub id; llama.cpp describes the file in ``meta``; TEI has the
# names that begin with "model".
_FACTS = (
    "root", "revision", "parent", "n_params", "size", "n_vocab", "model_id", "model_sha",
    "model_dtype",
)  # fmt: skip


async def fetch_weights(client: RetryingClient, name: str, path: str = "/models") -> str:
    """Asks a server which weights a model has.

    Args:
        client: asks.
        name: the model's name at the server.
        path: of the list of models, or of what describes the server's only model.

    Returns:
        A digest of what it says; "" if it says nothing, or cannot be asked.
    """
    try:
        reply = await client.get(path)
    except (RefusedError, FilteredError):
        return ""  # it has no such list
    except UnusableError as error:
        if not error.doubtful:  # else the first question says so
            log.warning(
                "%s: it cannot be asked which weights it has (%s); answers of a journal that knows "
                "them are not used",
                client.base_url,
                error,
            )
        return ""
    return weights_digest(reply, name)


def weights_digest(reply: JsonObject, name: str) -> str:
    """Digests what a list of models tells of the weights of one; "" if it tells nothing."""
    listed = reply.get("data")
    models = [
        one for one in (listed if isinstance(listed, list) else [reply]) if isinstance(one, dict)
    ]
    named = [one for one in models if one.get("id") == name]
    # llama.cpp serves its only model by any name.
    model = named[0] if named else models[0] if len(models) == 1 else {}
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
