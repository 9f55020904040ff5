"""How a document becomes the passage that a judge reads: one stated step for every collection."""

from collections.abc import Sequence

from rankprompt.datasets.base import Fields
from rankprompt.errors import InputError
from rankprompt.types import Document

__all__ = ["FIELDS", "join_fields"]

FIELDS = ("title", "text")


def join_fields(name: str, fields: Fields, chosen: Sequence[str] = FIELDS) -> Document:
    r"""Makes the passage of a document: the chosen fields that are not blank, in the order chosen.

    Args:
        name: the document's id.
        fields: its texts by field name.
        chosen: the fields to show.

    Returns:
        The document, its fields' texts joined by ``\n``; blank where none of them holds text.

    Raises:
        InputError: the document has none of the fields at all; says which it has.
    """
    if not any(one in fields for one in chosen):
        raise InputError(
            f"document {name} has no field {' or '.join(chosen)}; "
            f"its fields: {', '.join(fields)}. Choose with --fields"
        )
    return Document(name, "\n".join(fields[one] for one in chosen if fields.get(one, "").strip()))
