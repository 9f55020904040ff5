"""Several servers of a client must have the same model, as far as they tell."""

import logging
from collections.abc import Callable

from rankprompt.errors import ModelError
from rankprompt.llm.openai.call_errors import (
    FilteredError,
    JsonObject,
    RefusedError,
    UnusableError,
)
from rankprompt.llm.openai.endpoint import Endpoint
from rankprompt.llm.openai.retrying_client import RetryingClient

__all__ = ["require_same_model"]

log = logging.getLogger("rankprompt")


async def require_same_model(
    client: RetryingClient, path: str, describe: Callable[[JsonObject], str]
) -> None:
    """Checks that all servers tell of the same weights: now, and when one comes back later.

    Args:
        client: of the servers; of one alone, nothing is asked.
        path: of what describes the weights.
        describe: digests a reply to it; "" where it tells nothing.

    Raises:
        ModelError: they do not. A server that cannot be reached is left out, and told.
    """
    if len(client.servers) == 1:
        return
    first: list[tuple[str, str]] = []

    async def check(server: Endpoint) -> None:
        try:
            told = describe(await server.send("GET", path, b""))
        except (RefusedError, FilteredError):
            told = ""  # it describes no weights
        if first and told != first[0][1]:
            raise ModelError(
                f"{first[0][0]} and {server.base_url} tell of different weights; if they have the "
                "same model, name it by `model_id`"
            )
        first[:] = first or [(server.base_url, told)]
        server.checked = True

    client.check_server = check
    for server in client.servers:
        try:
            await check(server)
        except UnusableError as problem:
            server.leave_out()
            log.warning("%s: %s; it is left out until it answers", server.base_url, problem)
