"""Teachers by name."""

from pathlib import Path

import pytest

from rankprompt.cascade.teachers import MINILM, llm_of, load_teacher, teacher_offsets
from rankprompt.cascade.teachers.cross_encoder import CrossEncoder
from rankprompt.cascade.teachers.language_model import LanguageModelTeacher
from rankprompt.errors import UnknownNameError
from rankprompt.journal.cached_model import CachedModel
from rankprompt.journal.store import Journal
from tests.cascade.toy_models import save_cross_encoder
from tests.fakes import FakeModel


def test_teachers_are_found_by_name(tmp_path: Path) -> None:
    assert (llm_of("llm:a/b"), llm_of("llm:"), llm_of(MINILM)) == ("a/b", None, None)
    with pytest.raises(UnknownNameError, match=f"did you mean '{MINILM}'"):
        load_teacher("ms-marco-minilm")
    folder = save_cross_encoder(tmp_path, max_position_embeddings=64)
    assert isinstance(load_teacher(str(folder)), CrossEncoder)
    assert teacher_offsets(str(folder))("the mill")[-1] == (3, 8)
    language = load_teacher("llm:any", model=CachedModel(FakeModel(), Journal(None)))
    assert isinstance(language, LanguageModelTeacher)
