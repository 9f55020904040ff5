"""Turns a document's fields into the passage that a judge reads, alike for every dataset."""

from collections.abc import Sequence

from rankprompt.datasets.base import Fields
from rankprompt.errors import InputError
from rankprompt.types import Document

__all__ = ["FIELDS", "join_fields", "parse_fields"]

FIELDS = ("title", "text")
"""The default fields of a passage."""


def parse_fields(text: str) -> tuple[str, ...]:
    """Splits names of fields that are separated by commas or white space.

    Raises:
        InputError: there is no name.
    """
    names = tuple(text.replace(",", " ").split())
    if not names:
        raise InputError("`fields` names no field; give some, as in title,text")
    return names


def join_fields(name: str, fields: Fields, chosen: Sequence[str] = FIELDS) -> Document:
    r"""Joins the chosen fields of a document, those that are not blank, to a passage.

    Args:
        name: the document's id.
        fields: the document's texts by field name.
        chosen: the names of the fields, in the order of the passage.

    Returns:
        The document with the texts of the fields, separated by ``\n``. Its text is blank if all of
        the fields are blank.

    Raises:
        InputError: the document has none of the chosen fields; the message lists those it has.
    """
    if not any(field in fields for field in chosen):
        raise InputError(
            f"document {name} has no field {' or '.join(chosen)}; "
            f"its fields: {', '.join(fields)}. Choose with `fields`"
        )
    return Document(
        name, "\n".join(fields[field] for field in chosen if fields.get(field, "").strip())
    )
