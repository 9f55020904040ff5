import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from rankprompt.llm import load_model, load_server
from rankprompt.llm.registry import BACK_ENDS, BackEnd


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What the ``load`` of two further back ends is called with."""
    calls: list[tuple[str, dict[str, Any]]] = []

    def load(name: str, **options: Any) -> object:
        calls.append((name, options))
        return SimpleNamespace(name=name)

    module = ModuleType("further")
    module.load = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "further", module)
    monkeypatch.setitem(BACK_ENDS, "further", BackEnd("further"))
    monkeypatch.setitem(BACK_ENDS, "remote", BackEnd("further", server=True))
    return calls


def test_a_line_of_the_table_adds_a_back_end(loaded: list[tuple[str, dict[str, Any]]]) -> None:
    load_model("further:org/model:tag", dtype="float16", threads=2)
    (name, options), *others = loaded
    assert not others
    assert (name, options["shown_as"]) == ("org/model:tag", "further:org/model:tag")
    assert (options["dtype"], options["threads"], options["device"]) == ("float16", 2, "auto")
    load_server("remote:model", base_url="http://host")
    assert loaded[1:] == [
        ("model", {"base_url": "http://host", "tokenizer": None, "settings": None})
    ]


@pytest.mark.parametrize("name", ["openai:model", "model:tag", "further:model", "local:model"])
def test_a_servers_names_may_contain_colons(
    name: str, loaded: list[tuple[str, dict[str, Any]]]
) -> None:
    assert load_server(name, base_url="http://host").name == name
    assert not loaded
