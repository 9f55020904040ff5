"""Documents in every form that a caller may have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt import Document
from rankprompt.api.documents import DocumentLike, read_documents
from rankprompt.errors import InputError

FIELDS = ("title", "text")


def test_every_form_of_a_document_has_an_id_and_a_text() -> None:
    forms: list[DocumentLike] = [
        "text",
        ("pair", "text"),
        Document("document", "text"),
        {"id": "id", "text": "text", "price": 3},
        {"_id": 7, "title": "Title", "contents": "text"},
        {"docno": "docno", "content": "text"},
        {"page_content": "text"},
        {"doc_id": "doc_id", "title": "Title", "text": ""},
    ]
    read = read_documents(forms, FIELDS)
    assert [one.document.id for one in read] == [
        "0", "pair", "document", "id", "7", "docno", "6", "doc_id",
    ]  # fmt: skip
    assert [one.document.text for one in read] == [
        *["text"] * 4, "Title\ntext", "text", "text", "Title",
    ]  # fmt: skip
    assert [one.given for one in read] == forms


@given(st.lists(st.text()))
def test_texts_keep_their_order_and_are_never_changed(texts: list[str]) -> None:
    assert [one.document for one in read_documents(texts, FIELDS)] == [
        Document(str(index), text) for index, text in enumerate(texts)
    ]


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ("a text", "sequence of documents, not a single str"),
        ({"text": "a"}, "not a single dict"),
        (Document("a", "b"), "not a single Document"),
        ([3], "document 0 is of type int"),
        (["a", None], "document 1 is of type NoneType"),
        ([("a", "b", "c")], "document 0 is of type tuple"),
        ([("a", 3)], "document 0 is of type tuple"),
        ([b"bytes"], "document 0 is of type bytes"),
        ([{"id": "a"}], "document 0 has no text: none of title, text is among its fields id"),
        ([{}], "none of title, text is among its fields (none)"),
        ([{"text": 3}], "document 0 has no text"),
        ([{"id": [1], "text": "a"}], "document 0 has an id of type list"),
        ([("a", "b"), ("c", "d"), ("a", "e")], "documents 0 and 2 have the same id 'a'"),
        (
            [("1", "b"), "c"],
            "documents 0 and 1 have the same id '1'; a document without an id has its position",
        ),
        (None, "sequence of documents, not a single NoneType"),
        ([{"id": float("nan"), "text": "a"}], "document 0 has the id nan; an id is a text or a"),
        ([(float("nan"), "a")], "document 0 has the id nan"),
        ([(True, "a")], "document 0 has an id of type bool"),
    ],
)
def test_what_is_no_document_is_refused(documents: list[DocumentLike], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_documents(documents, FIELDS)
    assert message in str(caught.value)
