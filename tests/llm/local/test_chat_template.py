from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rankprompt.errors import ModelError
from rankprompt.llm.base import Request
from rankprompt.llm.local.chat_template import ChatTemplate
from rankprompt.llm.local.encoding import encode
from rankprompt.llm.local.model import LocalModel
from tests.llm import tiny
from tests.llm.local import scripted
from tests.llm.local.small_models import ids, load

TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>\n{% endfor %}"
PROMPT = "Is the harbour quiet?"
USER = f"<user>{PROMPT}</s>\n"


def template(text: object) -> ChatTemplate:
    words = tiny.tokenizer()
    words.chat_template = text
    return ChatTemplate(words, "tiny")


def refusal(text: object) -> str:
    with pytest.raises(ModelError) as caught:
        template(text).put(PROMPT)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("the chat template of tiny cannot be used: ")
    return message


def test_a_plain_template_says_it_all() -> None:
    found = template(tiny.TEMPLATE)
    assert found.put(PROMPT) == f"<s>user: {PROMPT}</s>\n<s>assistant:\n"
    assert (found.lead, found.signature) == ("", "")


# What stands before an answer


@pytest.mark.parametrize("space", ["", " "])
def test_an_answer_begins_as_the_template_lets_it_begin(space: str) -> None:
    found = template(
        "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
        "{% else %}" + space + "{{ m.content }}</s>{% endif %}{% endfor %}"
    )
    assert found.put(PROMPT) == f"[INST] {PROMPT} [/INST]"
    assert found.lead == space
    assert bool(found.signature) == bool(space)


@pytest.mark.parametrize("space", ["", " "])
def test_the_tokens_that_the_model_would_write_are_scored(space: str) -> None:
    text = "{% for m in messages %}{{ m.role }}:" + space + "{{ m.content }}\n{% endfor %}"
    words = tiny.tokenizer(template=text + "{% if add_generation_prompt %}assistant:{% endif %}")
    encoded = encode(words, Request("Which?", (" A", "B"), chat=True))
    assert encoded.context == tuple(ids(f"user:{space}Which?\nassistant:"))
    assert [last for _, last in encoded.rows[0].lasts] == [*ids(f"{space}A"), *ids(f"{space}B")]


@pytest.mark.parametrize("written", [" A", "A"])
def test_the_model_decides_where_the_template_writes_no_space(written: str) -> None:
    text = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    words = tiny.tokenizer(template=text + "{% if add_generation_prompt %}[assistant]{% endif %}")
    (mark,), (spaced,), (bare,), (other,), (bare_other,) = map(ids, ("]", " A", "A", " B", "B"))
    likely, unlikely = (spaced, bare) if written == " A" else (bare, spaced)
    # The other spelling tells the options apart the other way round.
    others = (other, bare_other) if written == " A" else (bare_other, other)
    after = {mark: {likely: 9.0, others[0]: 5.0, unlikely: -5.0, others[1]: 1.0}}
    model = LocalModel(scripted.follows(after, len(words)), words, name="tiny")
    (answer,), _ = model.answer([Request("Which?", ("A", "B"), chat=True)])
    assert answer.loglikelihoods[0] - answer.loglikelihoods[1] == pytest.approx(4.0, abs=1e-3)


def test_a_mark_that_the_template_writes_before_an_answer_is_put() -> None:
    found = template(TURNS.replace("}}>", "}}><|body|>"))
    assert found.put(PROMPT) == f"<user><|body|>{PROMPT}</s>\n<assistant><|body|>"
    assert found.signature != ""


def test_a_template_for_one_turn_is_used() -> None:
    found = template(
        "{% if messages | length > 1 %}{{ raise_exception('one turn') }}{% endif %}"
        "Q: {{ messages[0].content }}\nA:"
    )
    assert found.put(PROMPT) == f"Q: {PROMPT}\nA:"


# Reasoning


def test_reasoning_is_switched_off() -> None:
    found = template(
        TURNS + "<assistant>\n{% if enable_thinking is defined and not enable_thinking %}"
        "<think>\n\n</think>\n\n{% endif %}"
    )
    assert found.put(PROMPT) == f"{USER}<assistant>\n<think>\n\n</think>\n\n"
    assert found.signature != ""


