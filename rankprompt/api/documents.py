"""Turns what a caller has, such as strings or dictionaries, into documents with ids."""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple, TypeAlias

from rankprompt.datasets.passages import join_fields
from rankprompt.errors import InputError
from rankprompt.types import Document

__all__ = ["DocumentLike", "GivenDocument", "read_documents", "read_sequence"]

DocumentLike: TypeAlias = str | tuple[str, str] | Mapping[str, Any] | Document
"""A text; an (id, text) pair; a dictionary with a text and perhaps an id, a title and more; or a
``Document``."""

_IDS = ("id", "_id", "docno", "doc_id", "docid")
_TEXTS = ("text", "contents", "content", "page_content", "body")


class GivenDocument(NamedTuple):
    """A document and what the caller gave for it."""

    document: Document
    given: DocumentLike


def read_sequence(name: str, given: object) -> list[Any]:
    """A list of what a caller gave as a sequence, a generator or another iterable.

    Args:
        name: of the argument, for messages.
        given: what was given.

    Raises:
        InputError: a single text or dictionary, a table, or what has no elements.
    """
    wrong = f"`{name}` must be a sequence of {name}, not a"
    kind = type(given).__name__
    if hasattr(given, "columns"):  # iterating over a table gives the names of its columns
        raise InputError(
            f'{wrong} {kind}: give frame.to_dict("records") (pandas) or frame.to_dicts() (polars)'
        )
    if isinstance(given, str | bytes | Mapping | Document):
        raise InputError(f"{wrong} single {kind}")
    try:
        iterator = iter(given)  # type: ignore[call-overload]
    except TypeError:
        raise InputError(f"{wrong} single {kind}") from None
    return list(iterator)


def read_documents(documents: Iterable[DocumentLike], fields: Sequence[str]) -> list[GivenDocument]:
    r"""Reads documents in any of the forms of ``DocumentLike``.

    Args:
        documents: the documents.
        fields: the fields of a dictionary that make its passage, in this order; ``contents``,
            ``content``, ``page_content`` and ``body`` are other names of ``text``.

    Raises:
        InputError: a document of another type, without a text, or with the id of another.

    Examples:
        >>> from rankprompt.api.documents import read_documents
        >>> texts = ["a mill", ("d7", "boats"), {"id": 3, "title": "Bees", "text": "and honey"}]
        >>> [tuple(one.document) for one in read_documents(texts, ("title", "text"))]
        [('0', 'a mill'), ('d7', 'boats'), ('3', 'Bees\nand honey')]
    """
    read: list[GivenDocument] = []
    seen: dict[str, int] = {}
    for index, given in enumerate(read_sequence("documents", documents)):
        document = _read(index, given, fields)
        if document.id in seen:
            positions = (seen[document.id], index)
            implicit = document.id in map(str, positions)
            raise InputError(
                f"documents {positions[0]} and {index} have the same id {document.id!r}"
                + ("; a document without an id has its position as id" if implicit else "")
            )
        seen[document.id] = index
        read.append(GivenDocument(document, given))
    return read


def _read(index: int, given: object, fields: Sequence[str]) -> Document:
    match given:
        case str():
            return Document(str(index), given)
        case (name, str() as text) if isinstance(given, tuple):
            return Document(_read_id(index, name), text)
        case Mapping():
            return _read_mapping(index, given, fields)
    raise InputError(
        f"document {index} is of type {type(given).__name__}; give a text, an (id, text) pair, a "
        "dictionary with a text, or a Document"
    )


def _read_mapping(index: int, given: Mapping[Any, Any], fields: Sequence[str]) -> Document:
    name = next((given[key] for key in _IDS if given.get(key) is not None), index)
    texts = {key: value for key, value in given.items() if isinstance(value, str)}
    if "text" not in texts:
        other = next((texts[key] for key in _TEXTS if key in texts), None)
        if other is not None:
            texts["text"] = other
    if not any(field in texts for field in fields):
        raise InputError(
            f"document {index} has no text: none of {', '.join(fields)} is among its fields "
            f"{', '.join(map(str, given)) or '(none)'}"
        )
    return join_fields(_read_id(index, name), texts, fields)


def _read_id(index: int, name: object) -> str:
    if isinstance(name, str | Integral) and not isinstance(name, bool):
        return str(name)
    found = "the id nan" if name != name else f"an id of type {type(name).__name__}"
    raise InputError(f"document {index} has {found}; an id is a text or a whole number")
