from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import InputError
from rankprompt.prompts.prompt import SHIPPED, load_prompt
from rankprompt.prompts.template import parse_template

SELECTION = (
    'kind = "selection"\ntext = "{instruction} {query}: {passages}?"\n'
    'passage = "{label} {passage}"\nanswer = " {label}"\n'
)
GRADES = (
    'kind = "grades"\ntext = """\nTask: {instruction}\n{query}: {passage}?"""\n'
    'options = ["yes", "no"]\ngrades = [1, 0]\n'
)
LIKELIHOOD = 'kind = "likelihood"\ntext = "{passage} {instruction}"\ntarget = " {query}"\n'


@pytest.mark.parametrize("content", [SELECTION, GRADES, LIKELIHOOD])
def test_the_slot_holds_the_users_instruction_or_else_the_files(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "prompt.toml"
    path.write_text(content + 'instruction = "Find {proof}."\n')
    own, users = load_prompt(str(path)), load_prompt(str(path), "Find \\1 }{query}")
    for prompt, text in ((own, "Find {proof}."), (users, "Find \\1 }{query}")):
        assert "instruction" not in prompt.text.slots
        assert text in prompt.text.fill(query="Q", passage="P", passages="Ps")


def test_a_slot_that_nothing_fills_is_told(tmp_path: Path) -> None:
    path = tmp_path / "prompt.toml"
    path.write_text(GRADES)
    with pytest.raises(
        InputError, match=r"slot \{instruction\} and no .* give `instruction`"
    ) as told:
        load_prompt(str(path))
    assert len(str(told.value).splitlines()) == 1
    assert "Task: so" in load_prompt(str(path), "so").text.fill(query="", passage="")


@pytest.mark.parametrize("name", [*SHIPPED, "relevance"])
def test_an_instruction_without_a_slot_is_refused(name: str) -> None:
    if name in ("qwen3-reranker", "mxbai-rerank-v2"):
        assert "find mills" in str(load_prompt(name, "find mills").text)
        return
    with pytest.raises(InputError, match=f"`instruction` plays no part: `prompt` {name} has no"):
        load_prompt(name, "find mills")


def test_an_empty_instruction_leaves_no_label_behind(tmp_path: Path) -> None:
    path = tmp_path / "prompt.toml"
    path.write_text(GRADES)
    assert str(load_prompt(str(path), "").text) == "{query}: {passage}?"
    assert "instruction" not in str(load_prompt("mxbai-rerank-v2").text)


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("a {x} b", ""),
        ("1\na {x} b\n2", "1\n2"),
        ("1\n{x}\n{x}\n2", "1\n2"),
        ("{y} a {x} b {z}\n2", "{y}{z}\n2"),
        ("{{x}} {y}", "{{x}} {y}"),
    ],
)
def test_an_empty_value_takes_the_literal_text_of_its_line_with_it(text: str, bound: str) -> None:
    assert str(parse_template(text).bind("x", "")) == bound


@given(st.text(min_size=1), st.text())
def test_a_bound_value_is_literal_text(value: str, other: str) -> None:
    bound = parse_template("{x}{{x}}{y} and {x}").bind("x", value)
    assert bound.slots == {"y"}
    assert bound.fill(y=other) == f"{value}{{x}}{other} and {value}"
    assert parse_template(str(bound)) == bound
