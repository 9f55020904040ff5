"""What the adapters share: a reranker made from settings that their frameworks can save."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rankprompt.api.reranker import Reranker
from rankprompt.api.results import Ranking
from rankprompt.api.secrets import refuse_secrets
from rankprompt.errors import InputError
from rankprompt.llm.rerankers.names import MINILM
from rankprompt.pipeline.config import RerankConfig
from rankprompt.pipeline.config_option import iterate_options

__all__ = ["Position", "TextRanker", "check_update"]

Position = tuple[int, float]
"""The position of a text among those given, from 0, and its score."""


class TextRanker:
    """Ranks texts by their positions, with a reranker whose settings can be saved.

    The frameworks' documents may share an id or have none, so their texts alone are ranked.
    Copies share the model. A pickle holds the settings alone, and is loaded as a new reranker.

    Args:
        model: as that of ``Reranker``; or a reranker, whose model is then shared; None for the
            default, or where stages name a model each.
        method: as that of ``Reranker``; None for that of the reranker, or what suits the model.
        k: as that of ``Reranker``; None for that of the reranker, or the default.
        threshold: as that of ``Reranker``; None for that of the reranker, or no threshold.
        options: further keywords of ``Reranker``.

    Attributes:
        reranker: the reranker.
        settings: arguments that make an equal one, as JSON can hold them; ``model`` is None where
            there are stages, which name their own. Those of a reranker that was handed in have a
            header's name without its value, and loading them is an error.

    Raises:
        InputError: an option that cannot work, that is given twice, or that is a secret.
    """

    def __init__(
        self,
        model: str | Reranker | None,
        *,
        method: str | None = None,
        k: int | None = None,
        threshold: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        given: dict[str, Any] = {"method": method, "k": k, "threshold": threshold}
        chosen = {name: value for name, value in given.items() if value is not None}
        more = dict(options or {})
        if twice := {"model", *chosen} & more.keys():
            raise InputError(f"`{min(twice)}` is given twice: leave it out of `options`")
        if isinstance(model, Reranker):
            changed = {**chosen, **more}
            self.reranker = model.with_options(**changed) if changed else model
            self.settings = _describe(self.reranker.config)
        else:
            self.reranker = Reranker(MINILM if model is None else model, **chosen, **more)
            refuse_secrets(
                self.reranker.config,
                "an adapter, whose settings may be saved; or give a Reranker as `model`",
            )
            self.settings = {"model": _plain(model), **given, "options": _plain(more)}
            if self.reranker.config.stage:  # a validated stage names its model
                self.settings = _describe(self.reranker.config)
        self._warm = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TextRanker) and self.settings == other.settings

    def __deepcopy__(self, _: object) -> "TextRanker":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _load, (self.settings,)

    def rank(
        self,
        query: str,
        texts: Sequence[str],
        top_k: int | None = None,
        threshold: float | None = None,
    ) -> list[Position]:
        """The positions and scores of texts, best first, as ``Reranker.rank`` gives them."""
        return _positions(self.reranker.rank(query, texts, top_k=top_k, threshold=threshold))

    async def arank(
        self,
        query: str,
        texts: Sequence[str],
        top_k: int | None = None,
        threshold: float | None = None,
    ) -> list[Position]:
        """As ``rank``, without blocking the event loop."""
        ranking = await self.reranker.arank(query, texts, top_k=top_k, threshold=threshold)
        return _positions(ranking)

    def warm_up(self) -> None:
        """Loads the model, the first time that it is called."""
        if not self._warm:
            self.reranker.warm_up()
            self._warm = True


def check_update(update: Mapping[str, Any] | None) -> None:
    """Checks that a copy changes no setting that the model follows, of which it has no part.

    Raises:
        InputError: it changes one.
    """
    for name in ("model", "method", "k", "threshold", "options"):
        if name in (update or {}):
            raise InputError(f"`{name}` cannot change in a copy: make another with it")


def _load(settings: Mapping[str, Any]) -> TextRanker:
    return TextRanker(**settings)


def _positions(ranking: Ranking) -> list[Position]:
    return [(one.index, one.score) for one in ranking]


def _describe(config: RerankConfig) -> dict[str, Any]:
    options = {
        one.name: _plain(map(one.about.hide, one.value) if one.about.hide else one.value)
        for one in iterate_options(config)
        # Reranker has another default of depth than a configuration.
        if one.value != one.default or one.name == "depth"
    }
    named = {name: options.pop(name, None) for name in ("method", "k", "threshold")}
    model = options.pop("model", None if config.stage else MINILM)
    return {"model": model, **named, "options": options}


def _plain(value: Any) -> Any:
    match value:
        case Path():
            return str(value)
        case dict():
            return {name: _plain(one) for name, one in value.items()}
        case list() | tuple() | map():
            return [_plain(one) for one in value]
    return value
