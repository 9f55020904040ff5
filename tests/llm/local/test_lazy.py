"""A model whose facts are known is loaded by its first question, and is the same model."""

import os
from datetime import date
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankprompt.errors import ModelError
from rankprompt.files.cache_directory import cache_dir
from rankprompt.llm import LanguageModel, load_model
from rankprompt.llm.base import Request
from rankprompt.llm.local import facts, model
from rankprompt.llm.local.lazy import LazyModel
from rankprompt.llm.local.model import LocalModel
from rankprompt.llm.local.saved_tokenizer import tokenizer_text
from tests.llm import tiny
from tests.llm.local.small_models import MODELS, SCORED, WRITTEN

SPACE_BEFORE_ANSWERS = (
    "{% for m in messages %}[{{ m.role }}] {{ m.content }} {{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
WHOLE = st.characters(exclude_categories=["Cs"])


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("RANKPROMPT_CACHE", str(folder))
        yield folder


def load(folder: Path, **how: Any) -> LanguageModel:
    return load_model(str(folder), **{"dtype": "float32", "device": "cpu", "threads": 1, **how})


def saved(folder: Path, *, template: str | None = tiny.TEMPLATE, seed: int = 0) -> Path:
    return tiny.save(folder, tiny.llama(seed), tiny.tokenizer(template=template))


def replace_unnoticed(path: Path, content: bytes) -> None:
    """Writes another content of the same length, and keeps the time of the last change."""
    before = path.stat()
    assert len(content) == before.st_size
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture(scope="module", params=[*MODELS, "chat", "space"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[LocalModel, LazyModel]:
    make, eos = MODELS.get(request.param, (tiny.llama, False))
    template = {"chat": tiny.TEMPLATE, "space": SPACE_BEFORE_ANSWERS}.get(request.param)
    words = tiny.tokenizer(template=template, eos=eos)
    folder = tiny.save(tmp_path_factory.mktemp("models") / request.param, make(), words)
    first, again = load(folder), load(folder)
    assert isinstance(first, LocalModel)
    assert isinstance(again, LazyModel)
    return first, again


def test_it_is_known_by_the_same_facts(both: tuple[LocalModel, LazyModel]) -> None:
    first, again = both
    for name in ("name", "fingerprint", "context_length", "dtype"):
        assert getattr(again, name) == getattr(first, name)


@given(
    text=st.lists(st.text(WHOLE) | st.sampled_from([" ", "</s>", "<s>"])).map("".join),
    tokens=st.integers(1, 30),
    chat=st.booleans(),
    options=st.sampled_from([(), (" A", " B"), (" Passage A", " Passage")]),
)
def test_texts_are_counted_cut_and_escaped_alike(
    both: tuple[LocalModel, LazyModel], text: str, tokens: int, chat: bool, options: tuple[str, ...]
) -> None:
    first, again = both
    request = Request(text, options, 0 if options else tokens, chat)
    assert again.length(request) == first.length(request)
    assert again.truncate(text, tokens) == first.truncate(text, tokens)
    assert again.escape(text) == first.escape(text)


def test_it_answers_alike_once_it_is_asked(both: tuple[LocalModel, LazyModel]) -> None:
    first, again = both
    for requests in (SCORED, WRITTEN, [one._replace(chat=True) for one in SCORED]):
        batches = again.plan(requests)
        assert batches == first.plan(requests)
        for batch in batches:
            asked = [requests[index] for index in batch]
            assert again.answer(asked) == first.answer(asked)


def test_no_weights_are_opened_before_a_question(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    first = load(folder)
    weights = folder / "model.safetensors"
    replace_unnoticed(weights, b"\0" * weights.stat().st_size)
    again = load(folder)
    assert again.fingerprint == first.fingerprint
    request = Request("Which?", (" A", " B"), chat=True)
    assert again.length(request) == first.length(request)
    with pytest.raises(ModelError, match="cannot load the model"):
        again.answer([request])
    with pytest.raises(ModelError, match="cannot load the model"):
        load(folder)  # From now on before anything is asked.


@pytest.mark.parametrize("call", ["plan", "answer"])
def test_weights_that_were_changed_in_place_are_noticed(tmp_path: Path, call: str) -> None:
    folder, other = saved(tmp_path / "model"), saved(tmp_path / "other", seed=1)
    first = load(folder)
    weights = "model.safetensors"
    replace_unnoticed(folder / weights, (other / weights).read_bytes())
    with pytest.raises(ModelError) as caught:
        getattr(load(folder), call)([Request("Which?", (" A", " B"))])
    assert str(caught.value).endswith("start the same command again, and it is read anew")
    anew = load(folder)
    assert isinstance(anew, LocalModel)
    assert anew.fingerprint != first.fingerprint
    assert isinstance(load(folder), LazyModel)


def test_a_changed_template_is_noticed_where_it_is_used(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", template=SPACE_BEFORE_ANSWERS)
    load(folder)
    path = next(folder.glob("*.jinja"))
    replace_unnoticed(path, path.read_bytes().replace(b"[assistant]", b"(assistant)"))
    again = load(folder)
    with pytest.raises(ModelError, match="start the same command again"):
        again.answer([Request("Which?", (" A", " B"), chat=True)])
    assert isinstance(load(folder), LocalModel)


def test_what_the_facts_depend_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(tmp_path / "model")
    load(folder)
    assert isinstance(load(folder), LazyModel)
    assert isinstance(load(folder, threads=2, batch_tokens=99), LazyModel)
    assert isinstance(load(folder, dtype="bfloat16"), LocalModel)
    assert isinstance(load(folder, trust_remote_code=True), LocalModel)
    monkeypatch.chdir(tmp_path)
    assert isinstance(load(Path("./model")), LazyModel)
    (folder / "model.safetensors").touch()
    assert isinstance(load(folder), LocalModel)
    (folder / "notes.txt").write_text("a new file")
    assert isinstance(load(folder), LocalModel)
    monkeypatch.setattr(facts, "processor_name", lambda: "another processor")
    assert isinstance(load(folder), LocalModel)
    monkeypatch.setattr(facts, "version", lambda library: f"new {library}")
    assert isinstance(load(folder), LocalModel)
    assert isinstance(load(folder), LazyModel)


def test_the_number_format_of_this_processor_counts_where_it_is_chosen(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    load(folder, dtype="auto")
    assert isinstance(load(folder, dtype="auto"), LazyModel)
    formats = cache_dir("machines.json")
    formats.write_text(formats.read_text() + "\n")
    assert isinstance(load(folder, dtype="auto"), LocalModel)


def test_a_template_that_writes_the_date_is_read_anew_each_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dated = "{{ strftime_now('%Y') }}" + tiny.TEMPLATE
    folders = saved(tmp_path / "dated", template=dated), saved(tmp_path / "undated")
    for folder in folders:
        load(folder)
        assert isinstance(load(folder), LazyModel)

    class Tomorrow(date):
        @classmethod
        def today(cls) -> Self:
            return cls.fromordinal(date.today().toordinal() + 1)

    monkeypatch.setattr(facts, "date", Tomorrow)
    assert [type(load(folder)) for folder in folders] == [LocalModel, LazyModel]


def test_an_adapter_names_files_elsewhere(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    (folder / "adapter_config.json").write_text("{}")
    known = facts.FactsFile(str(folder), {"dtype": "float32", "device": "cpu"})
    found = model.load(str(saved(tmp_path / "base")), dtype="float32", device="cpu").facts()
    assert found is not None
    known.write(found)
    assert not known.path.exists()


def test_a_gguf_file_is_known_by_itself_and_what_is_beside_it(tmp_path: Path) -> None:
    found = model.load(str(saved(tmp_path / "base")), dtype="float32", device="cpu").facts()
    assert found is not None
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    known = facts.FactsFile(str(path), {})
    known.write(found)
    (tmp_path / "other.gguf").write_bytes(b"GGUF")
    assert known.read() == found
    (tmp_path / "chat_template.jinja").write_text("")
    assert known.read() is None
    known.write(found)
    assert known.read() == found
    path.write_bytes(b"GGUF2")
    assert known.read() is None


def test_a_model_of_the_hub_is_known_by_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    base = tmp_path / "hub" / "models--org--tiny"
    (base / "refs").mkdir(parents=True)
    for commit in ("a" * 40, "b" * 40):
        saved(base / "snapshots" / commit)
    (base / "refs" / "main").write_text("a" * 40)
    found = model.load(str(base / "snapshots" / ("a" * 40)), dtype="float32", device="cpu").facts()
    assert found is not None
    known = facts.FactsFile("org/tiny", {})
    known.write(found)
    monkeypatch.chdir(base)
    assert facts.FactsFile("org/tiny", {}).read() == found
    (base / "refs" / "main").write_text("b" * 40)
    assert known.read() is None
    absent = facts.FactsFile("org/absent", {})
    absent.write(found)
    assert not absent.path.exists()


def test_a_tokenizer_that_changes_texts_itself_is_not_taken_as_text() -> None:
    words = tiny.tokenizer()
    assert tokenizer_text(words) is not None

    class Lowering(type(words)):  # type: ignore[misc]
        def __call__(self, text: str, **how: Any) -> Any:
            return super().__call__(text.lower(), **how)

    words.__class__ = Lowering
    assert tokenizer_text(words) is None


def test_only_so_many_models_are_known(cache: Path) -> None:
    folder = cache / "model-facts"
    for number in range(200):
        (folder / f"{number}.json").write_text("")
        os.utime(folder / f"{number}.json", (number, number))
    base = saved(cache / "one-more")
    load(base)
    assert len(list(folder.iterdir())) <= 64
    assert isinstance(load(base), LazyModel)
