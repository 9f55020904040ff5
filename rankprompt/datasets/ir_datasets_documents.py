"""Documents of ir_datasets, from its own stores."""

import importlib
import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from rankprompt.datasets.base import Fields
from rankprompt.datasets.ir_datasets_library import guarded
from rankprompt.datasets.source_file import Source
from rankprompt.files.atomic_write import write_atomically
from rankprompt.files.cache_directory import cache_dir

__all__ = ["IrDocuments"]

_CHUNK = 1000


class IrDocuments:
    """A collection's documents, in the store that ir_datasets makes when it is first needed.

    Args:
        name: the collection, as the user wrote it.
        dataset: what ``ir_datasets.load`` gives.
        fields: makes a record of it an id and fields.
    """

    def __init__(
        self, name: str, dataset: Any, fields: Callable[[Any], tuple[str, Fields]]
    ) -> None:
        self._name, self._dataset, self._fields = name, dataset, fields
        with guarded(name):
            self._store = _fresh_store(dataset)
        if hasattr(self._store, "lookup"):
            # It closes itself, too, but fails at that, noisily, when Python ends.
            weakref.finalize(self, self._store.lookup.close)

    def get(self, ids: Iterable[str]) -> dict[str, Fields]:
        """The documents of these ids, in their order; unknown ids are left out."""
        names = list(dict.fromkeys(ids))
        if not names:
            return {}
        with guarded(self._name):
            found = dict(map(self._fields, self._store.get_many_iter(names)))
        return {name: found[name] for name in names if name in found}

    def __iter__(self) -> Iterator[tuple[str, Fields]]:
        with guarded(self._name):
            documents = iter(self._dataset.docs_iter())
        while True:
            with guarded(self._name):
                chunk = [self._fields(document) for document in islice(documents, _CHUNK)]
            if not chunk:
                return
            yield from chunk

    def __len__(self) -> int:
        with guarded(self._name):
            count = self._dataset.docs_count()
            return sum(1 for _ in self._dataset.docs_iter()) if count is None else int(count)


def _fresh_store(dataset: Any) -> Any:
    """A collection's store of documents, emptied where it lies beside a file that has changed.

    ir_datasets keeps what it makes of a file of the user's beside it and never looks at the file
    again. The cache remembers what the file held when the store was made.
    """
    store = dataset.docs_store()
    path = Path(str(getattr(store, "path", "")))
    source = Source(path.with_suffix(""))
    home = importlib.import_module("ir_datasets.util").home_path().resolve()
    if (
        path.suffix != ".pklz4"
        or not source.path.is_file()
        or home in source.path.resolve().parents
    ):
        return store
    mark, content = cache_dir("collections") / f"ir-{source.place()}", source.content()
    if not mark.exists() or mark.read_text() != content:
        store.clear_cache()
        mark.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(mark, content)
    return dataset.docs_store()
