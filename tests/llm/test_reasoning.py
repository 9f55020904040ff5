import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.llm.reasoning import answer_span, has_reasoning, strip_reasoning

PAIRS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<THOUGHT>", "</THOUGHT>"),
    ("<reasoning>", "</reasoning>"),
    ("<reason>", "</reason>"),
    ("[THINK]", "[/THINK]"),
    ("<seed:think>", "</seed:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("◁think▷", "◁/think▷"),
    ("<think >", "</think >"),
    ("< think>", "</ think>"),
    ("<think effort='low'>", "</think>"),
    ("<|think|>", "<|/think|>"),
    ("<|thinking|>", "</|thinking|>"),
    ("<|begin_of_thinking|>", "<|end_of_thinking|>"),
    ("<｜begin▁of▁thinking｜>", "<｜end▁of▁thinking｜>"),
    ("<|begin_reasoning|>", "<|end_reasoning|>"),
    ("<analysis>", "</analysis>"),
    ("<rationale>", "</rationale>"),
    ("<inner_monologue>", "</inner_monologue>"),
    ("<thinking_process>", "</thinking_process>"),
    ("<cot>", "</cot>"),
    ("&lt;think&gt;", "&lt;/think&gt;"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|channel>thought\n", "<channel|>"),
    ("Here is my thought process:", "Here is my response:"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("analysis<|message|>", "<|end|><|start|>assistant<|channel|>final <|constrain|>x<|message|>"),
    ("analysisWe ", "assistantfinal"),
    ("<|channel|>commentary<|message|>", "<|channel|>final<|message|>"),
]
# Without what a mark or a channel may be made of.
PLAIN = st.text(st.characters(exclude_characters="<>[]◁▷|", categories=["L", "N", "P", "Zs"]))
ANSWER = st.sampled_from(["", "Passage B", "B", " [2] > [1]", "\n\nNo.", "分析 B", "final B"])


@pytest.mark.parametrize(("opens", "closes"), PAIRS)
@given(thought=PLAIN, answer=ANSWER)
def test_only_what_follows_the_reasoning_is_an_answer(
    opens: str, closes: str, thought: str, answer: str
) -> None:
    found = strip_reasoning(f"{opens}{thought}{closes}{answer}")
    # Space before the answer may go with the mark.
    assert found is not None
    assert found.strip() == answer.strip()
    assert strip_reasoning(f"{opens}{thought}") is None
    twice = f"{opens}{thought}{closes}A{opens}{thought}{closes}{answer}"
    assert (strip_reasoning(twice) or "").strip() == answer.strip()


@pytest.mark.parametrize(("opens", "closes"), PAIRS[:26])
def test_a_template_may_have_opened_the_reasoning(opens: str, closes: str) -> None:
    assert strip_reasoning(f"Passage A mentions it.{closes}Passage B") == "Passage B"
    assert strip_reasoning(f"A{closes}B{opens}C") is None


@given(PLAIN.filter(lambda text: strip_reasoning("<think></think>" + text) == text))
def test_a_text_without_marks_is_its_own_answer(text: str) -> None:
    assert strip_reasoning(f"Passage {text}") == f"Passage {text}"


@given(
    st.lists(st.sampled_from([mark for pair in PAIRS for mark in pair] + ["A", "final", "\n"])).map(
        "".join
    )
)
def test_any_mixture_of_marks_has_an_answer_or_none(text: str) -> None:
    span = answer_span(text)
    assert span is None or 0 <= span[0] <= span[1] <= len(text)
    assert strip_reasoning(text) == (None if span is None else text[span[0] : span[1]])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<|channel|>final<|message|>Passage B<|return|>", "Passage B"),
        ("<|channel|>analysis<|message|>A?<|end|>", None),
        ("<|channel|>analysis<|message|>A?<|end|><|start|>assistant<|channel|>final", None),
        ("<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>", None),
        ("<|message|>Passage A", None),
        ("assistantfinalPassage B", "Passage B"),
        ("finalPassage B", "Passage B"),
        ("analysisThe user wants one passage", None),
        ("assistantanalysisWe compare", None),
        ("analysis\nWe compare", None),
        ("analysiswe compare.\nPassage A", None),
        ("commentarythe query\nPassage A", None),
        ("We compare Passage A.assistantfinalB", "B"),
        # Ordinary answers.
        ("Analysis of Passage A shows that B", "Analysis of Passage A shows that B"),
        ("analysis: Passage B", "analysis: Passage B"),
        ("analysis of both: B", "analysis of both: B"),
        ("final answer: B", "final answer: B"),
        ("Passage B <think/>", "Passage B <think/>"),
        ("Passage B <analyses>", "Passage B <analyses>"),
        # Marks around the answer.
        ("<|START_THINKING|>A<|END_THINKING|><|START_RESPONSE|>B<|END_RESPONSE|>", "B"),
        ("<think>A</think>\n<answer>B</answer>\n", "B"),
        ("<answer>Passage B</answer>", "Passage B"),
        ("<answer>Passage B", "Passage B"),
        ("<|START_RESPONSE|>B<|END_RESPONSE|><|END_OF_TURN|>", "B"),
        ("<|begin_of_box|>Passage A<|end_of_box|>", "Passage A"),
        ("<think>A</think>\n<|begin_of_box|>B<|end_of_box|><|user|>", "B<|end_of_box|><|user|>"),
        (r"\boxed{Passage B}", "Passage B"),
        (r"$\boxed{\text{Passage B}}$.", "Passage B"),
        (r"<think>A</think> \boxed{[2] > [1]}</s>", "[2] > [1]"),
        (r"\boxed{\text{Passage", "Passage"),
        (r"\boxed{A} or \boxed{B}", r"\boxed{A} or \boxed{B}"),
    ],
)
def test_forms_of_single_families(text: str, answer: str | None) -> None:
    assert strip_reasoning(text) == answer


@pytest.mark.parametrize(
    "answer", ["Passage B", "<answer>Passage B</answer>", r"\boxed{Passage B}"]
)
@pytest.mark.parametrize(
    "end",
    [
        "<|im_end|>", "</s>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end_of_text|>",
        "<|end|>", "<|return|>", "<eos>", "<end_of_turn>", "<｜end▁of▁sentence｜>",
        "\n<|im_end|>\n<|endoftext|>\n",
    ],
)  # fmt: skip
def test_marks_of_the_end_are_no_part_of_an_answer(answer: str, end: str) -> None:
    for before in ("", "<think>Passage A</think>"):
        text = before + answer + end
        assert strip_reasoning(text) == "Passage B"
        span = answer_span(text)
        assert span is not None
        assert text[slice(*span)] == "Passage B"
    assert not (strip_reasoning(end) or "").strip()


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("<answer>B</answer></s>", False),
        ("Passage B", False),
        ("<think>A", True),
        ("<think>A</think>B", True),
        ("A</think>B", True),
    ],
)
def test_an_answer_in_tags_is_no_reasoning(text: str, reasons: bool) -> None:
    assert has_reasoning(text) == reasons
