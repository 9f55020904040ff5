"""Collections of queries, documents and judgements, in the forms that the field knows."""

import importlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rankprompt.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from rankprompt.datasets.base import Collection

__all__ = ["open_collection"]

log = logging.getLogger("rankprompt")

# By prefix; each module has `open_collection(where, *, split)`.
_READERS = {
    "beir": "rankprompt.datasets.beir",
    "ir": "rankprompt.datasets.ir_datasets",
    "requests": "rankprompt.datasets.rank_llm_requests",
    "t2ranking": "rankprompt.datasets.t2ranking",
}
# What a path alone may be; each of these modules has `recognise(path)`, too.
_BY_PATH = {
    "beir": "a folder with corpus.jsonl and queries.jsonl",
    "requests": "a JSON or JSONL file of records with a query and its candidates",
    "t2ranking": "a folder with collection.tsv and queries.SPLIT.tsv",
}


def open_collection(name: str, *, split: str | None = None) -> "Collection":
    """Opens a collection by name.

    Args:
        name: ``ir:ID`` (ir_datasets), ``beir:FOLDER``, ``t2ranking:FOLDER`` or ``requests:FILE``;
            or a folder or file alone, whose form is detected and said in the log.
        split: which of its splits, such as "dev"; None for the form's usual one.

    Raises:
        UnknownNameError: no such prefix.
        InputError: nothing is there, or it has none of the forms, or more than one; or as the form
            says.
    """
    prefix, colon, where = name.partition(":")
    if not colon or (prefix not in _READERS and Path(name).exists()):
        prefix, where = _detect(Path(name)), name
    elif prefix not in _READERS:
        raise UnknownNameError("kind of collection", prefix, _READERS, "Write it as KIND:WHERE.")
    collection: Collection = _reader(prefix).open_collection(where, split=split)
    return collection


def _detect(path: Path) -> str:
    if not path.exists():
        raise InputError(
            f"no file or folder {path}; for a collection of ir_datasets write ir:{path}"
        )
    found = [prefix for prefix in _BY_PATH if _reader(prefix).recognise(path)]
    if len(found) > 1:
        choices = " or ".join(f"{prefix}:{path}" for prefix in found)
        raise InputError(f"{path} may be more than one kind of collection; write {choices}")
    if not found:
        forms = "; ".join(f"{form} ({prefix})" for prefix, form in _BY_PATH.items())
        raise InputError(f"{path} is no collection that is known. Looked for {forms}")
    log.info("%s: read as %s:", path, found[0])
    return found[0]


def _reader(prefix: str) -> Any:
    return importlib.import_module(_READERS[prefix])
