import pytest

from rankprompt.datasets.passages import join_fields
from rankprompt.errors import InputError
from rankprompt.types import Document


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"text": "so", "title": "T", "url": "u"}, "T\nso"),
        ({"text": "so"}, "so"),
        ({"text": "so", "title": " \n"}, "so"),
        ({"text": " ", "title": "T"}, "T"),
        ({"text": "", "title": ""}, ""),
        ({"text": " so ", "title": "T "}, "T \n so "),
    ],
)
def test_title_and_text(fields: dict[str, str], text: str) -> None:
    assert join_fields("d", fields) == Document("d", text)


def test_chosen_fields_in_the_order_chosen() -> None:
    fields = {"text": "so", "title": "T", "url": "u"}
    assert join_fields("d", fields, ["url", "absent", "title"]).text == "u\nT"


def test_none_of_the_chosen_fields() -> None:
    with pytest.raises(InputError, match=r"document d has no field body or head; .*: text, url\."):
        join_fields("d", {"text": "so", "url": "u"}, ["body", "head"])
