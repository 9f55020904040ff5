"""Templates that only write a prompt are told from those that do more, and rendered alike."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.llm.local.chat_template import ChatTemplate
from rankprompt.llm.local.template_content import only_writes_content
from tests.llm import tiny

START = "{% for m in messages %}"
END = "{% endfor %}{% if add_generation_prompt %}<s>assistant\n{% endif %}"
WRITING = [
    tiny.TEMPLATE,
    START + "<s>{{ m.role }}\n{{ m.content | trim }}</s>" + END,
    START + "{{ '<s>' + m['role'] + '\n' + m['content'] + '</s>' }}" + END,
    START + "{% if loop.first and m['role'] != 'a' %}You help.{% endif %}{{ m.content }}" + END,
    START + "{{ bos_token ~ m['content'].strip() ~ eos_token }}" + END,
    "{% if messages | length > 9 %}{{ raise_exception('long') }}{% endif %}"
    + START + "{% if m.content is string %}{{ m.content }}{% endif %}" + END,
    "{% set sep = '\n' %}" + START + "{{ m.content + sep }}" + END,
]  # fmt: skip
MORE = [
    START + "{{ m.content | upper }}" + END,
    START + "{{ m.content[:9] }}" + END,
    START + "{{ m.content.split('</think>')[-1] }}" + END,
    START + "{{ m.content.replace('a', 'b') }}" + END,
    START + "{% if 'boats' in m.content %}!{% endif %}{{ m.content }}" + END,
    START + "{% if m.content.startswith(' ') %}!{% endif %}{{ m.content }}" + END,
    START + "{% if m.content %}{{ m.content }}{% endif %}" + END,
    START + "{% set c = m.content %}{{ c }}" + END,
    START + "{{ m }}" + END,
    START + "{{ m | tojson }}" + END,
    START + "{{ m.get('content') }}" + END,
    START + "{{ m['con' + 'tent'] }}" + END,
    START + "{{ m.content | length }}" + END,
    START + "{{ m.content if m.role else m.content }}" + END,
    "{% macro put(m) %}{{ m.content }}{% endmacro %}" + START + "{{ put(m) }}" + END,
    "{% for m in messages %",
]


@pytest.mark.parametrize("template", WRITING)
def test_a_template_that_only_writes(template: str) -> None:
    assert only_writes_content(template)


@pytest.mark.parametrize("template", MORE)
def test_a_template_that_does_more(template: str) -> None:
    assert not only_writes_content(template)


@pytest.mark.parametrize("template", WRITING)
@given(prompt=st.text(alphabet=" \n\tab{}%'\"\\&<é甲boats\u00a0\u2028", max_size=9))
def test_a_prompt_is_put_as_the_template_renders_it(template: str, prompt: str) -> None:
    words: Any = tiny.tokenizer(template=template)
    found = ChatTemplate(words, "tiny").put(prompt)
    turns = [{"role": "user", "content": prompt}]
    expected = words.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert found == expected
