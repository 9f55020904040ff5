"""The collection that a user names: as a dataset, or by its queries and documents."""

from pathlib import Path

from rankprompt.datasets import open_collection
from rankprompt.datasets.base import Collection
from rankprompt.datasets.plain_files import PlainCollection
from rankprompt.errors import InputError

__all__ = ["name_collection"]


def name_collection(
    dataset: str | None,
    split: str | None,
    queries: Path | None,
    docs: Path | None,
    *,
    run: Path | None = None,
) -> Collection:
    """Opens what the user named.

    Args:
        dataset: as in ``open_collection``; then no file is given.
        split: of the dataset.
        queries: a file, as in ``PlainCollection``, like the next two.
        docs: of the documents.
        run: of the candidates.

    Raises:
        InputError: both a dataset and files are given, or one of the files is missing; or as
            ``open_collection``.
    """
    if dataset is not None:
        if queries or docs:
            raise InputError(
                "--dataset comes with queries and documents; leave out --queries, --docs"
            )
        return open_collection(dataset, split=split)
    if split is not None:
        raise InputError("--split goes with --dataset")
    if queries is None or docs is None:
        raise InputError("give --queries and --docs, or a --dataset that has them")
    return PlainCollection(queries, docs, run=run)
