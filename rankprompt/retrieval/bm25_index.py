"""BM25 indexes on disk, each with a description of the source that it was made from."""

import json
import logging
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TypedDict

from rankprompt.datasets.base import Collection
from rankprompt.errors import InputError
from rankprompt.files.atomic_folder import build_beside, remove_abandoned
from rankprompt.files.cache_directory import cache_dir
from rankprompt.files.manifest import describe_file, versions
from rankprompt.retrieval.bm25 import Index
from rankprompt.types import Document

__all__ = ["FileState", "IndexSource", "describe_source", "open_index"]

log = logging.getLogger("rankprompt")

_DESCRIPTION = "rankprompt.json"
# What reading a damaged index raises, here and in numpy and bm25s.
_DAMAGE = (
    ValueError, LookupError, TypeError, AttributeError, EOFError, RecursionError,
    FileNotFoundError, IsADirectoryError, NotADirectoryError,
)  # fmt: skip
_FORM = "rankprompt bm25 index 2"  # to be raised whenever texts are split differently


class FileState(TypedDict):
    """A file's path, size in bytes and modification time in nanoseconds."""

    path: str
    bytes: int
    changed_ns: int


class IndexSource(TypedDict):
    """The source of an index; an index is used only if its source is equal."""

    form: str
    reader: str
    collection: str
    files: list[FileState]
    language: str
    fields: list[str]
    k1: float
    b: float
    versions: dict[str, str]


def describe_source(
    collection: Collection,
    files: Iterable[Path],
    *,
    language: str,
    fields: Sequence[str],
    k1: float,
    b: float,
) -> IndexSource:
    """Describes the source from which an index must have been made.

    Args:
        collection: the collection whose documents are indexed.
        files: the files of its documents, which are recognised by their names, sizes and
            modification times, in any folder. Without files, the collection is recognised by its
            name.
        language: as in ``words``.
        fields: the fields to index.
        k1: as in ``bm25``.
        b: as in ``bm25``.

    Raises:
        InputError: a file cannot be read.
    """
    return {
        "form": _FORM,
        "reader": type(collection).__name__,
        "collection": collection.name,
        "files": [_file_state(path) for path in files],
        "language": language,
        "fields": list(fields),
        "k1": k1,
        "b": b,
        "versions": versions(("bm25s", "PyStemmer")),
    }


def open_index(
    source: IndexSource,
    documents: Callable[[], Iterable[Document]],
    folder: Path | None = None,
) -> Index:
    """Opens the index of a source, and builds it if it does not exist.

    Args:
        source: the source, from ``describe_source``.
        documents: returns the documents; called only to build the index.
        folder: the folder of the index. None is a folder in the cache, where a damaged index is
            rebuilt and the indexes of earlier states of the same files are deleted.

    Raises:
        InputError: the folder has other content or the index of another source, or cannot be
            written.
    """
    files = [file["path"] for file in source["files"]]
    identity = _identity(source)
    prefix = _digest({**identity, "files": files, "versions": None})
    path = folder or cache_dir("bm25", f"{prefix}-{_digest(identity)}")
    try:
        if (path / _DESCRIPTION).exists():
            try:
                return _load(path, source)
            except _DAMAGE as error:
                if folder:
                    raise InputError(
                        f"{path} is damaged ({error}); remove it, or name another folder"
                    ) from error
                log.warning("%s was damaged; it is rebuilt", path)
                shutil.rmtree(path)
        _build(path, source, documents())
        if folder is None:
            remove_abandoned(path.parent, f"{prefix}-*")
            for old in path.parent.glob(f"{prefix}-*"):
                if old != path:
                    shutil.rmtree(old, ignore_errors=True)
        return _load(path, source)
    except OSError as error:
        raise InputError(
            f"cannot store an index in {path}: {error.strerror or error}; "
            "name another folder with `index`"
        ) from error


def _build(path: Path, source: IndexSource, documents: Iterable[Document]) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} is not an index; remove it, or name another folder")
    if path.is_relative_to(cache_dir()):
        path.parent.mkdir(parents=True, exist_ok=True)
    # Before the documents are read, so that a missing parent folder is reported at once.
    with build_beside(path) as temporary:
        folder = temporary / "index"
        folder.mkdir()
        index = Index.build(documents, language=source["language"], k1=source["k1"], b=source["b"])
        index.save(folder)
        description = {
            **source,
            "documents": index.documents,
            "documents_without_words": index.without_words,
            "digests": _digests(folder),
        }
        text = json.dumps(description, indent=2, ensure_ascii=False)
        (folder / _DESCRIPTION).write_text(text + "\n", "utf-8", errors="surrogateescape")
        try:
            folder.replace(path)
        except OSError:
            # Another process may have made the same index in the meantime.
            if not (path / _DESCRIPTION).exists():
                raise


def _load(path: Path, source: IndexSource) -> Index:
    description = json.loads((path / _DESCRIPTION).read_text("utf-8", errors="surrogateescape"))
    actual, wanted = _identity(description), _identity(source)
    differences = "; ".join(
        f"{key} {description.get(key)!r:.200}, not {value!r}"
        for key, value in source.items()
        if actual.get(key) != wanted[key]
    )
    if differences:
        raise InputError(
            f"{path} is the index of something else: {differences}. Remove it, or name another "
            "folder"
        )
    # An index of an earlier version has no digests.
    if "digests" in description and description["digests"] != _digests(path):
        raise ValueError("its files are not those that it was written with")
    without_words = description["documents_without_words"]
    if type(without_words) is not int or not 0 <= without_words <= description["documents"]:
        raise ValueError(f"{without_words!r:.40} is no number of documents without words")
    index = Index.load(
        path,
        language=description["language"],
        without_words=without_words,
    )
    if index.documents != description["documents"]:
        raise ValueError(f"it has {index.documents} documents, not {description['documents']}")
    return index


def _digests(folder: Path) -> dict[str, str]:
    """Returns the digests of the files that the index itself consists of, by their names."""
    names = sorted(path.name for path in folder.iterdir() if path.name != _DESCRIPTION)
    return {name: describe_file(folder / name)["blake2b"] for name in names}


def _identity(source: IndexSource) -> dict[str, object]:
    """Returns a source without the values that may change without a change of the index."""
    files = [{**file, "path": Path(file["path"]).name} for file in source["files"]]
    return {**source, "files": files, "collection": None if files else source["collection"]}


def _file_state(path: Path) -> FileState:
    try:
        state = path.stat()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return {"path": str(path.resolve()), "bytes": state.st_size, "changed_ns": state.st_mtime_ns}


def _digest(value: Mapping[str, object]) -> str:
    text = json.dumps(value, sort_keys=True).encode("utf-8", "surrogateescape")
    return blake2b(text, digest_size=8).hexdigest()
