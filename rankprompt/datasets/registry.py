"""The table of dataset formats, and how the dataset that a user names is opened."""

import importlib
import logging
from pathlib import Path
from typing import cast

from rankprompt.datasets.base import Collection, DatasetFormat
from rankprompt.errors import InputError, UnknownNameError

__all__ = ["FORMATS", "name_collection", "open_collection"]

log = logging.getLogger("rankprompt")

FORMATS = {
    "beir": "rankprompt.datasets.beir",
    "ir": "rankprompt.datasets.ir_datasets",
    "requests": "rankprompt.datasets.rank_llm_requests",
    "t2ranking": "rankprompt.datasets.t2ranking",
}
"""The module of each format, a ``DatasetFormat``, by the prefix that names it."""


def open_collection(name: str, *, split: str | None = None) -> Collection:
    """Opens a dataset by its name.

    Args:
        name: ``ir:ID`` (ir_datasets), ``beir:FOLDER``, ``t2ranking:FOLDER`` or ``requests:FILE``;
            or only a folder or file, whose format is then detected and logged.
        split: one of the dataset's splits, such as "dev"; None for the format's default.

    Raises:
        UnknownNameError: there is no format of that prefix.
        InputError: the path does not exist, or has none of the formats or several; or the dataset
            cannot be opened.
    """
    prefix, colon, where = name.partition(":")
    if not colon or (prefix not in FORMATS and Path(name).exists()):
        prefix, where = _detect(Path(name)), name
    elif prefix not in FORMATS:
        raise UnknownNameError("dataset format", prefix, FORMATS, "Write it as FORMAT:WHERE.")
    return _load(prefix).open_collection(where, split=split)


def name_collection(
    dataset: str | None,
    split: str | None,
    queries: Path | None,
    docs: Path | None,
    *,
    run: Path | None = None,
) -> Collection:
    """Opens what the user names: a dataset, or files of queries and documents.

    Args:
        dataset: the dataset's name, as in ``open_collection``; excludes the files.
        split: the dataset's split.
        queries: the file of the queries, as in ``PlainCollection``.
        docs: the file of the documents.
        run: the file of the candidates.

    Raises:
        InputError: both a dataset and files are given, or a file is missing; or as in
            ``open_collection``.
    """
    from rankprompt.datasets.plain_files import PlainCollection

    if dataset is not None:
        if queries or docs:
            raise InputError(
                "`dataset` comes with queries and documents; leave out `queries`, `docs`"
            )
        return open_collection(dataset, split=split)
    if split is not None:
        raise InputError("`split` goes with `dataset`")
    if queries is None or docs is None:
        raise InputError("give `queries` and `docs`, or a `dataset` that has them")
    return PlainCollection(queries, docs, run=run)


def _detect(path: Path) -> str:
    if not path.exists():
        raise InputError(f"no file or folder {path}; for a dataset of ir_datasets write ir:{path}")
    formats = {prefix: _load(prefix) for prefix in FORMATS}
    matching = [prefix for prefix, form in formats.items() if form.recognise(path)]
    if len(matching) > 1:
        choices = " or ".join(f"{prefix}:{path}" for prefix in matching)
        raise InputError(f"{path} matches more than one dataset format; write {choices}")
    if not matching:
        layouts = "; ".join(
            f"{form.LAYOUT} ({prefix})" for prefix, form in formats.items() if form.LAYOUT
        )
        raise InputError(f"{path} is not a dataset of a known format. Looked for {layouts}")
    log.info("%s: read as %s:", path, matching[0])
    return matching[0]


def _load(prefix: str) -> DatasetFormat:
    return cast("DatasetFormat", importlib.import_module(FORMATS[prefix]))
