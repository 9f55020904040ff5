"""An entry of the cache that is damaged, or another program's, is as good as none."""

import json
import os
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankprompt.llm import LanguageModel, load_model
from rankprompt.llm.local.facts import FactsFile
from rankprompt.llm.local.lazy import LazyModel
from rankprompt.llm.local.model import LocalModel
from tests.llm import tiny

SETTINGS = {"dtype": "float32", "device": "cpu"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKPROMPT_CACHE", str(tmp_path / "cache"))
    return tiny.save(tmp_path / "model", tiny.llama(), tiny.tokenizer())


def load(folder: Path) -> LanguageModel:
    return load_model(str(folder), dtype="float32", device="cpu", threads=1)


def signed(content: Any) -> bytes:
    text = json.dumps(content)
    digest = blake2b(text.encode(), digest_size=16).hexdigest()
    return f"rankprompt model facts 1 {digest}\n{text}".encode()


def changed(entry: bytes, how: Any) -> bytes:
    """An entry with a right checksum, and something else in it."""
    content = json.loads(entry.partition(b"\n")[2])
    how(content)
    return signed(content)


def without_tokenizer(content: Any) -> None:
    content["facts"][-1][0] = '{"version": "1.0"}'


FAULTS: dict[str, Any] = {
    "empty": lambda _: b"",
    "cut": lambda entry: entry[: len(entry) // 2],
    "longer": lambda entry: entry + b" ",
    "no UTF-8": lambda _: b"\xff\xfe",
    "another form": lambda entry: entry.replace(b"facts 1", b"facts 2", 1),
    "a list": lambda _: signed([1, 2]),
    "nothing": lambda _: signed(None),
    "nested": lambda _: b"[" * 100_000,
    "no facts": lambda entry: changed(entry, lambda content: content.pop("facts")),
    "fewer facts": lambda entry: changed(entry, lambda content: content["facts"].pop()),
    "more facts": lambda entry: changed(entry, lambda content: content["facts"].append(1)),
    "no tokenizer": lambda entry: changed(entry, without_tokenizer),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_model_is_loaded_and_the_entry_written_again(folder: Path, fault: str) -> None:
    first, path = load(folder), FactsFile(str(folder), SETTINGS).path
    entry = path.read_bytes()
    path.write_bytes(FAULTS[fault](entry))
    again = load(folder)
    assert isinstance(again, LocalModel)
    assert again.fingerprint == first.fingerprint
    assert path.read_bytes() == entry
    assert isinstance(load(folder), LazyModel)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_single_bit_is_noticed(folder: Path, place: float, bit: int) -> None:
    known = FactsFile(str(folder), SETTINGS)
    if not known.path.exists():
        load(folder)
    entry = known.path.read_bytes()
    assert known.read() is not None
    damaged = bytearray(entry)
    damaged[int(place * len(entry))] ^= 1 << bit
    known.path.write_bytes(damaged)
    assert known.read() is None
    known.path.write_bytes(entry)


def test_a_cache_that_cannot_be_written_stops_nothing(folder: Path) -> None:
    Path(os.environ["RANKPROMPT_CACHE"]).write_text("a file, not a folder")
    assert isinstance(load(folder), LocalModel)
    assert isinstance(load(folder), LocalModel)


def test_a_folder_in_place_of_the_entry_stops_nothing(folder: Path) -> None:
    FactsFile(str(folder), SETTINGS).path.mkdir(parents=True)
    assert isinstance(load(folder), LocalModel)
    assert isinstance(load(folder), LocalModel)
