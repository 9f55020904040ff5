"""BM25 indexes on disk, each with a description of what it was made from."""

import json
import logging
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from rankprompt.datasets.base import Collection
from rankprompt.errors import InputError
from rankprompt.files.atomic_folder import build_beside
from rankprompt.files.cache_directory import cache_dir
from rankprompt.files.manifest import versions
from rankprompt.retrieval.bm25 import Index
from rankprompt.types import Document

__all__ = ["describe_source", "open_index"]

log = logging.getLogger("rankprompt")

_ABOUT = "rankprompt.json"
_FORM = "rankprompt bm25 index 1"  # raise it whenever words are made otherwise


def describe_source(
    collection: Collection,
    files: Iterable[Path],
    *,
    language: str,
    fields: Sequence[str],
    k1: float,
    b: float,
) -> dict[str, Any]:
    """What an index must have been made from to be the one that is wanted.

    Args:
        collection: by whose reader the files are read.
        files: that its documents are read from; known again by their names, sizes and times of
            change, wherever they lie. Without any, the collection is known by its name.
        language: as in ``words``.
        fields: of the documents.
        k1: as in ``bm25``.
        b: as in ``bm25``.

    Raises:
        InputError: a file is not there.
    """
    return {
        "form": _FORM,
        "reader": type(collection).__name__,
        "collection": collection.name,
        "files": [_state(path) for path in files],
        "language": language,
        "fields": list(fields),
        "k1": k1,
        "b": b,
        "versions": versions(("bm25s", "PyStemmer")),
    }


def open_index(
    source: Mapping[str, Any],
    documents: Callable[[], Iterable[Document]],
    folder: Path | None = None,
) -> Index:
    """Opens the index of a collection; makes it if it is not there.

    Args:
        source: what it must be made from, from ``describe_source``.
        documents: called where the index is to be made.
        folder: where it lies. None is a place of its own in the cache: there, one that is damaged
            is made anew, and those of older states of the same files are deleted.

    Raises:
        InputError: the folder holds something else, or an index of another collection, state or
            setting; or it cannot be written.
    """
    files = [one["path"] for one in source["files"]]
    place = _digest({**_identity(source), "files": files, "versions": None})
    path = folder or cache_dir("bm25", f"{place}-{_digest(_identity(source))}")
    try:
        if (path / _ABOUT).exists():
            try:
                return _load(path, source)
            except (ValueError, KeyError, TypeError, EOFError, FileNotFoundError) as error:
                if folder:
                    raise InputError(
                        f"{path} is damaged ({error}); remove it, or name another folder"
                    ) from error
                log.warning("%s was damaged; it is made anew", path)
                shutil.rmtree(path)
        _make(path, source, documents())
        if folder is None:
            for old in path.parent.glob(f"{place}-*"):
                if old != path:
                    shutil.rmtree(old, ignore_errors=True)
        return _load(path, source)
    except OSError as error:
        raise InputError(
            f"cannot keep an index in {path}: {error.strerror or error}; "
            "name another folder with --index"
        ) from error


def _make(path: Path, source: Mapping[str, Any], documents: Iterable[Document]) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} is no index; remove it, or name another folder")
    if path.is_relative_to(cache_dir()):
        path.parent.mkdir(parents=True, exist_ok=True)
    # Before the work: a missing folder is told at once.
    with build_beside(path) as folder:
        made = folder / "index"
        made.mkdir()
        index = Index.build(documents, language=source["language"], k1=source["k1"], b=source["b"])
        index.save(made)
        about = {
            **source,
            "documents": index.documents,
            "documents_without_words": index.without_words,
        }
        text = json.dumps(about, indent=2, ensure_ascii=False)
        (made / _ABOUT).write_text(text + "\n", "utf-8", errors="surrogateescape")
        try:
            made.replace(path)
        except OSError:
            # Another process may have made the same index meanwhile.
            if not (path / _ABOUT).exists():
                raise


def _load(path: Path, source: Mapping[str, Any]) -> Index:
    about = json.loads((path / _ABOUT).read_text("utf-8", errors="surrogateescape"))
    found, wanted = _identity(about), _identity(source)
    differing = [key for key in wanted if found.get(key) != wanted[key]]
    if differing:
        told = "; ".join(f"{key} {about.get(key)!r}, not {source[key]!r}" for key in differing)
        raise InputError(
            f"{path} is the index of something else: {told}. Remove it, or name another folder"
        )
    index = Index.load(
        path, language=about["language"], without_words=about["documents_without_words"]
    )
    if index.documents != about["documents"]:
        raise ValueError(f"it has {index.documents} documents, not {about['documents']}")
    return index


def _identity(source: Mapping[str, Any]) -> dict[str, Any]:
    """A description less what may change without a change of the index."""
    files = [{**one, "path": Path(one["path"]).name} for one in source["files"]]
    return {**source, "files": files, "collection": None if files else source["collection"]}


def _state(path: Path) -> dict[str, Any]:
    try:
        state = path.stat()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return {"path": str(path.resolve()), "bytes": state.st_size, "changed_ns": state.st_mtime_ns}


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True).encode("utf-8", "surrogateescape")
    return blake2b(text, digest_size=8).hexdigest()
