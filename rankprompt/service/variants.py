"""The server's reranker with the options of a request, within the server's limits."""

from collections import OrderedDict
from typing import Any

from rankprompt.api.reranker import Reranker
from rankprompt.errors import InputError
from rankprompt.pipeline.config_methods import CASCADE
from rankprompt.service.schemas import Options
from rankprompt.service.settings import ServiceSettings

__all__ = ["Variants"]

_OPTIONS = ("instruction", "method", "k", "max_prompts")


class Variants:
    """Rerankers with options of requests, which share the server's models; the last are kept.

    Args:
        reranker: the server's.
        settings: the server's limits.
    """

    def __init__(self, reranker: Reranker, settings: ServiceSettings) -> None:
        self._reranker, self._settings = reranker, settings
        self._kept: OrderedDict[tuple[Any, ...], Reranker] = OrderedDict()

    def get(self, options: Options | None, documents: int) -> Reranker:
        """The reranker for a request.

        Args:
            options: of the request, if it may have any.
            documents: how many it has.

        Raises:
            InputError: an option that cannot work, or more questions than the server's limit.
        """
        chosen = {name: getattr(options, name, None) for name in _OPTIONS}
        limit = self._reranker.config.budget.max_prompts
        if limit is not None and chosen["max_prompts"] is not None:
            chosen["max_prompts"] = min(limit, chosen["max_prompts"])
        given = {name: value for name, value in chosen.items() if value is not None}
        reranker = self._variant(given) if given else self._reranker
        questions = reranker.job.estimate(documents)
        if questions > self._settings.max_questions:
            raise InputError(
                f"{documents:,} documents need about {questions:,} questions, more than the "
                f"{self._settings.max_questions:,} of this server; send fewer documents"
                + (" or name another method" if reranker.job.method else "")
            )
        return reranker

    def _variant(self, given: dict[str, Any]) -> Reranker:
        key = tuple(given.items())
        if key not in self._kept:
            own = self._reranker.config.ranker.method
            if CASCADE in (given.get("method"), own) and given.get("method", own) != own:
                raise InputError(f"this server ranks by {own}; a request cannot change that")
            self._kept[key] = self._reranker.with_options(**given)
        self._kept.move_to_end(key)
        while len(self._kept) > self._settings.variants:
            self._kept.popitem(last=False)
        return self._kept[key]
