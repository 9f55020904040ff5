from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankprompt.prompts.prompt import SHIPPED, load_prompt
from rankprompt.prompts.prompt_file import format_prompt
from rankprompt.prompts.template import Template
from rankprompt.search import Archive, SearchConfig, SeedPrompt, segment
from rankprompt.search.registry import run_search
from rankprompt.search.search_state import SearchState
from tests.search.toys import by_hash, on_texts, words


@pytest.mark.parametrize("name", SHIPPED)
def test_a_written_prompt_is_the_prompt(name: str, tmp_path: Path) -> None:
    prompt = load_prompt(name)
    path = tmp_path / "evolved.toml"
    path.write_text(format_prompt(prompt, source="here"), "utf-8")
    assert load_prompt(str(path)) == replace(prompt, name=str(path))


@given(texts=st.lists(st.text(), min_size=3, max_size=3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_its_text(texts: list[str], tmp_path: Path) -> None:
    prompt = load_prompt("query-likelihood")
    first, second, third = texts
    text = Template((first, "passage", second, "query", third))
    prompt = replace(prompt, text=text)
    path = tmp_path / "evolved.toml"
    path.write_bytes(format_prompt(prompt, source=first).encode())
    assert load_prompt(str(path)) == replace(prompt, name=str(path))


def test_an_evolved_prompt_is_a_file_that_a_reranking_takes(tmp_path: Path) -> None:
    prompt = load_prompt("prp-demonstrations")
    frozen = ["\n\nPassage A: ", "\n\nPassage B: ", "Output Passage A or Passage B:"]
    seed = SeedPrompt(segment(prompt.text, frozen), words)
    search = SearchState(seed, SearchConfig(evaluations=300), Archive(on_texts(by_hash)))
    list(run_search(search))
    assert search.best is not None
    assert search.best.length < len(seed.genes)
    evolved = replace(prompt, text=seed.template(search.best.genome))
    path = tmp_path / "evolved.toml"
    path.write_text(format_prompt(evolved), "utf-8")
    loaded = load_prompt(str(path))
    assert str(loaded.text) == search.best.text
    assert "\n\nPassage A: {first}" in search.best.text
    assert search.best.text.endswith("Output Passage A or Passage B:")
