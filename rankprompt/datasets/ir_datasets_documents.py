"""The documents of a dataset of ir_datasets, from the store that ir_datasets makes."""

import importlib
import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from rankprompt.datasets.base import Fields
from rankprompt.datasets.document_file import DocumentFile
from rankprompt.datasets.ir_datasets_library import IrDataset, IrRecord, guarded
from rankprompt.files.atomic_write import write_atomically
from rankprompt.files.cache_directory import cache_dir

__all__ = ["IrDocuments"]

_CHUNK = 1000


class IrDocuments:
    """The documents of a dataset, in the store that ir_datasets makes at its first use.

    Args:
        name: the dataset, as the user wrote it.
        dataset: the dataset.
        fields: turns a document of the dataset into an id and fields.
    """

    def __init__(
        self, name: str, dataset: IrDataset, fields: Callable[[IrRecord], tuple[str, Fields]]
    ) -> None:
        self._name, self._dataset, self._fields = name, dataset, fields
        with guarded(name):
            self._store = _fresh_store(dataset)
        if hasattr(self._store, "lookup"):
            # Its own finaliser prints an error when Python exits.
            weakref.finalize(self, self._store.lookup.close)

    def get(self, ids: Iterable[str]) -> dict[str, Fields]:
        """Returns the documents with these ids, in their order; unknown ids are left out."""
        names = list(dict.fromkeys(ids))
        if not names:
            return {}
        with guarded(self._name):
            documents = dict(map(self._fields, self._store.get_many_iter(names)))
        return {name: documents[name] for name in names if name in documents}

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


def _fresh_store(dataset: IrDataset) -> Any:
    """Returns the document store of a dataset, rebuilt if the user's file has changed.

    ir_datasets writes the store of a user's file beside the file, and does not notice changes of
    the file. Our cache records the state of the file when the store was made.
    """
    store = dataset.docs_store()
    path = Path(str(getattr(store, "path", "")))
    source = DocumentFile(path.with_suffix(""))
    home = importlib.import_module("ir_datasets.util").home_path().resolve()
    if (
        path.suffix != ".pklz4"
        or not source.path.is_file()
        or home in source.path.resolve().parents
    ):
        return store
    record = cache_dir("collections") / f"ir-{source.location_key()}"
    content = source.content_key()
    if not record.exists() or record.read_text() != content:
        store.clear_cache()
        record.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(record, content)
    return dataset.docs_store()
