"""Written answers of pairwise questions: a verdict, or unreadable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.judges.adapters.base import PairwiseAdapter
from rankprompt.judges.adapters.pairwise import Generation, pairwise_adapter
from rankprompt.llm.base import Answer
from rankprompt.prompts.prompt import load_prompt
from tests.judges.adapters.test_pairwise import CHOICE, choice


def read(adapter: PairwiseAdapter, text: str) -> float | None:
    return adapter.parse([Answer(text=text)], 2).answer


FIRST, SECOND, UNREADABLE = 1.0, 0.0, None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Passage A", FIRST),
        ("Passage B", SECOND),
        (" Passage B\n", SECOND),
        ("passage A", FIRST),
        ("PASSAGE B", SECOND),
        ("PassageA", FIRST),
        ("Passage  \n A", FIRST),
        ("Passage A.", FIRST),
        ("I'd say Passage B.", SECOND),
        ("The answer is Passage A, because it", FIRST),
        ("**Passage A**", FIRST),
        ("`Passage B`", SECOND),
        ('"Passage A"', FIRST),
        ("[Passage B]", SECOND),
        ("Passage A is more relevant.", FIRST),
        ("The more relevant passage is Passage B.", SECOND),
        ("Passage A is the better answer to the query.", FIRST),
        ("Passage B. Passage A is not relevant.", SECOND),
        ("Passage A is not relevant. Passage B", SECOND),
        ("<think>Passage A is off topic.</think>Passage B", SECOND),
        # A label in a sentence that chooses none.
        ("Passage A: A passage on cats", UNREADABLE),
        ("Passage A is not relevant.", UNREADABLE),
        ("Passage A isn't more relevant.", UNREADABLE),
        ("Not Passage A.", UNREADABLE),
        ("I would not choose Passage A.", UNREADABLE),
        ("The less relevant passage is Passage B.", UNREADABLE),
        ("Passage A is less relevant.", UNREADABLE),
        ("The least relevant passage is Passage A.", UNREADABLE),
        ("The worse passage is Passage A.", UNREADABLE),
        ("Passage A discusses one side", UNREADABLE),
        ("Passage A is relevant", UNREADABLE),
        ("The text says 'Passage A' somewhere", UNREADABLE),
        ("Is it Passage A?", UNREADABLE),
        ("Neither passage answers the query.\nPassage A", UNREADABLE),
        ("Neither. Passage A", UNREADABLE),
        ('{"answer": "Passage B", "reason": "Passage A is about cats"}', SECOND),
        ('{"less relevant": "Passage A"}', UNREADABLE),
        ('{"first": "Passage A", "second": "Passage B"}', UNREADABLE),
        ('{"answer": "Passage', UNREADABLE),
        ("Okay, Passage B.", SECOND),
        ("I believe Passage B is more relevant.", SECOND),
        ("Passage B. Both passages are about cats, but only one names the year.", SECOND),
        ("Passage A. No wait, Passage B is what I meant.", UNREADABLE),
        ("Passage A\nis not relevant.", UNREADABLE),
        ("Passage A. Actually, that is wrong.", UNREADABLE),
        ("Less relevant:\nPassage A\nMore relevant:\nthe other", UNREADABLE),
        ("The less relevant passage is:\n\n**Passage A**", UNREADABLE),
        ("**Passage A:**\nDiscusses one side", UNREADABLE),
        ("### Passage A\nDiscusses one side", UNREADABLE),
        ("The more relevant passage is:\n\n**Passage B**", SECOND),
        ("Passage B\n\nNo explanation is needed.", SECOND),
        ("Passage B is more relevant because it explains the term.", SECOND),
        ("Anything rather than Passage B", UNREADABLE),
        ("Passage A is more relevant to cooking.", UNREADABLE),
        ("A better passage", UNREADABLE),
        ("<think>Passage A is", UNREADABLE),
        ("Passage A\nPassage A", FIRST),
        ("Passage B. A close call", SECOND),
        ("A", FIRST),
        ("B", SECOND),
        (" B.", SECOND),
        ("(A)", FIRST),
        ("**B**", SECOND),
        ("'A'", FIRST),
        ("B:", SECOND),
        # Nothing is named.
        ("", UNREADABLE),
        (" \n", UNREADABLE),
        ("Passage", UNREADABLE),
        ("Passage C", UNREADABLE),
        ("Neither.", UNREADABLE),
        ("Both are relevant.", UNREADABLE),
        ("The query asks for", UNREADABLE),
        # An article is not an answer.
        ("a", UNREADABLE),
        ("a passage", UNREADABLE),
        ("A passage", UNREADABLE),
        ("A is about cats", UNREADABLE),
        ("the passage a reader wants", UNREADABLE),
        # The label is part of a longer word.
        ("Passage AB", UNREADABLE),
        ("Passage BA", UNREADABLE),
        ("Passage A1", UNREADABLE),
        ("Passage About cats", UNREADABLE),
        ("Subpassage A", UNREADABLE),
        ("AB", UNREADABLE),
        ("AA", UNREADABLE),
        # Both are named.
        ("Passage A or Passage B", UNREADABLE),
        ("Passage B is better than Passage A", UNREADABLE),
        ("Passage A\n\nPassage B", UNREADABLE),
        ("Passage A or B", UNREADABLE),
        ("Passage B and A", UNREADABLE),
        ("Passage A/B", UNREADABLE),
        ("Passage A & B", UNREADABLE),
        ("Passages A and B", UNREADABLE),
        ("Both Passage A and B are relevant", UNREADABLE),
        ("A or B", UNREADABLE),
        ("A, B", UNREADABLE),
    ],
)
def test_a_written_answer_is_read_or_left_unread_but_never_guessed(
    text: str, meant: float | None
) -> None:
    assert read(Generation(CHOICE), text) == meant
    # With the options swapped the meaning is reversed: neither position is favoured.
    mirrored = None if meant is None else 1 - meant
    assert read(Generation(choice("Passage B", "Passage A")), text) == mirrored


@pytest.mark.parametrize("text", ["Passage A", "A", "Passage A is more relevant"])
def test_what_the_token_limit_cut_off_is_no_verdict(text: str) -> None:
    adapter = Generation(CHOICE)
    assert adapter.parse([Answer(text=text, problem="cut")], 2).answer is None
    assert adapter.parse([Answer(text=f"{text}.\nBecause", problem="cut")], 2).answer == FIRST
    reasons = "Passage A is more relevant because it says"
    assert adapter.parse([Answer(text=reasons, problem="cut")], 2).answer == FIRST
    section = "**Passage A:**\nDiscusses one side of the"
    assert adapter.parse([Answer(text=section, problem="cut")], 2).answer is None


@pytest.mark.parametrize(
    ("options", "text", "meant"),
    [
        (("段落A", "段落B"), "段落A", FIRST),
        (("段落A", "段落B"), "段落B。", SECOND),
        (("段落A", "段落B"), "我选段落B", SECOND),
        (("段落A", "段落B"), "段落A更相关", FIRST),
        (("段落A", "段落B"), "**段落A**", FIRST),
        (("段落A", "段落B"), "段落AB", UNREADABLE),
        (("段落A", "段落B"), "段落A和段落B", UNREADABLE),
        (("段落A", "段落B"), "段落C", UNREADABLE),
        (("段落A", "段落B"), "都不相关", UNREADABLE),
        (("段落 A", "段落 B"), "段落A", FIRST),
        (("段落 A", "段落 B"), "段落 B 更相关", SECOND),
        (("段落 A", "段落 B"), "B", SECOND),
        (("段落 A", "段落 B"), "段落A和B", UNREADABLE),
        (("段落甲", "段落乙"), "应该是段落乙吧", SECOND),
        (("段落甲", "段落乙"), "段落甲与段落乙", UNREADABLE),
        (("Yes", "No"), "No.", SECOND),
        (("Yes", "No"), "yes, it is", FIRST),
        (("Yes", "No"), "Nobody", UNREADABLE),
        (("Yes", "No"), "Yes and no", UNREADABLE),
        (("the first", "the second"), "The second one", SECOND),
        (("the first", "the second"), "first", FIRST),
        (("the first", "the second"), "the first, not the second", UNREADABLE),
        (("Passage 1", "Passage 2"), "Passage 2", SECOND),
        (("Passage 1", "Passage 2"), "Passage 12", UNREADABLE),
        (("Passage 1", "Passage 2"), "1", FIRST),
        (("Text (1)", "Text (2)"), "Text (2)", SECOND),
        (("A", "B"), "A", FIRST),
        (("A", "B"), "A or B", UNREADABLE),
        (("Отрывок А", "Отрывок Б"), "Отрывок Б", SECOND),
        (("Отрывок А", "Отрывок Б"), "Отрывок Автора", UNREADABLE),
    ],
)
def test_other_options_are_read_as_strictly(
    options: tuple[str, str], text: str, meant: float | None
) -> None:
    assert read(Generation(choice(*options)), text) == meant
    mirrored = None if meant is None else 1 - meant
    assert read(Generation(choice(*options[::-1])), text) == mirrored


@given(st.text(st.sampled_from("PassageAB orn,.*\n段落"), max_size=40))
def test_changing_a_and_b_in_a_text_changes_what_it_means(text: str) -> None:
    changed = text.translate(str.maketrans("AB", "BA"))
    meant = read(Generation(CHOICE), text)
    assert read(Generation(CHOICE), changed) == (None if meant is None else 1 - meant)


def test_the_published_prompt_is_read_in_both_modes() -> None:
    prompt = load_prompt("prp")
    assert read(pairwise_adapter(prompt, "generation"), "Passage B") == SECOND
    (request,) = pairwise_adapter(prompt, "scoring").requests("cats?", ("{query}", "{second} {{"))
    assert "Given a query cats?," in request.prompt
    assert "Passage A: {query}\n\nPassage B: {second} {{\n" in request.prompt
    assert request.options == prompt.options


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("段落A", 1.0),
        ("段落 B", 0.0),
        ("**段落Ｂ**", 0.0),
        ("Ａ", 1.0),
        ("答案是段落A,因为它回答了查询。", 1.0),
        ("我认为段落B更相关。", 0.0),
        ("段落A或段落B", None),
        ("段落 A 比段落 B 更相关", None),
        ("段落", None),
        ("", None),
    ],
)
def test_chinese_answers_are_read(text: str, read: float | None) -> None:
    assert Generation(load_prompt("prp-zh")).parse([Answer(text=text)], 2).answer == read
