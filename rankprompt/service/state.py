"""What the parts of a service share: its reranker, and whether it can answer."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from rankprompt.api.reranker import Reranker
from rankprompt.errors import naming_extras
from rankprompt.service.errors import RequestError
from rankprompt.service.settings import ServiceSettings
from rankprompt.service.variants import Variants

__all__ = ["ServiceState"]


@dataclass
class ServiceState:
    """What the parts of a service share.

    Attributes:
        reranker: ranks; it is closed by who made it.
        settings: the limits.
        variants: the reranker with options of requests.
        loaded: whether the model can answer.
        stopping: whether the server ends when what is under way is finished.
        failure: why the model cannot be loaded.
        when_loaded: are called when the model is loaded, or cannot be.
        when_stopping: are called when the server is told to end.
    """

    reranker: Reranker
    settings: ServiceSettings
    variants: Variants
    loaded: bool = False
    stopping: bool = False
    failure: Exception | None = None
    when_loaded: list[Callable[[], None]] = field(default_factory=list)
    when_stopping: list[Callable[[], None]] = field(default_factory=list)

    @property
    def model(self) -> str:
        """The name of the model, as answers have it; a folder's path stays here."""
        names = dict.fromkeys(job.model for job in self.reranker.job.single_jobs)
        return ", ".join(Path(name).name if Path(name).exists() else name for name in names)

    async def load(self) -> None:
        """Loads the model, while the server answers that it is not ready."""
        loop = asyncio.get_running_loop()
        finished: asyncio.Future[None] = loop.create_future()

        def finish(error: Exception | None) -> None:
            if not finished.cancelled():
                finished.set_exception(error) if error else finished.set_result(None)

        def load() -> None:
            failure = None
            try:
                self._warm_up()
            except Exception as error:
                failure = error
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(finish, failure)

        # A daemon: a server that is told to end does not wait for a model that loads.
        Thread(target=load, name="rankprompt-load", daemon=True).start()
        try:
            await finished
            self.loaded = True
        except Exception as error:
            self.failure = error
        for tell in self.when_loaded:
            tell()

    def _warm_up(self) -> None:
        with naming_extras():
            self.reranker.warm_up()

    def stop(self) -> None:
        """Tells whoever asks that no more requests are taken."""
        self.stopping = True
        for tell in self.when_stopping:
            tell()

    def check_loaded(self) -> None:
        """Checks that the model can answer.

        Raises:
            RequestError: it cannot.
        """
        if self.failure:
            raise RequestError(503, "the model cannot be loaded; the server's log says why")
        if not self.loaded:
            raise RequestError(503, "the model is being loaded", {"Retry-After": "2"})

    def check_ready(self) -> None:
        """Checks that the model can answer, and that the server takes more requests.

        Raises:
            RequestError: it cannot, or does not.
        """
        if self.stopping:
            raise RequestError(503, "the server is shutting down")
        self.check_loaded()
