import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.prompts.template import parse_template


@pytest.mark.parametrize(
    ("text", "slots", "filled"),
    [
        ("", set(), ""),
        ("no slot", set(), "no slot"),
        ("{a}", {"a"}, "1"),
        ("{a}{b}{a}", {"a", "b"}, "121"),
        ("x {a} y {b} z", {"a", "b"}, "x 1 y 2 z"),
        ("{{a}}", set(), "{a}"),
        ("{{{a}}}", {"a"}, "{1}"),
        ("{{{{a}}}}", set(), "{{a}}"),
        ('{{"k": "{a}"}}', {"a"}, '{"k": "1"}'),
    ],
)
def test_slots_are_filled_and_doubled_braces_are_braces(
    text: str, slots: set[str], filled: str
) -> None:
    template = parse_template(text)
    assert template.slots == slots
    assert template.fill(a="1", b="2", unused="3") == filled


@pytest.mark.parametrize(
    ("text", "brace"),
    [("{", "{"), ("}", "}"), ("{a", "{"), ("a}", "}"), ("{}", "{"), ("{a}}", "}")],
)
def test_a_brace_that_stands_alone_is_refused(text: str, brace: str) -> None:
    with pytest.raises(ValueError, match=f"a lone '{brace}' in '.*': double it, or name a slot"):
        parse_template(text)


@pytest.mark.parametrize("text", ["{a b}", "{a.b}", "{a!r}", "{a:>9}", "{a[0]}", "{ a }"])
def test_a_slot_is_a_name_and_nothing_more(text: str) -> None:
    with pytest.raises(ValueError, match="a lone"):
        parse_template(text)


TEXTS = st.text(st.sampled_from("ab{}\\%$\n 中")) | st.sampled_from(
    ["{query}", "{first}", "{second}", "{{", "\\1", "%s", "$query"]
)


@given(TEXTS, TEXTS, TEXTS)
def test_what_a_passage_holds_stays_as_it_is(query: str, first: str, second: str) -> None:
    template = parse_template("Q {query} 1 {first} 2 {second} E {first}")
    filled = template.fill(query=query, first=first, second=second)
    assert filled == "Q " + query + " 1 " + first + " 2 " + second + " E " + first


@given(TEXTS)
def test_any_text_can_be_written_with_doubled_braces(text: str) -> None:
    template = parse_template(text.replace("{", "{{").replace("}", "}}"))
    assert template.slots == set()
    assert template.fill() == text