@pytest.mark.parametrize(
    ("opening", "closed"),
    [
        ("<think>\n", "<think>\n\n</think>\n\n"),
        ("<think>", "<think>\n\n</think>\n\n"),
        ("<seed:think>", "<seed:think>\n\n</seed:think>\n\n"),
        ("[THINK]", "[THINK]\n\n[/THINK]\n\n"),
        ("◁think▷", "◁think▷\n\n◁/think▷\n\n"),
        ("<|START_THINKING|>", "<|START_THINKING|>\n\n<|END_THINKING|>\n\n"),
        (
            "<|start|>assistant<|channel|>analysis<|message|>",
            "<|start|>assistant<|channel|>analysis<|message|><|end|>"
            "<|start|>assistant<|channel|>final<|message|>",
        ),
    ],
)
def test_reasoning_that_the_template_opens_is_closed(opening: str, closed: str) -> None:
    found = template(TURNS + "{% if add_generation_prompt %}" + opening + "{% endif %}")
    assert found.put(PROMPT) == USER + closed
    assert found.lead == ""
    assert found.signature != ""


def test_reasoning_is_closed_as_the_template_closes_it() -> None:
    found = template(
        "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}"
        "<think>nothing</think>\n{% endif %}{{ m.content }}</s>\n{% endfor %}"
        "{% if add_generation_prompt %}<assistant><think>{% endif %}"
    )
    assert found.put(PROMPT) == f"{USER}<assistant><think>nothing</think>\n"


@pytest.mark.parametrize("answered", ["<|channel|>final<|message|>", ""])
def test_the_answer_stands_in_the_final_channel(answered: str) -> None:
    found = template(
        "{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'user' %}<|message|>{% else %}"
        + answered
        + "{% endif %}{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
    )
    start = f"<|start|>user<|message|>{PROMPT}<|end|><|start|>assistant"
    assert found.put(PROMPT) == f"{start}<|channel|>final<|message|>"


# The date


def test_a_date_that_the_template_writes_belongs_to_the_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dated = "{{ strftime_now('%d %b %Y') }}\n" + tiny.TEMPLATE

    class Clock(datetime):
        """A day that a test chooses."""

        shown = 1

        @classmethod
        def now(cls, tz: Any = None) -> "Clock":
            return cls(2026, 3, cls.shown, tzinfo=tz)

    monkeypatch.setattr("rankprompt.llm.local.chat_template.datetime", Clock)
    found = template(dated)
    assert found.put(PROMPT).startswith("01 Mar 2026\n")
    assert "01 Mar 2026" in found.signature
    folder = tiny.save(tmp_path, tiny.llama(), tiny.tokenizer(template=dated))
    first, same_day = load(folder).fingerprint, load(folder).fingerprint
    Clock.shown = 2
    assert first == same_day != load(folder).fingerprint
    # A run past midnight keeps to the date of its fingerprint.
    assert found.put(PROMPT).startswith("01 Mar 2026\n")


# Templates that cannot be used, or not simply


def test_a_system_turn_is_tried_where_one_is_demanded() -> None:
    found = template(
        "{% if messages[0].role != 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
        + TURNS
        + "<assistant>"
    )
    rendered = found.put(PROMPT)
    assert rendered.startswith("<system>")
    assert rendered.endswith(f"{USER}<assistant>")
    assert found.signature != ""


def test_content_is_given_as_parts_where_text_would_be_lost() -> None:
    found = template(
        "{% for m in messages %}<{{ m.role }}>{% for part in m.content | "
        "selectattr('type', 'equalto', 'text') %}{{ part.text }}{% endfor %}</s>\n{% endfor %}"
    )
    assert found.put(PROMPT).startswith(USER)


def test_a_template_that_loses_the_prompt_is_refused() -> None:
    assert "it does not write the user's prompt" in refusal("Hello.")


def test_a_template_that_raises_is_refused() -> None:
    assert "pictures only" in refusal("{{ raise_exception('pictures only') }}")


def test_a_template_with_an_unknown_filter_is_refused() -> None:
    assert "shout" in refusal("{{ messages[0].content | shout }}")


def test_a_template_that_is_no_template_is_refused() -> None:
    refusal("{% for m in messages %}{{ m.content }}")


def test_named_templates_without_a_default_are_refused() -> None:
    message = refusal({"tool_use": TURNS, "rag": TURNS})
    assert "templates named 'rag', 'tool_use', and none named 'default'" in message
    found = template({"tool_use": "tools", "default": TURNS})
    assert found.put(PROMPT).startswith(USER)


def test_a_prompt_without_chat_needs_no_template() -> None:
    words = tiny.tokenizer(template="{{ raise_exception('never') }}")
    model = LocalModel(tiny.llama().eval(), words, name="tiny")
    model.answer([Request(PROMPT, (" A", " B"))])
    with pytest.raises(ModelError, match="never"):
        model.answer([Request(PROMPT, (" A", " B"), chat=True)])
